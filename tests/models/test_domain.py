"""Where training points are sparse."""

from __future__ import annotations

import numpy as np
import pytest

from reionemu.models.domain import Domain
from reionemu.parameters import PARAMETER_NAMES, ParameterBox

LOW, HIGH = np.array([6.0, 0.1, 0.1, 0.4]), np.array([10.0, 0.9, 2.0, 0.8])
BOX = ParameterBox(PARAMETER_NAMES, tuple(LOW), tuple(HIGH))


def latin_hypercube(n, seed=0):
    """Evenly spread parameters, shape (n, 4)."""
    rng = np.random.default_rng(seed)
    cells = np.stack([rng.permutation(n) for _ in range(4)], axis=-1)
    return LOW + (cells + rng.random((n, 4))) / n * (HIGH - LOW)


def test_the_distance_is_that_to_the_nearest_point_in_sides_of_the_box():
    from scipy.spatial import cKDTree

    points = latin_hypercube(200)
    theta = np.random.default_rng(1).uniform(LOW - 1, HIGH + 1, (50, 4))
    expected, _ = cKDTree((points - LOW) / (HIGH - LOW)).query((theta - LOW) / (HIGH - LOW))
    np.testing.assert_allclose(Domain(BOX, points).distance(theta), expected, rtol=1e-7)
    np.testing.assert_allclose(Domain(BOX, points).distance(points), 0, atol=1e-7)


@pytest.mark.parametrize("n", [30, 100, 1000])
def test_an_even_design_is_sparse_nearly_nowhere(n):
    """Even in the corners, where it is most likely, at 1 in 1000 by design."""
    rng = np.random.default_rng(2)
    domain = Domain(BOX, latin_hypercube(n))
    inside = rng.uniform(LOW, HIGH, (4000, 4))
    assert domain.sparse(inside).mean() <= 0.002
    corners = np.array(np.meshgrid(*zip(LOW, HIGH, strict=True))).reshape(4, -1).T
    found = [Domain(BOX, latin_hypercube(n, seed)).sparse(corners) for seed in range(40)]
    assert np.mean(found) < 0.01


def test_a_hole_in_the_design_is_sparse_and_its_surroundings_are_not():
    points = latin_hypercube(1000)
    unit = (points - LOW) / (HIGH - LOW)
    hole = (unit[:, 0] < 0.5) & (unit[:, 3] < 0.5) & (unit[:, 1] < 0.5) & (unit[:, 2] < 0.6)
    domain = Domain(BOX, points[~hole])
    inside = LOW + np.array([0.1, 0.1, 0.2, 0.1]) * (HIGH - LOW)
    outside = LOW + np.array([0.9, 0.1, 0.2, 0.1]) * (HIGH - LOW)
    assert domain.sparse(np.stack([inside, outside])).tolist() == [True, False]


def test_reach_shrinks_with_the_size_of_the_design_as_it_must():
    """With n^(-1/p); and in a corner 2^-p of the ball holds EXPECTED points of n."""
    small, large = Domain(BOX, latin_hypercube(100)), Domain(BOX, latin_hypercube(1600))
    assert small.reach / large.reach == pytest.approx(2)
    square = ParameterBox(("a", "b"), (0.0, 0.0), (1.0, 1.0))
    domain = Domain(square, np.random.default_rng(0).random((700, 2)))
    assert np.pi * domain.reach**2 / 4 * 700 == pytest.approx(7)


def test_a_parameter_that_does_not_vary_counts_for_nothing():
    flat = ParameterBox(PARAMETER_NAMES, (*LOW[:3], 0.6), (*HIGH[:3], 0.6))
    points = latin_hypercube(100)
    points[:, 3] = 0.6
    assert not Domain(flat, points).sparse(points).any()
