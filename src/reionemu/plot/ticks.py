"""Where the numbers of crowded panels stand."""

from __future__ import annotations

import numpy as np


def ticks_within(
    low: float, high: float, length: float, size: float, *, upright: bool = False
) -> np.ndarray:
    """Round numbers between two ends of an axis, such that their labels do not touch.

    Parameters
    ----------
    low, high : float
    length : float
        Of the axis [inch]; a neighbour begins where it ends.
    size : float
        Of the labels' type [point]; a digit is about half as wide.
    upright : bool
        Whether labels stand above each other, as on a vertical axis.

    Returns
    -------
    ndarray, shape (k,)
        At most four, or three on less than an inch; of all choices that fit, the one with the most.
    """
    span = high - low
    power = int(np.floor(np.log10(span)))
    best = np.array([])
    for step in (m * 10.0**p for p in (power, power - 1) for m in (8, 6, 5, 4, 3, 2, 1)):
        digits = max(len(f"{round(x / step) * step:.6g}") for x in (low, high))
        extent = (0.8 if upright else 0.5 * digits) * size / 72 * span / length
        first, last = np.ceil((low + 0.45 * extent) / step), (high - 0.45 * extent) // step
        if len(best) < last - first + 1 <= (4 if length > 1 else 3) and (
            first == last or step > 1.4 * extent
        ):
            best = step * np.arange(first, last + 1) + 0.0
    return best
