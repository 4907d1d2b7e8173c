"""Band powers that an emulator expects at one point, as the theory hands them to the likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import ConfigError
from ...models.emulator import Emulator
from ...models.interpolation import interpolation_matrix, window_matrix
from ...models.suite import SHARED, Suite
from ..band_power_checks import SKY
from ..band_powers import BandPowers


@dataclass(frozen=True, eq=False)
class Expected:
    """Patchy band powers at one point, and how sure they are.

    Attributes
    ----------
    mean : ndarray, shape (m,)
        [uK^2].
    covariance : ndarray, shape (m, m)
        Of the emulator's errors, and of the scatter between realizations as far as the data and
        the emulator's suite differ by it [uK^4].
    """

    mean: np.ndarray
    covariance: np.ndarray


class Expectation:
    """From parameters to the band powers that data should show, without a late-time part.

    Parameters
    ----------
    emulator : Emulator
    data : BandPowers
        Their multipoles or windows, and of which realization they are.

    Attributes
    ----------
    matrix : ndarray, shape (m, b)
        From the emulator's bins to band powers.
    share : float
        How much of the variance between maps is between the data and the emulator's mean.
    lacks_scatter : bool
        Whether some is, but how large it is is not known: it is then left out.

    Raises
    ------
    ConfigError
        If the data are not within the emulator's multipoles, or its suite does not tell the
        scatter between realizations, and data of a simulated map need it.
    """

    def __init__(self, emulator: Emulator, data: BandPowers) -> None:
        self.emulator = emulator
        quantity = emulator.target.source
        if data.windows is None:
            self.matrix = interpolation_matrix(emulator.ell, quantity, data.ell)
        else:
            assert data.window_ell is not None
            self.matrix = window_matrix(emulator.ell, quantity, data.windows, data.window_ell)
        self.share = _share(emulator.suite, data)
        self.lacks_scatter = self.share > 0 and data.map_area is None and not self._knows_scatter()
        if self.lacks_scatter:
            self.share = 0.0

    def __call__(self, theta: np.ndarray) -> Expected:
        """What is expected at a point, shape (p,), inside the training box."""
        found = self.emulator.predict(theta)
        covariance = found.covariance
        if covariance is None:
            std = np.zeros_like(found.mean) if found.std is None else found.std
            covariance = np.diag(std**2)
        if self.share:
            covariance = covariance + self.share * self.emulator.sample_covariance(theta)
        return Expected(self.matrix @ found.mean, self.matrix @ covariance @ self.matrix.T)

    def _knows_scatter(self) -> bool:
        box = self.emulator.box
        assert box is not None  # recorded with every emulator
        try:
            self.emulator.sample_covariance(np.mean([box.low, box.high], axis=0))
        except ConfigError:
            return False
        return True


def _share(suite: Suite | None, data: BandPowers) -> float:
    """How much of the variance between maps is between the data and the emulator's mean."""
    share = 0.0
    if suite is not None and suite.realizations == SHARED and data.realization == SKY:
        share = 1 / suite.n_realizations
    if data.map_area is None:
        return share
    if suite is None or suite.map_area is None:
        raise ConfigError(
            f"{data.name}: the band powers are of a simulated map, but the emulator's record does "
            "not say how large its own are; put their sample variance in the covariance, and leave "
            "map_area out"
        )
    return share + suite.map_area / data.map_area
