"""Where in its box an emulator has enough training points around it.

The emptiness of a point x is how many training points one would expect nearer than the nearest is:
n V, with V the part of the box's volume within a cube about x that just reaches the nearest of n
training points. Of points drawn evenly n V is exponentially distributed, whatever n, the number of
parameters, and x, at a face or in a corner: V has a probability of (1 - V)^n.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..parameters import ParameterBox

CHANCE = 0.02
"""Of n surroundings of a random design, that one is so empty: n exp(-n V).

A bound on the chance of one point would not do: were exp(-6) called sparse, most even designs
would be so somewhere among 1000 points. n V has to exceed 7.8 with 50 points, 10.5 with 700.

Of Latin hypercubes of so many points in four dimensions, 1 in 10^5 points of the box is sparse,
and of a hole without points, 10 to 50% of the box, up to 4% with 50 points around, 24 to 33% with
700, if it is in a corner; in the middle none to 0.2%, and 5 to 10%. The rest of a hole is by its
walls, nearer to points than much of an even design is.
"""

_MAX_VALUES = 2**14


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
        """Which of the points theta, shape (m, p), have no training point near: shape (m,).

        Points outside the box do not count as such: they have a warning of their own.
        """
        empty = self.emptiness(theta) > self._bound
        if empty.any():
            empty &= ~np.any(self.box.outside(theta), axis=1)
        return np.asarray(empty)

    def emptiness(self, theta: np.ndarray) -> np.ndarray:
        """n V of points theta, shape (m, p), in the box: shape (m,). See above."""
        with np.errstate(over="ignore", invalid="ignore"):  # far outside, where nobody asks
            x = self._to_unit(theta)
            reach = _to_nearest(x, self._columns)[:, None]
            sides = np.minimum(x + reach, 1) - np.maximum(x - reach, 0)
            return len(self._own) * sides.prod(axis=1)

    @cached_property
    def _own(self) -> np.ndarray:
        return self._to_unit(self.points)

    @cached_property
    def _bound(self) -> float:
        """n V at which n exp(-n V) is `CHANCE`."""
        return float(np.log(len(self._own) / CHANCE))

    @cached_property
    def _columns(self) -> np.ndarray:
        return np.ascontiguousarray(self._own.T)[:, None, :]

    @cached_property
    def _sides(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which parameters vary in the box, and of those the lower bounds and the sides."""
        low, high = np.array(self.box.low), np.array(self.box.high)
        vary = high > low
        return vary, low[vary], (high - low)[vary]

    def _to_unit(self, theta: np.ndarray) -> np.ndarray:
        """In sides of the box, shape (m, q), of the q parameters that vary in it."""
        vary, low, sides = self._sides
        return (theta[:, vary] - low) / sides


def _to_nearest(x: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Largest coordinate difference to the nearest of points, shape (q, 1, n): shape (m,)."""
    step = max(1, _MAX_VALUES // max(columns.size, 1))
    nearest = np.empty(len(x))
    for i in range(0, len(x), step):
        part = x[i : i + step].T[:, :, None]
        nearest[i : i + step] = np.abs(part - columns).max(axis=0).min(axis=1)
    return nearest
