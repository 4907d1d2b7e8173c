"""The training loop: histories, averages, early stopping, and what stops it in anger."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from reionemu import (
    FitConfig,
    FourParamEmulator,
    MCDropoutEmulator,
    evaluate,
    evaluate_mc_metrics,
    evaluate_metrics,
    fit,
    mse,
    rmse,
    train_one_epoch,
)
from reionemu.errors import ConfigError, DatasetError, NonFiniteLossError
from reionemu.training.train_loop import run_epochs

ONE_BATCH = [(torch.ones(2, 1), torch.ones(2, 1))]


class Script:
    """A loss whose validation values are written down beforehand.

    In training its gradient moves the bias by exactly one learning rate a step, so that the bias
    tells after which epoch the weights were taken.
    """

    def __init__(self, values):
        self.values = iter(values)

    def __call__(self, pred, target):
        if torch.is_grad_enabled():
            return pred.mean()
        return torch.tensor(float(next(self.values)))


def counter() -> nn.Linear:
    """A model whose bias counts steps downwards."""
    model = nn.Linear(1, 1)
    nn.init.zeros_(model.bias)
    nn.init.zeros_(model.weight)
    return model


def run_script(values, patience, epochs=8, keep_best=None):
    """The outcome of a scripted run, and the epoch that the weights belong to."""
    model = counter()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    config = FitConfig(epochs=epochs, early_stopping_patience=patience)
    keep = patience is not None if keep_best is None else keep_best
    outcome = run_epochs(
        model, ONE_BATCH, ONE_BATCH, optimizer, Script(values), config, keep_best=keep
    )
    return outcome, round(-model.bias.item())


@pytest.mark.parametrize(
    ("values", "patience", "length", "kept"),
    [
        ([5, 4, 6, 6, 6, 3, 6, 6], None, 8, 8),
        ([5, 4, 6, 6, 6, 3, 6, 6], 0, 3, 2),
        ([5, 4, 6, 6, 6, 3, 6, 6], 1, 3, 2),
        ([5, 4, 6, 6, 6, 3, 6, 6], 2, 4, 2),
        ([5, 4, 6, 6, 6, 3, 6, 6], 3, 5, 2),
        ([5, 4, 6, 6, 6, 3, 6, 6], 4, 8, 6),
        ([5, 5, 5, 5, 5, 5, 5, 5], 2, 3, 1),
        ([5, 4, 4, 3, 3, 3, 3, 3], 2, 6, 4),
        ([8, 7, 6, 5, 4, 3, 2, 1], 1, 8, 8),
        ([1, 2, 3, 4, 5, 6, 7, 8], 20, 8, 1),
    ],
)
def test_patience_decides_when_it_ends_and_which_weights_are_kept(values, patience, length, kept):
    outcome, weights_of = run_script(values, patience)
    assert outcome.history["val_loss"] == values[:length]
    assert len(outcome.history["train_loss"]) == length
    assert weights_of == kept
    assert outcome.best_val_loss == min(values[:length])
    assert outcome.best_epoch == values.index(min(values[:length])) + 1
    assert outcome.weights == ("last" if patience is None else "best")


def test_best_weights_may_be_kept_without_a_patience():
    outcome, weights_of = run_script([5, 4, 6, 6, 6, 3, 6, 6], None, keep_best=True)
    assert (len(outcome.history["val_loss"]), weights_of) == (8, 6)


def test_fit_returns_the_history_and_leaves_the_model_in_evaluation_mode():
    model = counter()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    history = fit(model, ONE_BATCH, ONE_BATCH, optimizer, Script([3, 1, 2]), FitConfig(epochs=3))
    assert history == {"train_loss": [0.0, -2.0, -4.0], "val_loss": [3.0, 1.0, 2.0]}
    assert not model.training


def test_no_epochs_is_an_empty_history():
    outcome, weights_of = run_script([], None, epochs=0)
    assert outcome.history == {"train_loss": [], "val_loss": []}
    assert (outcome.best_epoch, outcome.best_val_loss, weights_of) == (None, math.inf, 0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_validation_loss_that_is_not_finite_stops_with_the_history(bad):
    with pytest.raises(NonFiniteLossError, match=r"val_loss is (nan|inf) in epoch 3") as caught:
        run_script([5, 4, bad, 3], None)
    assert caught.value.epoch == 3
    assert caught.value.history == {"train_loss": [0.0, -2.0], "val_loss": [5.0, 4.0]}


def test_a_training_loss_that_is_not_finite_stops_in_the_first_epoch(train_batches, val_batches):
    train_batches[1][1][0, 0] = math.nan
    model = FourParamEmulator()
    optimizer = torch.optim.Adam(model.parameters())
    with pytest.raises(NonFiniteLossError, match="train_loss is nan in epoch 1") as caught:
        fit(model, train_batches, val_batches, optimizer, mse, FitConfig(epochs=2))
    assert caught.value.history == {"train_loss": [], "val_loss": []}
    assert isinstance(caught.value, ArithmeticError)


def test_divergence_is_noticed(train_batches, val_batches):
    model = FourParamEmulator()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e6)
    with pytest.raises(NonFiniteLossError) as caught:
        fit(model, train_batches, val_batches, optimizer, mse, FitConfig(epochs=50))
    assert len(caught.value.history["val_loss"]) == caught.value.epoch - 1


@pytest.mark.parametrize("empty", ["training", "validation"])
def test_a_loader_without_samples_is_an_error_that_says_which(empty, train_batches, val_batches):
    model = FourParamEmulator()
    optimizer = torch.optim.Adam(model.parameters())
    train, val = ([], val_batches) if empty == "training" else (train_batches, [])
    with pytest.raises(DatasetError, match=f"the {empty} loader has no samples"):
        fit(model, train, val, optimizer, mse, FitConfig(epochs=1))


@pytest.mark.parametrize("function", [evaluate, evaluate_metrics, evaluate_mc_metrics])
def test_evaluating_nothing_is_an_error(function):
    with pytest.raises(DatasetError, match="no samples"):
        function(MCDropoutEmulator(), [], mse, "cpu")


class Reiterable:
    """A loader that is neither a list nor PyTorch's."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        yield from self.batches


@pytest.mark.parametrize("wrap", [list, tuple, Reiterable])
def test_any_iterable_of_batches_is_a_loader(wrap, train_batches, val_batches):
    histories = []
    for convert in (list, wrap):
        torch.manual_seed(0)
        model = FourParamEmulator()
        optimizer = torch.optim.Adam(model.parameters())
        train, val = convert(train_batches), convert(val_batches)
        histories.append(fit(model, train, val, optimizer, mse, FitConfig(epochs=3)))
    assert histories[0] == histories[1]
    assert len(histories[0]["val_loss"]) == 3


def whole(batches) -> tuple[torch.Tensor, torch.Tensor]:
    """All batches as one."""
    return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])


def test_losses_are_averages_over_samples_not_batches(train_batches):
    model = FourParamEmulator().eval()
    x, y = whole(train_batches)
    with torch.no_grad():
        expected = mse(model(x), y).item()
        by_batch = np.mean([mse(model(a), b).item() for a, b in train_batches])
    assert evaluate(model, train_batches, mse, "cpu") == pytest.approx(expected, rel=1e-6)
    assert abs(by_batch - expected) > 1e-4


def test_the_training_loss_is_the_average_before_each_step(train_batches):
    model = FourParamEmulator()
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    x, y = whole(train_batches)
    expected = mse(model(x), y).item()
    got = train_one_epoch(model, train_batches, still, mse, "cpu")
    assert got == pytest.approx(expected, rel=1e-6)


def test_a_metric_is_its_value_for_each_batch_averaged_over_samples(train_batches):
    model = FourParamEmulator().eval()
    got = evaluate_metrics(model, train_batches, mse, "cpu", {"rmse": rmse})
    with torch.no_grad():
        values = [rmse(model(x), y).item() * len(x) for x, y in train_batches]
    assert set(got) == {"loss", "rmse"}
    assert got["rmse"] == pytest.approx(sum(values) / 19, rel=1e-6)


def test_metrics_stand_in_the_history(train_batches, val_batches):
    model = FourParamEmulator()
    optimizer = torch.optim.Adam(model.parameters())
    metrics = {"rmse": rmse, "worst": lambda p, t: (p - t).abs().max()}
    history = fit(model, train_batches, val_batches, optimizer, mse, FitConfig(epochs=2), metrics)
    assert list(history) == ["train_loss", "val_loss", "val_rmse", "val_worst"]
    assert [len(values) for values in history.values()] == [2, 2, 2, 2]
    assert all(type(value) is float for values in history.values() for value in values)
    last = evaluate_metrics(model, val_batches, mse, "cpu", metrics)
    assert history["val_worst"][-1] == last["worst"]


def test_a_metric_cannot_take_the_name_of_the_loss(val_batches):
    with pytest.raises(ConfigError, match="cannot be called 'loss'"):
        evaluate_metrics(FourParamEmulator(), val_batches, mse, "cpu", {"loss": mse})


def test_evaluation_runs_without_dropout_and_without_gradients(val_batches):
    model = MCDropoutEmulator(dropout_rate=0.9).train()
    values = {evaluate(model, val_batches, mse, "cpu") for _ in range(3)}
    assert len(values) == 1
    assert all(p.grad is None for p in model.parameters())


def test_mc_evaluation_is_of_the_mean_over_draws():
    torch.manual_seed(1)
    model = MCDropoutEmulator(hidden_dim=6, num_hidden_layers=1, dropout_rate=0.4)
    x, y = torch.randn(12, 4), torch.randn(12, 5)
    n = 20_000
    got = evaluate_mc_metrics(model, [(x[:9], y[:9]), (x[9:], y[9:])], mse, "cpu", None, n)
    with torch.no_grad():
        hidden = torch.relu(model.network[0](x))
        mean = model.network[3](hidden)
        std = (0.4 / 0.6 * hidden**2 @ model.network[3].weight.T ** 2).sqrt()
    assert set(got) == {"loss", "mean_predictive_std"}
    assert got["loss"] == pytest.approx(mse(mean, y).item(), rel=0.02)
    assert got["mean_predictive_std"] == pytest.approx(std.mean().item(), rel=0.02)


def test_mc_deviation_of_two_draws_has_one_degree_of_freedom():
    class Drift(nn.Module):
        def forward(self, x):
            first = torch.arange(len(x)) < len(x) // 2  # the first of two folded draws
            return torch.where(first, 1.0, 4.0)[:, None].expand(-1, 5)

    got = evaluate_mc_metrics(
        Drift(), [(torch.zeros(3, 4), torch.full((3, 5), 2.5))], mse, "cpu", {"rmse": rmse}, 2
    )
    assert got == {
        "loss": 0.0,
        "rmse": 0.0,
        "mean_predictive_std": pytest.approx(3 / math.sqrt(2)),
    }


@pytest.mark.parametrize("n", [1, 0, 2.5])
def test_mc_evaluation_needs_two_draws(n, val_batches):
    with pytest.raises(ConfigError, match="n_mc_samples must be a whole number >= 2"):
        evaluate_mc_metrics(MCDropoutEmulator(), val_batches, mse, "cpu", None, n)


def test_fit_with_mc_evaluation_has_the_deviation_in_its_history(train_batches, val_batches):
    model = MCDropoutEmulator()
    optimizer = torch.optim.Adam(model.parameters())
    history = fit(
        model,
        train_batches,
        val_batches,
        optimizer,
        mse,
        FitConfig(epochs=2, seed=1),
        {"rmse": rmse},
        evaluation="evaluate_mc_metrics",
        n_mc_samples=5,
    )
    assert list(history) == ["train_loss", "val_loss", "val_rmse", "val_mean_predictive_std"]
    assert all(value > 0 for value in history["val_mean_predictive_std"])


def test_an_unknown_evaluation_is_refused_before_anything_runs(train_batches):
    model = FourParamEmulator()
    before = model.network[0].weight.clone()
    optimizer = torch.optim.Adam(model.parameters())
    with pytest.raises(ConfigError, match="did you mean 'evaluate_mc_metrics'"):
        fit(
            model,
            train_batches,
            train_batches,
            optimizer,
            mse,
            FitConfig(epochs=1),
            evaluation="evaluate_mc_metric",
        )
    assert torch.equal(model.network[0].weight, before)


def history_from_seed(seed: int | None) -> dict[str, list[float]]:
    """The history of a model with dropout on shuffled batches, from fixed weights."""
    torch.manual_seed(0)
    model = MCDropoutEmulator(dropout_rate=0.3)
    data = TensorDataset(torch.randn(30, 4), torch.randn(30, 5))
    torch.rand(17)
    loader = DataLoader(data, batch_size=7, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters())
    if seed is None:
        torch.seed()
    return fit(model, loader, loader, optimizer, mse, FitConfig(epochs=3, seed=seed))


def test_a_seed_fixes_batches_and_dropout():
    assert history_from_seed(5) == history_from_seed(5)
    assert history_from_seed(5) != history_from_seed(6)
    assert history_from_seed(None) != history_from_seed(None)


def test_a_callback_gets_every_epoch(train_batches, val_batches):
    model = FourParamEmulator()
    optimizer = torch.optim.Adam(model.parameters())
    seen = []
    history = fit(
        model,
        train_batches,
        val_batches,
        optimizer,
        mse,
        FitConfig(epochs=3),
        on_epoch=lambda epoch, values: seen.append((epoch, values["val_loss"])),
    )
    assert seen == list(enumerate(history["val_loss"], start=1))


def test_a_network_learns_a_linear_law():
    torch.manual_seed(0)
    x = torch.rand(256, 4)
    y = x @ torch.randn(4, 5) + 1.0
    loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
    model = FourParamEmulator(activation="gelu")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    history = fit(model, loader, loader, optimizer, nn.MSELoss(), FitConfig(epochs=40, seed=1))
    assert history["val_loss"][-1] < 1e-3 * y.var().item()
    assert history["val_loss"][-1] == pytest.approx(evaluate(model, loader, mse, "cpu"), rel=1e-4)
