"""The posterior density: against SciPy's Gaussians, differences, and analytic posteriors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reionemu.errors import ConfigError, InferenceDataError, ReionemuWarning
from reionemu.inference import BandPowers, EmceeOptions, Problem, infer
from reionemu.inference.late_time import LATE_TIME, LateTimeTemplate
from reionemu.inference.posterior import Posterior
from reionemu.inference.priors import prior_of
from reionemu.inference.sampling.chains import Chains
from reionemu.models.suite import Suite

ELL = np.array([2000.0, 3500.0, 5000.0, 6500.0, 8000.0])
COVARIANCE = np.diag([0.01, 0.012, 0.015, 0.02, 0.03]) + 0.004
KNOWN = Suite("shared", 2, 0.01, 0.01 * (np.eye(5) + 0.5), 7)
POINTS = np.array([[8.1, 0.45, 1.0, 0.4], [7.6, 0.5, 0.8, 0.5], [8.3, 0.3, 1.4, 0.3]])


def band_powers(**changes):
    values = {"name": "mine", "ell": ELL, "dl": np.array([0.6, 0.5, 0.55, 0.5, 0.45])}
    return BandPowers(**{**values, "covariance": COVARIANCE, "realization": "emulator", **changes})


def expected_log_likelihood(problem, x, more=0.0):
    """By SciPy, point by point."""
    emulator, data = problem.emulator, problem.data
    values = []
    for point in x:
        found = emulator.predict(point[:4])
        mean = found.mean
        if data.is_total:
            mean = mean + point[4] * LateTimeTemplate().at(data.ell)
        covariance = data.covariance + found.covariance + more(point, found.mean)
        values.append(stats.multivariate_normal(mean, covariance).logpdf(data.dl))
    return np.array(values)


def nothing(point, mean):
    return 0.0


@pytest.mark.parametrize("transform", ["none", "ln", "log10"])
def test_the_likelihood_is_the_gaussian_it_says(emulator_of, transform):
    problem = Problem(emulator_of(transform=transform), band_powers())
    found = problem.log_likelihood(POINTS)
    np.testing.assert_allclose(found, expected_log_likelihood(problem, POINTS, nothing), rtol=1e-11)
    assert problem.log_likelihood(POINTS[0]) == pytest.approx(found[0], rel=1e-13)
    np.testing.assert_allclose(
        problem.log_prob(POINTS) - found, -np.log(2.0 * 0.8 * 1.9 * 0.7), rtol=1e-12
    )


def test_realizations_scatter_as_the_suite_says(emulator_of):
    """Half the variance of a map: the suite has two realizations; of a map twice as large, more.

    And 7/5 times that, as it comes from 8 maps.
    """
    for changes, share in (
        ({"realization": "emulator"}, 0.0),
        ({"realization": "sky"}, 0.5),
        ({"realization": "sky", "map_area": 0.02}, 1.0),
    ):
        problem = Problem(emulator_of(suite=KNOWN, transform="ln"), band_powers(**changes))

        def scatter(point, mean, share=share):
            return share * 7 / 5 * mean[:, None] * KNOWN.ln_covariance * mean

        np.testing.assert_allclose(
            problem.log_likelihood(POINTS),
            expected_log_likelihood(problem, POINTS, scatter),
            rtol=1e-11,
        )


def test_the_late_time_part_adds_to_reionization(emulator_of):
    problem = Problem(emulator_of(), band_powers(is_total=True), late_time=(0.3, 0.2))
    x = np.column_stack([POINTS, [0.1, 0.2, 0.3]])
    assert problem.names[-1] == LATE_TIME
    np.testing.assert_allclose(
        problem.log_likelihood(x), expected_log_likelihood(problem, x, nothing), rtol=1e-11
    )
    density = stats.truncnorm(-1.5, np.inf, 0.3, 0.2).logpdf(x[:, 4])
    np.testing.assert_allclose(
        problem.log_prior(x), density - np.log(2.0 * 0.8 * 1.9 * 0.7), rtol=1e-11
    )


@pytest.mark.parametrize("transform", ["none", "ln", "log10"])
@pytest.mark.parametrize(
    ("suite", "own", "changes"),
    [
        (None, False, {}),
        (KNOWN, False, {"realization": "sky", "map_area": 0.03}),
        (Suite("own", 2, 0.01), True, {"realization": "sky", "map_area": 0.03}),
        (KNOWN, False, {"realization": "sky", "is_total": True}),
    ],
)
def test_the_gradient_is_that_of_differences(emulator_of, transform, suite, own, changes):
    emulator = emulator_of(transform=transform, suite=suite, own=own)
    problem = Problem(emulator, band_powers(**changes))
    x = np.column_stack([POINTS, [0.1, 0.2, 0.3]])[:, : problem.n_dim]
    value, gradient = problem.log_likelihood_and_gradient(x)
    np.testing.assert_allclose(value, problem.log_likelihood(x), rtol=1e-12)
    for i in range(problem.n_dim):
        step = np.zeros(problem.n_dim)
        step[i] = 1e-5
        difference = problem.log_likelihood(x + step) - problem.log_likelihood(x - step)
        np.testing.assert_allclose(gradient[:, i], difference / 2e-5, rtol=2e-6, atol=2e-6)


def test_beyond_the_box_there_is_nothing(emulator_of):
    problem = Problem(emulator_of(), band_powers(), priors={"b0_zre": "normal(0.4, 0.1)"})
    x = np.array([[8.0, 0.5, 1.0, 0.81], [6.9, 0.5, 1.0, 0.4], [8.0, 0.5, 1.0, 0.4]])
    assert list(np.isinf(problem.log_prob(x))) == [True, True, False]
    assert (problem.log_prob(x)[:2] == -np.inf).all()


def test_quantiles_of_the_prior_go_there_and_back(emulator_of):
    priors = {
        "b0_zre": stats.norm(0.9, 0.2),
        "kb_zre": "loguniform(0.05, 1)",
        "alpha_zre": (0.5, 1),
    }
    problem = Problem(emulator_of(), band_powers(), priors=priors)
    u = np.random.default_rng(0).random((50, 4))
    x = problem.from_unit(u)
    assert (x >= problem.low).all()
    assert (x <= problem.high).all()
    np.testing.assert_allclose(problem.to_unit(x), u, atol=1e-9)
    eps = 1e-6
    slope = (problem.from_unit(u + eps) - problem.from_unit(u - eps)) / (2 * eps)
    np.testing.assert_allclose(problem.unit_slope(x), slope, rtol=1e-5)
    for prior, low, high in zip(problem.priors, problem.low, problem.high, strict=True):
        grid = np.linspace(low, high, 20001)
        assert np.trapezoid(np.exp(prior.log_density(grid)), grid) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"priors": {"b0_zre": "normal(0.5)"}}, "normal has two numbers"),
        ({"priors": {"b0_zre": "normal(0.5, -1)"}}, "above 0"),
        ({"priors": {"b0_zre": "nromal(0.5, 1)"}}, "did you mean 'normal'"),
        ({"priors": {"b0_zre": "__import__('os')"}}, "not of the form"),
        ({"priors": {"b0_zre": "uniform(2, 3)"}}, "nothing between 0.1 and 0.8"),
        ({"priors": {"b0_zre": "loguniform(-1, 1)"}}, "above 0 and below"),
        ({"priors": {"b0_zer": "uniform(0, 1)"}}, "did you mean 'b0_zre'"),
        ({"priors": {LATE_TIME: "uniform(0, 1)"}}, "of reionization alone"),
        ({"late_time": (2, 1)}, "of reionization alone"),
        ({"tau": (0.05, 0.01)}, "optical depths"),
        ({"tau": (0.05, 0.0)}, "standard deviation"),
        ({"tau": 0.05}, "a mean and a standard deviation"),
        ({"priors": {"b0_zre": "beta(0.5, 0.5, 0.1, 0.7)"}}, "is infinite at"),
        ({"priors": {"b0_zre": stats.norm([0.4, 0.5], 0.1)}}, "not of arrays"),
    ],
)
def test_options_that_cannot_be_are_refused(emulator_of, options, message):
    with pytest.raises(ConfigError, match=message):
        Problem(emulator_of(), band_powers(), **options)


def test_data_beyond_the_emulator_are_refused_by_name(emulator_of):
    with pytest.raises(InferenceDataError, match=r"mine: ell = 9000 is outside"):
        Problem(emulator_of(), band_powers(ell=np.array([2000.0, 3500, 5000, 6500, 9000])))


def test_an_unknown_scatter_is_said(emulator_of):
    with pytest.warns(ReionemuWarning, match="posterior is too narrow"):
        Problem(emulator_of(), band_powers(realization="sky"))


def test_problems_have_different_fingerprints(emulator_of):
    options = [{}, {"priors": {"b0_zre": (0.4, 0.1)}}, {"emulator_error": False}]
    prints = [Problem(emulator_of(), band_powers(), **one).fingerprint for one in options]
    prints.append(Problem(emulator_of(), band_powers(dl=np.full(5, 0.5))).fingerprint)
    assert len(set(prints)) == 4
    assert prints[0] == Problem(emulator_of(), band_powers()).fingerprint


def analytic(problem):
    """Mean and covariance of the posterior of a linear model with a constant covariance."""
    at = np.array([8.0, 0.5, 1.05, 0.45])
    mean = problem.model(at[None])[0]
    slope = (
        np.stack([(problem.model((at + d)[None])[0] - mean) for d in 1e-3 * np.eye(4)], 1) / 1e-3
    )
    weight = np.linalg.inv(problem.covariance(at[None])[0])
    covariance = np.linalg.inv(slope.T @ weight @ slope)
    return at + covariance @ slope.T @ weight @ (problem.data.dl - mean), covariance


def tight(error=0.001):
    """Data at the middle of the box, sure enough that the box does not cut the posterior."""
    return band_powers(dl=np.full(5, 0.5) + 0.002 * np.arange(5), covariance=error**2 * np.eye(5))


def test_starting_points_are_spread_as_the_posterior(emulator_of):
    problem = Problem(emulator_of(error=0.0001, noise=0, growth=0), tight())
    mean, covariance = analytic(problem)
    x = problem.start(400, seed=3)
    assert len(np.unique(x, axis=0)) == 400
    np.testing.assert_array_equal(x, problem.start(400, seed=3))
    assert (abs(x.mean(axis=0) - mean) < 0.5 * np.sqrt(np.diag(covariance))).all()
    ratio = x.std(axis=0) / np.sqrt(np.diag(covariance))
    assert ((ratio > 0.4) & (ratio < 2.5)).all()


@pytest.mark.slow
def test_the_gaussian_limit(emulator_of):
    """Means to 1% of the widths, widths to 1%, of an analytic posterior."""
    problem = Problem(emulator_of(error=0.0001, noise=0, growth=0), tight())
    mean, covariance = analytic(problem)
    std = np.sqrt(np.diag(covariance))
    assert ((mean - 6 * std > problem.low) & (mean + 6 * std < problem.high)).all()
    posterior = infer(
        problem.emulator,
        problem.data,
        sampler=EmceeOptions(walkers=256, target_ess=60_000, max_steps=20_000),
    )
    assert posterior.chains.is_converged
    x = posterior.samples_flat
    assert (abs(x.mean(axis=0) - mean) < 0.01 * std).all()
    np.testing.assert_allclose(x.std(axis=0), std, rtol=0.01)


def test_inference_gives_the_same_samples_and_says_what_follows(emulator_of):
    options = {"sampler": EmceeOptions(walkers=16, steps=400), "seed": 5}
    with pytest.warns(ReionemuWarning, match="not converged"):
        a, b = (infer(emulator_of(growth=0.5), band_powers(), **options) for _ in range(2))
    np.testing.assert_array_equal(a.chains.samples, b.chains.samples)
    with pytest.warns(ReionemuWarning, match="not converged"):
        other = infer(emulator_of(growth=0.5), band_powers(), **{**options, "seed": 6})
    assert not np.array_equal(a.chains.samples, other.chains.samples)
    assert a.derived == {}
    assert a.history is None
    problem = Problem(emulator_of(growth=0.5), band_powers())
    best = np.array([list(a.best_fit.values())])
    residual = a.data.dl - problem.model(best)[0]
    inverse = np.linalg.inv(problem.covariance(best)[0])
    assert a.predictive.chi2 == pytest.approx(residual @ inverse @ residual)
    assert a.priors["zmean_zre"] == "uniform(7, 9)"
    row = a.summary()[0]
    values = a.column("zmean_zre").ravel()
    assert row.mean == pytest.approx(values.mean())
    assert row.low68 == pytest.approx(np.quantile(values, 0.16), abs=0.05)


def test_a_bad_fit_is_told_from_a_good_one(emulator_of):
    """Data that go up and down from bin to bin, as no model does."""
    options = {"sampler": EmceeOptions(walkers=16, steps=300)}
    wild = band_powers(dl=np.array([0.9, 0.1, 0.9, 0.1, 0.9]), covariance=0.01**2 * np.eye(5))
    for data, low, high in ((wild, 0, 1e-3), (band_powers(), 0.05, 1)):
        with pytest.warns(ReionemuWarning, match="not converged"):
            p_value = infer(emulator_of(noise=0.01), data, **options).predictive.p_value
        assert low <= p_value <= high


def test_a_parameter_at_the_edge_of_its_prior_is_said_to_be(emulator_of):
    """Data that want more b0 than the prior allows, and data that say nothing."""
    sampler = EmceeOptions(walkers=16, steps=800)
    priors = {"b0_zre": "uniform(0.1, 0.35)"}
    for data, expected in (
        (tight(error=0.004), [None, None, None, "high"]),
        (band_powers(covariance=100 * np.eye(5)), ["both"] * 4),
    ):
        with pytest.warns(ReionemuWarning, match="not converged"):
            posterior = infer(emulator_of(), data, priors=priors, sampler=sampler)
        assert [row.at_edge for row in posterior.summary()] == expected


@pytest.mark.parametrize(
    "distribution",
    [stats.uniform(0.2, 0.5), stats.gamma(3, scale=0.1), stats.norm(scale=0.2, loc=0.5)],
)
def test_the_text_of_a_prior_is_that_prior(distribution):
    prior = prior_of("b0_zre", distribution)
    again = prior_of("b0_zre", prior.text)
    u = np.linspace(0.01, 0.99, 9)
    np.testing.assert_allclose(again.from_unit(u), prior.from_unit(u), rtol=1e-12)
    np.testing.assert_allclose(again.from_unit(u), distribution.ppf(u), rtol=1e-12)


def test_far_tails_of_a_prior_are_exact():
    """Mirror images: the upper tail is found as well as the lower."""
    u = np.linspace(0.01, 0.99, 9)
    upper = prior_of("zmean_zre", "normal(0, 1)").within(7, 9, "zmean_zre")
    lower = prior_of("zmean_zre", "normal(16, 1)").within(7, 9, "zmean_zre")
    np.testing.assert_allclose(upper.from_unit(u), 16 - lower.from_unit(1 - u), rtol=1e-12)
    np.testing.assert_allclose(upper.to_unit(upper.from_unit(u)), u, rtol=1e-9)
    grid = np.linspace(7, 9, 20001)
    assert np.trapezoid(np.exp(upper.log_density(grid)), grid) == pytest.approx(1, abs=1e-6)


def test_edges_are_where_the_density_is_not_small(emulator_of):
    """Not where a narrow posterior is near one; and at one limit if the other is infinite."""
    rng = np.random.default_rng(0)
    for x, limits, expected in (
        (rng.normal(0.03, 0.004, 4000), (0, 1), None),
        (abs(rng.normal(0, 1, 4000)), (0, np.inf), "low"),
        (rng.random(4000), (0, 1), "both"),
        (rng.normal(0.5, 0.05, 4000), (0, 1), None),
    ):
        chains = Chains(("x",), x[None, :, None], np.zeros((1, 4000)), None, "emcee", True, "")
        low, high = (np.array([limit], float) for limit in limits)
        posterior = Posterior(chains, band_powers(), {}, low, high, {}, None, None, {})
        assert posterior.summary()[0].at_edge == expected
