"""Natural cubic splines as matrices."""

from __future__ import annotations

import numpy as np

FARTHEST = 2.0
"""Factor beyond the outermost centres at which the straight lines end."""


def spline_matrix(nodes: np.ndarray, ell: np.ndarray) -> np.ndarray:
    """The natural cubic spline in ln(ell) as a matrix, shape (m, b), on values at b nodes.

    Parameters
    ----------
    nodes : ndarray, shape (b,)
        Ascending. Through a single one goes a constant.
    ell : ndarray, shape (m,)
    """
    if len(nodes) == 1:
        return np.ones((len(ell), 1))
    x = np.log(nodes)
    at = np.log(np.clip(ell, nodes[0] / FARTHEST, nodes[-1] * FARTHEST))
    step, curvature = np.diff(x), _curvatures(x)
    cell = np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2)
    h, unit = step[cell][:, None], np.eye(len(x))
    inside = np.clip(at, x[0], x[-1])
    s = ((inside - x[cell]) / step[cell])[:, None]
    low, high = curvature[cell], curvature[cell + 1]
    value = (1 - s) * unit[cell] + s * unit[cell + 1]
    value -= h**2 / 6 * s * (1 - s) * ((2 - s) * low + (1 + s) * high)
    slope = (unit[cell + 1] - unit[cell]) / h
    slope += h / 6 * ((3 * s**2 - 1) * high - (3 * (1 - s) ** 2 - 1) * low)
    return value + (at - inside)[:, None] * slope


def _curvatures(x: np.ndarray) -> np.ndarray:
    """Second derivatives at nodes of splines through each unit vector, shape (b, b)."""
    b, step = len(x), np.diff(x)
    matrix, right = np.eye(b), np.zeros((b, b))
    for i in range(1, b - 1):
        before, after = step[i - 1], step[i]
        matrix[i, i - 1 : i + 2] = before / 6, (before + after) / 3, after / 6
        right[i, i - 1 : i + 2] = 1 / before, -1 / before - 1 / after, 1 / after
    return np.linalg.solve(matrix, right)
