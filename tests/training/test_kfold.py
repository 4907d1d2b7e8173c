"""K-fold cross-validation: which rows, which weights, which numbers."""

from __future__ import annotations

import os
import random
import sys
import threading

import numpy as np
import pytest
import torch
from torch import nn

from reionemu import (
    DataLoaderConfig,
    FitConfig,
    FourParamEmulator,
    KFoldConfig,
    MCDropoutEmulator,
    kfold_cross_validate,
    load_training_arrays,
)
from reionemu.errors import ConfigError, MissingFileError, NonFiniteLossError, ReionemuError
from reionemu.training import kfold_cv

KEYS = {
    "ell",
    "fold_best_val",
    "mean_best_val",
    "std_best_val",
    "models",
    "norms",
    "val_indices",
    "out_of_fold",
}

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="forks are made on Linux only")


def run(path, *, k=3, seed=42, histories=False, fit=None, dl=None, model=FourParamEmulator, **more):
    """Cross-validation with a large learning rate, so that the last epoch is not the best."""
    return kfold_cross_validate(
        path,
        model_builder=model,
        optimizer_builder=lambda m: torch.optim.Adam(m.parameters(), lr=0.1),
        loss_fn=nn.MSELoss(),
        kfold_config=KFoldConfig(k=k, seed=seed, return_histories=histories),
        dl_config=dl or DataLoaderConfig(batch_size=8),
        fit_config=fit or FitConfig(epochs=12),
        **more,
    )


def test_folds_are_the_parts_of_one_seeded_permutation(training_h5):
    results = run(training_h5, k=4, seed=9, fit=FitConfig(epochs=1))
    expected = np.array_split(np.random.default_rng(9).permutation(23), 4)
    assert [len(rows) for rows in results["val_indices"]] == [6, 6, 6, 5]
    for rows, part in zip(results["val_indices"], expected, strict=True):
        np.testing.assert_array_equal(rows, part)


@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("normalize_y", [False, True])
def test_the_weights_returned_have_the_loss_reported(training_h5, patience, normalize_y):
    fit = FitConfig(epochs=12, early_stopping_patience=patience)
    dl = DataLoaderConfig(batch_size=8, normalize_Y=normalize_y)
    results = run(training_h5, fit=fit, dl=dl, histories=True, model=MCDropoutEmulator)
    X, Y, _ = load_training_arrays(training_h5)
    last_is_not_best = False
    for model, norms, rows, best, history in zip(
        results["models"],
        results["norms"],
        results["val_indices"],
        results["fold_best_val"],
        results["histories"],
        strict=True,
    ):
        x = (X[rows] - norms["X"].mean) / norms["X"].std
        y = (Y[rows] - norms["Y"].mean) / norms["Y"].std if normalize_y else Y[rows]
        with torch.no_grad():
            loss = nn.functional.mse_loss(model(torch.tensor(x)), torch.tensor(y)).item()
        assert loss == pytest.approx(best, rel=1e-5)
        assert best == min(history["val_loss"])
        last_is_not_best |= history["val_loss"][-1] > best
        assert not model.training
    assert last_is_not_best


def test_normalizers_of_a_fold_are_those_of_its_training_rows(training_h5):
    results = run(training_h5, fit=FitConfig(epochs=1))
    X, _, _ = load_training_arrays(training_h5)
    for norms, rows in zip(results["norms"], results["val_indices"], strict=True):
        train = np.delete(X, rows, axis=0)
        np.testing.assert_allclose(norms["X"].mean, train.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(norms["X"].std, train.std(axis=0), rtol=1e-5)
        assert norms["Y"] is None


def test_summary_of_the_folds(training_h5):
    results = run(training_h5, k=4)
    best = results["fold_best_val"]
    assert set(results) == KEYS
    assert results["mean_best_val"] == pytest.approx(sum(best) / 4)
    expected = np.sqrt(sum((b - sum(best) / 4) ** 2 for b in best) / 3)
    assert results["std_best_val"] == pytest.approx(expected)
    np.testing.assert_allclose(results["ell"], np.linspace(1500, 9500, 5))


def test_histories_come_if_asked_for(training_h5):
    results = run(training_h5, histories=True, fit=FitConfig(epochs=2))
    assert set(results) == KEYS | {"histories"}
    assert [len(history["val_loss"]) for history in results["histories"]] == [2, 2, 2]


def test_the_seed_of_a_fold_is_that_of_the_run_and_its_number(training_h5):
    drawn = []

    def builder():
        drawn.append(torch.initial_seed())
        return FourParamEmulator()

    run(training_h5, seed=100, fit=FitConfig(epochs=1), model=builder)
    assert drawn == [100, 101, 102]


def test_the_same_seed_gives_the_same_numbers(training_h5):
    one, other = (run(training_h5, seed=7)["fold_best_val"] for _ in range(2))
    assert one == other
    assert run(training_h5, seed=8)["fold_best_val"] != one


def test_the_loaders_seed_is_of_no_consequence(training_h5):
    results = [
        run(training_h5, dl=DataLoaderConfig(batch_size=8, seed=seed))["fold_best_val"]
        for seed in (1, 2)
    ]
    assert results[0] == results[1]


def test_a_callback_counts_the_folds(training_h5):
    seen = []
    run(training_h5, fit=FitConfig(epochs=1), on_fold=lambda *args: seen.append(args))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_configurations_may_be_left_out(training_h5, monkeypatch):
    monkeypatch.setattr(FitConfig.__init__, "__defaults__", (1, "cpu", None, None, None))
    results = kfold_cross_validate(
        training_h5,
        model_builder=FourParamEmulator,
        optimizer_builder=lambda m: torch.optim.Adam(m.parameters()),
        loss_fn=nn.MSELoss(),
    )
    assert len(results["models"]) == 5


def test_more_folds_than_rows_is_an_error(training_h5):
    with pytest.raises(ConfigError, match="24 folds need at least 24 samples; there are 23"):
        run(training_h5, k=24)


def test_as_many_folds_as_rows_leave_one_out(training_h5):
    results = run(training_h5, k=23, fit=FitConfig(epochs=1))
    assert [len(rows) for rows in results["val_indices"]] == [1] * 23


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.h5"):
        run(tmp_path / "none.h5")


def test_zero_workers_are_an_error(training_h5):
    with pytest.raises(ConfigError, match="workers"):
        run(training_h5, workers=0)


def assert_same(one, other):
    """Everything that two cross-validations came to is equal in every bit."""
    assert set(one) == set(other)
    for key in ("fold_best_val", "mean_best_val", "std_best_val", "histories"):
        assert one[key] == other[key]
    np.testing.assert_array_equal(one["out_of_fold"], other["out_of_fold"])
    for a, b in zip(one["models"], other["models"], strict=True):
        assert a.training is b.training is False
        for p, q in zip(a.parameters(), b.parameters(), strict=True):
            assert torch.equal(p, q)


@on_linux
@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("model", [MCDropoutEmulator, lambda: FourParamEmulator(hidden_dim=160)])
def test_numbers_do_not_depend_on_the_workers(training_h5, patience, model):
    options = {
        "k": 4,
        "histories": True,
        "fit": FitConfig(epochs=12, early_stopping_patience=patience),
        "dl": DataLoaderConfig(batch_size=8, normalize_Y=True),
        "model": model,
    }
    results, after = [], []
    for workers in (1, 2, 9, None):
        results.append(run(training_h5, workers=workers, **options))
        after.append(torch.rand(3).tolist())
    for other in results[1:]:
        assert_same(results[0], other)
    assert after == [after[0]] * 4


@on_linux
def test_random_numbers_of_others_do_not_depend_on_the_workers(training_h5):
    def noisy_builder():
        np.random.rand()
        return FourParamEmulator()

    def noisy_loss(pred, target):
        return nn.functional.mse_loss(pred, target) * (1 + np.random.rand() + random.random())

    results, after = [], []
    for workers in (1, 2):
        np.random.seed(5)
        random.seed(6)
        results.append(
            kfold_cross_validate(
                training_h5,
                model_builder=noisy_builder,
                optimizer_builder=lambda m: torch.optim.SGD(m.parameters(), lr=0.01),
                loss_fn=noisy_loss,
                kfold_config=KFoldConfig(k=3, return_histories=True),
                fit_config=FitConfig(epochs=2),
                workers=workers,
            )
        )
        after.append((np.random.rand(), random.random()))
    assert_same(*results)
    assert after[0] == after[1]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("normalize_y", [False, True])
def test_every_row_is_predicted_by_the_model_that_did_not_see_it(training_h5, workers, normalize_y):
    dl = DataLoaderConfig(batch_size=4, normalize_Y=normalize_y)
    results = run(training_h5, dl=dl, model=MCDropoutEmulator, workers=workers)
    X, Y, _ = load_training_arrays(training_h5)
    expected = np.full(Y.shape, np.nan)
    for model, norms, rows in zip(
        results["models"], results["norms"], results["val_indices"], strict=True
    ):
        with torch.no_grad():
            output = model(torch.tensor((X[rows] - norms["X"].mean) / norms["X"].std)).numpy()
        expected[rows] = output * norms["Y"].std + norms["Y"].mean if normalize_y else output
    np.testing.assert_allclose(results["out_of_fold"], expected, rtol=1e-4, atol=1e-5)
    assert np.abs(results["out_of_fold"] - Y).mean() < np.abs(Y - Y.mean()).mean() * 2


def test_outputs_that_are_not_targets_are_not_predictions(training_h5):
    def gaussian(pred, target):
        mean, log_std = pred.chunk(2, dim=1)
        return (log_std + 0.5 * ((target - mean) / log_std.exp()) ** 2).mean()

    results = kfold_cross_validate(
        training_h5,
        model_builder=lambda: nn.Linear(4, 10),
        optimizer_builder=lambda m: torch.optim.Adam(m.parameters()),
        loss_fn=gaussian,
        kfold_config=KFoldConfig(k=2),
        fit_config=FitConfig(epochs=1),
    )
    assert results["out_of_fold"] is None
    assert len(results["models"]) == 2


@on_linux
def test_models_that_only_a_closure_knows_come_back(training_h5):
    class Local(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 5)
            self.register_buffer("steps", torch.zeros(()))
            self.lock = threading.Lock()  # which cannot be sent
            built.append(self)

        def forward(self, x):
            if self.training:
                self.steps += 1
            return self.linear(x)

    built = []
    results = run(training_h5, model=Local, workers=2)
    assert results["models"] == built
    assert all(model.steps > 0 for model in built)


def pids_of_losses(path, seen, **more):
    """The processes, as far as this one comes to know, that the loss was computed in."""

    def loss(pred, target):
        seen.append(os.getpid())
        return nn.functional.mse_loss(pred, target)

    return kfold_cross_validate(
        path,
        model_builder=FourParamEmulator,
        optimizer_builder=lambda m: torch.optim.Adam(m.parameters()),
        loss_fn=loss,
        kfold_config=KFoldConfig(k=3),
        fit_config=FitConfig(epochs=1),
        **more,
    )


@on_linux
def test_folds_are_trained_in_other_processes_where_that_is_possible(training_h5, monkeypatch):
    seen = []
    pids_of_losses(training_h5, seen, workers=2)
    assert seen == []
    pids_of_losses(training_h5, seen, workers=1)
    assert set(seen) == {os.getpid()}
    seen.clear()
    monkeypatch.setattr(kfold_cv, "can_fork", lambda: False)
    pids_of_losses(training_h5, seen, workers=2)
    assert set(seen) == {os.getpid()}


@on_linux
def test_folds_on_a_gpu_are_trained_in_this_process(training_h5, monkeypatch):
    asked = []
    monkeypatch.setattr(kfold_cv, "can_fork", lambda: asked.append(1))
    monkeypatch.setattr(kfold_cv, "resolve_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(kfold_cv, "_predicted", lambda model, loader, device: None)
    seen = []
    pids_of_losses(training_h5, seen, workers=2)
    assert set(seen) == {os.getpid()}
    assert asked == []


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_the_loss_are_raised_here(training_h5, workers):
    def failing(pred, target):
        raise ArithmeticError("no such loss")

    with pytest.raises(ArithmeticError, match="no such loss"):
        kfold_cross_validate(
            training_h5,
            model_builder=FourParamEmulator,
            optimizer_builder=lambda m: torch.optim.Adam(m.parameters()),
            loss_fn=failing,
            workers=workers,
        )


@pytest.mark.parametrize("workers", [1, 2])
def test_divergence_is_told_with_its_history(training_h5, workers):
    with pytest.raises(NonFiniteLossError, match="epoch") as caught:
        kfold_cross_validate(
            training_h5,
            model_builder=FourParamEmulator,
            optimizer_builder=lambda m: torch.optim.SGD(m.parameters(), lr=1e30),
            loss_fn=nn.MSELoss(),
            workers=workers,
        )
    assert caught.value.epoch >= 1
    assert "train_loss" in caught.value.history


@on_linux
def test_a_worker_that_is_killed_is_told(training_h5):
    with pytest.raises(ReionemuError, match=r"killed by signal 9.*workers=1"):
        kfold_cross_validate(
            training_h5,
            model_builder=FourParamEmulator,
            optimizer_builder=lambda m: torch.optim.Adam(m.parameters()),
            loss_fn=lambda pred, target: os.kill(os.getpid(), 9),
            workers=2,
        )


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("workers", [1, 2])
def test_threads_are_as_before(training_h5, workers):
    run(training_h5, fit=FitConfig(epochs=1), workers=workers)
    assert torch.get_num_threads() == 2
