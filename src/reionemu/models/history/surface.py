"""Polynomials of the inputs, and how well training points pin them down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

MAX_DEGREE = 3


@lru_cache(maxsize=16)
def exponents(dimension: int, degree: int) -> np.ndarray:
    """Degrees in each variable of the terms of some total degree or less, shape (q, p)."""
    every = product(range(degree + 1), repeat=dimension)
    return np.array(sorted((e for e in every if sum(e) <= degree), key=lambda e: (sum(e), e)))


def terms(u: np.ndarray, degree: int) -> np.ndarray:
    """Products of Chebyshev polynomials, shape (n, q): those of a lower total degree first.

    Parameters
    ----------
    u : ndarray, shape (n, p)
        Inputs, -1 to 1 over the box.
    """
    powers, values = exponents(u.shape[1], degree), _chebyshev(u, degree)
    result = values[powers[:, 0], 0]
    for j in range(1, u.shape[1]):
        result = result * values[powers[:, j], j]
    return result.T


def terms_gradient(u: np.ndarray, degree: int) -> np.ndarray:
    """Derivatives of `terms` by the inputs, shape (n, q, p)."""
    powers, values = exponents(u.shape[1], degree), _chebyshev(u, degree)
    slopes = np.zeros_like(values)
    for k in range(1, degree + 1):  # T_k' = 2 T_(k-1) + 2 u T_(k-1)' - T_(k-2)', but T_1' = 1
        slopes[k] = 2 * values[k - 1] + 2 * u.T * slopes[k - 1] - slopes[k - 2] if k > 1 else 1
    columns = []
    for i in range(u.shape[1]):
        result = slopes[powers[:, i], i]
        for j in set(range(u.shape[1])) - {i}:
            result = result * values[powers[:, j], j]
        columns.append(result.T)
    return np.stack(columns, axis=-1)


def _chebyshev(u: np.ndarray, degree: int) -> np.ndarray:
    """T_0 ... T_degree of each element, shape (degree + 1, p, n)."""
    values = np.ones((degree + 1, *u.T.shape))
    for k in range(1, degree + 1):
        values[k] = 2 * u.T * values[k - 1] - values[k - 2] if k > 1 else u.T
    return values


@dataclass(frozen=True, eq=False)
class Surface:
    """Polynomials of one degree.

    Attributes
    ----------
    degree : int
        Total degree.
    coefficients : ndarray, shape (m, q)
    root : ndarray, shape (q, q)
        Such that |root^T terms|^2 is the leverage of a point: the variance of what is predicted
        there in units of the variance of one simulation.
    """

    degree: int
    coefficients: np.ndarray
    root: np.ndarray

    def values(self, basis: np.ndarray) -> np.ndarray:
        """Of points with terms `basis`, of this or a higher degree: shape (n, m)."""
        return basis[:, : len(self.root)] @ self.coefficients.T

    def leverage(self, basis: np.ndarray) -> np.ndarray:
        """Of such points, shape (n,)."""
        return ((basis[:, : len(self.root)] @ self.root) ** 2).sum(axis=1)

    @classmethod
    def from_arrays(
        cls, prefix: str, arrays: Mapping[str, np.ndarray], outputs: int, dimension: int
    ) -> Surface:
        """The inverse of `arrays`.

        Raises
        ------
        KeyError, ValueError
            If they do not fit together.
        """
        values, root = (
            np.array(arrays[f"{prefix}_{key}"], np.float64) for key in ("coefficients", "root")
        )
        sizes = {len(exponents(dimension, degree)): degree for degree in range(MAX_DEGREE + 1)}
        q = values.shape[-1] if values.ndim else 0
        if q not in sizes or values.shape != (outputs, q) or root.shape != (q, q):
            raise ValueError(f"{prefix} has arrays of shapes {values.shape} and {root.shape}")
        if not (np.isfinite(values).all() and np.isfinite(root).all()):
            raise ValueError(f"{prefix} has coefficients that are not finite")
        return cls(sizes[q], values, root)

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """What is recorded."""
        return {f"{prefix}_coefficients": self.coefficients, f"{prefix}_root": self.root}
