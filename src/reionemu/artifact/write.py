"""Writing an artifact: save_artifact, and helpers for its single files."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from ..data.normalization import Normalizer
from ..files import write_bytes
from .dataset import dataset_summary
from .jsonio import encode
from .placing import artifact_path, placing
from .sidecars import save_model_checkpoint, save_normalizers, save_weights

SCHEMA_VERSION = 1
CONFIGS, RESULTS, INFO = "configs.json", "results.json", "info.json"
NORMALIZERS, CHECKPOINT, WEIGHTS = "normalizers.npz", "model.pt", "weights.safetensors"


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
) -> Path:
    """Write configs.json: the choices made before the run.

    Configurations may be dataclasses or mappings. Parameters are those of `save_artifact`.

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
    }
    return _write(artifact_dir, CONFIGS, document)


def save_results(
    artifact_dir: Path,
    *,
    summary: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    history: Mapping[str, Any] | None = None,
    dataset_prep_stats: Mapping[str, Any] | None = None,
    status: str = "completed",
) -> Path:
    """Write results.json: what came of the run.

    Raises
    ------
    UnrecordableError (TypeError)
        For a value JSON cannot hold; the file is then as it was.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "created_at": _now(),
        "status": status,
        "summary": summary or {},
        "metrics": metrics or {},
        "history": history or {},
        "dataset_prep_stats": dataset_prep_stats or {},
    }
    return _write(artifact_dir, RESULTS, document)


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
    document = _info_document(
        run_id=run_id,
        experiment_name=experiment_name,
        description=description,
        dataset=dataset_summary(dataset_path) if dataset_path is not None else None,
        artifacts=artifacts,
    )
    return _write(artifact_dir, INFO, document)


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
    configs = {
        "condense_config": condense_config,
        "cl_config": cl_config,
        "build_config": build_config,
        "dataloader_config": dataloader_config,
        "fit_config": fit_config,
        "kfold_config": kfold_config,
        "model_config": model_config,
        "optimizer_config": optimizer_config,
        "tuning_config": tuning_config,
    }
    results = {
        "summary": results_summary,
        "metrics": metrics,
        "history": history,
        "dataset_prep_stats": dataset_prep_stats,
    }
    return save_record(
        name,
        root_dir,
        configs=configs,
        results=results,
        dataset=dataset_summary(dataset_path) if dataset_path is not None else None,
        normalizers=normalizers,
        checkpoint=checkpoint,
        description=description,
    )


def save_record(
    name: str,
    root_dir: Path,
    *,
    configs: Mapping[str, Any],
    results: Mapping[str, Any],
    dataset: Mapping[str, Any] | None,
    normalizers: Mapping[str, Normalizer | None] | None,
    checkpoint: Any,
    description: str | None,
    extra_info: Mapping[str, Any] | None = None,
) -> Path:
    """Write a whole artifact and put it in place; `save_artifact` in terms of its files.

    Parameters
    ----------
    configs, results : mapping
        Arguments of `save_configs` and `save_results`.
    dataset : mapping or None
        Such as `dataset_summary` returns.
    extra_info : mapping, optional
        More for info.json, such as "training_box": ranges of the parameters over the training
        rows, where the caller knows them.
    """
    with placing(name, root_dir) as (folder, final):
        written: dict[str, Path | None] = {
            "configs": save_configs(folder, **configs),
            "results": save_results(folder, **results),
        }
        if normalizers is not None:
            written["normalizers"] = save_normalizers(folder, normalizers, filename=NORMALIZERS)
        if checkpoint is not None:
            written["model_checkpoint"] = save_model_checkpoint(
                folder, checkpoint, filename=CHECKPOINT
            )
            written["weights"] = save_weights(folder, checkpoint, filename=WEIGHTS)
        info = _info_document(
            run_id=name,
            description=description,
            dataset=dataset,
            artifacts={key: path.name if path else None for key, path in written.items()},
        )
        _write(folder, INFO, {**info, **(extra_info or {})})
    return final


def _info_document(
    *,
    run_id: str,
    experiment_name: str | None = None,
    description: str | None,
    dataset: Mapping[str, Any] | None,
    artifacts: Mapping[str, str | None] | None,
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "experiment_name": experiment_name or run_id,
        "description": description,
        "created_at": _now(),
        "dataset": dataset,
        "software": _software(),
        "artifacts": {key: file for key, file in (artifacts or {}).items() if file is not None},
    }


def _software() -> dict[str, str]:
    """Versions of what computes the numbers."""
    versions = {"python": platform.python_version(), "reionemu": __version__}
    for name in ("numpy", "torch", "h5py"):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _write(folder: Path, name: str, document: Mapping[str, Any]) -> Path:
    path = Path(folder) / name
    write_bytes(path, encode(document))
    return path


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()
