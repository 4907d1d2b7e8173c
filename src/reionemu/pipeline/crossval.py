"""Cross-validating a model of any family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ..data.arrays import TrainingSet
from ..data.splits import fold_indices
from ..models.calibration import Calibration
from ..models.emulator import Emulator
from ..models.spectrum import NetworkSpectrum, SurrogateSpectrum
from ..models.suite import OWN
from ..training.builders import build_optimizer
from ..training.kfold_cv import KFoldConfig, kfold_cross_validate
from .assessment import assess
from .networks import build_network, optimizer_config, spectrum_of
from .options import ModelOptions, TrainingOptions
from .progress import Progress, counted
from .surrogates import fit_surrogate, kind_of, target_of
from .usable import require_enough, require_usable


def cross_validate(
    h5_path: Path,
    data: TrainingSet,
    options: TrainingOptions,
    progress: Progress | None = None,
    *,
    workers: int | None = None,
) -> dict[str, Any]:
    """Train on all folds but one, and predict that one, for each.

    `workers` is how many folds of a network are trained at a time; as many as there are cores.

    Returns
    -------
    dict
        "fold_best_val", the mean squared error of each fold's rows in target space (of a network,
        the lowest of any epoch), "mean_best_val", "std_best_val"; "errors", of each fold as
        `assess` gives them; and "out_of_fold", (n, b) predictions of every row in target space.
    """
    kfold = options.kfold or KFoldConfig()
    is_network = isinstance(options.model, ModelOptions)
    require_usable(data, np.arange(len(data.X)), averaged=not is_network)
    if is_network:
        losses, errors, predicted = _networks(h5_path, data, options, kfold, progress, workers)
    else:
        losses, errors, predicted = _surrogates(data, options, kfold, progress)
    return {
        "fold_best_val": losses,
        "mean_best_val": float(np.mean(losses)),
        "std_best_val": float(np.std(losses, ddof=1)),
        "errors": errors,
        "out_of_fold": predicted,
    }


Folds = tuple[list[float], list[dict[str, Any]], np.ndarray]


def _networks(
    h5_path: Path,
    data: TrainingSet,
    options: TrainingOptions,
    kfold: KFoldConfig,
    progress: Progress | None,
    workers: int | None,
) -> Folds:
    result = kfold_cross_validate(
        h5_path,
        model_builder=lambda: build_network(data, options),
        optimizer_builder=lambda model: build_optimizer(model, optimizer_config(options)),
        loss_fn=nn.MSELoss(),
        kfold_config=kfold,
        dl_config=options.dataloader,
        fit_config=options.fit,
        on_fold=counted(progress, "cross-validating"),
        workers=workers,
    )
    errors = [
        assess(_unbounded(spectrum_of(model, normalizers, data), data), data.X[rows], data.Y[rows])
        for model, normalizers, rows in zip(
            result["models"], result["norms"], result["val_indices"], strict=True
        )
    ]
    return result["fold_best_val"], errors, result["out_of_fold"]


def _surrogates(
    data: TrainingSet, options: TrainingOptions, kfold: KFoldConfig, progress: Progress | None
) -> Folds:
    assert not isinstance(options.model, ModelOptions)
    folds = fold_indices(len(data.X), kfold.k, kfold.seed)
    losses, errors, predicted = [], [], np.empty(data.Y.shape)
    for i, (train, rows) in enumerate(folds):
        require_enough(data, train)
        seed, device = kfold.seed + i, options.fit.device
        model, own = fit_surrogate(data, train, options.model, seed, device)
        truth = data.Y[train].astype(np.float64)
        calibration = Calibration.of(own.mean, own.total, truth)
        is_own = kind_of(data, options.suite, own) == OWN
        spectrum = SurrogateSpectrum(model, target_of(data), calibration, is_own)
        predicted[rows] = model.predict(data.X[rows].astype(np.float64))[0]
        losses.append(float(np.mean((predicted[rows] - data.Y[rows]) ** 2)))
        errors.append(assess(_unbounded(spectrum, data), data.X[rows], data.Y[rows]))
        if progress:
            progress("cross-validating", i + 1, kfold.k)
    return losses, errors, predicted


def _unbounded(spectrum: SurrogateSpectrum | NetworkSpectrum, data: TrainingSet) -> Emulator:
    return Emulator(spectrum, ell=data.ell, parameter_names=data.param_names, box=None)
