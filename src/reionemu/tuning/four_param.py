"""A search over architectures and optimizers, with early stopping of bad trials (ASHA).

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (MLSys).
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..data.dataloaders import DataLoaderConfig, loaders_for
from ..devices import resolve_device
from ..errors import ConfigError
from ..training.builders import build_four_param_model, build_mc_dropout_model, build_optimizer
from ..training.metrics import mean_relative_error, rmse
from ..training.train_loop import FitConfig, run_epochs

MODEL_FILE = "model.pt"
METADATA_FILE = "metadata.pt"

__all__ = ["default_param_space", "resolve_device", "run_tune_four_param", "train_four_param_tune"]


def default_param_space() -> dict[str, Any]:
    """The default search space: a dictionary of Ray Tune distributions and constants."""
    tune = _ray_tune()
    return {
        "hidden_dim": tune.choice([16, 32, 64, 128, 256]),
        "num_hidden_layers": tune.choice([1, 2, 3, 4]),
        "activation": tune.choice(["relu", "gelu", "silu", "tanh"]),
        "optimizer": tune.choice(["adam", "adamw"]),
        "lr": tune.loguniform(1e-4, 5e-3),
        "weight_decay": tune.loguniform(1e-8, 1e-4),
        "batch_size": tune.choice([16, 32, 64]),
        "epochs": 200,
        "early_stopping_patience": 20,
        "gradient_clipping": tune.choice([None, 1.0, 5.0]),
        "normalize_X": True,
        "normalize_Y": False,
        "device": "auto",
    }


def train_four_param_tune(
    config: Mapping[str, Any],
    *,
    X_train: np.ndarray,
    Y_train: np.ndarray,
    X_val: np.ndarray,
    Y_val: np.ndarray,
) -> None:
    """One trial: train a model and report to Ray Tune after every epoch.

    Reported are epoch, train_loss, val_loss, val_rmse, val_relative_error, best_val_loss and
    best_epoch. At every new best a checkpoint is kept: `model.pt`, a state dict, and
    `metadata.pt`, a dictionary with config, best_val_loss, best_epoch and norms.

    Parameters
    ----------
    config : mapping
        A point of the search space: keys of `build_four_param_model` (or, if it has a
        `dropout_rate`, of `build_mc_dropout_model`), of `build_optimizer`, and batch_size,
        epochs, early_stopping_patience, gradient_clipping, normalize_X, normalize_Y, device, seed.
    X_train, X_val : ndarray, shape (n, p)
    Y_train, Y_val : ndarray, shape (n, b)
    """
    tune = _ray_tune()
    loader_config = DataLoaderConfig(
        batch_size=config.get("batch_size", 32),
        normalize_X=config.get("normalize_X", True),
        normalize_Y=config.get("normalize_Y", False),
    )
    parts = {
        "train": np.arange(len(X_train)),
        "val": np.arange(len(X_train), len(X_train) + len(X_val)),
    }
    X, Y = np.concatenate([X_train, X_val]), np.concatenate([Y_train, Y_val])
    loaders, norms = loaders_for(X.astype(np.float32), Y.astype(np.float32), parts, loader_config)

    sizes = {"input_dim": X.shape[1], "output_dim": Y.shape[1]}
    build = build_mc_dropout_model if "dropout_rate" in config else build_four_param_model
    if config.get("seed") is not None:
        torch.manual_seed(config["seed"])
    model = build({**sizes, **config})
    device = resolve_device(config.get("device", "auto"))
    model.to(device)
    best = {"best_val_loss": math.inf, "best_epoch": 0}

    def report(epoch: int, values: dict[str, float]) -> None:
        metrics = {"epoch": epoch, **values}
        if values["val_loss"] >= best["best_val_loss"]:
            tune.report({**metrics, **best})
            return
        best.update(best_val_loss=values["val_loss"], best_epoch=epoch)
        with tempfile.TemporaryDirectory() as folder:
            torch.save(model.state_dict(), Path(folder) / MODEL_FILE)
            metadata = {"config": dict(config), **best, "norms": norms}
            torch.save(metadata, Path(folder) / METADATA_FILE)
            checkpoint = tune.Checkpoint.from_directory(folder)
            tune.report({**metrics, **best}, checkpoint=checkpoint)

    run_epochs(
        model,
        loaders["train"],
        loaders["val"],
        build_optimizer(model, config),
        nn.MSELoss(),
        FitConfig(
            epochs=config.get("epochs", 200),
            device=str(device),
            early_stopping_patience=config.get("early_stopping_patience"),
            gradient_clipping=config.get("gradient_clipping"),
            seed=config.get("seed"),
        ),
        metrics={"rmse": rmse, "relative_error": mean_relative_error},
        on_epoch=report,
    )


def run_tune_four_param(
    *,
    X_train: np.ndarray,
    Y_train: np.ndarray,
    X_val: np.ndarray,
    Y_val: np.ndarray,
    param_space: dict[str, Any] | None = None,
    num_samples: int = 40,
    max_concurrent_trials: int = 4,
    device: str = "auto",
    storage_path: str | None = None,
    experiment_name: str = "train_four_param_tune",
) -> Any:
    """Search for good hyper-parameters.

    Parameters
    ----------
    X_train, X_val : ndarray, shape (n, p)
    Y_train, Y_val : ndarray, shape (n, b)
    param_space : dict, optional
        By default `default_param_space()`.
    num_samples : int
        Number of trials.
    max_concurrent_trials : int
        Trials that run at the same time.
    device : str
        Replaces the search space's.
    storage_path : str, optional
        Where Ray keeps the experiment; by default where Ray does.
    experiment_name : str
        Name of the experiment's folder.

    Returns
    -------
    ray.tune.ResultGrid
        One result a trial; `best_val_loss` is its lowest validation loss. A trial that diverged
        is in it with the error that ended it.

    Raises
    ------
    ConfigError
        If Ray Tune is not installed.
    """
    tune = _ray_tune()
    from ray.tune.schedulers import ASHAScheduler

    space = dict(default_param_space() if param_space is None else param_space)
    space["device"] = device
    epochs = space.get("epochs", 200)
    max_t = epochs if isinstance(epochs, int) else 200
    arrays = {"X_train": X_train, "Y_train": Y_train, "X_val": X_val, "Y_val": Y_val}
    gpus = 1 if resolve_device(device).type == "cuda" else 0
    trainable = tune.with_resources(
        tune.with_parameters(train_four_param_tune, **arrays), {"cpu": 1, "gpu": gpus}
    )
    scheduler = ASHAScheduler(
        max_t=max(1, max_t), grace_period=max(1, min(15, max_t)), reduction_factor=2
    )
    _start_quietly()
    tuner = tune.Tuner(
        trainable,
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="val_loss",
            mode="min",
            num_samples=num_samples,
            max_concurrent_trials=max_concurrent_trials,
            scheduler=scheduler,
        ),
        run_config=tune.RunConfig(
            name=experiment_name,
            storage_path=str(Path(storage_path).resolve()) if storage_path else None,
            verbose=0,
        ),
    )
    return tuner.fit()


def _start_quietly() -> None:
    """Start Ray, if nobody has, without the messages of its workers."""
    import ray

    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level=logging.ERROR)


def _ray_tune() -> Any:
    try:
        from ray import tune
    except ImportError:
        raise ConfigError(
            "searching needs Ray Tune, which is not installed: pip install 'reionemu[tune]'"
        ) from None
    return tune
