"""How well standard deviations describe errors: coverage, chi^2, CRPS, and what chance allows."""

from __future__ import annotations

import math

import numpy as np

SIGMAS = (1, 2, 3)
EXPECTED = tuple(math.erf(n / math.sqrt(2)) for n in SIGMAS)
"""Fractions of normally distributed errors within 1, 2 and 3 standard deviations."""


def coverage(z: np.ndarray) -> list[float]:
    """Fractions of z within 1, 2 and 3."""
    return [float((np.abs(z) <= n).mean()) for n in SIGMAS]


def gaussian_crps(z: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of the standard normal distribution, if z happens."""
    from scipy.special import ndtr

    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return z * (2 * ndtr(z) - 1) + 2 * density - 1 / math.sqrt(math.pi)


def joint_chi2(z: np.ndarray, correlation: np.ndarray) -> float | None:
    """Mean of z^T R^-1 z / b for z, shape (n, b), with correlations R, shape (n, b, b).

    None if some R has no inverse, as that of few dropout draws.
    """
    try:
        lower = np.linalg.cholesky(correlation)
    except np.linalg.LinAlgError:
        return None
    whitened = np.linalg.solve(lower, z[:, :, None])
    return float((whitened**2).mean())


def binomial_tails(fraction: float, n: int, p: float) -> tuple[float, float]:
    """Probability of a fraction as small as this one of n trials, and of one as large.

    Through the incomplete beta function, which interpolates between whole numbers of trials.
    """
    from scipy.special import betainc

    k = min(max(fraction, 0.0), 1.0) * n
    small = float(betainc(n - k, k + 1, 1 - p)) if k < n else 1.0
    large = float(betainc(k, n - k + 1, p)) if k > 0 else 1.0
    return small, large
