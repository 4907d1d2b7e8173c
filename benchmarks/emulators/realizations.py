"""Suites of many realizations: is the predicted mean the mean, the predicted scatter the scatter?

Held-out simulations repeat some points with realizations that no emulator has seen. Their mean
differs from the predicted one by the emulator's error, by what the mean of the suite's own
realizations is off (of a suite that shares them), and by what the mean of the held-out ones is.
Realizations are the same at all points, so that deviations go together: a bin is one draw, nearly.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from reionemu.data.arrays import TrainingSet
from reionemu.errors import ReionemuWarning
from reionemu.models.emulator import Emulator


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Means over realizations at m points.

    Attributes
    ----------
    theta : ndarray, shape (m, p)
    mean : ndarray, shape (m, b)
        [uK^2].
    covariance : ndarray, shape (m, b, b)
        Of the spectrum of one realization [uK^4].
    n : int
        Number of realizations.
    """

    theta: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    n: int


def held_out(data: TrainingSet) -> HeldOut:
    """Moments over the realizations of each point."""
    D = np.exp(data.Y.astype(np.float64))
    theta, which, counts = np.unique(data.X, axis=0, return_inverse=True, return_counts=True)
    groups = [D[which.ravel() == i] for i in range(len(theta))]
    return HeldOut(
        theta.astype(np.float64),
        np.array([group.mean(axis=0) for group in groups]),
        np.array([np.cov(group.T) for group in groups]),
        int(counts.min()),
    )


def compare(emulator: Emulator, truth: HeldOut) -> dict[str, Any]:
    """Predicted against measured mean and scatter, over all points; lists have a value a bin."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReionemuWarning)
        found = emulator.predict(truth.theta)
        realization = emulator.realization_covariance(truth.theta)
        scatter = _std(emulator.sample_covariance(truth.theta))
    assert found.std is not None
    measured = _std(truth.covariance)
    error_bar = np.sqrt(found.std**2 + _std(realization) ** 2)
    z = (found.mean - truth.mean) / np.hypot(error_bar, measured / np.sqrt(truth.n))
    ratio = found.mean / truth.mean
    return {
        "points": len(truth.theta),
        "realizations": truth.n,
        "ratio": ratio.mean(axis=0).tolist(),
        "mean_difference": float(np.abs(ratio - 1).mean()),
        "error_bar": float((error_bar / truth.mean).mean()),
        "unknown_mean": float((measured / truth.mean).mean() / np.sqrt(truth.n)),
        "z_rms": float(np.sqrt((z**2).mean())),
        "within_2": float((np.abs(z) <= 2).mean()),
        "scatter": (scatter / truth.mean).mean(axis=0).tolist(),
        "measured_scatter": (measured / truth.mean).mean(axis=0).tolist(),
        "scatter_ratio": (scatter / measured).mean(axis=0).tolist(),
    }


def _std(covariance: np.ndarray) -> np.ndarray:
    return np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
