"""What models say of spectra: moments, and their derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Moments:
    """Of predicted spectra [uK^2].

    Attributes
    ----------
    mean : ndarray, shape (n, b)
    std : ndarray, shape (n, b), or None
    covariance : ndarray, shape (n, b, b), or None
    """

    mean: np.ndarray
    std: np.ndarray | None
    covariance: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Differentiated:
    """Mean and standard deviations, with their derivatives by the p parameters.

    Attributes
    ----------
    mean, std : ndarray, shape (n, b)
        The mean, and the standard deviation of its error.
    scatter : ndarray, shape (n, b)
        Standard deviation of a simulation around the mean.
    mean_slope, std_slope, scatter_slope : ndarray, shape (n, b, p)
    """

    mean: np.ndarray
    std: np.ndarray
    scatter: np.ndarray
    mean_slope: np.ndarray
    std_slope: np.ndarray
    scatter_slope: np.ndarray
