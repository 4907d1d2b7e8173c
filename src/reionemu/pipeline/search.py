"""Searching for the best model, and its options, with Ray Tune."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.arrays import TrainingSet
from ..devices import resolve_device
from ..errors import ConfigError, NoUsableSimulationsError
from ..models.inputs import COORDINATES
from ..parameters import PARAMETER_NAMES
from ..tuning.families import draw_points
from .options import NETWORK_CLASSES, TrainingOptions, TuningOptions
from .progress import Progress, Say
from .search_folder import COMPLETED, FAILED, LOST, STOPPED, SearchFolder
from .trials import run_trial, with_best
from .usable import require_enough, require_usable

__all__ = ["search", "with_best"]

PATIENCE = 20
"""Epochs without a lower validation loss that end the trial of a network."""


def search(
    data: TrainingSet,
    parts: Mapping[str, np.ndarray],
    options: TrainingOptions,
    folder: Path | None = None,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    say: Say | None = None,
) -> dict[str, Any]:
    """Search families of models and their options, on the training and validation rows.

    Parameters
    ----------
    data : TrainingSet
    parts : mapping of str to ndarray of int
        Rows of "train" and "val".
    options : TrainingOptions
        `options.tuning` says how. The rest holds for every trial, as far as it does not choose.
    folder : Path, optional
        Where trials are kept as they end; by default that of `options.tuning`, or nowhere.
    resume : bool
        Go on with the search in that folder: trials that have ended are not run again.
    progress : callable, optional
    say : callable, optional

    Returns
    -------
    dict
        "best", the best trial, and "trials", all of them, the lowest "val_error" first. Each has
        "number", "family", "config", "status" (completed, stopped, failed or lost), "val_loss"
        (mean squared error of targets on the validation rows), "val_error" (mean of
        |predicted/true - 1| of spectra), "best_epoch" (of a network), "epochs", "seconds", and
        "error", why it failed.

    Raises
    ------
    ConfigError
        If Ray is not there, or the search in the folder was another one.
    NoUsableSimulationsError
        If no trial came to anything.
    """
    tuning = options.tuning or TuningOptions()
    families = tuning.families(options.model)
    if set(families) - set(NETWORK_CLASSES):
        require_usable(data, parts["train"])
        require_enough(data, parts["train"])
    fit = replace(
        options.fit,
        epochs=tuning.epochs,
        early_stopping_patience=PATIENCE,
        seed=options.fit.seed or 0,
    )
    base = replace(options, fit=fit, tuning=None, kfold=None)
    rows = {part: parts[part] for part in ("train", "val")}
    names = COORDINATES if data.param_names == PARAMETER_NAMES else ("plain",)
    points = draw_points(families, tuning.num_samples, fit.seed or 0, names)
    request = {
        **{name: value for name, value in vars(base).items() if value is not None},
        "families": families,
        "data": data.content_sha256(),
        "rows": {part: indices.tolist() for part, indices in rows.items()},
    }
    with _folder(folder or tuning.storage_path) as path:
        record = SearchFolder(path)
        with record.opened(request, resume=resume):
            _run(
                record,
                points,
                {"data": data, "parts": rows, "options": base},
                tuning,
                progress,
                say,
            )
            return _ranked(record.trials().values())


@contextlib.contextmanager
def _folder(path: Path | None) -> Iterator[Path]:
    if path is not None:
        yield Path(path).expanduser()
        return
    with tempfile.TemporaryDirectory(prefix="reionemu-tune-") as temporary:
        yield Path(temporary)


def _run(
    record: SearchFolder,
    points: list[dict[str, Any]],
    shared: dict[str, Any],
    tuning: TuningOptions,
    progress: Progress | None,
    say: Say | None,
) -> None:
    """Run the trials that have not ended yet."""
    from ..tuning.cluster import connected
    from ..tuning.trials import Finished, run_trials

    done = {n: trial for n, trial in record.trials().items() if trial["status"] != LOST}
    _require_of_these_points(record, done, points)
    left = {n: point for n, point in enumerate(points) if n not in done}
    if done and say:
        say(f"{len(done)} trials are there, {len(left)} are left")
    ended = 0

    def keep(finished: Finished) -> None:
        nonlocal ended
        record.save(_trial(finished, points[finished.number], shared["options"].fit.epochs))
        ended += 1
        if progress:
            progress("searching", ended, len(left))

    if not left:
        return
    is_cuda = resolve_device(shared["options"].fit.device).type == "cuda"
    with contextlib.redirect_stdout(io.StringIO()), connected(tuning.ray):  # Ray prints a banner
        run_trials(
            left,
            run_trial,
            shared,
            keep,
            folder=record.ray,
            concurrent=tuning.max_concurrent_trials,
            epochs=tuning.epochs,
            gpus=1 if is_cuda else 0,
            past=[trial["losses"] for trial in done.values()],
        )


def _trial(finished: Any, point: Mapping[str, Any], most_epochs: int) -> dict[str, Any]:
    """The record of a trial that has ended."""
    reported, epochs = finished.reported, len(finished.losses)
    best_epoch = reported.get("best_epoch")
    status = COMPLETED
    if finished.error is not None:
        status = LOST if finished.lost else FAILED
    elif best_epoch is not None and epochs < min(most_epochs, best_epoch + PATIENCE):
        status = STOPPED
    has_errors = status in (COMPLETED, STOPPED)
    return {
        "number": finished.number,
        **point,
        "status": status,
        "val_loss": reported["best_val_loss"] if has_errors else None,
        "val_error": reported["val_error"] if has_errors else None,
        "best_epoch": best_epoch,
        "epochs": epochs,
        "seconds": round(finished.seconds, 3),
        "error": finished.error,
        "losses": finished.losses,
    }


def _require_of_these_points(
    record: SearchFolder, done: Mapping[int, Mapping[str, Any]], points: list[dict[str, Any]]
) -> None:
    """Refuse trials of another version of this package, which searched another space."""
    for number, trial in done.items():
        if number < len(points) and points[number]["config"] != trial["config"]:
            raise ConfigError(
                f"the search in {record.path} was of another space: its trial {number} had other "
                "options than it would have now. Finish it with the version of reionemu that "
                "began it, or start anew without --resume"
            )


def _ranked(trials: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The best trial, and all, best first, without what only a search that goes on needs."""
    ranked = ranking(trials)
    if not ranked or ranked[0]["val_error"] is None:
        first = min(ranked, key=lambda trial: trial["number"])
        raise NoUsableSimulationsError(
            f"none of the {len(ranked)} trials of the search came to anything; the first failed "
            f"with {first['error']}"
        )
    return {"best": ranked[0], "trials": ranked}


def ranking(trials: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Trials, the lowest error of spectra first and those that failed last.

    Few simulations validate, and of squares the worst one alone may decide.
    """

    def key(trial: Mapping[str, Any]) -> tuple[bool, float, int]:
        error = trial["val_error"]
        return error is None, error or 0.0, trial["number"]

    return [
        {name: value for name, value in trial.items() if name != "losses"}
        for trial in sorted(trials, key=key)
    ]
