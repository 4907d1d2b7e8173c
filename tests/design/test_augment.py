"""Points added to a design: in strata it left empty, and the old ones as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reionemu.design import (
    PUBLISHED_SPACE,
    Design,
    ParameterSpace,
    Step,
    augment_design,
    latin_hypercube,
    sobol,
)
from reionemu.errors import ConfigError

CUBE = ParameterSpace(("a", "b", "c"), (0, 0, 0), (1, 1, 1))
seeds = st.integers(0, 2**32)


def strata(rows: np.ndarray, total: int) -> np.ndarray:
    """In which of `total` equal parts of [0, 1] each entry lies."""
    return np.minimum(np.floor(rows * total), total - 1)


def is_hypercube(unit: np.ndarray) -> bool:
    """Whether every stratum of every axis holds one point."""
    n = len(unit)
    return bool((np.sort(strata(unit, n), axis=0) == np.arange(n)[:, None]).all())


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 8), seeds, seeds)
def test_a_hypercube_doubled_again_and_again_is_a_hypercube(n, seed, other):
    old = latin_hypercube(PUBLISHED_SPACE, n, seed)
    twice = augment_design(old, n, other)
    again = augment_design(twice, 2 * n, other)
    assert is_hypercube(twice.unit())
    assert is_hypercube(again.unit())
    assert twice.rows[:n].tobytes() == old.rows.tobytes()
    assert again.rows[: 2 * n].tobytes() == twice.rows.tobytes()
    assert again.steps == (Step("lhs", n, seed), *(Step("augment", k, other) for k in (n, 2 * n)))


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 12), st.just(3)),
        elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1),
    ),
    st.integers(1, 15),
    seeds,
)
def test_new_points_lie_in_strata_of_their_own_whatever_was_there(rows, n, seed):
    design = augment_design(Design(CUBE.names, rows), n, seed, CUBE)
    assert design.rows[: len(rows)].tobytes() == rows.tobytes()
    assert len(design) == len(rows) + n
    found = strata(design.rows, len(design))
    for old, new in zip(found[: len(rows)].T, found[len(rows) :].T, strict=True):
        assert len(set(new)) == n
        assert set(new).isdisjoint(old)


def test_a_design_in_different_strata_becomes_a_hypercube():
    """0.1, 0.5, 0.7 lie in strata 0, 2 and 3 of 5; nothing but 1 and 4 is left for new points."""
    rows = np.array([[0.1, 0.5, 0.7], [0.5, 0.7, 0.1], [0.7, 0.1, 0.5]])
    design = augment_design(Design(CUBE.names, rows, (), CUBE), 2, 1)
    assert is_hypercube(design.rows)
    assert (np.sort(strata(design.rows[3:], 5), axis=0) == [[1] * 3, [4] * 3]).all()


def test_sobol_points_can_be_augmented():
    assert is_hypercube(augment_design(sobol(PUBLISHED_SPACE, 16, 1), 16, 1).unit())


@pytest.mark.parametrize("n", [10, 30, 90])
def test_a_hypercube_stays_far_more_even_than_random_ones_of_the_same_size(n):
    from scipy.stats import qmc

    old = latin_hypercube(PUBLISHED_SPACE, 60, 1)
    usual = np.mean(
        [qmc.discrepancy(qmc.LatinHypercube(4, rng=s).random(60 + n)) for s in range(9)]
    )
    assert augment_design(old, n, 2).discrepancy() < 0.4 * usual


def test_a_doubled_hypercube_is_nearly_as_even_as_a_new_one():
    old = latin_hypercube(PUBLISHED_SPACE, 40, 1)
    new = latin_hypercube(PUBLISHED_SPACE, 80, 1)
    assert augment_design(old, 40, 1).discrepancy() < 1.4 * new.discrepancy()


def test_new_points_leave_no_gap_beside_a_cluster():
    """40 of 50 points in a hundredth of the space: 50 more still reach every region."""
    rng = np.random.default_rng(1)
    rows = np.concatenate([rng.random((10, 3)), 0.25 + 0.01 * rng.random((40, 3))])
    design = augment_design(Design(CUBE.names, rows, (), CUBE), 50, 1)
    assert design.largest_gap()[1] < 4 / 100


def test_a_wider_range_is_filled_where_it_is_new():
    old = latin_hypercube(PUBLISHED_SPACE, 50, 1)
    wider = PUBLISHED_SPACE.with_ranges(["zmean_zre=6:10"])
    design = augment_design(old, 50, 1, wider)
    new = design.rows[50:, 0]
    assert design.space == wider
    assert ((new < 7) | (new > 9)).sum() == 50
    assert (new < 7).sum() == 25
    assert design.largest_gap()[1] <= 2 / 100


def test_the_seed_decides():
    old = latin_hypercube(PUBLISHED_SPACE, 10, 1)
    rows = [augment_design(old, 5, seed).rows.tolist() for seed in (1, 1, 2)]
    assert rows[0] == rows[1] != rows[2]


def test_the_same_seed_does_not_repeat_the_old_arrangement(monkeypatch):
    """With the random numbers of the old points every new one would be a neighbour of an old."""
    monkeypatch.setattr("reionemu.design.exchange._MAX_STEPS", 0)
    old = latin_hypercube(PUBLISHED_SPACE, 30, 1)
    new = augment_design(old, 30, 1).unit()[30:]
    near = abs(new[:, None] - old.unit()).max(axis=2).min(axis=1)
    assert np.median(near) > 2 / 30


@pytest.mark.parametrize(
    ("n", "seed", "space", "message"),
    [
        (0, 1, None, "n must be a whole number >= 1"),
        (50_000, 1, None, "at most 50000 points; 50004"),
        (4, -1, None, "seed must be a whole number"),
        (4, 1, CUBE, "the columns of the design are zmean_zre, .* of its space a, b, c"),
        (
            4,
            1,
            PUBLISHED_SPACE.with_ranges(["zmean_zre=7:7.5"]),
            r"point \d: zmean_zre = .* is outside its range 7.0 to 7.5; widen the range, or",
        ),
    ],
)
def test_what_cannot_be_augmented_is_said(n, seed, space, message):
    with pytest.raises(ConfigError, match=message):
        augment_design(latin_hypercube(PUBLISHED_SPACE, 4, 1), n, seed, space)


def test_a_design_without_bounds_needs_a_space():
    old = Design(PUBLISHED_SPACE.names, [[8, 0.5, 1, 0.5]])
    with pytest.raises(ConfigError, match="does not say its bounds: give the space"):
        augment_design(old, 1, 1)
    assert augment_design(old, 1, 1, PUBLISHED_SPACE).space == PUBLISHED_SPACE
