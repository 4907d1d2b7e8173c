"""One trial of a search: train with some options, and measure the error on validation rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from ..data.arrays import TrainingSet
from ..data.dataloaders import loaders_for
from ..data.normalization import inverse_transform_standardizer, transform_standardizer
from ..targets import Target
from ..training.builders import build_optimizer
from ..training.train_loop import run_epochs
from .networks import build_network, optimizer_config
from .options import NETWORK_CLASSES, ModelOptions, TrainingOptions, table_options
from .surrogates import fit_surrogate, target_of

Report = Callable[[Mapping[str, Any]], None]

_OTHER_TABLES = {
    "optimizer": ("optimizer", "name"),
    "lr": ("optimizer", "lr"),
    "weight_decay": ("optimizer", "weight_decay"),
    "batch_size": ("dataloader", "batch_size"),
    "gradient_clipping": ("fit", "gradient_clipping"),
}
"""Tables, and keys in them, of what in a network's trial is no option of the model."""


def tables_of(trial: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a trial chose, as tables of a TOML file: "model" and, for a network, others."""
    tables: dict[str, dict[str, Any]] = {"model": {"name": trial["family"]}}
    is_network = trial["family"] in NETWORK_CLASSES
    for name, value in trial["config"].items():
        table, key = _OTHER_TABLES.get(name, ("model", name)) if is_network else ("model", name)
        tables.setdefault(table, {})[key] = value
    return tables


def with_best(options: TrainingOptions, trial: Mapping[str, Any]) -> TrainingOptions:
    """Options with what a trial chose: its kind of model, and as far as it has them, the rest.

    Parameters
    ----------
    options : TrainingOptions
    trial : mapping
        "family" and "config".
    """
    chosen = {
        table: table_options(
            table, values, f"the trial's [{table}]", type(getattr(options, table)),
            getattr(options, table),
        )
        for table, values in tables_of(trial).items()
    }  # fmt: skip
    return replace(options, **chosen)


def run_trial(
    point: Mapping[str, Any],
    report: Report,
    *,
    data: TrainingSet,
    parts: Mapping[str, np.ndarray],
    options: TrainingOptions,
) -> None:
    """Train on the rows "train", and report how it does on "val": a network, after every epoch.

    Reported are "val_loss", the mean squared error of targets; of the best epoch so far
    "best_val_loss", "best_epoch" and "val_error", the mean of |predicted/true - 1| of spectra; and
    "epoch". Of a network whose targets are normalized "val_loss" is that of normalized targets;
    "best_val_loss" never is.
    """
    options = with_best(options, point)
    if isinstance(options.model, ModelOptions):
        _network(data, parts, options, report)
        return
    assert options.fit.seed is not None
    seed, device = options.fit.seed, options.fit.device
    model, _ = fit_surrogate(data, parts["train"], options.model, seed, device)
    rows = parts["val"]
    y = model.predict(data.X[rows].astype(np.float64))[0]
    errors = validation_errors(target_of(data), y, data.Y[rows])
    report({"val_loss": errors["best_val_loss"], **errors})


def _network(
    data: TrainingSet, parts: Mapping[str, np.ndarray], options: TrainingOptions, report: Report
) -> None:
    loaders, normalizers = loaders_for(data.X, data.Y, parts, options.dataloader)
    assert options.fit.seed is not None
    torch.manual_seed(options.fit.seed)
    model = build_network(data, options)
    target, truth = target_of(data), data.Y[parts["val"]]
    # Going through a loader would draw random numbers, and change the training.
    rows, scale = data.X[parts["val"]], normalizers["Y"]
    if normalizers["X"] is not None:
        rows = transform_standardizer(rows, normalizers["X"])
    x = torch.as_tensor(rows, dtype=torch.float32)
    lowest, best = math.inf, dict[str, Any]()

    def predicted() -> np.ndarray:
        model.eval()
        with torch.no_grad():
            y = model(x.to(next(model.parameters()).device)).cpu().numpy()
        return y if scale is None else inverse_transform_standardizer(y, scale)

    def on_epoch(epoch: int, values: dict[str, float]) -> None:
        nonlocal lowest, best
        if values["val_loss"] < lowest:
            errors = validation_errors(target, predicted(), truth)
            lowest, best = values["val_loss"], {**errors, "best_epoch": epoch}
        report({"epoch": epoch, "val_loss": values["val_loss"], **best})

    run_epochs(
        model,
        loaders["train"],
        loaders["val"],
        build_optimizer(model, optimizer_config(options)),
        nn.MSELoss(),
        options.fit,
        keep_best=False,
        on_epoch=on_epoch,
    )


def validation_errors(target: Target, y: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Errors of predicted targets, shape (n, b): "best_val_loss" and "val_error"."""
    y, truth = y.astype(np.float64), truth.astype(np.float64)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        error = np.abs(target.invert(y) / target.invert(truth) - 1).mean()
    return {"best_val_loss": float(np.mean((y - truth) ** 2)), "val_error": float(error)}
