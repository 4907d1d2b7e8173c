"""Designs: what they hold, what they refuse, and the measures of how even they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.design import PUBLISHED_SPACE, Design, ParameterSpace, Step
from reionemu.design.exchange import exchange, exchange_changes
from reionemu.design.points import MAX_POINTS
from reionemu.errors import ConfigError

SQUARE = ParameterSpace(("a", "b"), (0, 0), (1, 1))
CENTRE = [8.0, 0.5, 1.05, 0.45]


def test_a_design_of_given_points():
    design = Design(PUBLISHED_SPACE.names, [CENTRE, [7, 0.9, 0.1, 0.8]])
    assert len(design) == 2
    assert design.rows.dtype == np.float64
    assert design.steps == (Step("given", 2, None),)
    assert (design.method, design.seed, design.space) == ("given", None, None)
    second = {"zmean_zre": 7.0, "alpha_zre": 0.9, "kb_zre": 0.1, "b0_zre": 0.8}
    assert design.as_mappings()[1] == second
    assert type(design.as_mappings()[1]["kb_zre"]) is float


def test_rows_are_a_copy_that_cannot_be_written():
    rows = np.array([CENTRE])
    design = Design(PUBLISHED_SPACE.names, rows)
    rows[0, 0] = 0
    assert design.rows[0, 0] == 8
    with pytest.raises(ValueError, match="read-only"):
        design.rows[0, 0] = 1


def test_the_method_is_all_methods_and_the_seed_the_last():
    design = Design(("a", "b"), np.eye(2), (Step("lhs", 1, 5), Step("augment", 1, 7)), SQUARE)
    assert (design.method, design.seed) == ("lhs+augment", 7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((("a", "b"), np.empty((0, 2))), "n must be a whole number >= 1"),
        ((("a", "b"), np.ones((2, 3))), r"shape \(2, 3\)"),
        ((("a", "b"), [[1, np.nan]]), "b of point 0 is nan"),
        ((("a", "b"), np.ones((MAX_POINTS + 1, 2))), "at most 50000 points; 50001"),
        ((("a", "b"), np.ones((3, 2)), (Step("lhs", 2, 1),)), "do not make the 3 points"),
        ((("a", "b"), np.ones((1, 2)), (Step("by hand", 1, None),)), "must be one word"),
        ((("b", "a"), np.ones((1, 2)), (), SQUARE), "columns of the design are b, a"),
        (
            (("a", "b"), [[0.5, 0.5], [0.5, 1.5]], (), SQUARE),
            "point 1: b = 1.5 is outside its range 0.0 to 1.0; widen the range",
        ),
    ],
)
def test_what_is_no_design_is_refused_and_said_why(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Design(*arguments)


@pytest.mark.parametrize("p", [1, 2, 4])
def test_discrepancy_of_one_point_at_the_centre(p):
    """By Hickernell's formula (13/12)^p - 1."""
    space = ParameterSpace(tuple("abcd"[:p]), (2,) * p, (4,) * p)
    design = Design(space.names, np.full((1, p), 3.0), (), space)
    assert design.discrepancy() == pytest.approx((13 / 12) ** p - 1, rel=1e-12)


def test_discrepancy_counts_bounds_as_inside():
    assert Design(("a", "b"), [[0, 1], [1, 0]], (), SQUARE).discrepancy() > 0


def test_largest_gap():
    space = ParameterSpace(("a", "b"), (0, 0), (10, 1))
    design = Design(("a", "b"), [[4, 0.25], [1, 0.5], [9, 0.75]], (), space)
    assert design.largest_gap() == ("a", 0.5)  # from 4 to 9
    design = Design(("a", "b"), [[4, 0.05], [1, 0.1], [9, 0.4]], (), space)
    name, fraction = design.largest_gap()  # from 0.4 to the upper bound
    assert (name, fraction) == ("b", pytest.approx(0.6))


def test_measures_need_a_space():
    design = Design(("a", "b"), np.eye(2))
    for measure in (design.discrepancy, design.largest_gap):
        with pytest.raises(ConfigError, match="does not say its bounds"):
            measure()


def discrepancy(unit: np.ndarray) -> float:
    """SciPy's centered discrepancy of points in the unit cube."""
    from scipy.stats import qmc

    return float(qmc.discrepancy(unit))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 12), st.integers(1, 5))
def test_the_change_by_an_exchange_is_that_of_the_whole_sum(seed, n, p):
    rng = np.random.default_rng(seed)
    unit = rng.random((n, p))
    axis, i = int(rng.integers(p)), int(rng.integers(n))
    partners = np.arange(n)
    changes = exchange_changes(unit - 0.5, axis, i, partners)
    for k in partners:
        swapped = unit.copy()
        swapped[[i, k], axis] = swapped[[k, i], axis]
        expected = discrepancy(swapped) - discrepancy(unit)
        assert changes[k] == pytest.approx(expected, abs=1e-12)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 15), st.integers(0, 15), st.integers(1, 4))
def test_exchanges_keep_every_column_and_never_make_it_worse(seed, m, n, p):
    rng = np.random.default_rng(seed)
    new, old = rng.random((m, p)), rng.random((n, p))
    better = exchange(new, old, rng)
    assert np.sort(better, axis=0).tolist() == np.sort(new, axis=0).tolist()
    before, after = (discrepancy(np.concatenate([x, old])) for x in (new, better))
    assert after <= before + 1e-13
