"""A run that is recorded as it goes: start_artifact.

While it goes on, its record is `<root>/.runs/<name>/<run id>/`. When it has completed, the record
moves to `<root>/<name>/` in one step, so that the name always leads to a whole record; a run that
was killed, or failed, stays where it is, with its history, and can be resumed.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import ReionemuWarning
from .experiment import Contents
from .formats.jsonio import decode, encode, read_json
from .layout import CONFIGS, INFO, PROVENANCE, RESULTS
from .lineage import Split, training_box
from .placing import artifact_path, prepare_root
from .provenance import now
from .pulse import Pulse
from .run import Run
from .run_folder import RunFolder
from .runs import RUNNING, claim, remove_completed, require_no_conflict
from .write import (
    info_document,
    new_run,
    save_configs,
    save_provenance,
    save_results,
    write_document,
)


def start_artifact(
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
    split: Split | None = None,
    description: str | None = None,
    resume: bool = False,
    state_seconds: float = 10.0,
) -> Run:
    """Begin a record that is written as the run goes; use it as a context manager.

    ::

        with start_artifact("name", root, dataset_path=h5, fit_config=config) as run:
            history = fit(model, ..., config, record=run)
            run.record(checkpoint=model.state_dict(), normalizers=normalizers, metrics={...})

    When the block ends, the record is complete and at `<root_dir>/<name>`; an earlier one of the
    name moves to the history. If the block raises, the record says so, with the traceback, and an
    earlier record of the name stays where it was.

    Parameters
    ----------
    name, root_dir, dataset_path, *_config, description
        As in `save_artifact`.
    split : mapping, optional
        For the record: the fractions that `make_dataloaders` was given, or the rows of each part.
    resume : bool
        Go on with the latest run of this name that was killed or failed, if there is one with
        the same configurations, data and split. If those differ, a warning says in what.
    state_seconds : float
        `fit(record=run)` saves what is needed to resume when this much time has passed, and
        soon after the start; 0 for every epoch.

    Returns
    -------
    Run

    Raises
    ------
    RecordError (ValueError)
        For an impossible name.
    FileNotFoundError, DatasetError, UnrecordableError
        As in `save_artifact`.
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
        split=split,
        description=description,
    )
    if dataset_path is not None and split is not None:
        contents.training_box = training_box(dataset_path, contents.split_record())
    return start_run(name, root_dir, contents, resume=resume, state_seconds=state_seconds)


def start_run(
    name: str,
    root_dir: Path,
    contents: Contents,
    *,
    resume: bool = False,
    state_seconds: float = 10.0,
) -> Run:
    """`start_artifact` in terms of the record's contents.

    Two runs are the same, and one can go on where the other stopped, if their `contents.request`
    is; where there is none, their configurations, data and split are taken for it.
    """
    prepare_root(artifact_path(name, root_dir))
    root = Path(root_dir).expanduser().absolute()
    require_no_conflict(name, root)
    if contents.request is None:
        contents.request = {
            "configs": contents.configs,
            "content_sha256": (contents.dataset or {}).get("content_sha256"),
            "split": contents.split_record(),
        }
    contents.request = decode(encode(contents.request), "request")
    remove_completed(name, root)
    claimed = claim(name, root, contents.request) if resume else None
    if claimed is None:
        return _begin(name, root, contents, state_seconds)
    folder, pulse, died_at = claimed
    try:
        return _go_on(name, root, contents, state_seconds, folder, pulse, died_at)
    except BaseException:
        pulse.stop()
        raise


def _begin(name: str, root: Path, contents: Contents, state_seconds: float) -> Run:
    """A new run."""
    run = new_run(started_at=now())
    run["sessions"] = [{**_session(run, 0), "started_at": run["started_at"]}]
    files = {"configs": CONFIGS, "results": RESULTS, "provenance": PROVENANCE}
    info = info_document(
        run_id=name,
        description=contents.description,
        dataset=contents.dataset,
        artifacts=files,
        kind=contents.kind,
    )

    def fill(folder: Path) -> None:
        save_configs(folder, **contents.configs)
        save_results(folder, **contents.results, status=RUNNING)
        if contents.training_box is not None:
            info["training_box"] = contents.training_box
        write_document(folder, INFO, info)
        save_provenance(folder, contents, run, has_ended=False)

    folder = RunFolder.create(root, name, run["run"], fill)
    return Run(name, root, contents, folder, run, state_seconds)


def _go_on(
    name: str,
    root: Path,
    contents: Contents,
    state_seconds: float,
    claimed: Path,
    pulse: Pulse,
    died_at: float | None,
) -> Run:
    """A run that goes on where a dead one stopped, in its folder."""
    provenance = read_json(claimed / PROVENANCE)
    contents.configs = _arguments(read_json(claimed / CONFIGS))
    results = read_json(claimed / RESULTS)
    parts = ("summary", "metrics", "dataset_prep_stats")
    contents.results = {key: results[key] for key in parts if results.get(key)}
    folder, saved, journal = RunFolder.take_over(claimed, pulse)
    run = new_run(started_at=provenance.get("started_at"))
    run["run"] = provenance.get("run", claimed.name)
    before = [dict(session) for session in provenance.get("sessions") or []]
    if before and not before[-1].get("ended_at") and died_at is not None:
        moment = datetime.fromtimestamp(died_at, tz=timezone.utc)
        before[-1]["ended_at"] = moment.isoformat()
    run["sessions"] = [*before, _session(run, saved["epoch"] if saved else 0)]
    _warn_of_changes(provenance, run)
    save_results(claimed, **contents.results, status=RUNNING)
    save_provenance(claimed, contents, run, has_ended=False)
    return Run(name, root, contents, folder, run, state_seconds, saved or {"epoch": 0}, journal)


def _warn_of_changes(before: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Say so if a run goes on with other software, with which its numbers may differ."""
    old, new = before.get("software") or {}, run["software"]
    changed = [f"{k} {old[k]} -> {new.get(k)}" for k in old if old[k] != new.get(k)]
    commits = [(document.get("code") or {}).get("commit") for document in (before, run)]
    if commits[0] != commits[1]:
        changed.append(f"commit {commits[0]} -> {commits[1]}")
    if changed:
        warnings.warn(
            f"the run goes on with other software than it began with: {', '.join(changed)}",
            ReionemuWarning,
            stacklevel=5,
        )


def _session(run: Mapping[str, Any], from_epoch: int) -> dict[str, Any]:
    """What provenance.json says of a process that works on a run."""
    return {
        "started_at": now(),
        "ended_at": None,
        "host": run["platform"]["host"],
        "from_epoch": from_epoch,
        "command": run["command"],
        "software": run["software"],
        "commit": (run["code"] or {}).get("commit"),
    }


def _arguments(configs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `save_configs` from what it wrote."""
    prepared = configs.get("dataset_prep") or {}
    return {
        "condense_config": prepared.get("condense"),
        "cl_config": prepared.get("cl"),
        "build_config": prepared.get("build_xy"),
        "dataloader_config": (configs.get("data_loading") or {}).get("dataloader"),
        "fit_config": configs.get("training"),
        "kfold_config": configs.get("kfold"),
        "model_config": configs.get("model"),
        "optimizer_config": configs.get("optimizer"),
        "tuning_config": configs.get("tuning"),
        "inference_config": configs.get("inference"),
    }
