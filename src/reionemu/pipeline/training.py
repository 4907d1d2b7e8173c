"""From training arrays to a saved artifact."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..artifact.dataset import describe, file_fingerprint
from ..artifact.experiment import Contents
from ..artifact.formats.jsonio import to_plain
from ..artifact.lineage import dataset_source
from ..artifact.placing import artifact_path, prepare_root
from ..artifact.read import Artifact, load_artifact
from ..artifact.recording import start_run
from ..artifact.run import Run
from ..artifact.runs import COMPLETED
from ..data.arrays import TrainingSet, load_training_set
from ..data.dataloaders import loaders_for
from ..data.normalization import Normalizer
from ..data.splits import split_indices
from ..devices import require_available, resolve_device
from ..errors import DatasetError, NoUsableSimulationsError, ReionemuError, ReionemuWarning
from ..models.dense import DenseNetwork
from ..models.emulator import Emulator
from ..models.registry import build_model, dense_layers
from ..parameters import ParameterBox
from ..targets import Target
from ..training.builders import build_optimizer
from ..training.kfold_cv import KFoldConfig, kfold_cross_validate
from ..training.metrics import rmse
from ..training.train_loop import FitOutcome, run_epochs
from .assessment import assess
from .options import OptimizerOptions, TrainingOptions, TuningOptions

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]
"""Called with (what is going on, steps done, steps in all)."""


@dataclass(frozen=True)
class _Trained:
    model: nn.Module
    record: dict[str, Any]
    normalizers: dict[str, Normalizer | None]
    outcome: FitOutcome


def train_artifact(
    h5_path: Path,
    name: str,
    root_dir: Path,
    options: TrainingOptions | None = None,
    *,
    description: str | None = None,
    progress: Progress | None = None,
    say: Say | None = None,
    resume: bool = False,
) -> Artifact:
    """Train a model on the training arrays of a file and save it, with its held-out errors.

    The model is left with the weights that had the lowest validation loss. Errors are measured on
    the part of the split called "test", or without one on "val" (which chose the weights, so that
    they flatter; the record says which it was).

    The run is recorded as it goes (see `start_artifact`), so that it can be watched, and resumed.

    Parameters
    ----------
    h5_path : Path
        File with /training.
    name : str
        Name of the artifact.
    root_dir : Path
        Folder of artifacts.
    options : TrainingOptions, optional
    description : str, optional
    progress : callable, optional
    say : callable, optional
        Called with a line on what is gone on with.
    resume : bool
        Take the artifact of this name if it is of the same options and data; or else go on with
        the latest run of this name and request that was killed or failed, if there is one.

    Returns
    -------
    Artifact
        Read back from the disk.
    """
    options, say = options or TrainingOptions(), say or (lambda line: None)
    check_feasible(name, root_dir, options)
    if resume and (done := up_to_date(h5_path, name, root_dir, options)) is not None:
        say(f"up to date: {done.path}")
        return done
    data, fingerprint, source = load_data(h5_path)
    parts = split_indices(len(data.X), options.split, options.dataloader.seed)
    contents = Contents(
        dataset={"path": fingerprint["path"], "fingerprint": fingerprint, **describe(data)},
        source=source,
        split=parts,
        fractions=options.split,
        description=description,
        training_box=ParameterBox.around(data.param_names, data.X[parts["train"]]).to_mapping(),
        request=_request(data, options),
    )
    contents.update(**_configs(contents, options))
    with start_run(name, root_dir, contents, resume=resume) as run:
        if run.resumed:
            say(f"going on after epoch {run.epoch} of at most {options.fit.epochs}")
        options = _searched(data, parts, _seeded(options, run), run)
        if options.kfold is not None and "kfold" not in _summary(run):
            _summarize(run, kfold=cross_validate(h5_path, data, options, progress))
        with stopping(run):
            trained = _train(data, parts, options, progress, run)
        held_out = "test" if "test" in parts else "val"
        errors = _assess(trained.model, trained.normalizers, data, parts[held_out])
        counts = {part: len(indices) for part, indices in parts.items()}
        summary = {**_summary(run), "held_out": held_out, "n_samples": counts}
        run.record(
            **_results(trained.outcome, summary, errors),
            normalizers=trained.normalizers,
            checkpoint=trained.model.state_dict(),
            model_config=trained.record,
        )
    return load_artifact(run.path)


@contextlib.contextmanager
def stopping(run: Run) -> Iterator[None]:
    """Within the block, Ctrl-C and SIGTERM let the epoch end and save a state; twice, they do not.

    Only in the main thread of a program, which alone gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        signal.signal(number, signal.default_int_handler)
        run.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _seeded(options: TrainingOptions, run: Run) -> TrainingOptions:
    """Options with a seed: the one that was asked for, or the run had, or a fresh one."""
    if options.fit.seed is not None:
        return options
    seed = _summary(run).get("seed")
    if seed is None:
        seed = torch.seed() % 2**31
        _summarize(run, seed=seed)
    seeded = replace(options, fit=replace(options.fit, seed=seed))
    run.record(fit_config=seeded.fit)
    return seeded


def _searched(
    data: TrainingSet, parts: Mapping[str, np.ndarray], options: TrainingOptions, run: Run
) -> TrainingOptions:
    """Options after the search for better ones, if one is wanted; done once in a run."""
    if options.tuning is None:
        return options
    if "tuning" not in _summary(run):
        _summarize(run, tuning=search(data, parts, options))
    options = with_best(options, _summary(run)["tuning"]["best"]["config"])
    run.record(
        fit_config=options.fit,
        dataloader_config=options.dataloader,
        optimizer_config=vars(options.optimizer),
    )
    return options


def _summary(run: Run) -> dict[str, Any]:
    return run.results.get("summary", {})


def _summarize(run: Run, **parts: Any) -> None:
    """Add to the summary on disk, where a run that goes on with this one finds it."""
    run.record(results_summary={**_summary(run), **parts})


def _configs(contents: Contents, options: TrainingOptions) -> dict[str, Any]:
    """Configurations as `save_artifact` takes them."""
    stages = (contents.source or {}).get("stages", {})
    dataset = contents.dataset or {}
    return {
        "condense_config": stages.get("condense"),
        "cl_config": stages.get("spectra"),
        "build_config": stages.get("training_set"),
        "dataloader_config": options.dataloader,
        "fit_config": options.fit,
        "kfold_config": options.kfold,
        "model_config": options.model.record(dataset["n_parameters"], dataset["n_targets"]),
        "optimizer_config": vars(options.optimizer),
        "tuning_config": vars(options.tuning) if options.tuning else None,
    }


def _results(
    outcome: FitOutcome, summary: Mapping[str, Any], errors: Mapping[str, Any]
) -> dict[str, Any]:
    """Results as `save_artifact` takes them."""
    held_out = summary["held_out"]
    return {
        "results_summary": {
            "best_epoch": outcome.best_epoch,
            "best_val_loss": outcome.best_val_loss,
            "epochs_run": len(outcome.history["train_loss"]),
            "weights": outcome.weights,
            **summary,
        },
        "metrics": {
            "val_loss": outcome.best_val_loss,
            f"{held_out}_mean_relative_error": errors["mean_relative_error"],
            f"{held_out}_worst_relative_error": errors["worst_relative_error"],
            "errors": errors,
        },
        "history": outcome.history,
    }


def check_feasible(name: str, root_dir: Path, options: TrainingOptions) -> None:
    """Refuse now what would be refused when hours of work are done.

    Raises
    ------
    RecordError, ConfigError
        For an impossible name, or if a search is wanted and Ray Tune is not installed.
    """
    prepare_root(artifact_path(name, root_dir))
    require_available(resolve_device(options.fit.device))
    if options.tuning is not None:
        from ..tuning.four_param import default_param_space

        default_param_space()


def up_to_date(
    h5_path: Path, name: str, root_dir: Path, options: TrainingOptions
) -> Artifact | None:
    """The artifact of that name, if it is what `train_artifact` would make of the same data."""
    with contextlib.suppress(ReionemuError, OSError):
        artifact = load_artifact(artifact_path(name, root_dir))
        request = _request(load_training_set(h5_path), options)
        if artifact.status == COMPLETED and artifact.provenance.get("request") == request:
            return artifact
    return None


def search(
    data: TrainingSet, parts: Mapping[str, np.ndarray], options: TrainingOptions
) -> dict[str, Any]:
    """Search for hyper-parameters with Ray Tune on the training and validation rows.

    Parameters
    ----------
    data : TrainingSet
    parts : mapping of str to ndarray of int
        Rows of "train" and "val".
    options : TrainingOptions
        `options.tuning` says how; the kind of model stays what it is.

    Returns
    -------
    dict
        "best", the best trial, and "trials", all of them, best first: "config", "val_loss",
        "best_epoch", "epochs".
    """
    from ..tuning.four_param import default_param_space, run_tune_four_param

    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # an interrupt is not a result
    tuning = options.tuning or TuningOptions()
    space = default_param_space()
    space |= {
        "epochs": tuning.epochs,
        "seed": options.fit.seed,
        "normalize_X": options.dataloader.normalize_X,
        "normalize_Y": options.dataloader.normalize_Y,
    }
    if options.model.name == "mc-dropout":
        space["dropout_rate"] = options.model.dropout_rate
    with contextlib.redirect_stdout(sys.stderr):  # Ray prints; results are ours to print
        grid = run_tune_four_param(
            X_train=data.X[parts["train"]],
            Y_train=data.Y[parts["train"]],
            X_val=data.X[parts["val"]],
            Y_val=data.Y[parts["val"]],
            param_space=space,
            num_samples=tuning.num_samples,
            max_concurrent_trials=tuning.max_concurrent_trials,
            device=options.fit.device,
            storage_path=str(tuning.storage_path) if tuning.storage_path else None,
        )
    trials = sorted(
        (
            {
                "val_loss": result.metrics["best_val_loss"],
                "best_epoch": result.metrics["best_epoch"],
                "epochs": result.metrics["epoch"],
                "config": {k: v for k, v in result.config.items() if k in _TUNED},
            }
            for result in grid
            if result.error is None and "best_val_loss" in (result.metrics or {})
        ),
        key=lambda trial: trial["val_loss"],
    )
    if not trials:
        raise NoUsableSimulationsError("no trial of the search finished; see Ray's messages")
    return {"best": trials[0], "trials": trials}


def with_best(options: TrainingOptions, best: Mapping[str, Any]) -> TrainingOptions:
    """Options with the model, optimizer, batch size and gradient clipping of a trial's config."""
    model = {key: best[key] for key in ("hidden_dim", "num_hidden_layers", "activation")}
    return replace(
        options,
        model=replace(options.model, **model),
        optimizer=OptimizerOptions(best["optimizer"], best["lr"], best["weight_decay"]),
        dataloader=replace(options.dataloader, batch_size=best["batch_size"]),
        fit=replace(options.fit, gradient_clipping=best["gradient_clipping"]),
    )


def cross_validate(
    h5_path: Path, data: TrainingSet, options: TrainingOptions, progress: Progress | None = None
) -> dict[str, Any]:
    """Cross-validate the model that `options` describe; `kfold_cross_validate` by options.

    Returns
    -------
    dict
        "fold_best_val", "mean_best_val", "std_best_val", and "errors": of each fold's validation
        rows, predicted by the model that did not see them, as `assess` gives them.
    """
    kfold = options.kfold or KFoldConfig()
    result = kfold_cross_validate(
        h5_path,
        model_builder=lambda: build_model(_record(data, options)),
        optimizer_builder=lambda model: build_optimizer(model, _optimizer(options)),
        loss_fn=nn.MSELoss(),
        kfold_config=kfold,
        dl_config=options.dataloader,
        fit_config=options.fit,
        on_fold=_counted(progress, "cross-validating"),
    )
    errors = [
        _assess(model, normalizers, data, rows)
        for model, normalizers, rows in zip(
            result["models"], result["norms"], result["val_indices"], strict=True
        )
    ]
    numbers = {key: result[key] for key in ("fold_best_val", "mean_best_val", "std_best_val")}
    return {**numbers, "errors": errors}


_TUNED = (
    "hidden_dim",
    "num_hidden_layers",
    "activation",
    "optimizer",
    "lr",
    "weight_decay",
    "batch_size",
    "gradient_clipping",
)


def _train(
    data: TrainingSet,
    parts: Mapping[str, np.ndarray],
    options: TrainingOptions,
    progress: Progress | None,
    run: Run,
) -> _Trained:
    loaders, normalizers = loaders_for(data.X, data.Y, parts, options.dataloader)
    record = _record(data, options)
    assert options.fit.seed is not None
    torch.manual_seed(options.fit.seed)
    model = build_model(record)
    epochs = options.fit.epochs
    outcome = run_epochs(
        model,
        loaders["train"],
        loaders["val"],
        build_optimizer(model, _optimizer(options)),
        nn.MSELoss(),
        options.fit,
        metrics={"rmse": rmse},
        on_epoch=(lambda epoch, values: progress("training", epoch, epochs)) if progress else None,
        record=run,
    )
    return _Trained(model.cpu(), record, normalizers, outcome)


def _assess(
    model: nn.Module,
    normalizers: Mapping[str, Normalizer | None],
    data: TrainingSet,
    rows: np.ndarray,
) -> dict[str, Any]:
    """Errors of a model that is still in memory on some rows, wherever they lie."""
    assert data.y_source is not None
    assert data.y_transform is not None
    assert data.eps is not None
    layers = dense_layers(model.record())  # type: ignore[operator]
    assert layers is not None
    weights = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
    emulator = Emulator(
        DenseNetwork(layers, weights),
        ell=data.ell,
        parameter_names=data.param_names,
        box=None,
        target=Target(data.y_source, data.y_transform, data.eps),
        x_normalizer=normalizers["X"],
        y_normalizer=normalizers["Y"],
    )
    return assess(emulator, data.X[rows], data.Y[rows])


def _record(data: TrainingSet, options: TrainingOptions) -> dict[str, Any]:
    return options.model.record(data.X.shape[1], data.Y.shape[1])


def _optimizer(options: TrainingOptions) -> dict[str, Any]:
    chosen = options.optimizer
    return {"optimizer": chosen.name, "lr": chosen.lr, "weight_decay": chosen.weight_decay}


def _request(data: TrainingSet, options: TrainingOptions) -> dict[str, Any]:
    """What an artifact is the answer to, as it is recorded."""
    made = {"y_source": data.y_source, "y_transform": data.y_transform, "eps": data.eps}
    return to_plain(
        {
            "options": options,
            "content_sha256": data.content_sha256(),
            "names": data.param_names,
            **made,
        }
    )


def load_data(h5_path: Path) -> tuple[TrainingSet, dict[str, Any], dict[str, Any]]:
    """Training arrays that can be recorded, and which file, made how, they were read from."""
    fingerprint = file_fingerprint(h5_path)
    data = load_training_set(h5_path)
    for name in ("param_names", "y_source", "y_transform", "eps"):
        if getattr(data, name) in (None, ()):
            raise DatasetError(
                f"{h5_path}: /training does not state its {name}; build it again with the "
                "training-set stage"
            )
    source = dataset_source(h5_path)
    if source["stages"] and "training_set" not in source["stages"]:
        warnings.warn(
            f"{h5_path}: /training is older than the spectra in the same file; run the "
            "training-set stage to train on those",
            ReionemuWarning,
            stacklevel=3,
        )
        source["stages"] = {}
    return data, fingerprint, source


def _counted(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return (lambda done, total: progress(what, done, total)) if progress else None
