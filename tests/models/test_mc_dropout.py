"""Monte-Carlo dropout: folded draws, and the prediction for logarithmic targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from reionemu import FourParamEmulator, MCDropoutEmulator, enable_dropout_only, predict_mc
from reionemu.errors import ConfigError
from reionemu.models import mc_dropout_emulator
from reionemu.models.mc_dropout_emulator import mc_draws

RATE = 0.3


@pytest.fixture
def model():
    """An untrained network with much dropout, in evaluation mode."""
    torch.manual_seed(4)
    return MCDropoutEmulator(hidden_dim=10, dropout_rate=RATE).eval()


@pytest.fixture
def shallow():
    """One hidden layer: its moments under dropout are known in closed form."""
    torch.manual_seed(5)
    return MCDropoutEmulator(hidden_dim=12, num_hidden_layers=1, dropout_rate=RATE).eval()


def closed_form(shallow: nn.Module, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of w (a m) / (1 - p) + b, for masks m that are 1 or 0."""
    first, last = shallow.network[0], shallow.network[3]
    with torch.no_grad():
        hidden = torch.relu(first(x)).double()
        mean = hidden @ last.weight.double().T + last.bias.double()
        variance = RATE / (1 - RATE) * hidden.square() @ last.weight.double().square().T
    return mean.numpy(), variance.sqrt().numpy()


def test_moments_of_the_draws_are_those_of_theory(shallow):
    torch.manual_seed(0)
    n = 20_000
    x = torch.randn(3, 4)
    draws = mc_draws(shallow, x, n).double().numpy()
    mean, std = closed_form(shallow, x)
    assert draws.shape == (n, 3, 5)
    assert (abs(draws.mean(axis=0) - mean) < 4.5 * std / np.sqrt(n)).all()
    np.testing.assert_allclose(draws.std(axis=0, ddof=1), std, rtol=0.04)


def test_folded_draws_are_distributed_as_a_loop_of_single_ones(model):
    n = 6000
    x = torch.randn(2, 4)
    folded = mc_draws(model, x, n).double()
    enable_dropout_only(model)
    with torch.no_grad():
        looped = torch.stack([model(x) for _ in range(n)]).double()
    error = looped.std(dim=0) / np.sqrt(n)
    assert ((folded.mean(dim=0) - looped.mean(dim=0)).abs() < 4.5 * np.sqrt(2) * error).all()
    torch.testing.assert_close(folded.std(dim=0), looped.std(dim=0), rtol=0.06, atol=0)


def test_rows_of_one_draw_have_masks_of_their_own(model):
    x = torch.randn(1, 4).repeat(8, 1)
    draws = mc_draws(model, x, 50)
    assert not torch.equal(draws[:, 0], draws[:, 1])


def test_draws_in_several_passes_are_as_good_as_in_one(shallow, monkeypatch):
    monkeypatch.setattr(mc_dropout_emulator, "MAX_ROWS", 700)
    torch.manual_seed(1)
    sizes = []
    shallow.network[0].register_forward_hook(lambda m, args, out: sizes.append(len(out)))
    x = torch.randn(3, 4)
    draws = mc_draws(shallow, x, 5000).double().numpy()
    assert max(sizes) <= 700
    assert sum(sizes) == 15_000
    mean, std = closed_form(shallow, x)
    assert (abs(draws.mean(axis=0) - mean) < 4.5 * std / np.sqrt(5000)).all()


def test_draws_come_in_the_order_of_the_rows():
    model = FourParamEmulator().eval()
    x = torch.randn(6, 4)
    draws = mc_draws(model, x, 3)
    with torch.no_grad():
        torch.testing.assert_close(draws, model(x).expand(3, 6, 5))


@pytest.mark.parametrize("mode", [True, False])
def test_training_modes_are_left_as_they_were(model, mode):
    model.train(mode)
    model.network[2].train(not mode)
    before = [m.training for m in model.modules()]
    mc_draws(model, torch.zeros(1, 4), 2)
    predict_mc(np.zeros(4), model, normalize_X=False, n_mc_samples=2)
    assert [m.training for m in model.modules()] == before


def test_training_modes_come_back_when_the_model_fails(model):
    model.train()
    with pytest.raises(RuntimeError):
        mc_draws(model, torch.zeros(1, 3), 2)
    assert all(m.training for m in model.modules())


def test_batch_statistics_are_not_updated():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    mc_draws(model, torch.randn(5, 4), 10)
    assert model[0].num_batches_tracked.item() == 0


@pytest.mark.parametrize("shape", [(4,), (1, 4), (6, 4)])
def test_shapes_and_types(model, shape):
    outer = shape[:-1]
    mean, std, samples, logs = predict_mc(np.ones(shape), model, normalize_X=False, n_mc_samples=7)
    assert mean.shape == std.shape == (*outer, 5)
    assert samples.shape == logs.shape == (7, *outer, 5)
    assert {a.dtype for a in (mean, std, samples, logs)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("make", [list, tuple, np.array, torch.tensor])
def test_parameters_may_be_any_array(model, make):
    point = [0.1, 0.2, 0.3, 0.4]
    torch.manual_seed(3)
    expected = predict_mc(np.array(point), model, normalize_X=False, n_mc_samples=3)
    torch.manual_seed(3)
    got = predict_mc(make(point), model, normalize_X=False, n_mc_samples=3)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_moments_are_over_the_exponentials_of_the_draws(model):
    mean, std, samples, logs = predict_mc(np.ones((2, 4)), model, normalize_X=False)
    assert len(samples) == 100
    np.testing.assert_array_equal(samples, np.exp(logs))
    np.testing.assert_allclose(mean, samples.astype(np.float64).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(std, samples.astype(np.float64).std(axis=0, ddof=1), rtol=1e-5)
    assert (std > 0).all()


def test_one_draw_has_no_deviation(model):
    mean, std, samples, _ = predict_mc(np.ones(4), model, normalize_X=False, n_mc_samples=1)
    assert np.isnan(std).all()
    np.testing.assert_array_equal(mean, samples[0])


def test_normalizers_are_applied_to_inputs_and_undone_on_outputs():
    model = FourParamEmulator().eval()
    rng = np.random.default_rng(0)
    x, x_mean, x_std = rng.normal(size=(3, 4)), rng.normal(size=4), rng.uniform(1, 2, 4)
    y_mean, y_std = rng.normal(size=5), rng.uniform(1, 2, 5)
    with torch.no_grad():
        z = model(torch.tensor((x - x_mean) / x_std, dtype=torch.float32)).numpy()
    *_, logs = predict_mc(x, model, x_mean, x_std, y_mean, y_std, normalize_Y=True, n_mc_samples=2)
    np.testing.assert_allclose(logs, np.broadcast_to(z * y_std + y_mean, (2, 3, 5)), rtol=1e-5)
    *_, logs = predict_mc(x, model, x_mean, x_std, y_mean, y_std, n_mc_samples=2)
    np.testing.assert_allclose(logs[0], z, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({}, "X_mean"),
        ({"X_mean": np.zeros(4)}, "X_std"),
        ({"normalize_X": False, "normalize_Y": True}, "Y_std"),
        ({"normalize_X": False, "normalize_Y": True, "Y_std": np.ones(5)}, "Y_mean"),
    ],
)
def test_a_missing_normalizer_is_asked_for(model, options, needed):
    with pytest.raises(ValueError, match=rf"{needed} is needed with normalize_{needed[0]}=True"):
        predict_mc(np.ones(4), model, **options)


def test_a_normalizer_of_another_length_is_refused(model):
    with pytest.raises(ConfigError, match="X_mean has 3 values where the data have 4"):
        predict_mc(np.ones(4), model, np.zeros(3), np.ones(3))


@pytest.mark.parametrize("n", [0, -1, 2.5])
def test_the_number_of_draws_must_be_a_positive_whole_number(model, n):
    with pytest.raises(ConfigError, match="n_mc_samples"):
        predict_mc(np.ones(4), model, normalize_X=False, n_mc_samples=n)
