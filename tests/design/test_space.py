"""The space of parameters: what it accepts, and how ranges are read."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reionemu.design import PUBLISHED_SPACE, ParameterSpace
from reionemu.design.space import parse_range
from reionemu.errors import ConfigError
from reionemu.parameters import PARAMETER_NAMES, ParameterBox


def test_the_published_space():
    assert PUBLISHED_SPACE.names == PARAMETER_NAMES
    assert PUBLISHED_SPACE.box.to_mapping() == {
        "zmean_zre": [7.0, 9.0],
        "alpha_zre": [0.1, 0.9],
        "kb_zre": [0.1, 2.0],
        "b0_zre": [0.1, 0.8],
    }
    assert PUBLISHED_SPACE.units == ("", "", "h/Mpc", "")


def test_units_may_be_left_out_and_numbers_become_floats():
    space = ParameterSpace(["a", "b"], [0, np.float32(1)], [1, np.int64(2)])
    assert space == ParameterSpace(("a", "b"), (0.0, 1.0), (1.0, 2.0), ("", ""))
    assert space.box == ParameterBox(("a", "b"), (0.0, 1.0), (1.0, 2.0))
    assert all(type(x) is float for x in space.low + space.high)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), (), ()), "at least one"),
        ((("a", "b"), (0,), (1, 1)), "got 1, 2, 2 and 2"),
        ((("a",), (0,), (1,), ("m", "s")), "got 1, 1, 2 and 1"),
        ((("a", "a"), (0, 0), (1, 1)), "occurs twice"),
        ((("a b",), (0,), (1,)), "'a b' cannot name a parameter"),
        ((("a=",), (0,), (1,)), "cannot name a parameter"),
        (((3,), (0,), (1,)), "cannot name a parameter"),
        ((("a",), (0,), (1,), ("h\nMpc",)), "cannot be the unit of a"),
        ((("a",), (0,), (1,), (" m",)), "cannot be the unit of a"),
        ((("a",), (1,), (1,)), "the range of a is 1 to 1"),
        ((("a",), (2,), (1,)), "the range of a is 2 to 1"),
        ((("a",), (1,), (1 + 1e-9,)), "more than 1e-06"),
        ((("a",), (math.nan,), (1,)), "a.low must be finite"),
        ((("a",), (0,), (math.inf,)), "a.high must be finite"),
        ((("a",), (-1.7e308,), (1.7e308,)), "the range of a"),
        ((("a",), ("x",), (1,)), "a.low must be a number"),
    ],
)
def test_what_is_no_space_is_refused_and_said_why(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ParameterSpace(*arguments)


def test_ranges_replace_bounds_and_keep_the_rest():
    space = PUBLISHED_SPACE.with_ranges(["zmean_zre=6:10", " kb_zre = 2e-1 : .5 "])
    assert space.low == (6.0, 0.1, 0.2, 0.1)
    assert space.high == (10.0, 0.9, 0.5, 0.8)
    assert space.units == PUBLISHED_SPACE.units
    assert PUBLISHED_SPACE.with_ranges([]) == PUBLISHED_SPACE


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        (["zmean=6:10"], "no parameter 'zmean' .did you mean 'zmean_zre'"),
        (["zmean_zre"], "expected NAME=LOW:HIGH"),
        (["zmean_zre=6"], "expected NAME=LOW:HIGH"),
        (["zmean_zre=6:7:8"], "expected NAME=LOW:HIGH"),
        (["zmean_zre=six:ten"], "expected NAME=LOW:HIGH"),
        (["zmean_zre=10:6"], "zmean_zre is 10.0 to 6.0"),
        (["zmean_zre=6:nan"], "zmean_zre.high must be finite"),
        (["zmean_zre=6:8", "zmean_zre=6:9"], "given a range before"),
    ],
)
def test_bad_ranges(ranges, message):
    with pytest.raises(ConfigError, match=message):
        PUBLISHED_SPACE.with_ranges(ranges)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_a_range_is_read_as_python_writes_it(low, high):
    assert parse_range(f"x={low!r}:{high!r}") == ("x", low, high)


@given(st.integers(0, 2**32), st.floats(-1e3, 1e3), st.floats(0.01, 1e3))
def test_the_unit_cube_and_back(seed, low, width):
    space = ParameterSpace(("a", "b"), (low, 0), (low + width, 1))
    unit = np.random.default_rng(seed).random((50, 2))
    rows = space.from_unit(unit)
    assert space.first_outside(rows) is None
    np.testing.assert_allclose(rows[:, 1], unit[:, 1], rtol=0, atol=0)
    np.testing.assert_allclose(space.to_unit(rows), unit, rtol=0, atol=1e-10)


def test_corners_are_inside_and_reached_exactly():
    corners = np.array([[0.0] * 4, [1.0] * 4])
    rows = PUBLISHED_SPACE.from_unit(corners)
    assert rows.tolist() == [list(PUBLISHED_SPACE.low), list(PUBLISHED_SPACE.high)]
    assert PUBLISHED_SPACE.first_outside(rows) is None
    assert PUBLISHED_SPACE.to_unit(rows).tolist() == corners.tolist()


def test_the_first_point_outside_is_named():
    rows = np.array([[8, 0.5, 1, 0.5], [8, 0.5, 1, np.nextafter(0.8, 1)], [9.5, 0.5, 1, 0.5]])
    row, what = PUBLISHED_SPACE.first_outside(rows)
    assert row == 1
    assert what == "b0_zre = 0.8000000000000002 is outside its range 0.1 to 0.8"
