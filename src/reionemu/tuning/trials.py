"""Running trials on Ray Tune: any function of a point, at many points, bad ones stopped early."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..errors import ConfigError, ReionemuError
from .four_param import _ray_tune

METRIC = "val_loss"
GRACE = 15
"""Epochs after which a trial may be stopped for being worse than the better half."""

WORST = 1e300
"""Loss of a trial that failed: not NaN, which would leave others nothing to be compared with."""

RETRIES = 2
"""How often a trial is begun again whose worker died."""

Report = Callable[[Mapping[str, Any]], None]
Trial = Callable[..., None]
"""(point, report, **shared): calls report({"val_loss": ..., ...}) once, or after every epoch."""


@dataclass
class Finished:
    """What a trial came to.

    Attributes
    ----------
    number : int
        Of its point.
    reported : dict
        What it reported last.
    losses : list of float
        Its `val_loss`, report by report.
    seconds : float
    error : str or None
        Why it failed.
    lost : bool
        Whether what failed was the machine, or its program, and not the point.
    """

    number: int
    reported: dict[str, Any] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    error: str | None = None
    lost: bool = False


def run_trials(
    points: Mapping[int, Mapping[str, Any]],
    trial: Trial,
    shared: Mapping[str, Any],
    on_finished: Callable[[Finished], None],
    *,
    folder: Path,
    concurrent: int,
    epochs: int,
    gpus: float = 0,
    past: Iterable[list[float]] = (),
) -> None:
    """Run a trial at each point, on the Ray cluster that this process is connected to.

    Trials that report after every epoch are stopped if they do badly (ASHA: Li et al. 2020).

    Parameters
    ----------
    points : mapping of int to mapping
        Points by number.
    trial : callable
        An error of this package's or of arithmetic ends that trial alone. So does the death of its
        worker, if it happens again and again.
    shared : mapping
        What else `trial` is given, by keyword; it travels through Ray's object store.
    on_finished : callable
        Called here as each trial ends.
    folder : Path
        Where Ray keeps its files, which nobody needs afterwards.
    concurrent : int
        Trials at the same time.
    epochs : int
        Reports of a trial, at most.
    gpus : float
        Of each trial.
    past : iterable of list of float
        Losses of earlier trials, against which these are judged, too.

    Raises
    ------
    ConfigError
        If the cluster has no GPU, and trials need one.
    """
    tune = _ray_tune()
    _require_gpus(gpus)
    scheduler = _scheduler(epochs, past)
    # An interrupt is not a result; and what Ray's loggers write, nobody reads.
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    guarded = tune.with_parameters(_guarded, trial=trial, shared=dict(shared))
    numbered = [{"number": number, "point": dict(point)} for number, point in points.items()]
    tune.Tuner(
        tune.with_resources(guarded, {"cpu": 1, "gpu": gpus}),
        param_space={"trial": tune.grid_search(numbered)},
        tune_config=tune.TuneConfig(max_concurrent_trials=concurrent, scheduler=scheduler),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(folder.resolve()),
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            callbacks=[_watch(tune, on_finished)],
            verbose=0,
        ),
    ).fit()


def _require_gpus(needed: float) -> None:
    """Raise ConfigError unless there are so many; Ray would wait for them for ever."""
    import ray

    if needed and ray.cluster_resources().get("GPU", 0) < needed:
        raise ConfigError("no GPU in the Ray cluster: give fit.device=cpu")


def _guarded(config: dict[str, Any], *, trial: Trial, shared: dict[str, Any]) -> None:
    """One trial, in a process of Ray's; what is wrong with its point is a result."""
    tune = _ray_tune()
    try:
        trial(config["trial"]["point"], lambda values: tune.report(dict(values)), **shared)
    except (ReionemuError, ArithmeticError, np.linalg.LinAlgError) as error:
        tune.report({METRIC: WORST, "error": f"{type(error).__name__}: {error}"})


def _scheduler(epochs: int, past: Iterable[list[float]]) -> Any:
    """ASHA, having seen what earlier trials reported."""
    from ray.tune.schedulers import ASHAScheduler

    scheduler: Any = ASHAScheduler(
        metric=METRIC,
        mode="min",
        max_t=epochs,
        grace_period=min(GRACE, epochs),
        reduction_factor=2,
    )
    for number, losses in enumerate(past):
        ghost = SimpleNamespace(trial_id=f"past-{number}")
        scheduler.on_trial_add(None, ghost)
        for epoch, loss in enumerate(losses, start=1):
            result = {"training_iteration": epoch, METRIC: loss}
            scheduler.on_trial_result(None, ghost, result)
    return scheduler


def _watch(tune: Any, on_finished: Callable[[Finished], None]) -> Any:
    """A callback of Ray Tune's that hands over trials as they end."""
    reports: dict[str, Finished] = {}

    def of(trial: Any) -> Finished:
        number = trial.config["trial"]["number"]
        return reports.setdefault(trial.trial_id, Finished(number))

    class Watch(tune.Callback):
        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            found, before = of(trial), result["training_iteration"] - 1
            found.losses = [*found.losses[:before], result[METRIC]]  # fewer, if begun again
            found.reported, found.seconds = dict(result), result["time_total_s"]
            found.error = result.get("error")

        def on_trial_complete(
            self, iteration: int, trials: list[Any], trial: Any, **info: Any
        ) -> None:
            on_finished(of(trial))

        def on_trial_error(
            self, iteration: int, trials: list[Any], trial: Any, **info: Any
        ) -> None:
            found = of(trial)
            found.error, found.lost = _reason(trial), True
            on_finished(found)

    return Watch()


def _reason(trial: Any) -> str:
    """Why Ray gave a trial up, in a line."""
    error = trial.get_pickled_error() or trial.get_error()
    lines = str(getattr(error, "cause", None) or error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1] if lines else 'no reason was given'}"
