"""Band powers of square maps, with their window functions, errors and covariance.

The estimate in bin b is the mean over its modes, each with its own multipole, of
l (l + 1) |FFT(w (T - m)) (theta/N)^2|^2 / (2 pi theta^2 <w^2>), with m the mean of the map weighted
by the window w; divided by what that gives for a sky with D_ell = 1, so that a flat spectrum comes
back as it is. (A Hann window moves power between modes, which makes 1 + (l_min/l)^2 2/3 of it.) The
method is that of pseudo power spectra: Hivon et al. 2002 (ApJ 567, 2).
"""

from __future__ import annotations

import numpy as np

from ..errors import ConfigError, MapError
from .bandpower_plan import BandpowerPlan, Bandpowers
from .bin_tables import Noise
from .config import ClConfig
from .flat_sky import check_map


def bandpower(
    temperature: np.ndarray,
    theta: float,
    config: ClConfig | None = None,
    *,
    noise: Noise | None = None,
) -> Bandpowers:
    """Estimate the band powers of one map.

    Parameters
    ----------
    temperature : ndarray, shape (N, N)
        Temperature anisotropy [uK].
    theta : float
        Side of the map [rad].
    config : ClConfig, optional
        `edges` (or `nbins` and `ell_cut`), `window`, `pixel_window` and `noise_cl` are used.
    noise : float, ndarray or callable, optional
        C_ell of the noise in the map [uK^2], in place of `config.noise_cl`: a constant, values at
        ell = 0, 1, 2 ..., or a function of an array of multipoles.

    Returns
    -------
    Bandpowers

    Raises
    ------
    MapError
        If the map is not a finite, square, two-dimensional array of real numbers, `theta` is not
        positive, or a bin holds no mode or reaches beyond the Nyquist frequency.
    ConfigError
        If the noise is not known, and finite, at all multipoles of the bins.
    """
    temperature = check_map(temperature, theta)
    config = config or ClConfig(estimator="bandpower")
    return BandpowerPlan(len(temperature), theta, config, noise=noise).spectrum(temperature)


def cross_bandpower(
    first: np.ndarray, second: np.ndarray, theta: float, config: ClConfig | None = None
) -> Bandpowers:
    """Estimate the cross-spectrum of two maps of one patch of sky.

    Their noise is taken to be independent, so that none is subtracted.

    Parameters
    ----------
    first, second : ndarray, shape (N, N)
        Temperature anisotropy [uK].
    theta : float
        Side of the maps [rad].
    config : ClConfig, optional
        As for `bandpower`.

    Returns
    -------
    Bandpowers

    Raises
    ------
    MapError
        As for `bandpower`, or if the maps differ in size.
    """
    first, second = check_map(first, theta), check_map(second, theta)
    if first.shape != second.shape:
        raise MapError(f"the maps must be of one size; they are {first.shape} and {second.shape}")
    config = config or ClConfig(estimator="bandpower")
    return BandpowerPlan(len(first), theta, config).cross(first, second)


def bandpower_covariance(dl: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of band powers over independent maps, and its standard error.

    Parameters
    ----------
    dl : ndarray, shape (n, b)
        Band powers, or their logarithms, of n maps that differ in nothing but the realization.

    Returns
    -------
    covariance : ndarray, shape (b, b)
        Unbiased: the sum of products over n - 1.
    error : ndarray, shape (b, b)
        sqrt((C_ij^2 + C_ii C_jj) / (n - 1)), for normally distributed `dl` (Wishart 1928,
        Biometrika 20A, 32).

    Raises
    ------
    ConfigError
        If there are fewer than two maps, or a value is not finite.
    """
    dl = np.asarray(dl, dtype=np.float64)
    if dl.ndim != 2 or len(dl) < 2 or not np.isfinite(dl).all():
        raise ConfigError(
            "a covariance needs finite band powers of two maps or more, an array of shape (n, b); "
            f"got one of shape {dl.shape}"
        )
    deviation = dl - dl.mean(axis=0)
    covariance = deviation.T @ deviation / (len(dl) - 1)
    variance = np.diag(covariance)
    return covariance, np.sqrt((covariance**2 + np.outer(variance, variance)) / (len(dl) - 1))
