"""Where training points are sparse."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.models.domain import Domain
from reionemu.parameters import PARAMETER_NAMES, ParameterBox

LOW, HIGH = np.array([6.0, 0.1, 0.1, 0.4]), np.array([10.0, 0.9, 2.0, 0.8])
BOX = ParameterBox(PARAMETER_NAMES, tuple(LOW), tuple(HIGH))


def unit_box(p):
    return ParameterBox(tuple("abcdef"[:p]), (0.0,) * p, (1.0,) * p)


def latin_hypercube(n, seed=0, p=4):
    """Evenly spread points of the unit box, shape (n, p)."""
    rng = np.random.default_rng(seed)
    cells = np.stack([rng.permutation(n) for _ in range(p)], axis=-1)
    return (cells + rng.random((n, p))) / n


def corners(p):
    return np.array(np.meshgrid(*[[0.0, 1.0]] * p)).reshape(p, -1).T


def central(points, volume):
    """Which points are in a cube of that volume in the middle of the unit box."""
    return (abs(points - 0.5) < 0.5 * volume ** (1 / points.shape[1])).all(axis=1)


@given(
    p=st.integers(1, 5), n=st.integers(1, 40), m=st.integers(0, 30), seed=st.integers(0, 2**32 - 1)
)
@settings(max_examples=20, deadline=None)
def test_emptiness_is_the_share_of_the_box_nearer_than_the_nearest(p, n, m, seed):
    """Against distances by scipy, and volumes counted on points."""
    from scipy.spatial import KDTree

    rng = np.random.default_rng(seed)
    points, theta, probes = rng.random((n, p)), rng.random((m, p)), rng.random((2000, p))
    reach, _ = KDTree(points).query(theta, p=np.inf) if m else (np.zeros(0), None)
    within = abs(probes - theta[:, None, :]).max(axis=-1) < reach[:, None]
    found = Domain(unit_box(p), points).emptiness(theta) / n
    assert found.shape == (m,)
    np.testing.assert_allclose(found, within.mean(axis=1), atol=0.06)  # 5 sigma


def test_emptiness_in_the_middle_at_a_face_and_in_a_corner():
    """Two points of a square: areas by hand."""
    domain = Domain(unit_box(2), np.array([[0.5, 0.3], [0.9, 0.9]]))
    theta = np.array([[0.5, 0.5], [0.0, 0.3], [0.0, 0.0], [1.0, 1.0], [0.5, 0.3]])
    np.testing.assert_allclose(
        domain.emptiness(theta), [2 * 0.4**2, 2 * 0.5 * 0.8, 2 * 0.5**2, 2 * 0.1**2, 0], atol=1e-6
    )


def test_parameters_count_in_sides_of_the_box():
    own, theta = latin_hypercube(100), np.random.default_rng(1).random((50, 4))
    scaled = Domain(BOX, LOW + own * (HIGH - LOW)).emptiness(LOW + theta * (HIGH - LOW))
    np.testing.assert_allclose(scaled, Domain(unit_box(4), own).emptiness(theta), rtol=1e-4)


@pytest.mark.parametrize("p", [1, 2, 3, 4, 5])
def test_of_random_designs_emptiness_is_exponential(p):
    """Its mean is 1, and 5% have more than ln 20."""
    rng = np.random.default_rng(p)
    domains = (Domain(unit_box(p), rng.random((100, p))) for _ in range(400))
    found = np.concatenate([domain.emptiness(rng.random((20, p))) for domain in domains])
    assert found.mean() == pytest.approx(1, abs=0.06)
    assert (found > np.log(20)).mean() == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("p", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("n", [20, 100, 700])
def test_an_even_design_is_sparse_nearly_nowhere(n, p):
    """Nor in its corners."""
    inside = np.random.default_rng(2).random((300, p))
    domains = [Domain(unit_box(p), latin_hypercube(n, seed, p)) for seed in range(20)]
    assert np.mean([domain.sparse(inside) for domain in domains]) < 0.001
    assert np.mean([domain.sparse(corners(p)) for domain in domains]) < 0.01


@pytest.mark.parametrize("n", [50, 100, 700])
def test_a_random_design_is_all_but_never_sparse_anywhere(n):
    """Not even at the worst of 300 points."""
    rng = np.random.default_rng(6)
    domains = [Domain(unit_box(4), rng.random((n, 4))) for _ in range(40)]
    assert np.mean([domain.sparse(rng.random((300, 4))).any() for domain in domains]) < 0.2


@pytest.mark.parametrize("volume", [0.1, 0.3, 0.5])
def test_a_hole_in_the_middle_is_sparse_and_its_surroundings_are_not(volume):
    points = latin_hypercube(700)
    domain = Domain(unit_box(4), points[~central(points, volume)])
    theta = np.random.default_rng(3).random((20_000, 4))
    assert domain.sparse(np.full((1, 4), 0.5)).all()
    assert domain.sparse(theta[central(theta, volume / 20)]).mean() > 0.6
    assert domain.sparse(theta[central(theta, volume)]).mean() > 0.04
    assert domain.sparse(theta[~central(theta, volume)]).mean() < 0.002


def test_the_middle_of_half_a_small_design_is_sparse():
    points = latin_hypercube(100)
    domain = Domain(unit_box(4), points[~central(points, 0.5)])
    assert domain.sparse(np.full((1, 4), 0.5))


def test_an_empty_corner_is_sparse():
    points = latin_hypercube(700)
    domain = Domain(unit_box(4), points[~(points < 0.6).all(axis=1)])
    theta = np.array([[0.1, 0.1, 0.2, 0.1], [0.0, 0.0, 0.0, 0.0], [0.9, 0.1, 0.2, 0.1]])
    assert domain.sparse(theta).tolist() == [True, True, False]


def test_points_outside_are_not_called_sparse():
    domain = Domain(unit_box(2), np.full((20, 2), 0.9))
    theta = np.array([[0.1, 0.1], [-0.1, 0.1], [0.1, 1e300], [np.inf, 0.1], [-1e-9, 0.1]])
    assert domain.sparse(theta).tolist() == [True, False, False, False, True]


def test_a_parameter_that_does_not_vary_counts_for_nothing():
    flat = ParameterBox(("a", "b", "c"), (0.0, 3.0, 0.0), (1.0, 3.0, 1.0))
    own, theta = latin_hypercube(100, 0, 2), np.random.default_rng(4).random((50, 2))
    found = Domain(flat, np.insert(own, 1, 3.0, axis=1)).emptiness(np.insert(theta, 1, 3.0, axis=1))
    np.testing.assert_allclose(found, Domain(unit_box(2), own).emptiness(theta))


def test_memory_is_bounded():
    """All distances at once would be 0.6 GB."""
    domain = Domain(unit_box(4), latin_hypercube(700))
    theta = np.random.default_rng(5).random((100_000, 4))
    tracemalloc.start()
    domain.sparse(theta)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
