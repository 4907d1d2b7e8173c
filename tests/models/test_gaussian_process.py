"""The Gaussian process: against brute force, known functions and known noise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from reionemu.errors import DatasetError, RecordError
from reionemu.models.gaussian_process import (
    GaussianProcess,
    Hyperparameters,
    evidence,
    fit,
    fit_gaussian_process,
)
from reionemu.models.gaussian_process.fit import condition
from reionemu.models.gaussian_process.model import CHUNK
from reionemu.models.inputs import Inputs
from reionemu.parameters import PARAMETER_NAMES

LOW, HIGH = np.array([7.0, 0.1, 0.1, 0.1]), np.array([9.0, 0.9, 2.0, 0.8])
VECTOR = Hyperparameters(
    np.array([4.0, 3.0, 2.0, 2.5]), np.full(4, 0.8), 0.2, 0.05, np.array([0.2, 0, -0.1, 0.3])
).to_vector()


def points(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(LOW, HIGH, (n, 4))


def spectra(theta: np.ndarray) -> np.ndarray:
    """Something smooth, the size of ln D_ell."""
    z, alpha, kb, b0 = theta.T
    first = 0.3 * (z - 8) + np.log(b0) * alpha - 0.4 * np.log(kb)
    return np.stack([first, first * np.sin(alpha * 3), 0.2 * z * b0], axis=-1)


@pytest.fixture(scope="module")
def trained():
    theta = points(90)
    inputs = Inputs.over(theta, PARAMETER_NAMES, "plain")
    noisy = spectra(theta) + 0.01 * np.random.default_rng(5).standard_normal((90, 3))
    return theta, noisy, *fit_gaussian_process(theta, noisy, inputs)


def test_the_evidence_is_that_of_a_normal_distribution():
    """With one output, -ln p at the variance that fits best, but for constants."""
    x = np.random.default_rng(1).uniform(-1, 1, (25, 4))
    y = np.sin(3 * x[:, :1]) + 0.1 * x[:, 1:2]
    hyper = Hyperparameters.from_vector(VECTOR)
    K = hyper.covariance(x, x) + np.diag(hyper.noise_variance(x) + evidence.JITTER)
    variance = float(y[:, 0] @ np.linalg.solve(K, y[:, 0])) / 25
    expected = -multivariate_normal(cov=variance * K).logpdf(y[:, 0])
    value, _ = evidence.negative_log_evidence(VECTOR, x, y)
    assert value + 25 / 2 * (1 + np.log(2 * np.pi)) == pytest.approx(expected, rel=1e-9)


def test_the_gradient_of_the_evidence_is_that_of_differences():
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, (40, 4))
    y = np.stack([np.sin(2 * x[:, 0]), x[:, 1] ** 2], axis=-1) + 0.05 * rng.standard_normal((40, 2))
    _, slope = evidence.negative_log_evidence(VECTOR, x, y)
    for i, step in enumerate(1e-5 * np.eye(len(VECTOR))):
        above, below = (
            evidence.negative_log_evidence(VECTOR + sign * step, x, y)[0] for sign in (1, -1)
        )
        assert slope[i] == pytest.approx((above - below) / 2e-5, rel=1e-5, abs=1e-5)


def test_predictions_are_those_of_the_textbook(trained):
    """Rasmussen & Williams, equations 2.25 and 2.26, by solving, not by projecting."""
    theta, y, process, _ = trained
    hyper, x, new = process.hyper, process.inputs(theta), points(20, seed=7)
    K = hyper.covariance(x, x) + np.diag(hyper.noise_variance(x) + evidence.JITTER)
    k = hyper.covariance(process.inputs(new), x)
    mean, std, noise = process.predict(new)
    expected = y.mean(axis=0) + k @ np.linalg.solve(K, y - y.mean(axis=0))
    np.testing.assert_allclose(mean, expected, atol=1e-9)
    variance = hyper.prior_variance - np.einsum("ij,ji->i", k, np.linalg.solve(K, k.T))
    total = np.sqrt(variance[:, None] * process.scale**2 + noise**2)
    found = np.hypot(std, noise)
    assert (found >= total * (1 - 1e-6)).all()  # what is left out only widens
    assert (found <= total * 1.2).all()
    assert np.median(found / total) < 1 + fit.TOLERANCE


def test_leaving_one_out_is_leaving_it_out(trained):
    theta, y, process, own = trained
    keep = np.arange(90) != 17
    centred = y - y.mean(axis=0)  # the mean of all stays, as in the closed form
    x = process.inputs(theta)
    hyper = process.hyper
    K = hyper.covariance(x, x) + np.diag(hyper.noise_variance(x) + evidence.JITTER)
    k = K[17, keep]
    inner = np.linalg.solve(K[np.ix_(keep, keep)], np.c_[centred[keep], k])
    np.testing.assert_allclose(own.mean[17], y.mean(axis=0) + k @ inner[:, :3], rtol=1e-7)
    variance = hyper.prior_variance - k @ inner[:, 3]
    np.testing.assert_allclose(own.std[17], np.sqrt(variance) * process.scale, rtol=1e-3)


def test_it_learns_the_function_and_the_size_of_the_noise(trained):
    _, _, process, own = trained
    new = points(300, seed=9)
    mean, std, noise = process.predict(new)
    error = mean - spectra(new)
    assert np.sqrt((error**2).mean()) < 0.01  # no more than the noise
    assert np.abs(error / std).max() < 6
    assert 0.8 < np.sqrt(((error / std) ** 2).mean()) < 1.25
    np.testing.assert_allclose(noise.mean(axis=0), 0.01, rtol=0.35)
    assert own.total.shape == (90, 3)


def test_noise_that_varies_is_seen_to():
    theta = points(250)
    inputs = Inputs.over(theta, PARAMETER_NAMES, "plain")
    size = 0.02 * np.exp(1.2 * inputs(theta)[:, 3])
    noisy = spectra(theta) + size[:, None] * np.random.default_rng(3).standard_normal((250, 3))
    process, own = fit_gaussian_process(theta, noisy, inputs)
    assert process.hyper.noise_slope[3] == pytest.approx(1.2, abs=0.25)
    z = (own.mean - noisy) / own.total
    quiet, loud = np.argsort(size)[:80], np.argsort(size)[-80:]
    for rows in (quiet, loud):
        assert 0.8 < np.sqrt((z[rows] ** 2).mean()) < 1.25


@pytest.mark.parametrize("coordinates", ["plain", "physical"])
def test_derivatives_are_those_of_differences(coordinates):
    """Of mean, error and noise; over more points than are computed at a time."""
    theta, new = points(60), points(CHUNK + 6, seed=11)
    inputs = Inputs.over(theta, PARAMETER_NAMES, coordinates)
    y = spectra(theta)
    process, _ = condition(theta, y, inputs, Hyperparameters.from_vector(VECTOR))
    found = process.with_gradients(new)
    slopes = found.mean_slope, found.std_slope, found.scatter_slope
    for value, expected in zip(
        (found.mean, found.std, found.scatter), process.predict(new), strict=True
    ):
        np.testing.assert_allclose(value, expected, rtol=1e-12)
    for i, step in enumerate(1e-5 * np.eye(4)):
        above, below = (process.predict(new + sign * step) for sign in (1, -1))
        for slope, up, down in zip(slopes, above, below, strict=True):
            difference = (up - down) / 2e-5
            assert slope.shape == (CHUNK + 6, 3, 4)
            tolerance = 1e-6 * np.abs(difference).max()
            np.testing.assert_allclose(slope[..., i], difference, rtol=1e-6, atol=tolerance)
    assert process.with_gradients(new[:0]).std_slope.shape == (0, 3, 4)


def test_no_variance_has_no_slope(trained):
    """Where rounding leaves none: with a projection that explains too much."""
    *_, process, _ = trained
    certain = dataclasses.replace(process, projection=100 * process.projection)
    found = certain.with_gradients(points(5, seed=2))
    assert not found.std.any()
    assert not found.std_slope.any()
    np.testing.assert_array_equal(found.mean, process.with_gradients(points(5, seed=2)).mean)


def test_the_slope_of_the_rough_part_is_its_derivative():
    """Of a kernel with one point, by the distance; and finite where that is zero."""
    hyper = Hyperparameters.from_vector(VECTOR)
    x = np.array([[0.3, -0.2, 0.5, 0.1], [0.0, 0.0, 0.0, 0.0]])
    origin = np.zeros((1, 4))
    smooth, _, slope_of_rough = hyper.parts(x, origin)
    slope = -x * (smooth / hyper.smooth**2 + slope_of_rough / hyper.rough**2)
    for i, step in enumerate(1e-5 * np.eye(4)):
        above, below = (hyper.covariance(x + sign * step, origin)[:, 0] for sign in (1, -1))
        np.testing.assert_allclose(slope[:, i], (above - below) / 2e-5, rtol=1e-8, atol=1e-10)


def test_the_kernel_is_that_of_its_formula():
    hyper = Hyperparameters.from_vector(VECTOR)
    x, y = np.random.default_rng(4).uniform(-1, 1, (2, 30, 4))
    y[:3] = x[:3]  # distances of zero, but for rounding
    offset = x[:, None] - y
    smooth = np.exp(-0.5 * ((offset / hyper.smooth) ** 2).sum(axis=-1))
    r = np.sqrt(5 * ((offset / hyper.rough) ** 2).sum(axis=-1))
    rough = hyper.amplitude**2 * (1 + r + r**2 / 3) * np.exp(-r)
    np.testing.assert_allclose(hyper.covariance(x, y), smooth + rough, rtol=1e-13)
    for found, expected in zip(hyper.parts(x, y), (smooth, rough), strict=False):
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_a_prediction_does_not_depend_on_its_company(trained):
    *_, process, _ = trained
    new = points(600, seed=13)
    together = process.predict(new)
    for row in (0, 257, 599):
        for whole, alone in zip(together, process.predict(new[row : row + 1]), strict=True):
            np.testing.assert_allclose(whole[row], alone[0], rtol=1e-6)
    assert process.predict(np.empty((0, 4)))[0].shape == (0, 3)


def test_training_again_gives_the_same_to_the_last_bit(trained):
    theta, y, process, _ = trained
    again, _ = fit_gaussian_process(theta, y, process.inputs)
    for name, array in process.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)


def test_hyperparameters_come_from_no_more_rows_than_the_limit(monkeypatch):
    theta = points(120)
    inputs = Inputs.over(theta, PARAMETER_NAMES, "plain")
    rows = []
    original = evidence.negative_log_evidence

    def counted(vector, x, y):
        rows.append(len(x))
        return original(vector, x, y)

    monkeypatch.setattr(evidence, "MAX_ROWS", 60)
    monkeypatch.setattr(evidence, "negative_log_evidence", counted)
    process, own = fit_gaussian_process(theta, spectra(theta), inputs)
    assert set(rows) == {60}
    assert process.points.shape == (120, 4)
    assert own.mean.shape == (120, 3)


def test_copies_of_an_output_and_of_a_row_do_no_harm():
    theta = points(60)
    theta[7] = theta[3]
    y = np.repeat(spectra(theta)[:, :1], 3, axis=1)
    process, _ = fit_gaussian_process(theta, y, Inputs.over(theta, PARAMETER_NAMES, "plain"))
    mean, std, _ = process.predict(points(20, seed=3))
    assert np.isfinite(mean).all()
    assert np.isfinite(std).all()
    np.testing.assert_allclose(mean[:, 0], mean[:, 2])


def test_a_singular_matrix_is_said_to_be(monkeypatch):
    def singular(*arguments):
        raise np.linalg.LinAlgError

    monkeypatch.setattr(evidence, "factorize", singular)
    theta = points(30)
    with pytest.raises(DatasetError, match="singular whatever the lengths: are rows repeated"):
        fit_gaussian_process(theta, spectra(theta), Inputs.over(theta, PARAMETER_NAMES, "plain"))


def test_a_record_gives_the_same_process_back(trained):
    *_, process, _ = trained
    again = GaussianProcess.from_record(process.options(), process.arrays())
    new = points(9, seed=1)
    for ours, theirs in zip(process.predict(new), again.predict(new), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    ours, theirs = process.with_gradients(new), again.with_gradients(new)
    np.testing.assert_array_equal(ours.mean_slope, theirs.mean_slope)
    np.testing.assert_array_equal(ours.std_slope, theirs.std_slope)


IMPOSSIBLE = (np.nan, np.inf, -0.1, 1e200, 10**400)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("arrays", "weights", np.zeros((3, 3))),
        ("arrays", "mean", np.array([0.0, np.nan, 0.0])),
        ("arrays", "points", None),
        ("arrays", "projection", np.zeros(90)),
        ("options", "hyperparameters", None),
        ("options", "hyperparameters", {"smooth": [1]}),
        ("options", "inputs", {"names": 3}),
        ("options", "inputs", None),
        ("lengths", "smooth", [1.0, -1.0, 1.0, 1.0]),
        ("lengths", "rough", [1.0, 1.0]),
        ("lengths", "amplitude", "much"),
        ("lengths", "noise_slope", [[1.0] * 4]),
        ("lengths", "noise_slope", [np.nan, 0.0, 0.0, 0.0]),
        ("lengths", "noise_slope", [1e3, 0.0, 0.0, 0.0]),
        ("lengths", "smooth", [1.0, np.inf, 1.0, 1.0]),
        ("lengths", "rough", [1.0, 1e-300, 1.0, 1.0]),
        *(("lengths", name, x) for name in ("amplitude", "noise") for x in IMPOSSIBLE),
        *(("arrays", "scale", np.array([1.0, x, 1.0])) for x in (0.0, -1.0, np.nan, np.inf)),
        ("arrays", "weights", np.full((90, 3), 1e300)),
        ("arrays", "points", np.full((90, 4), -1e300)),
    ],
)
def test_what_is_no_record_of_a_process_is_refused(trained, part, key, value):
    *_, process, _ = trained
    options, arrays = process.options(), process.arrays()
    place = {"arrays": arrays, "options": options, "lengths": options["hyperparameters"]}[part]
    if value is None:
        del place[key]
    else:
        place[key] = value
    with pytest.raises(RecordError, match=r"(process is|model are) not usable"):
        GaussianProcess.from_record(options, arrays)
