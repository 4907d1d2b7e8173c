"""What a caller does with a run that is being recorded."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..config import require_int
from ..errors import ConfigError, RecordError, ReionemuError, ReionemuWarning
from .experiment import CONFIG_ARGUMENTS, Contents
from .formats.journal import as_history
from .formats.sidecars import model_record
from .run_folder import RunFolder
from .runs import FAILED, INTERRUPTED, RUNNING
from .write import save_configs, save_provenance, save_record, save_results

if TYPE_CHECKING:
    from ..data.normalization import Normalizer

_FIRST_STATE_S = 1.0


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
        """Keep what is needed to go on after an epoch (tensors, numbers, texts, containers).

        A disk that is full stops no training: a warning says so, and the state before is kept.

        Raises
        ------
        UnrecordableError (TypeError)
            If the state holds something else.
        """
        self._require_open()
        began = time.monotonic()
        try:
            self._folder.save_state(epoch, state)
        except OSError as error:
            warnings.warn(
                f"the state of the run could not be saved in {self.path}: {error.strerror}. "
                "Training goes on",
                ReionemuWarning,
                stacklevel=3,
            )
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
