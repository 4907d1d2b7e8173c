"""Parameters in every accepted form, and the box in which an emulator may be asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reionemu.errors import ConfigError
from reionemu.parameters import PARAMETER_NAMES, ParameterBox, as_theta

POINT = [7.5, 0.4, 1.1, 0.593]
BY_NAME = dict(zip(PARAMETER_NAMES, POINT, strict=True))

finite = st.floats(-1e6, 1e6)
tables = hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.just(3)), elements=finite)


@pytest.mark.parametrize(
    "theta",
    [POINT, tuple(POINT), np.array(POINT), BY_NAME, dict(reversed(BY_NAME.items()))],
    ids=["list", "tuple", "array", "mapping", "mapping in another order"],
)
def test_one_point(theta):
    array, single = as_theta(theta)
    assert single
    assert array.dtype == np.float64
    assert array.tolist() == [POINT]


def test_several_points():
    array, single = as_theta([POINT, POINT])
    assert not single
    assert array.tolist() == [POINT, POINT]


def test_mapping_of_arrays_broadcasts_numbers():
    array, single = as_theta({**BY_NAME, "alpha_zre": [0.1, 0.2, 0.3]})
    assert not single
    assert array.shape == (3, 4)
    assert array[:, 1].tolist() == [0.1, 0.2, 0.3]
    assert array[:, 3].tolist() == [0.593] * 3


@pytest.mark.parametrize(
    ("theta", "message"),
    [
        ({**BY_NAME, "kb_zr": 1.0}, "unknown parameter 'kb_zr' .*'kb_zre'"),
        ({k: v for k, v in BY_NAME.items() if k != "b0_zre"}, "b0_zre is missing"),
        ([1.0, 2.0, 3.0], r"shape \(3,\)"),
        (np.ones((2, 5)), r"shape \(2, 5\)"),
        (np.ones((2, 2, 4)), r"shape \(2, 2, 4\)"),
        (3.0, r"shape \(\)"),
        ([], r"shape \(0,\)"),
        (["a", "b", "c", "d"], "not an array of numbers"),
        ([[1, 2, 3, 4], [1, 2]], "not an array of numbers"),
        ({**BY_NAME, "kb_zre": "x"}, "not numbers"),
        ({**BY_NAME, "kb_zre": [1, 2], "b0_zre": [1, 2, 3]}, "not numbers of one shape"),
        ([*POINT[:3], np.nan], "b0_zre of point 0 is nan"),
        ([POINT, [np.inf, *POINT[1:]]], "zmean_zre of point 1 is inf"),
    ],
)
def test_what_is_no_point_is_refused_and_said_why(theta, message):
    with pytest.raises(ConfigError, match=message):
        as_theta(theta)


def test_other_names_may_be_asked_for():
    array, single = as_theta({"b": 2, "a": 1}, names=("a", "b"))
    assert single
    assert array.tolist() == [[1.0, 2.0]]


@given(tables)
def test_the_box_around_points_holds_them_and_is_the_smallest(X):
    box = ParameterBox.around(("a", "b", "c"), X)
    assert box.low == tuple(X.min(axis=0))
    assert box.high == tuple(X.max(axis=0))
    assert not box.outside(X).any()


@given(tables, st.integers(0, 2), st.floats(1e-3, 10), st.booleans())
def test_a_point_moved_out_of_the_box_is_outside_in_that_entry_alone(X, column, by, upwards):
    box = ParameterBox.around(("a", "b", "c"), X)
    point = X[:1].copy()
    scale = max(box.high[column] - box.low[column], abs(box.low[column]), abs(box.high[column]), 1)
    point[0, column] = box.high[column] + by * scale if upwards else box.low[column] - by * scale
    outside = box.outside(point)[0]
    assert outside.tolist() == [i == column for i in range(3)]
    error = box.error(point)
    assert error.parameter == "abc"[column]
    assert (error.value, error.low, error.high) == (
        point[0, column],
        box.low[column],
        box.high[column],
    )


def test_float32_rounding_of_the_edge_is_forgiven():
    edge = 0.1
    box = ParameterBox.around(("a",), np.array([[edge], [5.3]], dtype=np.float32))
    assert box.low[0] > edge
    assert not box.outside(np.array([[edge], [5.3]])).any()
    assert box.outside(np.array([[edge - 1e-4]])).all()


def test_nan_is_outside():
    assert ParameterBox(("a",), (0.0,), (1.0,)).outside(np.array([[np.nan]])).all()


def test_error_names_the_first_point_at_fault_and_counts_them():
    box = ParameterBox(("a", "b"), (0.0, 0.0), (1.0, 1.0))
    error = box.error(np.array([[0.5, 0.5], [0.5, 7.0], [3.0, 3.0]]))
    assert (error.parameter, error.value) == ("b", 7.0)
    assert "b = 7 is outside" in str(error)
    assert "[0, 1]" in str(error)
    assert "point 1; 2 of 3 points" in str(error)
    assert 'out_of_range to "warn"' in str(error)


@given(tables)
def test_a_box_goes_through_its_mapping_unchanged(X):
    box = ParameterBox.around(("a", "b", "c"), X)
    assert ParameterBox.from_mapping(box.to_mapping(), box.names) == box


@pytest.mark.parametrize(
    ("ranges", "message"),
    [({"a": (0, 1)}, "each of a, b; it has a"), ({}, "it has none")],
)
def test_a_box_needs_a_range_for_every_name(ranges, message):
    with pytest.raises(ConfigError, match=message):
        ParameterBox.from_mapping(ranges, ("a", "b"))
