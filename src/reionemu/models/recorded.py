"""Numbers of records, of which nothing is to be expected."""

from __future__ import annotations

from typing import Any

import numpy as np

HUGE = 1e50
"""More than any target, whatever its unit: what is made of such numbers does not overflow."""

LARGE = 1e12
"""More than anything in units of a box or of a standard deviation."""

STEEP = 10.0
"""More than any d ln(noise)/dx: noise grows by a factor of exp(20) at most along one coordinate."""


def numbers(
    name: str,
    value: Any,
    shape: tuple[int, ...],
    *,
    high: float = HUGE,
    low: float | None = None,
) -> np.ndarray:
    """The array that a record should hold, in double precision.

    Parameters
    ----------
    name : str
        What messages call it.
    value : object
    shape : tuple of int
    high, low : float
        The largest and the smallest value there may be; low is -high by default.

    Raises
    ------
    ValueError
        If it is another array, or one with other numbers.
    """
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} is not made of numbers: {error}") from None
    low = -high if low is None else low
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape} where {shape} is expected")
    if not ((array >= low) & (array <= high)).all():  # NaN is neither
        raise ValueError(f"{name} is not finite, or not from {low:g} to {high:g}")
    return array
