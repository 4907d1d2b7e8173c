"""From training arrays to a saved artifact."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..artifact.assembling import assemble
from ..artifact.dataset import describe, emulator_box
from ..artifact.experiment import Contents
from ..artifact.formats.jsonio import to_plain
from ..artifact.placing import artifact_path, prepare_root
from ..artifact.read import Artifact, load_artifact
from ..artifact.recording import start_run
from ..artifact.run import Run
from ..artifact.runs import COMPLETED
from ..data.arrays import TrainingSet, load_training_set
from ..data.normalization import Normalizer
from ..data.splits import split_indices
from ..devices import require_available, resolve_device
from ..errors import ReionemuError
from ..models.emulator import DEFAULT_DRAWS
from .assessment import assess
from .crossval import cross_validate
from .loading import load_data
from .networks import spectrum_of, train_network
from .options import ModelOptions, TrainingOptions
from .progress import Progress, Say
from .search import search, with_best
from .search_folder import SearchFolder, search_folder
from .surrogates import PARTS, Fitted, fit_surrogate, with_network, with_surrogate
from .usable import require_enough, require_usable


@dataclass(frozen=True)
class _Trained:
    """A trained model, and what is to be recorded of it but its errors."""

    fitted: Fitted
    checkpoint: Any
    record: dict[str, Any]
    normalizers: dict[str, Normalizer | None] | None
    summary: dict[str, Any]
    history: dict[str, list[float]]


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
    require_enough(data, parts["train"])
    require_usable(data, parts["train"], averaged=not isinstance(options.model, ModelOptions))
    contents = Contents(
        dataset={"path": fingerprint["path"], "fingerprint": fingerprint, **describe(data)},
        source=source,
        split=parts,
        fractions=options.split,
        description=description,
        training_box=emulator_box(data, parts["train"]).to_mapping(),
        request=_request(data, options),
    )
    contents.update(**_configs(contents, options))
    with start_run(name, root_dir, contents, resume=resume) as run:
        if run.resumed:
            say(f"going on after epoch {run.epoch} of at most {options.fit.epochs}")
        options = _seeded(options, run)
        if options.tuning is not None:
            if "tuning" not in _summary(run):
                trials = search_folder(name, root_dir, options.tuning)
                found = search(
                    data, parts, options, trials, resume=resume, progress=progress, say=say
                )
                _summarize(run, tuning=found)
            options = _searched(options, run)
        if options.kfold is not None and "kfold" not in _summary(run):
            _summarize(run, kfold=cross_validate(h5_path, data, options, progress))
        trained = _train(data, parts, options, progress, run)
        held_out = "test" if "test" in parts else "val"
        errors = _errors(trained.fitted, data, parts[held_out])
        counts = {part: len(indices) for part, indices in parts.items()}
        summary = {**_summary(run), "held_out": held_out, "n_samples": counts}
        run.record(
            **_results(trained, summary, errors),
            normalizers=trained.normalizers,
            checkpoint=trained.checkpoint,
            companions=trained.fitted.companions,
            predictions=trained.fitted.predictions,
            model_config=trained.record,
        )
    if options.tuning is not None:  # its trials are in the record
        SearchFolder(search_folder(name, root_dir, options.tuning)).remove()
    return load_artifact(run.path)


def _seeded(options: TrainingOptions, run: Run) -> TrainingOptions:
    """Options with a seed: the one that was asked for, or the run had, or a fresh one."""
    if options.fit.seed is not None:
        return options
    seed = _summary(run).get("seed")
    if seed is None:
        seed = torch.seed() % 2**31
        _summarize(run, seed=seed)
    seeded = replace(options, fit=replace(options.fit, seed=seed))
    run.record(**_how_to_train(seeded))
    return seeded


def _searched(options: TrainingOptions, run: Run) -> TrainingOptions:
    """Options with what the best trial of the search chose, recorded as those of the run."""
    options = with_best(options, _summary(run)["tuning"]["best"])
    run.record(**_how_to_train(options))
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
        "kfold_config": options.kfold,
        "model_config": options.model.record(dataset["n_parameters"], dataset["n_targets"]),
        "tuning_config": vars(options.tuning) if options.tuning else None,
        **_how_to_train(options),
    }


def _how_to_train(options: TrainingOptions) -> dict[str, Any]:
    """What of the options matters to the model; batches and epochs do to networks alone."""
    if isinstance(options.model, ModelOptions):
        return {
            "dataloader_config": options.dataloader,
            "fit_config": options.fit,
            "optimizer_config": vars(options.optimizer),
        }
    return {
        "dataloader_config": {"seed": options.dataloader.seed},
        "fit_config": {"seed": options.fit.seed, "device": options.fit.device},
    }


def _train(
    data: TrainingSet,
    parts: Mapping[str, np.ndarray],
    options: TrainingOptions,
    progress: Progress | None,
    run: Run,
) -> _Trained:
    chosen = options.model
    record = chosen.record(data.X.shape[1], data.Y.shape[1])
    if isinstance(chosen, ModelOptions):
        network = train_network(data, parts, options, progress, run)
        outcome = network.outcome
        spectrum = spectrum_of(network.model, network.normalizers, data)
        return _Trained(
            with_network(data, parts, options.suite, spectrum, DEFAULT_DRAWS),
            network.model.state_dict(),
            record,
            network.normalizers,
            {
                "best_epoch": outcome.best_epoch,
                "best_val_loss": outcome.best_val_loss,
                "epochs_run": len(outcome.history["train_loss"]),
                "weights": outcome.weights,
            },
            outcome.history,
        )
    assert options.fit.seed is not None
    device = options.fit.device
    trained = fit_surrogate(data, parts["train"], chosen, options.fit.seed, device, progress)
    fitted = with_surrogate(data, parts, options.suite, trained)
    record |= {"coordinates": trained[0].inputs.coordinates}
    found = fitted.predictions
    rows = found["part"] == PARTS["val"]
    loss = float(np.mean((found["mean"] - found["truth"])[rows] ** 2))
    return _Trained(fitted, trained[0], record, None, {"val_loss": loss}, {})


def _errors(fitted: Fitted, data: TrainingSet, rows: np.ndarray) -> dict[str, Any]:
    """Errors on some rows, wherever they lie."""
    emulator = assemble(fitted.spectrum, data.ell, data.param_names, None, fitted.companions)
    tau, x_hi = (None if a is None else a[rows] for a in (data.tau, data.x_hi))
    return assess(emulator, data.X[rows], data.Y[rows], tau=tau, x_hi=x_hi, z=data.z)


def _results(
    trained: _Trained, summary: Mapping[str, Any], errors: Mapping[str, Any]
) -> dict[str, Any]:
    """Results as `save_artifact` takes them."""
    held_out = summary["held_out"]
    suite = trained.fitted.companions.suite
    loss = trained.summary.get("best_val_loss", trained.summary.get("val_loss"))
    return {
        "results_summary": {
            **trained.summary,
            **summary,
            "realizations": suite.realizations if suite else None,
        },
        "metrics": {
            "val_loss": loss,
            f"{held_out}_mean_relative_error": errors["mean_relative_error"],
            f"{held_out}_worst_relative_error": errors["worst_relative_error"],
            "errors": errors,
        },
        "history": trained.history,
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


def _request(data: TrainingSet, options: TrainingOptions) -> dict[str, Any]:
    """What an artifact is the answer to, as it is recorded."""
    made = {"y_source": data.y_source, "y_transform": data.y_transform, "eps": data.eps}
    return to_plain(
        {
            "options": options,
            "content_sha256": data.content_sha256(),
            "history_sha256": data.history_sha256(),
            "suite": {
                "realizations": data.realizations,
                "n_realizations": data.n_realizations,
                "ln_covariance": data.ln_covariance,
                "map_area": data.map_area,
                "design": [data.design_low, data.design_high],
            },
            "names": data.param_names,
            **made,
        }
    )
