"""Where in its box an emulator has enough training points around it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..parameters import ParameterBox

EXPECTED = 7.0
"""An even design has a point so near that exp(-7) of its corners, one in 1000, are without."""


@dataclass(frozen=True, eq=False)
class Domain:
    """The training points in their box.

    Attributes
    ----------
    box : ParameterBox
    points : ndarray, shape (n, p)
        Parameters of the training simulations.
    """

    box: ParameterBox
    points: np.ndarray

    def sparse(self, theta: np.ndarray) -> np.ndarray:
        """Which of the points theta, shape (n, p), have no training point near: shape (n,)."""
        return self.distance(theta) > self.reach

    def distance(self, theta: np.ndarray) -> np.ndarray:
        """Distance to the nearest training point, in sides of the box: shape (n,)."""
        own, squares = self._unit
        x = self._to_unit(theta)
        nearest = (squares - 2 * (x @ own.T)).min(axis=1) + (x * x).sum(axis=1)
        return np.sqrt(np.maximum(nearest, 0))

    @cached_property
    def reach(self) -> float:
        """How far away the nearest point of an even design as large as this one can be.

        In a corner of the box, 2^-p of a ball of radius r is inside; this r is the one with
        `EXPECTED` points of n in it.
        """
        n, p = self.points.shape
        ball = math.pi ** (p / 2) / math.gamma(p / 2 + 1)
        return float((2**p * EXPECTED / (n * ball)) ** (1 / p))

    @cached_property
    def _unit(self) -> tuple[np.ndarray, np.ndarray]:
        own = self._to_unit(self.points)
        return own, (own * own).sum(axis=1)

    def _to_unit(self, theta: np.ndarray) -> np.ndarray:
        low, high = np.array(self.box.low), np.array(self.box.high)
        return (theta - low) / np.where(high > low, high - low, 1.0)
