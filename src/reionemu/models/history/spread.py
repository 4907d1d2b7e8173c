"""How far simulations are from predicted curves and optical depths.

The error of a curve t(nu) is c0 + c1 t + c2 t^2: it is late, longer, or skewed. The fourth number
is the error of ln tau. All have a standard deviation that varies over parameter space.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import DatasetError
from ..calibration import correlation_of
from .curve import X_MIN, Curves, normal_density

MODES = ("c0", "c1", "c2", "ln_tau")
"""Names of the errors."""

N_CURVE = 3

T_MAX = 2.5
"""Errors of a curve are found at |t| below, x_HI from 0.006 to 0.994, and are constant beyond."""

MAX_BENDING = 0.9
"""By how much the error of a curve may change its slope, relatively: it stays monotone."""

LOCAL = 0.5
"""Part of an error's variance at x_HI = 1/2 taken as that of one redshift, not of the curve."""

_SCALE, _SLOPE = 1.5, 0.5
"""Widths of Gaussian priors of logarithms of standard deviations, and of their slopes."""


def powers(t: np.ndarray) -> np.ndarray:
    """1, t, t^2, shape (..., 3); beyond T_MAX as at it."""
    t = np.clip(t, -T_MAX, T_MAX)
    return t[..., None] ** np.arange(N_CURVE)


def tamed(c: np.ndarray) -> np.ndarray:
    """Errors of curves, shape (..., 3), less bent where the curve would not be monotone."""
    falling = 2 * T_MAX * np.abs(c[..., 2]) - c[..., 1]
    factor = MAX_BENDING / np.maximum(falling, MAX_BENDING)
    return np.concatenate([c[..., :1], c[..., 1:] * factor[..., None]], axis=-1)


@dataclass(frozen=True, eq=False)
class Spread:
    """Standard deviations and correlations of the errors called `MODES`.

    Attributes
    ----------
    log_std : ndarray, shape (4,)
        Logarithms of standard deviations of a simulation, in the middle of the box.
    slope : ndarray, shape (4, p)
        Their derivatives by the inputs.
    correlation : ndarray, shape (4, 4)
    """

    log_std: np.ndarray
    slope: np.ndarray
    correlation: np.ndarray

    def noise(self, u: np.ndarray) -> np.ndarray:
        """Standard deviations of a simulation around the mean, shape (n, 4)."""
        return np.exp(self.log_std + u @ self.slope.T)


def curve_std(modes: np.ndarray, std: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """Standard deviation, shape (n, k), of sums of errors.

    Parameters
    ----------
    modes : ndarray, shape (n, k, 3)
        What each error is multiplied by.
    std : ndarray, shape (n, 4)
        Of the errors.
    correlation : ndarray, shape (4, 4)
    """
    weighted = modes * std[:, None, :N_CURVE]
    variance = ((weighted @ correlation[:N_CURVE, :N_CURVE]) * weighted).sum(axis=-1)
    return np.sqrt(np.maximum(variance, 0))


def fit_std(
    modes: np.ndarray, error: np.ndarray, u: np.ndarray, weights: np.ndarray, R: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations of m errors from N sums of them, by maximum likelihood.

    The variance of sum j is exp(2 u_j . slope) sum_ab s_a s_b R_ab modes_ja modes_jb. Sums are
    taken as independent given their variances: only those are of interest.

    Parameters
    ----------
    modes : ndarray, shape (N, m)
    error : ndarray, shape (N,)
    u : ndarray, shape (N, p)
    weights : ndarray, shape (N,)
    R : ndarray, shape (m, m)
        Correlation of the errors.

    Returns
    -------
    log_std : ndarray, shape (m,)
    slope : ndarray, shape (p,)
    """
    from scipy.optimize import minimize

    m, unit = modes.shape[1], np.sqrt(np.average(error**2, weights=weights)) + 1e-12
    ratio2 = (error / unit) ** 2
    widths = np.array([_SCALE] * m + [_SLOPE] * u.shape[1])

    def objective(vector: np.ndarray) -> tuple[float, np.ndarray]:
        part = modes * np.exp(vector[:m])
        shared = np.exp(2 * u @ vector[m:])
        by_log_std = 2 * part * (part @ R) * shared[:, None]
        variance = 0.5 * by_log_std.sum(axis=1) + 1e-6
        value = 0.5 * weights @ (np.log(variance) + ratio2 / variance)
        slope = 0.5 * weights * (1 - ratio2 / variance) / variance
        offset = vector / widths
        by_slope = 2 * (slope * (variance - 1e-6)) @ u
        gradient = np.concatenate([slope @ by_log_std, by_slope]) + offset / widths
        return value + 0.5 * float(offset @ offset), gradient

    bounds = [(-8.0, 4.0)] * m + [(-2.0, 2.0)] * u.shape[1]
    found = minimize(objective, np.zeros(len(widths)), jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x[:m] + np.log(unit), found.x[m:]


def fit_spread(
    u: np.ndarray,
    z: np.ndarray,
    x_hi: np.ndarray,
    curves: Curves,
    tau_error: np.ndarray,
    left_out: np.ndarray,
) -> tuple[Spread, np.ndarray]:
    """Errors of n simulations, given predictions from all others.

    Parameters
    ----------
    u : ndarray, shape (n, p)
    z : ndarray, shape (k,)
    x_hi : ndarray, shape (n, k)
    curves : Curves
        Predicted from all other simulations.
    tau_error : ndarray, shape (n,)
        Of ln tau, true less predicted from all others.
    left_out : ndarray, shape (n, 4)
        Leverages of those predictions.

    Returns
    -------
    spread : Spread
    scores : ndarray, shape (n, 4)
        Errors, true less predicted, in units of their standard deviations.

    Raises
    ------
    DatasetError
        If too few redshifts fall into reionization.
    """
    from scipy.special import ndtri

    t = curves.normal(curves.scaled(z))
    used = (np.abs(t) < T_MAX) & (x_hi > X_MIN) & (x_hi < 1 - X_MIN)
    row = np.nonzero(used)[0]
    if len(row) < len(u) / 2:
        raise DatasetError(
            f"{len(u)} histories have {len(row)} values of x_hi between 0.006 and 0.994: the "
            "redshifts are too far apart to follow reionization"
        )
    modes = powers(t[used])
    error = ndtri(x_hi[used]) - t[used]
    # Each simulation counts once, however many redshifts its reionization takes.
    weights = 1 / used.sum(axis=1)[row]
    own = error / np.sqrt(1 + left_out[row, 0])
    none = np.eye(N_CURVE)

    def spread(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return fit_std(modes, own, u[row], weights, correlation)

    log_std, slope = spread(none)
    std = np.exp(log_std + (u @ slope)[:, None])
    tau_own = tau_error / np.sqrt(1 + left_out[:, N_CURVE])
    tau_log_std, tau_slope = fit_std(np.ones((len(u), 1)), tau_own, u, np.ones(len(u)), np.eye(1))
    tau_scores = tau_own / np.exp(tau_log_std + u @ tau_slope)
    scores = np.column_stack([_scores(row, modes, own, std), tau_scores])
    correlation = correlation_of(scores)
    log_std, slope = spread(correlation[:N_CURVE, :N_CURVE])
    slopes = np.stack([slope] * N_CURVE + [tau_slope])
    return Spread(np.append(log_std, tau_log_std), slopes, correlation), scores


def _scores(row: np.ndarray, modes: np.ndarray, error: np.ndarray, std: np.ndarray) -> np.ndarray:
    """What errors at N redshifts say of the errors of n curves, shape (n, 3), of unit variance."""
    from scipy.special import ndtr

    n, m = std.shape
    x, density = ndtr(modes[:, 1]), normal_density(modes[:, 1])
    # The share of one redshift is that of independent patches, binomial in the neutral fraction.
    local = LOCAL * std[row, 0] ** 2 * (2 / np.pi) * x * (1 - x) / density**2
    scaled = modes * std[row]
    matrix, vector = np.zeros((n, m, m)), np.zeros((n, m))
    np.add.at(matrix, row, scaled[:, :, None] * scaled[:, None, :] / local[:, None, None])
    np.add.at(vector, row, scaled * (error / local)[:, None])
    scores = np.linalg.solve(matrix + np.eye(m), vector[..., None])[..., 0]
    return scores / (np.sqrt((scores**2).mean(axis=0)) + 1e-12)
