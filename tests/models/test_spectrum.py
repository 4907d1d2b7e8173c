"""Spectra in physical units from models in target space: moments, scatter, draws, derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from reionemu import Normalizer
from reionemu.models.calibration import Calibration
from reionemu.models.moments import Differentiated
from reionemu.models.spectrum import NetworkSpectrum, SurrogateSpectrum, standard_draws
from reionemu.targets import Target

R = np.array([[1.0, 0.7], [0.7, 1.0]])
THETA = np.array([[0.1, 0.5], [0.8, -0.2], [0.3, 0.3]])
W = np.array([[0.4, -0.3], [0.2, 0.6]])


class Known:
    """y = W theta with error 0.05 and a noise that grows with the first parameter."""

    n_outputs = 2

    def predict(self, theta):
        mean = theta @ W.T
        noise = 0.1 * np.exp(0.5 * theta[:, :1]) * np.array([1.0, 1.5])
        return mean, self.error(theta), noise

    def error(self, theta):
        return np.full((len(theta), 2), 0.05)

    def error_slope(self, theta):
        return np.zeros((len(theta), 2, 2))

    def with_gradients(self, theta):
        mean, error, noise = self.predict(theta)
        slope = np.broadcast_to(W, (len(theta), 2, 2))
        by_noise = np.stack([0.5 * noise, np.zeros_like(noise)], axis=-1)
        return Differentiated(mean, error, noise, slope, self.error_slope(theta), by_noise)


class Varying(Known):
    """The same, surer at some points than at others."""

    def error(self, theta):
        return 0.05 * (1 + theta**2)

    def error_slope(self, theta):
        return 0.1 * theta[:, :, None] * np.eye(2)


class Draws:
    """A network whose draws are known."""

    def __init__(self, draws):
        self.table = np.asarray(draws, float)
        self.stochastic = len(self.table) > 1

    def draws(self, x, n_draws, seed):
        return self.table[:, None, :] + np.zeros((1, len(x), 1))


def calibration(scale=(1.0, 1.0), floor=(0.0, 0.0)):
    return Calibration(np.array(scale), np.array(floor), R, 100)


def spectrum(transform="ln", scatter=False, scale=(1.0, 1.0), eps=0.0):
    return SurrogateSpectrum(
        Known(), Target("dl_ksz", transform, eps), calibration(scale), noise_is_scatter=scatter
    )


def to_ln(transform):
    return {"none": 0.0, "ln": 1.0, "log10": np.log(10)}[transform]


@pytest.mark.parametrize("transform", ["none", "ln", "log10"])
def test_moments_of_a_suite_of_one_realization(transform):
    """What the model calls noise is an error there; standard deviations go by the derivative."""
    found = spectrum(transform, scale=(1.0, 2.0)).moments(THETA, 2, 0)
    y, std, noise = Known().predict(THETA)
    total = np.hypot(std, noise) * [1.0, 2.0]
    if transform == "none":
        expected, slope = y, 1.0
    else:
        expected = np.exp(to_ln(transform) * y)
        slope = to_ln(transform) * expected
    np.testing.assert_allclose(found.mean, expected)
    np.testing.assert_allclose(found.std, slope * total)
    correlation = found.covariance / (found.std[:, :, None] * found.std[:, None, :])
    np.testing.assert_allclose(correlation, np.broadcast_to(R, (3, 2, 2)))
    assert spectrum(transform).scatter(THETA) is None


@pytest.mark.parametrize("transform", ["none", "ln", "log10"])
def test_a_suite_of_own_realizations_has_the_mean_of_its_simulations(transform):
    """Simulations drawn as the model says: their mean and covariance are those predicted."""
    whole = spectrum(transform, scatter=True)
    y, _, noise = Known().predict(THETA[:1])
    rng = np.random.default_rng(0)
    z = rng.standard_normal((400_000, 2)) @ np.linalg.cholesky(R).T
    simulations = whole.target.invert(y[0] + z * noise[0])
    found, scatter = whole.moments(THETA[:1], 2, 0), whole.scatter(THETA[:1])
    error = simulations.std(axis=0) / np.sqrt(len(simulations))
    assert (np.abs(found.mean[0] - simulations.mean(axis=0)) < 5 * error).all()
    # To first order in the scatter, which for log10 is 40% here.
    expected = np.sqrt(np.diag(np.cov(simulations.T)))
    np.testing.assert_allclose(
        np.sqrt(np.diag(scatter[0])), expected, rtol=0.01 if transform == "none" else 0.12
    )
    np.testing.assert_allclose(found.std[0], abs(whole.target.derivative(y[0])) * 0.05, rtol=0.2)


@pytest.mark.parametrize("transform", ["none", "ln", "log10"])
@pytest.mark.parametrize("scatter", [False, True])
@pytest.mark.parametrize("floor", [(0.0, 0.0), (0.0, 0.03)])
def test_derivatives_are_those_of_finite_differences(transform, scatter, floor):
    """Of the mean, of error bars and of the scatter; the values are those of predictions."""
    target = Target("dl_ksz", transform, 0.01 * (transform != "none"))
    whole = SurrogateSpectrum(Varying(), target, calibration((1.3, 0.7), floor), scatter)

    def moments(theta):
        found, single = whole.moments(theta, 2, 0), whole.scatter(theta)
        if single is None:
            return found.mean, found.std, np.zeros_like(found.mean)
        return found.mean, found.std, np.sqrt(np.diagonal(single, axis1=1, axis2=2))

    found = whole.differentiated(THETA)
    for value, expected in zip((found.mean, found.std, found.scatter), moments(THETA), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-14)
    slopes = found.mean_slope, found.std_slope, found.scatter_slope
    for i, step in enumerate(1e-5 * np.eye(2)):
        above, below = (moments(THETA + sign * step) for sign in (1, -1))
        for slope, up, down in zip(slopes, above, below, strict=True):
            difference = (up - down) / 2e-5
            np.testing.assert_allclose(slope[..., i], difference, rtol=1e-6, atol=1e-9)


def test_draws_scatter_as_the_covariance_says():
    whole = spectrum("ln", scatter=True)
    draws = whole.draws(THETA, 100_000, 1)
    found = whole.moments(THETA, 2, 0)
    assert draws.shape == (100_000, 3, 2)
    for i in range(3):
        covariance = np.cov(draws[:, i].T)
        np.testing.assert_allclose(covariance, found.covariance[i], rtol=0.03)
        np.testing.assert_allclose(draws[:, i].mean(axis=0), found.mean[i], rtol=0.005)
    np.testing.assert_array_equal(draws[:5], whole.draws(THETA, 100_000, 1)[:5])
    assert (draws[:5] != whole.draws(THETA, 100_000, 2)[:5]).any()


def test_standard_draws_have_the_correlation():
    draws = standard_draws(calibration(), 50_000, 3)
    np.testing.assert_allclose(np.cov(draws.T), R, atol=0.03)


def test_displaced_by_nothing_is_the_mean_and_by_one_an_error_bar():
    whole = spectrum("none")
    found = whole.moments(THETA, 2, 0)
    displaced = whole.displaced(THETA, np.array([[0.0, 0.0], [1.0, -2.0]]))
    np.testing.assert_allclose(displaced[0], found.mean)
    np.testing.assert_allclose(displaced[1] - found.mean, found.std * [1.0, -2.0])


def test_a_network_has_the_moments_of_its_draws():
    table = np.random.default_rng(1).normal(1.0, 0.3, (50, 2))
    y = Normalizer(mean=np.array([0.1, 0.2]), std=np.array([2.0, 0.5]))
    whole = NetworkSpectrum(Draws(table), Target("dl_ksz", "ln", 0.1), None, y)
    found = whole.moments(THETA, 50, 0)
    samples = np.exp(table * y.std + y.mean) - 0.1
    np.testing.assert_allclose(found.mean, np.broadcast_to(samples.mean(axis=0), (3, 2)))
    np.testing.assert_allclose(found.std, np.broadcast_to(samples.std(axis=0, ddof=1), (3, 2)))
    np.testing.assert_allclose(found.covariance[1], np.cov(samples.T))
    assert whole.scatter(THETA) is None


def test_a_calibrated_network_has_wider_draws_around_the_same_centre():
    table = np.random.default_rng(2).normal(1.0, 0.3, (50, 2))
    target = Target("dl_ksz", "none")
    plain = NetworkSpectrum(Draws(table), target, None, None).moments(THETA, 50, 0)
    scaled = NetworkSpectrum(Draws(table), target, None, None, calibration((2.0, 0.5)))
    found = scaled.moments(THETA, 50, 0)
    np.testing.assert_allclose(found.mean, plain.mean)
    np.testing.assert_allclose(found.std, plain.std * [2.0, 0.5])


def test_a_network_without_dropout_has_the_error_bar_of_its_calibration():
    target = Target("dl_ksz", "none")
    bare = NetworkSpectrum(Draws([[1.0, 2.0]]), target, None, None)
    assert not bare.has_uncertainty
    assert bare.moments(THETA, 50, 0).std is None
    floor = calibration(floor=(0.1, 0.3))
    whole = NetworkSpectrum(Draws([[1.0, 2.0]]), target, None, None, floor)
    assert whole.has_uncertainty
    found = whole.moments(THETA, 20_000, 0)
    np.testing.assert_allclose(found.std, np.broadcast_to([0.1, 0.3], (3, 2)), rtol=0.03)
    assert found.covariance[0, 0, 1] == pytest.approx(0.7 * 0.1 * 0.3, rel=0.06)


def test_a_large_batch_is_that_of_its_parts():
    """More points than are computed at a time."""
    table = np.random.default_rng(3).normal(1.0, 0.3, (4096, 2))
    whole = NetworkSpectrum(Draws(table), Target("dl_ksz", "none"), None, None)
    theta = np.zeros((150, 2))
    found = whole.moments(theta, 4096, 0)
    assert found.mean.shape == (150, 2)
    np.testing.assert_allclose(found.mean[[0, -1]], np.stack([table.mean(axis=0)] * 2))
    assert whole.draws(theta, 4096, 0).shape == (4096, 150, 2)
    assert whole.moments(np.zeros((0, 2)), 10, 0).mean.shape == (0, 2)
