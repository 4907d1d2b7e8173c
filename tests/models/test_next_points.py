"""Which points a Gaussian process would learn most from, against trying each of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reionemu.models.gaussian_process.fit import condition
from reionemu.models.gaussian_process.kernel import Hyperparameters
from reionemu.models.gaussian_process.next_points import next_points, variance_with
from reionemu.models.inputs import Inputs

NAMES = ("a", "b")
HYPER = Hyperparameters(
    smooth=np.array([1.0, 0.7]),
    rough=np.array([0.4, 0.5]),
    amplitude=0.3,
    noise=0.1,
    noise_slope=np.array([0.5, -0.2]),
)
NOTHING = np.empty((0, 2))


def process_of(theta, hyper=HYPER):
    """A process whose coordinates are the parameters, conditioned on points in [-1, 1]^2."""
    inputs = Inputs(NAMES, "plain", (-1.0, -1.0), (1.0, 1.0))
    y = np.sin(theta @ np.array([[1.0, 2.0], [3.0, 0.5]]))
    return condition(theta, y, inputs, hyper)[0]


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(3)
    return {name: rng.uniform(-1, 1, (n, 2)) for name, n in [("x", 12), ("c", 30), ("u", 50)]}


def textbook_variance(theta, probes):
    """k(u, u) - k(u, x) (K + noise)^-1 k(x, u): Rasmussen & Williams 2006, equation 2.26."""
    K = HYPER.covariance(theta, theta) + np.diag(HYPER.noise_variance(theta))
    k = HYPER.covariance(probes, theta)
    return 1 + HYPER.amplitude**2 - np.einsum("ij,ji->i", k, np.linalg.solve(K, k.T))


def test_the_variance_after_more_points_is_the_textbook_one(points):
    process = process_of(points["x"])
    found = variance_with(process, points["c"], points["u"])
    both = np.concatenate([points["x"], points["c"]])
    assert found == pytest.approx(textbook_variance(both, points["u"]), abs=1e-6)
    alone = variance_with(process, NOTHING, points["u"])
    assert alone == pytest.approx(textbook_variance(points["x"], points["u"]), abs=1e-6)


def test_each_choice_is_the_best_of_all_given_those_before(points):
    weights = np.random.default_rng(0).uniform(0.1, 2, 50)
    chosen = next_points(
        process_of(points["x"]), points["c"], points["u"], 5, weights=weights, known=NOTHING
    )
    known = points["x"]
    for index in chosen:
        left = [
            float(textbook_variance(np.vstack([known, c]), points["u"]) @ weights)
            for c in points["c"]
        ]
        assert left[index] == pytest.approx(min(left), rel=1e-9)
        known = np.vstack([known, points["c"][index]])


def test_known_points_count_as_done(points):
    process, options = process_of(points["x"]), {"weights": np.ones(50)}
    three = next_points(process, points["c"], points["u"], 3, known=NOTHING, **options)
    first = points["c"][three[:1]]
    rest = next_points(process, points["c"], points["u"], 2, known=first, **options)
    assert rest.tolist() == three[1:].tolist()


def test_no_candidate_is_chosen_twice_however_noisy(points):
    process = process_of(points["x"], replace(HYPER, noise=3.0))
    chosen = next_points(process, points["c"], points["u"], 30, weights=np.ones(50), known=NOTHING)
    assert sorted(chosen) == list(range(30))


@pytest.mark.parametrize("sign", [-1, 1])
def test_points_with_much_noise_teach_little(sign):
    line = np.linspace(-1, 1, 21)
    candidates = np.stack([line, np.zeros(21)], axis=1)
    hyper = replace(HYPER, noise=0.5, noise_slope=np.array([2.0 * sign, 0.0]))
    process = process_of(np.array([[0.0, -1.0], [0.0, 1.0]]), hyper)
    chosen = next_points(process, candidates, candidates, 1, weights=np.ones(21), known=NOTHING)
    assert sign * candidates[chosen[0], 0] < 0


def test_what_does_not_count_is_not_looked_at(points):
    weights = (np.linalg.norm(points["u"] - [0.8, 0.8], axis=1) < 0.5).astype(float)
    chosen = next_points(
        process_of(points["x"]), points["c"], points["u"], 1, weights=weights, known=NOTHING
    )
    assert np.linalg.norm(points["c"][chosen[0]] - [0.8, 0.8]) < 0.8
