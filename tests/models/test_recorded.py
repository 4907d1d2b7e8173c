"""Numbers of records."""

from __future__ import annotations

import numpy as np
import pytest

from reionemu.models.recorded import HUGE, numbers


def test_numbers_come_back_in_double_precision():
    found = numbers("x", np.float32([1, 2]), (2,))
    assert found.dtype == np.float64
    assert found.tolist() == [1, 2]
    assert float(numbers("x", 3, (), low=3, high=3)) == 3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0], r"x has shape \(1,\) where \(2,\) is expected"),
        (["a", "b"], "x is not made of numbers"),
        ([[1.0], [1.0, 2.0]], "x is not made of numbers"),
        ([10**400, 1], "x is not made of numbers"),
        ({}, "x is not made of numbers"),
        (None, "x has shape"),
        ([1.0, np.nan], "x is not finite"),
        ([1.0, np.inf], "x is not finite"),
        ([1.0, -2 * HUGE], "or not from -1e"),
    ],
)
def test_anything_else_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        numbers("x", value, (2,))
