"""Writing an artifact: save_artifact, and helpers for its single files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..data.normalization import Normalizer
from ..files import write_bytes
from .checking.selftest import make_self_test
from .dataset import dataset_summary
from .experiment import Contents
from .formats.jsonio import encode
from .formats.posterior import save_posterior
from .formats.sidecars import (
    decode_weights,
    is_surrogate,
    save_companions,
    save_model_checkpoint,
    save_normalizers,
    save_npz,
    save_surrogate,
    save_weights,
)
from .layout import (
    BAND_POWERS,
    CHECKPOINT,
    COMPANIONS,
    CONFIGS,
    INFO,
    NORMALIZERS,
    POSTERIOR,
    PREDICTIONS,
    PROVENANCE,
    RESULTS,
    SCHEMA_VERSION,
    WEIGHTS,
)
from .lineage import lineage
from .placing import artifact_path, entry_name, placing
from .provenance import circumstances, files_of, now, seal, this_platform
from .read import load_artifact


def create_artifact_dir(name: str, root_dir: Path) -> Path:
    """Make the folder of an artifact, if it is not there, and return it.

    For use with the helpers below. `save_artifact` does all of it, in one step.

    Raises
    ------
    RecordError (ValueError)
        For a name that is empty, begins with a dot or leads out of `root_dir`.
    """
    path = artifact_path(name, root_dir)
    path.mkdir(parents=True, exist_ok=True)
    return path


def save_configs(
    artifact_dir: Path,
    *,
    condense_config: Any = None,
    cl_config: Any = None,
    build_config: Any = None,
    dataloader_config: Any = None,
    fit_config: Any = None,
    kfold_config: Any = None,
    model_config: Mapping[str, Any] | None = None,
    optimizer_config: Mapping[str, Any] | None = None,
    tuning_config: Mapping[str, Any] | None = None,
    inference_config: Mapping[str, Any] | None = None,
) -> Path:
    """Write configs.json: the choices made before the run.

    Configurations may be dataclasses or mappings. Parameters are those of `save_artifact`, and
    `inference_config`, of a posterior.

    Raises
    ------
    UnrecordableError (TypeError)
        For a value JSON cannot hold; the file is then as it was.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "dataset_prep": {"condense": condense_config, "cl": cl_config, "build_xy": build_config},
        "data_loading": {"dataloader": dataloader_config},
        "training": fit_config,
        "kfold": kfold_config,
        "model": model_config,
        "optimizer": optimizer_config,
        "tuning": tuning_config,
        **({"inference": inference_config} if inference_config is not None else {}),
    }
    return write_document(artifact_dir, CONFIGS, document)


def save_results(
    artifact_dir: Path,
    *,
    summary: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    history: Mapping[str, Any] | None = None,
    dataset_prep_stats: Mapping[str, Any] | None = None,
    status: str = "completed",
    error: Mapping[str, Any] | None = None,
) -> Path:
    """Write results.json: what came of the run.

    Parameters are those of `save_artifact`, and `error`: "type", "message" and "traceback" of
    what ended a run that failed.

    Raises
    ------
    UnrecordableError (TypeError)
        For a value JSON cannot hold; the file is then as it was.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "created_at": now(),
        "status": status,
        "summary": summary or {},
        "metrics": metrics or {},
        "history": history or {},
        "dataset_prep_stats": dataset_prep_stats or {},
        **({"error": error} if error is not None else {}),
    }
    return write_document(artifact_dir, RESULTS, document)


def save_info(
    artifact_dir: Path,
    *,
    run_id: str,
    experiment_name: str | None = None,
    description: str | None = None,
    dataset_path: Path | None = None,
    artifacts: Mapping[str, str | None] | None = None,
) -> Path:
    """Write info.json: what the artifact is, what dataset it used, and which files it has.

    Raises
    ------
    FileNotFoundError
        If there is no file at `dataset_path`.
    """
    document = info_document(
        run_id=run_id,
        experiment_name=experiment_name,
        description=description,
        dataset=dataset_summary(dataset_path) if dataset_path is not None else None,
        artifacts=artifacts,
    )
    return write_document(artifact_dir, INFO, document)


def save_artifact(
    name: str,
    root_dir: Path,
    *,
    dataset_path: Path | None = None,
    condense_config: Any = None,
    cl_config: Any = None,
    build_config: Any = None,
    dataloader_config: Any = None,
    fit_config: Any = None,
    kfold_config: Any = None,
    model_config: Mapping[str, Any] | None = None,
    optimizer_config: Mapping[str, Any] | None = None,
    tuning_config: Mapping[str, Any] | None = None,
    results_summary: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    history: Mapping[str, Any] | None = None,
    dataset_prep_stats: Mapping[str, Any] | None = None,
    normalizers: Mapping[str, Normalizer | None] | None = None,
    checkpoint: Any = None,
    description: str | None = None,
) -> Path:
    """Save one experiment for good: a folder of plain files, complete or not there at all.

    If the name is taken, the earlier record moves to `<root_dir>/.history/<name>/`. Several
    processes may save to one root, and under one name, at the same time.

    Parameters
    ----------
    name : str
        Name of the run and of its folder.
    root_dir : Path
        Folder of all artifacts; made if it is not there.
    dataset_path : Path, optional
        The HDF5 file with the training arrays. It is read and described, never changed.
    condense_config, cl_config, build_config, dataloader_config, fit_config, kfold_config : optional
        The configuration objects used, or mappings.
    model_config : mapping, optional
        "class_name" and the options of the class.
    optimizer_config, tuning_config : mapping, optional
    results_summary, metrics, history, dataset_prep_stats : mapping, optional
        Outcomes. NaN and infinity are kept.
    normalizers : mapping, optional
        Such as `make_dataloaders` returns.
    checkpoint : optional
        A state dict (best: `model.state_dict()`), a dictionary with one, or a model.
    description : str, optional

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    RecordError (ValueError)
        For an impossible name, such as one that leads out of `root_dir`.
    UnrecordableError (TypeError)
        For a value JSON cannot hold, naming it. Nothing has changed then.
    FileNotFoundError, UnreadableFileError (OSError), DatasetError (ValueError)
        If there is no file at `dataset_path`, or its training arrays cannot be read.
    """
    contents = Contents()
    if dataset_path is not None:
        contents.describe(dataset_path)
    contents.update(
        condense_config=condense_config,
        cl_config=cl_config,
        build_config=build_config,
        dataloader_config=dataloader_config,
        fit_config=fit_config,
        kfold_config=kfold_config,
        model_config=model_config,
        optimizer_config=optimizer_config,
        tuning_config=tuning_config,
        results_summary=results_summary,
        metrics=metrics,
        history=history,
        dataset_prep_stats=dataset_prep_stats,
        normalizers=normalizers,
        checkpoint=checkpoint,
        description=description,
    )
    return save_record(name, root_dir, contents)


def save_record(
    name: str, root_dir: Path, contents: Contents, run: Mapping[str, Any] | None = None
) -> Path:
    """Write a whole artifact and put it in place; `save_artifact` in terms of its contents.

    Parameters
    ----------
    run : mapping, optional
        What provenance.json says of the run, if it was recorded as it went.
    """
    with placing(name, root_dir) as (folder, final):
        fill(folder, name, contents, run or new_run())
    return final


def fill(folder: Path, name: str, contents: Contents, run: Mapping[str, Any]) -> None:
    """Write the files of a complete record, provenance and its seal last."""
    written: dict[str, Path | None] = {
        "configs": save_configs(folder, **contents.configs),
        "results": save_results(folder, **contents.results),
    }
    if contents.normalizers is not None:
        written["normalizers"] = save_normalizers(
            folder, contents.normalizers, filename=NORMALIZERS
        )
    weights: dict[str, np.ndarray] | None = None
    if is_surrogate(contents.checkpoint):
        written["weights"] = save_surrogate(folder, contents.checkpoint, filename=WEIGHTS)
        weights = contents.checkpoint.arrays()
    elif contents.checkpoint is not None:
        written["model_checkpoint"] = save_model_checkpoint(
            folder, contents.checkpoint, filename=CHECKPOINT
        )
        path = save_weights(folder, contents.checkpoint, filename=WEIGHTS)
        written["weights"] = path
        weights = decode_weights(path.read_bytes(), str(path))[0] if path else None
    if contents.companions is not None:
        written["companions"] = save_companions(folder, contents.companions, filename=COMPANIONS)
    if contents.predictions is not None:
        written["predictions"] = save_npz(folder / PREDICTIONS, contents.predictions)
    if contents.posterior is not None:
        written["posterior"] = save_posterior(folder, contents.posterior, POSTERIOR)
    if contents.band_powers is not None:
        document = {"schema_version": SCHEMA_VERSION, "band_powers": contents.band_powers}
        written["data"] = write_document(folder, BAND_POWERS, document)
    files = {key: path.name for key, path in written.items() if path is not None}
    info = info_document(
        run_id=name,
        description=contents.description,
        dataset=contents.dataset,
        artifacts={**files, "provenance": PROVENANCE},
        kind=contents.kind,
    )
    if contents.training_box is not None:
        info["training_box"] = contents.training_box
    write_document(folder, INFO, info)
    self_test = make_self_test(load_artifact(folder)) if weights else None
    save_provenance(folder, contents, run, weights=weights, self_test=self_test)


def save_provenance(
    folder: Path,
    contents: Contents,
    run: Mapping[str, Any],
    *,
    has_ended: bool = True,
    weights: Mapping[str, np.ndarray] | None = None,
    self_test: Mapping[str, Any] | None = None,
) -> None:
    """Write provenance.json, with its seal; the other files must be there if the run has ended.

    Parameters
    ----------
    run : mapping
        Such as `new_run` returns.
    """
    sessions = [dict(session) for session in run["sessions"]]
    ended = now() if has_ended else None
    if sessions:
        sessions[-1]["ended_at"] = ended
    document = {
        **run,
        "platform": this_platform(),  # PyTorch, which knows the GPUs, may have been loaded late
        "sessions": sessions,
        "ended_at": ended,
        "wall_time_s": sum(map(_seconds, sessions)) if sessions and has_ended else None,
        "seeds": contents.seeds(),
        "lineage": [
            *contents.steps,
            *lineage(
                dataset=contents.dataset,
                source=contents.source,
                configs=contents.configs,
                split=contents.split_record(),
                weights=weights,
                posterior=contents.posterior.arrays if contents.posterior else None,
            ),
        ],
        "request": contents.request,
        "self_test": self_test,
        "files": files_of(folder) if has_ended else {},
    }
    write_bytes(folder / PROVENANCE, seal(document))


def new_run(started_at: str | None = None) -> dict[str, Any]:
    """What provenance.json says of a run that begins, or is recorded, now."""
    return {**circumstances(), "run": entry_name(), "started_at": started_at, "sessions": []}


def _seconds(session: Mapping[str, Any]) -> float:
    """How long a process worked on a run; clocks that were set back count for nothing."""
    if not session.get("ended_at"):
        return 0.0
    begin, end = (datetime.fromisoformat(session[key]) for key in ("started_at", "ended_at"))
    return max(0.0, (end - begin).total_seconds())


def info_document(
    *,
    run_id: str,
    experiment_name: str | None = None,
    description: str | None,
    dataset: Mapping[str, Any] | None,
    artifacts: Mapping[str, str | None] | None,
    kind: str | None = None,
) -> dict[str, Any]:
    """info.json, as `save_info` writes it; `dataset` is such as `dataset_summary` returns."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "experiment_name": experiment_name or run_id,
        "description": description,
        "created_at": now(),
        **({"kind": kind} if kind is not None else {}),
        "dataset": dataset,
        "artifacts": {key: file for key, file in (artifacts or {}).items() if file is not None},
    }


def write_document(folder: Path, name: str, document: Mapping[str, Any]) -> Path:
    """Write a JSON document of a record."""
    path = Path(folder) / name
    write_bytes(path, encode(document))
    return path
