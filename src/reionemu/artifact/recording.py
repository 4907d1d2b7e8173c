"""A run that is recorded as it goes: start_artifact.

While it goes on, its record is `<root>/.runs/<name>/<run id>/`. When it has completed, the record
moves to `<root>/<name>/` in one step, so that the name always leads to a whole record; a run that
was killed, or failed, stays where it is, with its history, and can be resumed.
"""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..config import require_int
from ..errors import ConfigError, RecordError, ReionemuError, ReionemuWarning
from .experiment import CONFIG_ARGUMENTS, Contents
from .formats.journal import as_history
from .formats.jsonio import decode, encode, read_json
from .formats.sidecars import model_record
from .layout import CONFIGS, INFO, PROVENANCE, RESULTS
from .lineage import Split, training_box
from .placing import artifact_path, prepare_root
from .provenance import now
from .pulse import Pulse
from .run_folder import RunFolder
from .runs import FAILED, INTERRUPTED, RUNNING, claim, remove_completed, require_no_conflict
from .write import (
    info_document,
    new_run,
    save_configs,
    save_provenance,
    save_record,
    save_results,
    write_document,
)

if TYPE_CHECKING:
    from ..data.normalization import Normalizer

_FIRST_STATE_S = 1.0


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
        run_id=name, description=contents.description, dataset=contents.dataset, artifacts=files
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


class Run:
    """A run that is being recorded; made by `start_artifact`.

    Attributes
    ----------
    name : str
    path : Path
        Where the record is: in `.runs`, and once it is complete at its name.
    resumed : bool
        Whether this goes on with an earlier run.
    history : dict of list
        What has been logged, by name.
    results : dict
        "summary", "metrics" and "dataset_prep_stats" recorded so far, by this run or by the one
        that it goes on with.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        contents: Contents,
        folder: RunFolder,
        run: dict[str, Any],
        state_seconds: float,
        saved: Mapping[str, Any] | None = None,
        journal: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.name = name
        self.path = folder.path
        self.resumed = saved is not None
        self.history = as_history(journal)
        self._root, self._contents, self._folder, self._run = root, contents, folder, run
        self._state: dict[str, Any] | None = (saved or {}).get("state")
        self._epochs = [entry["epoch"] for entry in journal]
        self._epoch: int = (saved or {}).get("epoch", 0)
        self._trained: Mapping[str, Any] | None = None
        self._state_seconds, self._state_at = state_seconds, time.monotonic()
        self._pause = min(_FIRST_STATE_S, state_seconds)
        self._is_stopping = False
        self._is_open = True

    @property
    def results(self) -> dict[str, Any]:
        """What has been recorded of the outcome so far."""
        return self._contents.results

    def __repr__(self) -> str:
        if not self._is_open:
            return f"<Run {self.name!r}, ended, record at {self.path}>"
        return f"<Run {self.name!r}, {self._epoch} epochs so far, record at {self.path}>"

    @property
    def epoch(self) -> int:
        """The last epoch that was logged, or is gone on from; 0 before the first."""
        return self._epoch

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_open or not self._folder.is_ours:
            return
        if error is None:
            self.finish()
        elif isinstance(error, Exception):
            self.fail(error)
        else:
            self._close(INTERRUPTED, None)

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Record what an epoch came to; usable as `fit(on_epoch=run.log)`.

        Parameters
        ----------
        epoch : int
            From 1, never smaller than the last one.
        values : mapping of str to float
            NaN and infinity are kept.
        """
        self._require_open()
        if not isinstance(values, Mapping):
            raise ConfigError(f"log takes an epoch and its values by name, not {values!r:.60}")
        if epoch < self._epoch:
            raise ConfigError(
                f"epoch {epoch} was logged after epoch {self._epoch}: a run records one training. "
                "Start another run for the next"
            )
        require_int("log", "epoch", epoch, minimum=1)
        if "epoch" in values:
            raise ConfigError("a value cannot be called 'epoch'; that is the number of the epoch")
        plain = {str(key): float(value) for key, value in values.items()}
        self._folder.append({"epoch": int(epoch), **plain})
        self._epoch = int(epoch)
        self._epochs.append(self._epoch)
        for key, value in plain.items():
            self.history.setdefault(key, []).append(value)

    def record(
        self,
        *,
        checkpoint: Any = None,
        normalizers: Mapping[str, Normalizer | None] | None = None,
        metrics: Mapping[str, Any] | None = None,
        results_summary: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Say what came of the run: any argument of `save_artifact` but the dataset.

        May be called more than once; what is said later counts. Metrics, summary and
        configurations are on disk when this returns, the rest when the run ends.

        Raises
        ------
        ConfigError (ValueError)
            For an argument that there is not.
        UnrecordableError (TypeError)
            For a value JSON cannot hold.
        """
        self._require_open()
        self._folder.require_ours()
        self._contents.update(
            checkpoint=checkpoint,
            normalizers=normalizers,
            metrics=metrics,
            results_summary=results_summary,
            **more,
        )
        if any(name in CONFIG_ARGUMENTS for name in more):
            save_configs(self.path, **self._contents.configs)
        save_results(self.path, **self._contents.results, status=RUNNING)

    def state_is_due(self) -> bool:
        """Whether it is time to save a state again."""
        return self._is_stopping or time.monotonic() - self._state_at >= self._pause

    def save_state(self, epoch: int, state: Mapping[str, Any]) -> None:
        """Keep what is needed to go on after an epoch (tensors, numbers, texts, containers)."""
        self._require_open()
        began = time.monotonic()
        self._folder.save_state(epoch, state)
        self._state_at = time.monotonic()
        if self._state_seconds > 0:  # no more than a twentieth of the time goes to saving
            self._pause = max(self._state_seconds, 20 * (self._state_at - began))
        if self._is_stopping:
            raise KeyboardInterrupt

    def stop(self) -> None:
        """Save a state when this epoch has ended, and raise KeyboardInterrupt; for signals."""
        self._is_stopping = True

    def trained(self, weights: Mapping[str, Any]) -> None:
        """Take the weights that a training came to; they are saved if no others are recorded."""
        self._trained = weights

    def saved_state(self) -> dict[str, Any] | None:
        """The state to go on from, or None if the run starts from the beginning."""
        return self._state

    def finish(self) -> Path:
        """Complete the record and move it to its name; the path is returned."""
        self._require_open()
        self._folder.require_ours()
        self._contents.results.setdefault("history", self._full_history())
        if self._contents.checkpoint is None:
            self._contents.checkpoint = self._trained
        known = model_record(self._contents.checkpoint)
        if known and self._contents.configs.get("model_config") is None:
            self._contents.configs["model_config"] = known
        try:
            final = save_record(self.name, self._root, self._contents, self._run)
        except Exception as error:
            self.fail(error)
            raise
        except BaseException:
            self._close(INTERRUPTED, None)
            raise
        self._is_open = False
        self._folder.discard()
        self.path = final
        return final

    def _full_history(self) -> dict[str, list[Any]]:
        """The history; with the numbers of its epochs, if they are not 1, 2, 3 and so on."""
        counted = list(range(1, len(self._epochs) + 1))
        return self.history if self._epochs == counted else {"epoch": self._epochs, **self.history}

    def fail(self, error: BaseException) -> None:
        """End the run as failed; the record keeps the traceback."""
        trace = traceback.format_exception(type(error), error, error.__traceback__)
        self._close(
            FAILED,
            {
                "type": type(error).__name__,
                "message": str(error),
                "traceback": "".join(trace),
            },
        )

    def _close(self, status: str, error: Mapping[str, Any] | None) -> None:
        """End the run unfinished. What raised is more important than a failure in here."""
        results = {"history": self._full_history(), **self._contents.results}
        try:
            self._folder.require_ours()
            save_results(self.path, **results, status=status, error=error)
            save_provenance(self.path, self._contents, self._run)
        except (OSError, ReionemuError, TypeError, ValueError) as failure:
            warnings.warn(
                f"how the run in {self.path} ended could not be recorded: {failure}",
                ReionemuWarning,
                stacklevel=3,
            )
        finally:
            self._is_open = False
            self._folder.close()

    def _require_open(self) -> None:
        if not self._folder.is_ours:
            raise RecordError(f"the run {self.name!r} belongs to the process that started it")
        if not self._is_open:
            raise RecordError(f"the run {self.name!r} has ended; start another")


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
    }
