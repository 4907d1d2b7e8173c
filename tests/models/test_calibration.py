"""Error bars that are made right on unseen simulations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.errors import DatasetError, RecordError
from reionemu.models.calibration import MIN_SIMULATIONS, Calibration

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


@settings(max_examples=25, deadline=None)
@given(n=st.integers(MIN_SIMULATIONS, 12), b=st.integers(1, 20), seed=st.integers(0, 99))
def test_correlations_have_an_inverse_however_few_simulations(n, b, seed):
    rng = np.random.default_rng(seed)
    found = Calibration.of(np.zeros((n, b)), np.ones((n, b)), rng.normal(size=(n, b)))
    lower = found.cholesky
    np.testing.assert_allclose(lower @ lower.T, found.correlation, atol=1e-12)
    assert (np.diag(found.correlation) == 1).all()


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
    with pytest.raises(RecordError):
        Calibration.from_record({}, found.arrays())
