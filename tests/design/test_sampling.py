"""Latin hypercubes, Sobol points and scans of one parameter."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.design import (
    METHODS,
    PUBLISHED_SPACE,
    ParameterSpace,
    Step,
    latin_hypercube,
    one_at_a_time,
    sobol,
)
from reionemu.errors import ConfigError, ReionemuWarning


def cube(p: int) -> ParameterSpace:
    """The unit cube of p dimensions."""
    return ParameterSpace(tuple(f"x{j}" for j in range(p)), (0,) * p, (1,) * p)


def random_hypercube(n: int, seed: int) -> float:
    """The discrepancy of a Latin hypercube of SciPy in 4 dimensions, not optimized."""
    from scipy.stats import qmc

    sample = qmc.LatinHypercube(4, rng=np.random.default_rng(seed)).random(n)
    return float(qmc.discrepancy(sample))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 25), st.integers(1, 6), st.integers(0, 2**64 - 1))
def test_a_latin_hypercube_has_one_point_in_each_stratum_of_each_axis(n, p, seed):
    space = ParameterSpace(cube(p).names, tuple(range(p)), tuple(2.5 * j + 1 for j in range(p)))
    design = latin_hypercube(space, n, seed)
    low, high = np.array(space.low), np.array(space.high)
    strata = np.floor((design.rows - low) / (high - low) * n)
    assert (np.sort(strata, axis=0) == np.arange(n)[:, None]).all()
    assert design.steps == (Step("lhs", n, seed),)


def test_points_lie_anywhere_in_their_strata():
    """Positions within strata are uniform: mean 1/2 and variance 1/12 to 4 sigma."""
    n = 100
    within = np.concatenate([latin_hypercube(cube(3), n, s).rows * n % 1 for s in range(3)])
    assert abs(within.mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / within.size)
    assert abs(within.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / within.size)


@pytest.mark.parametrize(("n", "ratio"), [(20, 0.55), (100, 0.25)])
def test_an_optimized_hypercube_is_far_more_even_than_a_random_one(n, ratio):
    usual = np.mean([random_hypercube(n, seed) for seed in range(20)])
    ours = [latin_hypercube(PUBLISHED_SPACE, n, seed).discrepancy() for seed in range(2)]
    assert max(ours) < ratio * usual


def test_it_is_at_least_as_even_as_the_optimized_one_of_scipy():
    from scipy.stats import qmc

    theirs = qmc.LatinHypercube(4, optimization="random-cd", rng=1).random(100)
    ours = latin_hypercube(PUBLISHED_SPACE, 100, 1).discrepancy()
    assert ours < qmc.discrepancy(theirs)


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides(method):
    again = [METHODS[method](PUBLISHED_SPACE, 16, seed).rows.tolist() for seed in (3, 3, 4)]
    assert again[0] == again[1]
    assert (again[0] != again[2]) == (method != "oat")


def test_global_random_numbers_play_no_part():
    before = latin_hypercube(PUBLISHED_SPACE, 8, 1).rows.tolist()
    np.random.seed(0)
    state = np.random.get_state()[1].tolist()
    assert latin_hypercube(PUBLISHED_SPACE, 8, 1).rows.tolist() == before
    assert np.random.get_state()[1].tolist() == state


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 7), st.integers(1, 8), st.integers(0, 2**64 - 1))
def test_powers_of_2_of_sobol_points_are_a_latin_hypercube(m, p, seed):
    n = 2**m
    strata = np.floor(sobol(cube(p), n, seed).rows * n)
    assert (np.sort(strata, axis=0) == np.arange(n)[:, None]).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 2**64 - 1))
def test_the_first_two_sobol_axes_are_a_0_net(a, b, seed):
    """Each of the 2^a by 2^b equal boxes holds one of 2^(a+b) points (Sobol 1967)."""
    rows = sobol(cube(2), 2 ** (a + b), seed).rows
    boxes = np.floor(rows * [2**a, 2**b]).astype(int)
    assert len(np.unique(boxes, axis=0)) == 2 ** (a + b)


def test_leading_digits_are_those_of_the_sequence_of_sobol():
    """(0, 0), (1/2, 1/2), (3/4, 1/4), (1/4, 3/4): a scramble may flip the first digit of all."""
    halves = (sobol(cube(2), 4, seed=11).rows >= 0.5).astype(int)
    assert (halves ^ halves[0]).tolist() == [[0, 0], [1, 1], [1, 0], [0, 1]]


def test_scrambled_points_are_uniform_over_seeds():
    """The second point of 400 scrambles: mean 1/2 and no correlation of its axes, to 4 sigma."""
    points = np.array([sobol(cube(2), 2, seed).rows[1] for seed in range(400)])
    assert (abs(points.mean(axis=0) - 0.5) < 4 * np.sqrt(1 / 12 / 400)).all()
    assert abs(np.corrcoef(points.T)[0, 1]) < 4 / np.sqrt(400)


def test_scrambles_are_more_than_shifts():
    """The first two points differ by 1/2; flipping digits, the same ones in all, keeps that."""
    gaps = [abs(np.diff(sobol(cube(2), 2, seed).rows, axis=0)) for seed in range(400)]
    assert np.min(gaps) < 0.1
    assert np.max(gaps) > 0.9


def test_sobol_points_are_as_even_as_those_of_scipy():
    from scipy.stats import qmc

    theirs = [qmc.discrepancy(qmc.Sobol(4, rng=s).random_base2(8)) for s in range(8)]
    ours = [sobol(PUBLISHED_SPACE, 256, s).discrepancy() for s in range(8)]
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.1)


def test_sobol_points_of_a_seed_are_known():
    """Odd multiples of 2^-31, whatever the version of SciPy."""
    rows = sobol(cube(2), 2, 1).rows * 2**31
    assert rows.tolist() == [[1016164991, 1099128569], [1748264575, 1066409203]]


def test_more_sobol_points_go_on_where_fewer_ended():
    few, many = sobol(PUBLISHED_SPACE, 16, 5), sobol(PUBLISHED_SPACE, 64, 5)
    assert many.rows[:16].tolist() == few.rows.tolist()


def test_sobol_points_other_than_a_power_of_2_are_warned_of():
    with pytest.warns(
        ReionemuWarning, match="100 Sobol points are not balanced.*64 or 128"
    ) as all_:
        design = sobol(PUBLISHED_SPACE, 100, 1)
    assert all_[0].filename == __file__
    assert len(design) == 100
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sobol(PUBLISHED_SPACE, 128, 1)


def test_one_at_a_time_with_an_even_number_of_levels():
    design = one_at_a_time(ParameterSpace(("a", "b"), (0, 10), (6, 16)), 4)
    expected = [[3, 13]]
    expected += [[a, 13] for a in (0, 2, 4, 6)]
    expected += [[3, b] for b in (10, 12, 14, 16)]
    np.testing.assert_allclose(design.rows, expected, rtol=1e-15)
    assert design.steps == (Step("oat", 9, None),)


def test_one_at_a_time_does_not_repeat_the_centre():
    design = one_at_a_time(PUBLISHED_SPACE, 5)
    assert len(design) == 1 + 4 * 4
    assert len(np.unique(design.rows, axis=0)) == len(design)
    assert design.rows[0].tolist() == pytest.approx([8, 0.5, 1.05, 0.45])
    varied = (design.rows != design.rows[0]).sum(axis=1)
    assert varied.tolist() == [0] + [1] * 16
    levels = sorted([*design.rows[1:5, 0].tolist(), 8.0])
    assert levels == pytest.approx([7, 7.5, 8, 8.5, 9])


@pytest.mark.parametrize(
    ("method", "n", "seed", "message"),
    [
        ("lhs", 0, 1, "design.n must be a whole number >= 1, got 0"),
        ("lhs", 2.5, 1, "design.n must be a whole number"),
        ("lhs", 50_001, 1, "at most 50000"),
        ("lhs", 5, -1, "design.seed must be a whole number >= 0"),
        ("lhs", 5, None, "design.seed must be a whole number"),
        ("lhs", 5, 2**64, "design.seed must be"),
        ("sobol", 0, 1, "design.n must be a whole number >= 1"),
        ("sobol", 4, 1.5, "design.seed must be a whole number"),
        ("oat", 1, 1, "one_at_a_time.n must be a whole number >= 2"),
        ("oat", 20_000, 1, "at most 50000"),
    ],
)
def test_bad_numbers(method, n, seed, message):
    with pytest.raises(ConfigError, match=message):
        METHODS[method](PUBLISHED_SPACE, n, seed)
