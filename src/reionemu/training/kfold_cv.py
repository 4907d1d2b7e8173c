"""K-fold cross-validation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..config import require_int
from ..data.arrays import load_training_arrays
from ..data.dataloaders import DataLoaderConfig, loaders_for
from ..data.normalization import Normalizer, inverse_transform_standardizer
from ..data.splits import fold_indices
from ..devices import resolve_device
from ..machine import usable_cores
from .forked import can_fork, in_forks
from .resuming import random_state, restore_random_state
from .train_loop import Batches, FitConfig, FitOutcome, Metric, run_epochs


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
    workers: int | None = None,
) -> dict[str, Any]:
    """Train and validate a fresh model on each fold, several folds at a time.

    Models and optimizers are built in this process, one fold after the other; they are then trained
    in forks of it, each on one thread, and the weights come back. The numbers do not depend on
    how many processes there are. What `loss_fn` does besides returning a value stays in them.

    Each fold starts with the random numbers (of PyTorch, NumPy and Python) that the building of
    its model left; afterwards they go on from where the last fold left them.

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
    workers : int, optional
        Processes at a time; 1 for none but this one. As many as there are cores if not given.
        There are none, either, where folds are trained on a GPU, where this process uses one, or
        where it cannot be forked (other systems than Linux).

    Returns
    -------
    dict
        "ell" (b,); "fold_best_val", the lowest validation loss of each fold, with
        "mean_best_val" and "std_best_val" (ddof=1); "models", each with the weights that had that
        loss; "norms", {"X", "Y"} of each fold; "val_indices"; "out_of_fold" (n, b), the targets
        of every row as predicted, without dropout, by the model that was not trained on it, or
        None if the output of the model is not of the shape of the targets; and "histories" if
        asked for.

    Raises
    ------
    ConfigError, DatasetError (ValueError), MissingGroupError (KeyError), FileNotFoundError
        If there are fewer rows than folds, or the file is not usable.
    NonFiniteLossError
        If the loss of a fold becomes NaN or infinite.
    ReionemuError
        If a process is killed; and for an exception that cannot be sent from one. What the
        callables raise otherwise is raised here.
    """
    kfold_config.validate()
    if workers is not None:
        require_int("kfold_cross_validate", "workers", workers, minimum=1)
    X, Y, ell = load_training_arrays(h5_path)
    folds = fold_indices(len(X), kfold_config.k, kfold_config.seed)
    models: list[nn.Module] = []
    norms: list[dict[str, Normalizer | None]] = []

    jobs = []
    for fold, (train, validation) in enumerate(folds):
        torch.manual_seed(kfold_config.seed + fold)
        models.append(model_builder())
        optimizer = optimizer_builder(models[-1])
        loaders, normalizers = loaders_for(X, Y, {"train": train, "val": validation}, dl_config)
        norms.append(normalizers)
        start = random_state()
        jobs.append(partial(_train, models[-1], optimizer, loaders, loss_fn, fit_config, start))

    trained: dict[int, _Trained] = {}
    with contextlib.closing(_work(jobs, workers, fit_config)) as work:
        for fold, result in work:
            trained[fold] = result
            if on_fold:
                on_fold(len(trained), kfold_config.k)
    in_order = [trained[fold] for fold in range(kfold_config.k)]
    for model, result in zip(models, in_order, strict=True):
        model.load_state_dict(result.weights)
        model.eval()
    restore_random_state(in_order[-1].random)

    best = [result.outcome.best_val_loss for result in in_order]
    results: dict[str, Any] = {
        "ell": ell,
        "fold_best_val": best,
        "mean_best_val": float(np.mean(best)),
        "std_best_val": float(np.std(best, ddof=1)),
        "models": models,
        "norms": norms,
        "val_indices": [validation for _, validation in folds],
    }
    predictions = [result.predictions for result in in_order]
    results["out_of_fold"] = _out_of_fold(Y, predictions, results["val_indices"], norms)
    if kfold_config.return_histories:
        results["histories"] = [result.outcome.history for result in in_order]
    return results


@dataclass(frozen=True)
class _Trained:
    """What came of a fold; `predictions` of its validation rows are as the model gives them."""

    outcome: FitOutcome
    weights: Mapping[str, Any]
    random: Mapping[str, Any]
    predictions: np.ndarray | None


def _work(
    jobs: Sequence[Callable[[], _Trained]], workers: int | None, config: FitConfig
) -> Generator[tuple[int, _Trained], None, None]:
    """The folds by their numbers as they are done, in whatever processes can be had."""
    if workers is None:
        workers = usable_cores()
    if workers > 1 and resolve_device(config.device).type == "cpu" and can_fork():
        yield from in_forks(jobs, workers)
    else:
        for fold, job in enumerate(jobs):
            yield fold, job()


def _train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loaders: Mapping[str, Batches],
    loss_fn: Metric,
    config: FitConfig,
    start: Mapping[str, Any],
) -> _Trained:
    restore_random_state(start)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        outcome = run_epochs(model, loaders["train"], loaders["val"], optimizer, loss_fn, config)
        random = random_state()
        predictions = _predicted(model, loaders["val"], resolve_device(config.device))
    finally:
        torch.set_num_threads(threads)
    return _Trained(outcome, model.state_dict(), random, predictions)


def _predicted(model: nn.Module, loader: Batches, device: torch.device) -> np.ndarray | None:
    """What the model gives for the rows of a loader, if it is of the shape of the targets."""
    parts = []
    with torch.no_grad():
        for x, y in loader:
            output = model(x.to(device))
            if not isinstance(output, torch.Tensor) or output.shape != y.shape:
                return None
            parts.append(output.cpu().double().numpy())
    return np.concatenate(parts)


def _out_of_fold(
    Y: np.ndarray,
    predictions: Sequence[np.ndarray | None],
    rows: Sequence[np.ndarray],
    norms: Sequence[Mapping[str, Normalizer | None]],
) -> np.ndarray | None:
    """Predictions of all folds in the order of the file, normalization undone."""
    whole = np.empty_like(Y)
    for values, where, norm in zip(predictions, rows, norms, strict=True):
        if values is None:
            return None
        of_targets = norm["Y"]
        if of_targets is not None:
            values = inverse_transform_standardizer(values, of_targets)
        whole[where] = values
    return whole
