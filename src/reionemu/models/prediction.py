"""What an emulator answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .interpolation import Windows


@dataclass(frozen=True, eq=False)
class Prediction:
    """A predicted spectrum.

    Attributes
    ----------
    ell : ndarray, shape (b,)
        Bin centres.
    mean : ndarray, shape (b,) or (n, b)
        The spectrum [uK^2]; for a model with dropout the mean over draws.
    std : ndarray of the shape of `mean`, or None
        Standard deviation of the emulator's error [uK^2]; None for a model that does not know it.
        The scatter between realizations is apart: `Emulator.sample_covariance`.
    quantity : {"dl_ksz", "cl_ksz"}
        Whether this is D_ell = ell (ell + 1) C_ell / (2 pi), or C_ell.
    covariance : ndarray, shape (b, b) or (n, b, b), or None
        Of the emulator's errors [uK^4].
    """

    ell: np.ndarray
    mean: np.ndarray
    std: np.ndarray | None
    quantity: str
    covariance: np.ndarray | None = None

    def at(self, ell: Any, *, own: Windows | None = None) -> Prediction:
        """The spectrum at other multipoles: see `models.interpolation.interpolate`."""
        from .interpolation import interpolate

        return interpolate(self, ell, own=own)

    def through(self, windows: Any, window_ell: Any, *, own: Windows | None = None) -> Prediction:
        """Band powers through windows: see `models.interpolation.through_windows`."""
        from .interpolation import through_windows

        return through_windows(self, windows, window_ell, own=own)


@dataclass(frozen=True, eq=False)
class History:
    """A predicted history of reionization.

    Standard deviations are of the difference between a simulation and the prediction.

    Attributes
    ----------
    z : ndarray, shape (k,)
    x_hi, x_hi_std : ndarray, shape (k,) or (n, k)
        Mass-weighted neutral fraction of hydrogen: between 0 and 1, rising with redshift.
    tau, tau_std : ndarray, shape () or (n,)
        Optical depth to reionization.
    z50, z50_std : ndarray, shape () or (n,)
        Redshift at which half of the hydrogen is neutral.
    duration, duration_std : ndarray, shape () or (n,)
        Redshift of a neutral fraction of 3/4 less that of 1/4.
    """

    z: np.ndarray
    x_hi: np.ndarray
    x_hi_std: np.ndarray
    tau: np.ndarray
    tau_std: np.ndarray
    z50: np.ndarray
    z50_std: np.ndarray
    duration: np.ndarray
    duration_std: np.ndarray


@dataclass(frozen=True, eq=False)
class JointDraws:
    """Spectra and histories as they might be, with errors that go together as they do.

    Attributes
    ----------
    spectrum : ndarray, shape (m, b) or (m, n, b)
        [uK^2].
    z : ndarray, shape (k,)
    x_hi : ndarray, shape (m, k) or (m, n, k)
    tau : ndarray, shape (m,) or (m, n)
    """

    spectrum: np.ndarray
    z: np.ndarray
    x_hi: np.ndarray
    tau: np.ndarray
