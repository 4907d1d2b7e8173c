"""K-fold cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..config import require_int
from ..data.arrays import load_training_arrays
from ..data.dataloaders import DataLoaderConfig, loaders_for
from ..data.splits import fold_indices
from .train_loop import FitConfig, Metric, run_epochs


@dataclass
class KFoldConfig:
    """How rows are divided into folds.

    Parameters
    ----------
    k : int
        Number of folds, at least 2.
    seed : int
        Of the permutation of rows; fold i (from 0) is trained with seed + i.
    return_histories : bool
        Whether the histories of all folds are returned too.
    """

    k: int = 5
    seed: int = 42
    return_histories: bool = False

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Raise ConfigError if a value is not possible."""
        require_int("KFoldConfig", "k", self.k, minimum=2)
        require_int("KFoldConfig", "seed", self.seed, minimum=0)


def kfold_cross_validate(
    h5_path: Path,
    *,
    model_builder: Callable[[], nn.Module],
    optimizer_builder: Callable[[nn.Module], torch.optim.Optimizer],
    loss_fn: Metric,
    kfold_config: KFoldConfig = KFoldConfig(),  # noqa: B008 - never changed
    dl_config: DataLoaderConfig = DataLoaderConfig(),  # noqa: B008
    fit_config: FitConfig = FitConfig(),  # noqa: B008
    on_fold: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Train and validate a fresh model on each fold.

    Parameters
    ----------
    h5_path : Path
        File with /training.
    model_builder : callable
        () -> a new model.
    optimizer_builder : callable
        model -> its optimizer.
    loss_fn : callable
        (prediction, target) -> 0-d tensor.
    kfold_config, dl_config, fit_config : optional
        The loaders' seed is not used: folds come from that of `kfold_config`.
    on_fold : callable, optional
        Called with (folds done, folds in all) after each.

    Returns
    -------
    dict
        "ell" (b,); "fold_best_val", the lowest validation loss of each fold, with
        "mean_best_val" and "std_best_val" (ddof=1); "models", each with the weights that had that
        loss; "norms", {"X", "Y"} of each fold; "val_indices"; and "histories" if asked for.

    Raises
    ------
    ConfigError, DatasetError (ValueError), MissingGroupError (KeyError), FileNotFoundError
        If there are fewer rows than folds, or the file is not usable.
    """
    kfold_config.validate()
    X, Y, ell = load_training_arrays(h5_path)

    results: dict[str, Any] = {"ell": ell, "fold_best_val": []}
    models, norms, validation_rows, histories = [], [], [], []
    folds = fold_indices(len(X), kfold_config.k, kfold_config.seed)
    for fold, (train, validation) in enumerate(folds):
        torch.manual_seed(kfold_config.seed + fold)
        model = model_builder()
        optimizer = optimizer_builder(model)
        loaders, normalizers = loaders_for(X, Y, {"train": train, "val": validation}, dl_config)
        outcome = run_epochs(
            model, loaders["train"], loaders["val"], optimizer, loss_fn, fit_config
        )
        results["fold_best_val"].append(outcome.best_val_loss)
        models.append(model)
        norms.append(normalizers)
        validation_rows.append(validation)
        histories.append(outcome.history)
        if on_fold:
            on_fold(fold + 1, kfold_config.k)
    results["mean_best_val"] = float(np.mean(results["fold_best_val"]))
    results["std_best_val"] = float(np.std(results["fold_best_val"], ddof=1))
    results |= {"models": models, "norms": norms, "val_indices": validation_rows}
    if kfold_config.return_histories:
        results["histories"] = histories
    return results
