"""Predictions of simulations that the model predicting them was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Moments of targets, by models that did not see them.

    Attributes
    ----------
    mean : ndarray, shape (n, b)
    std : ndarray, shape (n, b)
        Standard deviation of the mean.
    noise : ndarray, shape (n, b)
        Standard deviation of a simulation around the mean.
    """

    mean: np.ndarray
    std: np.ndarray
    noise: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Standard deviation of the difference between a simulation and the mean, shape (n, b)."""
        return np.hypot(self.std, self.noise)
