"""Spreading points by exchanges of coordinates, which leave every projection on an axis as it is.

The measure is the centered L2 discrepancy (Hickernell 1998, Math. Comp. 67, 299). With z = u - 1/2
for points u in the unit cube of p dimensions,

    CD^2 = (13/12)^p - 2/n sum_i prod_j s(z_ij) + 1/n^2 sum_ik prod_j c(z_ij, z_kj),
    s(x) = 1 + |x|/2 - x^2/2,   c(x, y) = 1 + (|x| + |y| - |x - y|)/2.

An exchange on one axis changes the terms of two points only, so that trying it costs O(n p).
Lloyd's algorithm would not do: it moves points out of their strata.
"""

from __future__ import annotations

import numpy as np

_PARTNERS = 32
_MAX_STEPS = 2000
_STEPS_PER_POINT = 40
_MAX_WORK = 2_000_000  # steps times points: about a second
_LEAST_GAIN = 1e-14  # far above rounding: every machine makes the same exchanges


def exchange(new: np.ndarray, old: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The new points with coordinates exchanged so that they and the old ones fill the cube.

    Each step takes one axis and one new point, tries an exchange with 32 other new points, and
    makes the best one if it lowers the discrepancy.

    Parameters
    ----------
    new, old : ndarray, shapes (m, p) and (n, p)
        Points in the unit cube; n may be 0.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (m, p)
        In each column the same numbers as in `new`.
    """
    m, p = new.shape
    unit = np.concatenate([new, old])
    centered = unit - 0.5
    for _ in range(min(_MAX_STEPS, _STEPS_PER_POINT * m, _MAX_WORK // len(unit))):
        axis, i = int(rng.integers(p)), int(rng.integers(m))
        partners = rng.integers(m, size=_PARTNERS)
        changes = exchange_changes(centered, axis, i, partners)
        best = changes.argmin()
        if changes[best] < -_LEAST_GAIN:
            pair = [i, partners[best]]
            unit[pair, axis] = unit[pair[::-1], axis]
            centered[pair, axis] = centered[pair[::-1], axis]
    return unit[:m]


def exchange_changes(z: np.ndarray, axis: int, i: int, partners: np.ndarray) -> np.ndarray:
    """By how much CD^2 changes when point i exchanges one coordinate with each of the partners.

    Parameters
    ----------
    z : ndarray, shape (n, p)
        Points of the unit cube less 1/2.
    axis, i : int
    partners : ndarray of int, shape (k,)

    Returns
    -------
    ndarray, shape (k,)
        0 where the partner is i itself.
    """
    n = len(z)
    mine, theirs = z[i, axis], z[partners, axis]
    rows = np.append(i, partners)
    # What the other axes multiply the kernels of this one by, for i (first) and the partners.
    singles, pairs = np.ones(len(rows)), np.ones((len(rows), n))
    for column in np.delete(z, axis, axis=1).T:
        singles *= _single(column[rows])
        pairs *= _pair(column[rows, None], column)
    own = pairs[np.arange(len(rows)), rows]
    terms = pairs[0] - pairs[1:]
    terms *= _pair(theirs[:, None], z[:, axis]) - _pair(mine, z[:, axis])
    # Between the two the kernel is as before; those of each with itself are counted once.
    terms[:, i] = 0
    terms[np.arange(len(partners)), partners] = 0
    double = 2 * terms.sum(axis=1) + (own[0] - own[1:]) * (abs(theirs) - abs(mine))
    return double / n**2 - 2 / n * (singles[0] - singles[1:]) * (_single(theirs) - _single(mine))


def _single(x: np.ndarray) -> np.ndarray:
    return 1 + 0.5 * abs(x) - 0.5 * x**2


def _pair(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 1 + 0.5 * (abs(x) + abs(y) - abs(x - y))
