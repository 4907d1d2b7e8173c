"""K-fold cross-validation: which rows, which weights, which numbers."""

from __future__ import annotations

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
from reionemu.errors import ConfigError, MissingFileError

KEYS = {
    "ell",
    "fold_best_val",
    "mean_best_val",
    "std_best_val",
    "models",
    "norms",
    "val_indices",
}


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
