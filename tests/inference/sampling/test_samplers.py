"""Samplers find what is known: moments, evidence, edges and modes; and each other's results."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

from reionemu.errors import ConfigError, DatasetError, ReionemuWarning
from reionemu.inference.sampling import Chains, EmceeOptions, NestedOptions, NutsOptions, sample

pytest.importorskip("emcee")

EMCEE = EmceeOptions(target_ess=4000)
NUTS = NutsOptions()
NESTED = NestedOptions(live_points=100, points_per_shell=300, target_ess=1500)
ALL = pytest.mark.parametrize(
    "options",
    [
        pytest.param(EMCEE, id="de"),
        pytest.param(EmceeOptions(moves="stretch"), id="stretch"),
        pytest.param(NUTS, id="nuts"),
        pytest.param(NESTED, id="nested"),
    ],
)
QUICK = pytest.mark.parametrize(
    "options",
    [
        pytest.param(EMCEE, id="emcee"),
        pytest.param(NutsOptions(tune=100, draws=100), id="nuts"),
        pytest.param(
            NestedOptions(live_points=100, max_evaluations=4000, points_per_shell=100), id="nested"
        ),
    ],
)


def sampled(problem, options, **kwargs):
    pytest.importorskip(options.package)
    return sample(problem, options, **kwargs)


def moments(chains):
    """Mean, covariance, and effective samples of the worst parameter."""
    x = chains.samples.reshape(-1, len(chains.names))
    weights = np.full(len(x), 1 / len(x)) if chains.weights is None else chains.weights.ravel()
    mean = weights @ x
    return mean, (weights * (x - mean).T) @ (x - mean), min(chains.diagnostics["ess"].values())


@ALL
def test_moments_of_a_gaussian(gaussian, options):
    chains = sampled(gaussian, options, seed=2)
    assert chains.is_converged, chains.criterion
    mean, covariance, ess = moments(chains)
    sigma = np.sqrt(np.diag(gaussian.covariance))
    assert np.all(np.abs(mean - gaussian.mean) < 4 * sigma / np.sqrt(ess))
    error = np.sqrt((np.outer(sigma, sigma) ** 2 + gaussian.covariance**2) / ess)
    assert np.all(np.abs(covariance - gaussian.covariance) < 4 * error)
    x = chains.samples.reshape(-1, 3)
    assert chains.log_prob.ravel() == pytest.approx(gaussian.log_prob(x))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("gaussian", -np.log(20.0**3), marks=pytest.mark.slow),
        ("two_modes", -np.log(24.0**2)),
        pytest.param("half_normal", 2 * np.log(np.sqrt(np.pi / 2) / 8), marks=pytest.mark.slow),
    ],
)
def test_evidence(request, name, expected):
    chains = sampled(request.getfixturevalue(name), NESTED, seed=3)
    error = chains.diagnostics["log_evidence_error"]
    assert chains.is_converged, chains.criterion
    assert error < 0.03
    assert abs(chains.diagnostics["log_evidence"] - expected) < 3 * error


@pytest.mark.parametrize("options", [EMCEE, NUTS], ids=["emcee", "nuts"])
def test_an_edge_is_reached_and_not_crossed(half_normal, options):
    chains = sampled(half_normal, options, seed=4)
    assert chains.is_converged, chains.criterion
    mean, covariance, ess = moments(chains)
    assert chains.samples.min() >= 0
    assert chains.samples.min() < 0.01
    assert mean == pytest.approx(np.full(2, np.sqrt(2 / np.pi)), abs=4 * 0.6 / np.sqrt(ess))
    assert np.sqrt(np.diag(covariance)) == pytest.approx(np.sqrt(1 - 2 / np.pi), rel=0.1)


@pytest.mark.slow
def test_samplers_agree_on_a_banana(banana):
    pytest.importorskip("nautilus")
    pytest.importorskip("nutpie")
    every = [
        EmceeOptions(target_ess=8000),
        NutsOptions(draws=8000),
        NestedOptions(points_per_shell=5000),
    ]
    found = [moments(sample(banana, options, seed=5)) for options in every]
    widths = np.array([np.sqrt(np.diag(covariance)) for _, covariance, _ in found])
    means = np.array([mean for mean, _, _ in found])
    assert np.all(np.ptp(means, axis=0) < 0.1 * widths[0])
    assert np.all(np.ptp(widths, axis=0) < 0.05 * widths[0])
    assert widths[0, 0] == pytest.approx(1, rel=0.03)


def test_walkers_pass_between_modes(two_modes):
    chains = sampled(two_modes, EMCEE, seed=6)
    share = np.mean(chains.samples[..., 0] > 0)
    ess = min(chains.diagnostics["ess"].values())
    assert chains.is_converged, chains.criterion
    assert share == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / ess))


def test_chains_that_do_not_pass_between_modes_are_told_of(two_modes):
    pytest.importorskip("nutpie")
    two_modes.spread = np.full(2, 4.0)
    with pytest.warns(ReionemuWarning, match=r"failed: split R-hat below 1\.01"):
        chains = sample(two_modes, NutsOptions(draws=200, tune=200, max_chains=8), seed=1)
    assert not chains.is_converged
    assert chains.samples.shape == (8, 200, 2)


def test_too_few_steps_are_told_of(gaussian):
    with pytest.warns(ReionemuWarning, match="not converged") as caught:
        chains = sample(gaussian, EmceeOptions(max_steps=60), seed=1)
    assert caught[0].filename == __file__
    assert not chains.is_converged
    assert chains.diagnostics["n_steps"] == 60


def test_too_few_evaluations_are_told_of(gaussian):
    pytest.importorskip("nautilus")
    options = NestedOptions(live_points=200, max_evaluations=1500)
    with pytest.warns(ReionemuWarning, match="evidence in the live points"):
        chains = sample(gaussian, options, seed=1)
    assert chains.diagnostics["n_evaluations"] == 1500
    assert chains.weights.sum() == pytest.approx(1)


def test_exactly_as_many_steps_as_asked_for(gaussian):
    chains = sample(gaussian, EmceeOptions(steps=2345), seed=1)
    found = chains.diagnostics
    assert found["n_steps"] == 2345
    assert found["n_evaluations"] == 32 * 2346
    kept = -(-(2345 - found["burn_in"]) // found["thin"])
    assert chains.samples.shape == (32, kept, 3)
    assert chains.is_converged


def test_a_walker_in_a_well_of_its_own_is_told_of(gaussian):
    gaussian.start = stranded(gaussian)
    with pytest.warns(ReionemuWarning, match="no stuck walkers"):
        chains = sample(gaussian, EmceeOptions(steps=1000), seed=1)
    assert chains.diagnostics["stuck_walkers"] == 1


def stranded(problem):
    """Starting points of which one is in a well of its own, that no move leads out of."""
    usual, log_prob = problem.start, problem.log_prob

    def start(n, seed):
        points = usual(n, seed)
        points[0] = 9.9
        return points

    def with_a_well(x):
        far = np.all(x == 9.9, axis=-1)
        return np.where(far, -20.0, np.where(np.any(x > 6, axis=-1), -np.inf, log_prob(x)))

    problem.log_prob = with_a_well
    return start


@QUICK
def test_progress_is_told(gaussian, options):
    told = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReionemuWarning)
        sampled(gaussian, options, seed=1, progress=lambda *what: told.append(what))
    assert len(told) > 3
    assert all(isinstance(what, str) and 0 <= done <= total for what, done, total in told)
    for what in {what for what, _, _ in told}:
        done = [d for w, d, _ in told if w == what]
        assert done == sorted(done)


@QUICK
def test_a_density_that_is_nan_somewhere_is_refused(gaussian, options):
    usual = gaussian.likelihood

    def torn(x):
        value, slope = usual(x)
        return np.where(x[..., 0] > 1.5, np.nan, value), slope

    gaussian.likelihood = torn
    gaussian.spread = np.full(3, 0.1)
    gaussian.center = gaussian.mean
    with pytest.raises(ConfigError, match=r"density is nan .* at a=.*, b=.*, c="):
        sampled(gaussian, options)


@QUICK
def test_a_density_that_is_zero_everywhere_is_refused(gaussian, options):
    gaussian.likelihood = lambda x: (np.full(x.shape[:-1], -np.inf), np.zeros_like(x))
    with pytest.raises(ConfigError, match="vanishes at a point to start from, a="):
        sampled(gaussian, options)


def test_a_density_that_is_zero_but_at_the_start_is_refused(gaussian):
    """Nested sampling does not go where the others start."""
    pytest.importorskip("nautilus")
    usual = gaussian.start(6, 0)

    def almost_nowhere(x):
        known = np.array([np.any(np.all(row == usual, axis=1)) for row in np.atleast_2d(x)])
        return np.where(known, 0.0, -np.inf), np.zeros_like(x)

    gaussian.likelihood = almost_nowhere
    with pytest.raises(ConfigError, match="zero at all 3000 points"):
        sample(gaussian, NestedOptions(live_points=100, max_evaluations=3000))


def test_an_error_of_the_density_is_not_lost_in_a_thread(gaussian):
    pytest.importorskip("nutpie")
    usual = gaussian.log_likelihood_and_gradient
    calls = []

    def failing(x):
        calls.append(x)
        if len(calls) > 20:
            raise ZeroDivisionError("by the model")
        return usual(x)

    gaussian.log_likelihood_and_gradient = failing
    with pytest.raises(ZeroDivisionError, match="by the model"):
        sample(gaussian, NUTS)
    assert len(calls) == 21


def test_starting_points_that_are_all_alike_are_refused(gaussian):
    gaussian.spread = np.array([1.0, 0.0, 1.0])
    with pytest.raises(ConfigError, match="have b=0"):
        sample(gaussian)


def test_interrupting_nuts_ends_it(gaussian):
    pytest.importorskip("nutpie")

    def interrupt(what, done, total):
        if done > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample(gaussian, NutsOptions(draws=1_000_000), progress=interrupt)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EmceeOptions(walkers=7), r"EmceeOptions\.walkers must be a whole number >= 8"),
        (lambda: EmceeOptions(moves="snooker"), r"moves must be one of de, stretch"),
        (lambda: EmceeOptions(steps=0), r"EmceeOptions\.steps"),
        (lambda: NutsOptions(max_chains=3), r"NutsOptions\.max_chains must be .* >= 4"),
        (lambda: NutsOptions(target_accept=1.0), r"NutsOptions\.target_accept .* < 1"),
        (lambda: NestedOptions(live_points=10), r"NestedOptions\.live_points"),
        (lambda: NestedOptions(points_per_shell=0), r"NestedOptions\.points_per_shell"),
    ],
)
def test_impossible_options_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_impossible_calls_are_refused(gaussian):
    with pytest.raises(ConfigError, match=r"sample\.seed must be a whole number >= 0"):
        sample(gaussian, seed=-1)
    with pytest.raises(ConfigError, match="options must be EmceeOptions"):
        sample(gaussian, {"walkers": 32})
    gaussian.names = tuple("abcde")
    with pytest.raises(ConfigError, match="at least twice the 5 parameters"):
        sample(gaussian, EmceeOptions(walkers=8))
    gaussian.names = ("a",)
    pytest.importorskip("nautilus")
    with pytest.raises(ConfigError, match="at least two parameters"):
        sample(gaussian, NestedOptions())


@pytest.mark.parametrize(
    ("options", "package", "extra"),
    [
        (EMCEE, "emcee", "infer"),
        (NUTS, "nutpie", "nuts"),
        (NESTED, "nautilus", "nested"),
    ],
)
def test_a_sampler_that_is_not_installed_is_named(gaussian, monkeypatch, options, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"needs {package}, which is not installed: pip install 'reionemu\[{extra}\]'"
    with pytest.raises(ConfigError, match=message):
        sample(gaussian, options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": np.zeros((2, 3, 2))}, r"shape \(chains, samples, 1\)"),
        ({"samples": np.zeros((2, 0, 1))}, "none of them 0"),
        ({"log_prob": np.zeros((3, 2))}, r"log_prob must have the shape \(2, 3\)"),
        ({"log_prob": np.full((2, 3), -np.inf)}, "log_prob of chains must be finite"),
        ({"weights": np.full((2, 3), 0.5)}, "sum to 1"),
        ({"weights": np.array([[2.0, -1.0, 0.0], [0.0, 0.0, 0.0]])}, "positive"),
    ],
)
def test_chains_that_do_not_fit_together_are_refused(changes, message):
    good = {
        "names": ("a",),
        "samples": np.zeros((2, 3, 1)),
        "log_prob": np.zeros((2, 3)),
        "weights": np.full((2, 3), 1 / 6),
        "sampler": "emcee",
        "is_converged": True,
        "criterion": "",
    }
    Chains(**good)
    with pytest.raises(DatasetError, match=message):
        Chains(**{**good, **changes})
