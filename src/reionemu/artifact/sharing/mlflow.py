"""A record copied to an MLflow server or database, for those who look at their runs there.

The record stays what counts: MLflow keeps names and numbers, not what a record is checked by. Its
files go along as artifacts of the run.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ConfigError, ReionemuError
from .contents import contents_of, documents_of
from .flat import as_time, flat
from .recorded import mapping, number

if TYPE_CHECKING:
    from ..read import Artifact

EXPERIMENT = "reionemu"
_MOST = 100  # of parameters, metrics or tags in one request
_LONGEST_KEY, _LONGEST_PARAM, _LONGEST_TAG = 250, 500, 5000
_ENDS = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED", "running": "RUNNING"}


def log_to_mlflow(
    artifact: Artifact, *, tracking_uri: str | None = None, experiment: str | None = None
) -> str:
    """Copy a record to MLflow as a new run.

    Configurations become parameters (`model.hidden_dim`), the history metrics with a step an epoch
    (`val_loss`), the metrics at the end metrics called `metrics.*`, and all files of the record
    artifacts. Values that are not finite, which MLflow's stores each treat in another way, are
    left out and named in the tag `reionemu.not_finite`.

    Parameters
    ----------
    artifact : Artifact
    tracking_uri : str, optional
        Such as "http://server:5000" or "sqlite:///mlflow.db"; by default what MLflow is set to.
    experiment : str, optional
        Made if it is not there; by default "reionemu".

    Returns
    -------
    str
        Identifier of the run in MLflow.

    Raises
    ------
    ConfigError (ValueError)
        If MLflow is not installed.
    ReionemuError
        If MLflow does not take the record, saying why; the run is deleted then.
    """
    try:
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise ConfigError(
            f"MLflow is needed for this, and cannot be imported ({error}): "
            "pip install 'reionemu[mlflow]'"
        ) from None
    files = contents_of(artifact)
    started, ended = _times(artifact)
    run_id = ""
    try:
        client = MlflowClient(tracking_uri=tracking_uri)
        run = client.create_run(
            _experiment_id(client, experiment or EXPERIMENT),
            start_time=started,
            run_name=documents_of(artifact).run,
        )
        run_id = run.info.run_id
        _log(client, run_id, artifact, ended)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                Path(folder, name).write_bytes(content)
            client.log_artifacts(run_id, folder)
        client.set_terminated(run_id, _ENDS.get(artifact.status, "FINISHED"), end_time=ended)
    except Exception as error:  # besides its own, those of databases, of HTTP, of clouds
        with suppress(Exception):  # what made this fail may make that fail, too
            client.delete_run(run_id)
        where = tracking_uri or "its default tracking URI"
        reason = " ".join(str(error).split())[:500] or type(error).__name__
        raise ReionemuError(f"MLflow at {where} did not take the record: {reason}") from error
    return run_id


def _log(client: Any, run_id: str, artifact: Artifact, ended: int) -> None:
    """Parameters, metrics and tags, as many at a time as a server takes."""
    from mlflow.entities import Metric, Param, RunTag

    params = [Param(key, value) for key, value in _params(artifact.configs)]
    points, left_out = _points(artifact.results)
    metrics = [Metric(key, value, ended, step) for key, value, step in points]
    tags = [RunTag(key, value) for key, value in _tags(artifact, left_out)]
    for batch in _batches(params):
        client.log_batch(run_id, params=batch)
    for batch in _batches(metrics):
        client.log_batch(run_id, metrics=batch)
    for batch in _batches(tags):
        client.log_batch(run_id, tags=batch)


def _params(configs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for path, value in flat(configs, skip=("schema_version",)).items():
        if value is not None:
            yield _key(path), str(value)[:_LONGEST_PARAM]


def _points(results: Mapping[str, Any]) -> tuple[list[tuple[str, float, int]], list[str]]:
    """(name, value, step) of metrics and history, and names of those that are not finite."""
    values = [(f"metrics.{k}", v, 0) for k, v in flat(results.get("metrics")).items()]
    for name, column in mapping(results, "history").items():
        if isinstance(column, list):
            values += [(str(name), value, epoch) for epoch, value in enumerate(column, start=1)]
    points: list[tuple[str, float, int]] = []
    left_out: dict[str, None] = {}  # in order, each once
    for name, value, step in values:
        as_float = number(value)
        if as_float is None:
            continue
        if math.isfinite(as_float):
            points.append((_key(name), as_float, step))
        else:
            left_out[f"{name}: {as_float}"] = None
    return points, list(left_out)


def _tags(artifact: Artifact, left_out: Sequence[str]) -> Iterator[tuple[str, str]]:
    provenance = artifact.provenance
    software = mapping(provenance, "software") or mapping(artifact.info, "software")
    code = mapping(provenance, "code")
    tags = {
        "mlflow.note.content": artifact.info.get("description"),
        "mlflow.source.name": "reionemu",
        "mlflow.source.git.commit": code.get("commit"),
        "reionemu.name": artifact.info.get("run_id"),
        "reionemu.run": provenance.get("run"),
        "reionemu.status": artifact.status,
        "reionemu.version": software.get("reionemu"),
        "reionemu.dirty": code.get("dirty"),
        "reionemu.training_data_sha256": mapping(artifact.info, "dataset").get("content_sha256"),
        "reionemu.not_finite": ", ".join(left_out),
    }
    for key, value in tags.items():
        if value not in (None, ""):
            yield key, str(value)[:_LONGEST_TAG]


def _key(path: str) -> str:
    """A name that MLflow takes: letters, digits and a few signs, and no path that leads away."""
    clean = re.sub(r"[^A-Za-z0-9_\-. /]", "_", path).strip("/ ")
    clean = re.sub(r"/+", "/", clean)
    clean = "_".join(part or "_" for part in clean.split("..")) if ".." in clean else clean
    return clean[:_LONGEST_KEY].strip("/. ") or "_"


def _batches(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _MOST):
        yield items[start : start + _MOST]


def _experiment_id(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return found.experiment_id if found is not None else client.create_experiment(name)


def _times(artifact: Artifact) -> tuple[int, int]:
    """Start and end in milliseconds, as far as they are recorded."""
    recorded = (
        artifact.provenance.get("ended_at"),
        artifact.results.get("created_at"),
        artifact.info.get("created_at"),
    )
    ended = next((when for when in map(as_time, recorded) if when), datetime.now(timezone.utc))
    started = as_time(artifact.provenance.get("started_at")) or ended
    return int(1000 * started.timestamp()), int(1000 * ended.timestamp())
