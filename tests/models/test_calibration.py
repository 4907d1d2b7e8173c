"""Error bars that are made right on unseen simulations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from reionemu.errors import DatasetError, RecordError
from reionemu.models.calibration import (
    MIN_SIMULATIONS,
    Calibration,
    correlation_of,
    shrinkages,
)

R = np.array([[1.0, 0.6, 0.1], [0.6, 1.0, -0.3], [0.1, -0.3, 1.0]])


def unseen(n, factors, seed=0):
    """Predictions whose error bars are too small by known factors, and the truth: (n, 3) each."""
    rng = np.random.default_rng(seed)
    mean, std = rng.normal(size=(n, 3)), rng.uniform(0.5, 2, (n, 3))
    error = rng.standard_normal((n, 3)) @ np.linalg.cholesky(R).T * std * factors
    return mean, std, mean + error


def test_wrong_error_bars_come_out_right():
    factors = np.array([0.3, 1.0, 4.0])
    found = Calibration.of(*unseen(4000, factors))
    # The standard deviation of n numbers is known to 1/sqrt(2 n); correlations to 1/sqrt(n).
    np.testing.assert_allclose(found.scale, factors, rtol=4 / np.sqrt(8000))
    np.testing.assert_allclose(found.correlation, R, atol=4 / np.sqrt(4000))
    mean, std, truth = unseen(4000, factors, seed=1)
    inside = (np.abs(truth - mean) < found.std(std)).mean(axis=0)
    np.testing.assert_allclose(inside, 0.6827, atol=4 * np.sqrt(0.68 * 0.32 / 4000))


def test_a_model_without_error_bars_gets_one():
    mean, std, truth = unseen(2000, np.ones(3))
    std[:, 1] = 0.0
    found = Calibration.of(mean, std, truth)
    rms = np.sqrt(((truth - mean)[:, 1] ** 2).mean())
    assert found.floor.tolist() == pytest.approx([0, rms, 0])
    assert found.scale[1] == 1
    np.testing.assert_allclose(found.std(np.zeros(3))[[0, 1]], [0, rms])


def test_its_derivative_is_that_of_differences_and_without_error_bars_the_scale():
    found = Calibration(np.array([0.5, 2.0, 3.0]), np.array([0.0, 0.1, 0.0]), R, 50)
    std = np.array([[0.3, 0.2, 0.1], [0.02, 1.0, 0.7]])
    difference = (found.std(std + 1e-6) - found.std(std - 1e-6)) / 2e-6
    np.testing.assert_allclose(found.derivative(std), difference, rtol=1e-8)
    np.testing.assert_array_equal(found.derivative(np.zeros((1, 3))), [[0.5, 0.0, 3.0]])


@settings(max_examples=25, deadline=None)
@given(n=st.integers(MIN_SIMULATIONS, 12), b=st.integers(1, 20), seed=st.integers(0, 99))
def test_correlations_have_an_inverse_however_few_simulations(n, b, seed):
    rng = np.random.default_rng(seed)
    found = Calibration.of(np.zeros((n, b)), np.ones((n, b)), rng.normal(size=(n, b)))
    lower = found.cholesky
    np.testing.assert_allclose(lower @ lower.T, found.correlation, atol=1e-12)
    assert (np.diag(found.correlation) == 1).all()


def like(rho, b):
    """Correlations that fall with the distance of bins."""
    bins = np.arange(b)
    return rho ** np.abs(bins[:, None] - bins)


@pytest.mark.parametrize(("n", "b", "most"), [(10, 5, 1.6), (20, 9, 1.4), (100, 5, 1.1)])
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_fresh_errors_have_the_chi2_they_should_however_few_simulations(n, b, most, rho):
    """A correlation as it is measured gives 2.5, 2.0 and 1.06: n / (n - b - 1)."""
    rng, truth = np.random.default_rng(1), like(rho, b)
    chi2 = []
    for _ in range(100):
        errors = rng.standard_normal((n, b)) @ np.linalg.cholesky(truth).T
        found = Calibration.of(np.zeros((n, b)), np.ones((n, b)), errors)
        covariance = found.correlation * np.outer(found.scale, found.scale)
        chi2.append(np.trace(np.linalg.solve(covariance, truth)) / b)
    assert 0.75 < np.mean(chi2) < most


def test_strong_correlations_are_not_lost():
    """The common part of the errors of all bins, which weighs most, keeps its size."""
    rng, b = np.random.default_rng(2), 5
    found = [
        correlation_of(rng.normal(size=(10, 1)) + 0.2 * rng.normal(size=(10, b))).mean()
        for _ in range(100)
    ]
    assert np.mean(found) == pytest.approx(1 / 1.04, abs=0.1)


def test_columns_without_errors_have_no_correlations():
    errors = np.random.default_rng(3).normal(size=(30, 1)) * np.array([1.0, 0.0, 2.0])
    found = correlation_of(errors)
    assert found[1].tolist() == [0, 1, 0]
    assert found[0, 2] == pytest.approx(1 - 1 / 31)
    np.testing.assert_array_equal(correlation_of(np.zeros((5, 2))), np.eye(2))


def test_the_leave_one_out_likelihood_is_that_of_leaving_one_out():
    z = np.random.default_rng(4).standard_normal((12, 3)) @ np.linalg.cholesky(R).T
    z /= np.sqrt((z**2).mean(axis=0))

    def likelihood(a):
        kept = ((1 - a) * (z.T @ z - np.outer(row, row)) / 11 + a * np.eye(3) for row in z)
        return sum(multivariate_normal(cov=C).logpdf(row) for C, row in zip(kept, z, strict=True))

    best = max(shrinkages(12), key=likelihood)
    expected = (1 - best) * z.T @ z / 12 + best * np.eye(3)
    np.testing.assert_allclose(correlation_of(z), expected, atol=1e-12)
    assert 1 / 13 < best < 1


def test_a_bin_without_any_error_is_no_failure():
    mean, std, truth = unseen(20, np.ones(3))
    truth[:, 0] = mean[:, 0]
    found = Calibration.of(mean, std, truth)
    assert found.scale[0] == 0
    assert np.isfinite(found.cholesky).all()


def test_few_simulations_are_refused():
    with pytest.raises(DatasetError, match="5 unseen simulations or more; there are 4"):
        Calibration.of(*unseen(4, np.ones(3)))


def test_a_record_is_read_back():
    found = Calibration.of(*unseen(50, np.array([1.0, 2.0, 3.0])))
    again = Calibration.from_record(found.options(), found.arrays())
    for name, array in found.arrays().items():
        np.testing.assert_array_equal(getattr(again, name), array)
    assert again.n == 50


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scale", np.ones(2)),
        ("scale", np.array([1.0, -1.0, 1.0])),
        ("scale", np.array([1.0, np.nan, 1.0])),
        ("floor", np.array([0.0, np.inf, 0.0])),
        ("floor", np.zeros((3, 1))),
        ("correlation", np.ones((3, 3))),
        ("correlation", np.full((3, 3), np.nan)),
        ("correlation", np.eye(2)),
        ("correlation", np.tri(3)),
        ("correlation", None),
        ("correlation", 2 * np.eye(3)),
        ("scale", [1.0, 10**400, 1.0]),
        ("scale", np.full(3, 1e300)),
    ],
)
def test_a_record_of_something_else_is_refused(name, value):
    found = Calibration.of(*unseen(50, np.ones(3)))
    arrays = {**found.arrays(), name: value}
    with pytest.raises(RecordError, match="calibration is not usable"):
        Calibration.from_record(found.options(), arrays)


def test_a_record_without_a_part_is_refused():
    found = Calibration.of(*unseen(50, np.ones(3)))
    for name in ("scale", "floor", "correlation"):
        arrays = {key: value for key, value in found.arrays().items() if key != name}
        with pytest.raises(RecordError):
            Calibration.from_record(found.options(), arrays)
    for n in ({}, {"n": float("inf")}, {"n": 0}, {"n": 2.5}, {"n": None}):
        with pytest.raises(RecordError):
            Calibration.from_record(n, found.arrays())
