"""A history of reionization as a monotone curve.

Redshifts of reionization scatter about zmean by sigma_z (see `models.width`), and not quite as a
Gaussian. With nu = (z - zmean) / sigma_z the neutral fraction is

    x_HI(z) = Phi(t(nu)),    t(nu) = offset + int_0^nu slope(nu') dnu',

Phi being the normal distribution. The slope is linear between knots and constant beyond them. It is
positive at the knots, so that t increases everywhere and can be inverted in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..inputs import Inputs

STEP = 0.5
KNOTS = STEP * np.arange(-8, 9)
"""Values of nu between which the slope is linear."""

MIN_SLOPE = 0.05
"""Slopes are not below: a curve stays one that can be inverted."""

X_MIN = 1e-6
"""Nothing is learned from neutral fractions nearer to 0 or 1."""

_erfc = np.frompyfunc(math.erfc, 1, 1)


def normal_density(t: np.ndarray) -> np.ndarray:
    """Density of the standard normal distribution."""
    return np.exp(-0.5 * t * t) / math.sqrt(2 * math.pi)


def normal_cdf(t: np.ndarray) -> np.ndarray:
    """Distribution function of the standard normal distribution."""
    return 0.5 * np.asarray(_erfc(t / -math.sqrt(2)), float)


def hat_integrals(nu: np.ndarray) -> np.ndarray:
    """Integrals from 0 to nu of the weights of knots in the slope, shape (..., K): their sum is nu.

    The weight of a knot falls linearly to 0 at its neighbours; beyond the first and the last knot
    it is theirs alone.
    """
    distance = (nu[..., None] - KNOTS) / STEP
    inside = np.clip(distance, -1, 1)
    integrals = inside - 0.5 * inside * np.abs(inside)
    integrals[..., 0] += np.minimum(distance[..., 0], 0) - np.minimum(integrals[..., 0], 0)
    integrals[..., -1] += np.maximum(distance[..., -1], 0) - np.maximum(integrals[..., -1], 0)
    return STEP * integrals - _AT_ZERO


_AT_ZERO = np.zeros(len(KNOTS))
_AT_ZERO = hat_integrals(np.zeros(()))
_AT_KNOTS = hat_integrals(KNOTS)


@dataclass(frozen=True, eq=False)
class Curves:
    """Histories of n points of parameter space.

    Attributes
    ----------
    centre : ndarray, shape (n,)
        zmean.
    width : ndarray, shape (n,)
        sigma_z.
    offset : ndarray, shape (n,)
    slopes : ndarray, shape (n, K)
        At the knots, positive.
    """

    centre: np.ndarray
    width: np.ndarray
    offset: np.ndarray
    slopes: np.ndarray

    @classmethod
    def of(cls, inputs: Inputs, u: np.ndarray, shape: np.ndarray) -> Curves:
        """Of points with physical inputs u, from offsets and slopes less one, shape (n, 1 + K)."""
        low, high = np.array(inputs.low), np.array(inputs.high)
        raw = low + 0.5 * (u + 1) * (high - low)
        slopes = np.maximum(1 + shape[:, 1:], MIN_SLOPE)
        return cls(raw[:, 0], np.exp(raw[:, -1]), shape[:, 0], slopes)

    def scaled(self, z: np.ndarray) -> np.ndarray:
        """Values of nu of redshifts, shape (k,) or (n, k): shape (n, k)."""
        return (z - self.centre[:, None]) / self.width[:, None]

    def normal(self, nu: np.ndarray) -> np.ndarray:
        """t, shape (n, k), of which the neutral fraction is the normal distribution function."""
        cell = _cell(nu)
        start, low, high = self._ends(self._at_knots, cell)
        step = nu - KNOTS[cell]
        inside = np.clip(step, 0, STEP)
        t = start + inside * (low + (high - low) / (2 * STEP) * inside)
        return t + low * np.minimum(step, 0) + high * np.maximum(step - STEP, 0)

    def slope(self, nu: np.ndarray) -> np.ndarray:
        """dt/dnu, shape (n, k)."""
        cell = _cell(nu)
        _, low, high = self._ends(self._at_knots, cell)
        return low + (high - low) / STEP * np.clip(nu - KNOTS[cell], 0, STEP)

    def invert(self, t: np.ndarray) -> np.ndarray:
        """Values of nu, shape (n, k), at which curves have values t, shape (k,)."""
        at_knots = self._at_knots
        cell = (at_knots[:, None, 1:-1] <= t[:, None]).sum(axis=-1)
        start, low, high = self._ends(at_knots, cell)
        rise, height = t - start, 0.5 * STEP * (low + high)
        inside = np.clip(rise, 0, height)
        # The root of low * s + (high - low) * s^2 / (2 STEP) = inside that does not cancel.
        root = np.sqrt(np.maximum(low**2 + 2 * (high - low) / STEP * inside, 0))
        step = 2 * inside / (low + root)
        return KNOTS[cell] + step + np.minimum(rise, 0) / low + np.maximum(rise - height, 0) / high

    def sensitivity(self, nu: np.ndarray) -> np.ndarray:
        """Derivatives of t at fixed redshifts, shape (n, k, 3 + K).

        By centre, ln width, offset and slopes.
        """
        by_nu = self.slope(nu)
        first = [-by_nu / self.width[:, None], -by_nu * nu, np.ones_like(nu)]
        return np.concatenate([np.stack(first, axis=-1), hat_integrals(nu)], axis=-1)

    @property
    def _at_knots(self) -> np.ndarray:
        return self.offset[:, None] + self.slopes @ _AT_KNOTS.T

    def _ends(
        self, at_knots: np.ndarray, cell: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """t at the lower end of cells, and the slopes at both ends, shape (n, k) each."""
        rows = np.arange(len(cell))[:, None]
        return at_knots[rows, cell], self.slopes[rows, cell], self.slopes[rows, cell + 1]


def _cell(nu: np.ndarray) -> np.ndarray:
    """Index of the knot below nu, of the first or last but one if it is beyond."""
    return np.clip((nu - KNOTS[0]) / STEP, 0, len(KNOTS) - 2).astype(int)
