"""Scalar errors against their formulas, worked by hand and by NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reionemu import mean_relative_error, mse, physical_mean_relative_error, rmse

PRED = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
TARGET = torch.tensor([[2.0, 2.0], [-1.0, 4.0]])

pairs = hnp.arrays(
    np.float64,
    st.tuples(st.just(2), st.integers(1, 5), st.integers(1, 4)),
    elements=st.floats(-5, 5),
)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (mse, (1 + 0 + 16 + 1) / 4),
        (rmse, np.sqrt(4.5)),
        (mean_relative_error, (1 / 2 + 0 + 4 / 1 + 1 / 4) / 4),
        (
            physical_mean_relative_error,
            (abs(np.exp(-1) - 1) + 0 + np.exp(4) - 1 + np.exp(1) - 1) / 4,
        ),
    ],
)
def test_by_hand(metric, expected):
    value = metric(PRED, TARGET)
    assert value.shape == ()
    assert value.item() == pytest.approx(expected, rel=1e-6)


@given(pairs)
def test_by_numpy(pair):
    pred, target = pair
    tensors = torch.tensor(pred), torch.tensor(target)
    difference = pred - target
    relative = abs(difference) / (abs(target) + 1e-8)
    physical = abs(np.exp(pred) - np.exp(target)) / (np.exp(target) + 1e-8)
    assert mse(*tensors).item() == pytest.approx((difference**2).mean())
    assert rmse(*tensors).item() == pytest.approx(np.sqrt((difference**2).mean()))
    assert mean_relative_error(*tensors).item() == pytest.approx(relative.mean())
    assert physical_mean_relative_error(*tensors).item() == pytest.approx(physical.mean())


def test_eps_keeps_a_zero_target_finite():
    pred, zero = torch.tensor([1.0]), torch.tensor([0.0])
    assert mean_relative_error(pred, zero).item() == pytest.approx(1e8)
    assert mean_relative_error(pred, zero, eps=0.5).item() == pytest.approx(2.0)
    assert physical_mean_relative_error(zero, zero, eps=1.0).item() == 0.0


def test_metrics_can_be_trained_on():
    pred = PRED.clone().requires_grad_()
    mse(pred, TARGET).backward()
    torch.testing.assert_close(pred.grad, 2 * (PRED - TARGET) / 4)
