"""The search with Ray Tune: its space, its trials, what they report and keep; and without Ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reionemu import (
    FourParamEmulator,
    Normalizer,
    default_param_space,
    run_tune_four_param,
    train_four_param_tune,
)
from reionemu.errors import ConfigError
from reionemu.tuning import four_param

CHOICES = {
    "hidden_dim": [16, 32, 64, 128, 256],
    "num_hidden_layers": [1, 2, 3, 4],
    "activation": ["relu", "gelu", "silu", "tanh"],
    "optimizer": ["adam", "adamw"],
    "batch_size": [16, 32, 64],
    "gradient_clipping": [None, 1.0, 5.0],
}
LOGARITHMIC = {"lr": (1e-4, 5e-3), "weight_decay": (1e-8, 1e-4)}
CONSTANTS = {
    "epochs": 200,
    "early_stopping_patience": 20,
    "normalize_X": True,
    "normalize_Y": False,
    "device": "auto",
}
TRIAL = {
    "hidden_dim": 6,
    "num_hidden_layers": 1,
    "activation": "relu",
    "optimizer": "adam",
    "lr": 0.15,
    "epochs": 12,
    "batch_size": 8,
    "device": "cpu",
}
REPORTED = {
    "epoch",
    "train_loss",
    "val_loss",
    "val_rmse",
    "val_relative_error",
    "best_val_loss",
    "best_epoch",
}


def arrays() -> dict[str, np.ndarray]:
    """Noise, on which the validation loss soon gets worse."""
    rng = np.random.default_rng(4)
    shapes = {"X_train": (24, 4), "Y_train": (24, 5), "X_val": (9, 4), "Y_val": (9, 5)}
    return {name: rng.normal(3.0, 2.0, shape) for name, shape in shapes.items()}


class FakeTune:
    """Takes down what a trial reports, in the place of Ray Tune."""

    def __init__(self) -> None:
        self.reports: list[tuple[dict, dict | None]] = []
        self.Checkpoint = SimpleNamespace(from_directory=self._read)

    @staticmethod
    def _read(folder) -> dict:
        files = {path.name: path for path in Path(folder).iterdir()}
        assert set(files) == {"model.pt", "metadata.pt"}
        return {
            "model": torch.load(files["model.pt"], weights_only=True),
            "metadata": torch.load(files["metadata.pt"], weights_only=False),
        }

    def report(self, metrics, checkpoint=None) -> None:
        self.reports.append((metrics, checkpoint))


@pytest.fixture
def fake_tune(monkeypatch):
    """Ray Tune replaced by a note-taker."""
    fake = FakeTune()
    monkeypatch.setattr(four_param, "_ray_tune", lambda: fake)
    torch.manual_seed(0)
    return fake


def test_the_default_space_has_its_choices_ranges_and_constants():
    space = default_param_space()
    assert set(space) == {*CHOICES, *LOGARITHMIC, *CONSTANTS}
    assert {name: list(space[name].categories) for name in CHOICES} == CHOICES
    assert {name: (space[name].lower, space[name].upper) for name in LOGARITHMIC} == LOGARITHMIC
    assert {name: space[name] for name in CONSTANTS} == CONSTANTS


@pytest.mark.parametrize("name", LOGARITHMIC)
def test_ranges_are_logarithmic(name):
    low, high = LOGARITHMIC[name]
    values = np.array(default_param_space()[name].sample(size=2000))
    assert ((values >= low) & (values <= high)).all()
    below = (values < np.sqrt(low * high)).mean()
    assert below == pytest.approx(0.5, abs=4.5 * 0.5 / np.sqrt(2000))


def test_a_trial_reports_every_epoch(fake_tune):
    train_four_param_tune(TRIAL, **arrays())
    metrics = [metrics for metrics, _ in fake_tune.reports]
    assert [m["epoch"] for m in metrics] == list(range(1, 13))
    assert all(set(m) == REPORTED for m in metrics)
    losses = [m["val_loss"] for m in metrics]
    for epoch, m in enumerate(metrics, start=1):
        assert m["best_val_loss"] == min(losses[:epoch])
        assert m["best_epoch"] == losses.index(m["best_val_loss"]) + 1


def test_a_checkpoint_is_kept_at_every_new_best_and_only_there(fake_tune):
    data = arrays()
    train_four_param_tune(TRIAL, **data)
    kept = [m["epoch"] for m, checkpoint in fake_tune.reports if checkpoint]
    losses = [m["val_loss"] for m, _ in fake_tune.reports]
    assert kept == [e for e in range(1, 13) if losses[e - 1] == min(losses[:e])]
    assert 1 < len(kept) < 12
    for metrics, checkpoint in fake_tune.reports:
        if checkpoint is None:
            continue
        metadata = checkpoint["metadata"]
        assert set(metadata) == {"config", "best_val_loss", "best_epoch", "norms"}
        assert metadata["config"] == TRIAL
        assert (metadata["best_val_loss"], metadata["best_epoch"]) == (
            metrics["val_loss"],
            metrics["epoch"],
        )
        assert loss_of(checkpoint, data) == pytest.approx(metrics["val_loss"], rel=1e-5)


def loss_of(checkpoint: dict, data: dict[str, np.ndarray]) -> float:
    """Mean squared error of a checkpoint on the validation rows, worked out anew."""
    norms = checkpoint["metadata"]["norms"]
    assert isinstance(norms["X"], Normalizer)
    assert norms["Y"] is None
    np.testing.assert_allclose(norms["X"].mean, data["X_train"].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(norms["X"].std, data["X_train"].std(axis=0), rtol=1e-5)
    model = FourParamEmulator(hidden_dim=6, num_hidden_layers=1).eval()
    model.load_state_dict(checkpoint["model"])
    x = (data["X_val"] - norms["X"].mean) / norms["X"].std
    with torch.no_grad():
        prediction = model(torch.tensor(x, dtype=torch.float32)).numpy()
    return float(((prediction - data["Y_val"]) ** 2).mean())


def test_a_trial_takes_sizes_from_the_data_and_options_from_the_point(fake_tune):
    data = {name: array[:, :3] for name, array in arrays().items()}
    point = {**TRIAL, "epochs": 1, "dropout_rate": 0.2, "normalize_X": False, "normalize_Y": True}
    train_four_param_tune(point, **data)
    ((_, checkpoint),) = fake_tune.reports
    shapes = [tuple(value.shape) for value in checkpoint["model"].values()]
    assert shapes == [(6, 3), (6,), (3, 6), (3,)]
    assert list(checkpoint["model"])[2] == "network.3.weight"  # dropout lies between
    norms = checkpoint["metadata"]["norms"]
    assert norms["X"] is None
    np.testing.assert_allclose(norms["Y"].mean, data["Y_train"].mean(axis=0), rtol=1e-5)


def test_a_trial_stops_when_its_patience_ends(fake_tune):
    train_four_param_tune({**TRIAL, "lr": 0.5, "early_stopping_patience": 1}, **arrays())
    losses = [m["val_loss"] for m, _ in fake_tune.reports]
    assert len(losses) < 12
    assert losses[-1] >= min(losses[:-1])
    assert losses[:-1] == sorted(losses[:-1], reverse=True)


class FakeTuner:
    """Takes down with what a search is started."""

    def __init__(self, trainable, *, param_space, tune_config, run_config) -> None:
        self.space, self.tune, self.run = param_space, tune_config, run_config

    def fit(self) -> FakeTuner:
        return self


@pytest.mark.parametrize(("epochs", "grace"), [(3, 3), (100, 15)])
def test_a_search_is_started_as_documented(monkeypatch, tmp_path, epochs, grace):
    from ray import tune

    monkeypatch.setattr(tune, "Tuner", FakeTuner)
    monkeypatch.setattr("ray.tune.schedulers.ASHAScheduler", SimpleNamespace)
    given = {**TRIAL, "epochs": epochs, "device": "nowhere"}
    search = run_tune_four_param(
        **arrays(),
        param_space=given,
        num_samples=7,
        max_concurrent_trials=2,
        device="cpu",
        storage_path=str(tmp_path),
        experiment_name="mine",
    )
    assert search.space == {**given, "device": "cpu"}
    assert given["device"] == "nowhere"
    assert (search.tune.metric, search.tune.mode) == ("val_loss", "min")
    assert (search.tune.num_samples, search.tune.max_concurrent_trials) == (7, 2)
    asha = {"max_t": epochs, "grace_period": grace, "reduction_factor": 2}
    assert vars(search.tune.scheduler) == asha
    assert (search.run.name, search.run.storage_path) == ("mine", str(tmp_path))


def real_search(storage: Path) -> dict:
    """What a search of two trials, one of which diverges, came to."""
    answer = storage / "answer.json"
    script = Path(__file__).with_name("search.py")
    done = subprocess.run(
        [sys.executable, str(script), str(storage / "results"), str(answer)],
        capture_output=True,
        text=True,
        timeout=150,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(answer.read_text())


def loss_in_numpy(trial: dict, data: dict[str, list]) -> float:
    """Mean squared error of a checkpoint's weights on the standardized validation rows."""
    weights = {name: np.array(value) for name, value in trial["weights"].items()}
    x_norm, y_norm = (np.array(trial["norms"][axis]) for axis in "XY")
    x = (np.array(data["X_val"]) - x_norm[0]) / x_norm[1]
    y = (np.array(data["Y_val"]) - y_norm[0]) / y_norm[1]
    hidden = np.tanh(x @ weights["network.0.weight"].T + weights["network.0.bias"])
    got = hidden @ weights["network.2.weight"].T + weights["network.2.bias"]
    return float(((got - y) ** 2).mean())


def test_a_real_search_ends_with_checkpoints_and_a_diverging_trial_fails_alone(tmp_path):
    found = real_search(tmp_path)
    assert (found["type"], found["folder"]) == ("ResultGrid", ["small"])
    good, bad = found["trials"]
    assert (good["lr"], bad["lr"], found["best"]) == (0.01, 1e30, 0.01)

    metrics = good["metrics"]
    assert good["error"] is None
    assert set(metrics) == REPORTED
    assert None not in metrics.values()
    assert (metrics["epoch"], good["device"], good["config"]["lr"]) == (3, "cpu", 0.01)
    assert good["files"] == ["metadata.pt", "model.pt"]
    assert good["metadata"] == ["best_epoch", "best_val_loss", "config", "norms"]
    assert good["best"] == [metrics["best_val_loss"], metrics["best_epoch"]]
    loss = loss_in_numpy(good, found["data"])
    assert loss == pytest.approx(metrics["best_val_loss"], rel=1e-4)

    assert "NonFiniteLossError" in bad["error"]
    assert "training has diverged" in bad["error"]
    assert bad["checkpoints"] == 0


@pytest.mark.parametrize(
    "call",
    [
        default_param_space,
        lambda: run_tune_four_param(**arrays()),
        lambda: run_tune_four_param(**arrays(), param_space=TRIAL),
        lambda: train_four_param_tune(TRIAL, **arrays()),
    ],
    ids=["space", "search", "search of a given space", "trial"],
)
def test_without_ray_the_error_says_how_to_get_it(monkeypatch, call):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'reionemu\[tune\]'"):
        call()
