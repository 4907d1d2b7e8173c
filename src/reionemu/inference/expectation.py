"""From an emulator to the band powers that data should show, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, InferenceDataError
from ..models.emulator import Emulator
from ..models.interpolation import interpolation_matrix, window_matrix
from ..models.spectrum import SurrogateSpectrum
from ..models.suite import SHARED, Suite
from .band_power_checks import SKY
from .band_powers import BandPowers
from .gaussian import Part
from .late_time import LateTimeTemplate

N_DRAWS = 201
"""Draws of a network with dropout; their seed is fixed, so that its answers are."""


@dataclass(frozen=True, eq=False)
class Expected:
    """Patchy band powers at one or n points, and their covariance but for that of the data.

    Attributes
    ----------
    mean : ndarray, shape (m,) or (n, m)
        [uK^2].
    covariance : ndarray, shape (m, m) or (n, m, m)
        Of the emulator's errors, and of the scatter between realizations as far as data and
        emulator differ by it [uK^4].
    """

    mean: np.ndarray
    covariance: np.ndarray


class Expectation:
    """What data should show, but for a late-time part.

    Parameters
    ----------
    emulator : Emulator
    data : BandPowers
        Their multipoles or windows, and of which realization they are.
    emulator_error : bool
        Whether the emulator's own covariance counts. Only tests have a reason to leave it out.

    Attributes
    ----------
    matrix : ndarray, shape (m, b)
        From the emulator's bins to band powers.
    template : ndarray, shape (m,)
        Band powers of a late-time part that is 1 uK^2 at ell = 3000; zero if the data have none.
    share : float
        How much of the variance between maps is between the data and the emulator's mean: 1/R of
        a suite that shares R realizations, unless the data are of the same; and the ratio of the
        areas of simulated maps, if the data are a map whose sample variance they leave out. Of a
        variance that comes from nu + 1 maps, nu / (nu - 2) times that: so much more is the
        variance of a Student t, by which one is to be judged that is estimated (Sellentin &
        Heavens 2016, MNRAS 456, L132). Its tails are not there.
    lacks_scatter : bool
        Whether some is, but how large it is is not known: it is then left out.

    Raises
    ------
    InferenceDataError
        If the data reach beyond the emulator's or the template's multipoles.
    ConfigError
        If data of a simulated map need a scatter between realizations that is not known.
    """

    def __init__(
        self, emulator: Emulator, data: BandPowers, *, emulator_error: bool = True
    ) -> None:
        self.emulator, self.emulator_error = emulator, emulator_error
        quantity = emulator.target.source
        try:
            if data.windows is None or data.window_ell is None:
                self.matrix = interpolation_matrix(emulator.ell, quantity, data.ell)
            else:
                self.matrix = window_matrix(emulator.ell, quantity, data.windows, data.window_ell)
            self.template = seen_template(data)
        except ConfigError as error:
            raise InferenceDataError(f"{data.name}: {error}") from None
        self.share = _share(emulator.suite, data)
        self.lacks_scatter = self.share > 0 and not self._knows_scatter()
        if self.lacks_scatter and data.map_area is not None:
            raise ConfigError(
                f"{data.name}: the band powers are of a simulated map, but how much maps scatter "
                "is not known to this emulator: put their sample variance in the covariance, and "
                "leave map_area out; or train on a suite of several realizations"
            )
        if self.lacks_scatter:
            self.share = 0.0
        self.share *= _uncertainty_of_scatter(emulator.suite)

    def __call__(self, theta: np.ndarray) -> Expected:
        """What is expected at points, shape (n, p), inside the training box."""
        found = self.emulator.spectrum.moments(theta, N_DRAWS, 0)
        n, b = found.mean.shape
        covariance = np.zeros((n, b, b))
        if self.emulator_error and found.covariance is not None:
            covariance = found.covariance
        if self.share:
            covariance = covariance + self.share * self._scatter(theta, found.mean)
        W = self.matrix
        return Expected(found.mean @ W.T, W @ covariance @ W.T)

    def at(self, theta: np.ndarray) -> Expected:
        """The same at one point, shape (p,): mean (m,) and covariance (m, m)."""
        found = self(theta[None])
        return Expected(found.mean[0], found.covariance[0])

    def differentiated(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[Part]]:
        """Predicted spectra, (n, b), their slopes, (n, b, p), and the parts of the covariance.

        Raises
        ------
        ConfigError
            For a network, whose error bars have no derivatives here.
        """
        spectrum = self.emulator.spectrum
        if not isinstance(spectrum, SurrogateSpectrum):
            raise ConfigError(
                "the likelihood of this network has no derivatives: sample with emcee, or nested "
                "sampling, or train a Gaussian process or an ensemble (reionemu train --model gp)"
            )
        found = spectrum.differentiated(theta)
        R = spectrum.calibration.correlation
        parts = [Part(found.std, found.std_slope, R)] if self.emulator_error else []
        if self.share:
            suite = self.emulator.suite
            assert suite is not None  # else there is no share
            if suite.ln_covariance is not None:
                parts.append(Part(found.mean, found.mean_slope, self.share * suite.ln_covariance))
            else:
                share = self.share * suite.n_realizations
                parts.append(Part(found.scatter, found.scatter_slope, share * R))
        return found.mean, found.mean_slope, parts

    def _scatter(self, theta: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Covariance of the spectra of single maps, shape (n, b, b)."""
        suite = self.emulator.suite
        if suite is not None and suite.ln_covariance is not None:
            return mean[:, :, None] * suite.ln_covariance * mean[:, None, :]
        return self.emulator.sample_covariance(theta)

    def _knows_scatter(self) -> bool:
        box = self.emulator.box
        if box is None:
            return False
        try:
            self.emulator.sample_covariance(np.mean([box.low, box.high], axis=0))
        except ConfigError:
            return False
        return True


def seen_template(data: BandPowers) -> np.ndarray:
    """The late-time spectrum in band powers, for one of 1 uK^2 at ell = 3000: shape (m,)."""
    if not data.is_total:
        return np.zeros(data.n)
    template = LateTimeTemplate()
    if data.windows is None or data.window_ell is None:
        return template.at(data.ell)
    seen = (data.windows != 0).any(axis=0)
    # Tails of windows may reach beyond the table; the emulator's range, narrower, is checked.
    ell = np.clip(data.window_ell[seen], template.ell[0], template.ell[-1])
    return data.windows[:, seen] @ template.at(ell)


def _uncertainty_of_scatter(suite: Suite | None) -> float:
    """nu / (nu - 2), if the scatter between realizations has nu > 2 degrees of freedom."""
    nu = suite.degrees_of_freedom if suite is not None else 0
    return nu / (nu - 2) if nu > 2 else 1.0


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
