"""Trials on Ray: which are stopped, what is taken down of each, what a bad point does."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from reionemu.errors import ConfigError, DatasetError
from reionemu.tuning import trials
from reionemu.tuning.cluster import connected
from reionemu.tuning.trials import Finished


def result_at(epoch: int, loss: float) -> dict[str, float]:
    """What Ray hands a scheduler."""
    return {"training_iteration": epoch, "val_loss": loss}


def decision(past: list[list[float]], epochs: int, epoch: int, loss: float) -> str:
    """What becomes of a trial with a loss in an epoch."""
    scheduler = trials._scheduler(epochs, past)
    trial = SimpleNamespace(trial_id="new")
    scheduler.on_trial_add(None, trial)
    return scheduler.on_trial_result(None, trial, result_at(epoch, loss))


@pytest.mark.parametrize(
    ("losses", "epoch", "loss", "expected"),
    [
        ([1.0, 3.0], 15, 2.5, "STOP"),  # worse than the median of the two, 2
        ([1.0, 3.0], 15, 1.5, "CONTINUE"),
        ([1.0, 3.0], 14, 2.5, "CONTINUE"),  # grace
        ([], 15, 1e9, "CONTINUE"),
        ([trials.WORST, 3.0], 15, 2.5, "CONTINUE"),  # one of them failed
        ([1.0], 60, 0.1, "STOP"),  # the end
    ],
)
def test_trials_are_judged_against_those_of_before_an_interruption(losses, epoch, loss, expected):
    past = [[loss] * 15 for loss in losses]
    assert decision(past, 60, epoch, loss) == expected


def test_trials_of_one_report_are_no_measure_for_others():
    assert decision([[1e-9], [1e-9]], 60, 15, 1.0) == "CONTINUE"


def watched(calls) -> list[Finished]:
    """What a watch hands over after calls (name of the method, its arguments)."""
    finished: list[Finished] = []
    watch = trials._watch(SimpleNamespace(Callback=object), finished.append)
    trial = SimpleNamespace(
        trial_id="a",
        config={"trial": {"number": 7, "point": {}}},
        get_pickled_error=lambda: None,
        get_error=lambda: RuntimeError("first line\nthe worker died"),
    )
    for name, more in calls:
        getattr(watch, name)(iteration=0, trials=[], trial=trial, **more)
    return finished


def reported(epoch, loss, **more):
    """A call by which Ray hands over a report."""
    values = {**result_at(epoch, loss), "time_total_s": 2.0 * epoch, **more}
    return "on_trial_result", {"result": values}


def test_the_watch_takes_down_every_report_and_hands_over_at_the_end():
    assert watched([reported(1, 3.0)]) == []
    (done,) = watched([reported(1, 3.0), reported(2, 2.0, x=5), ("on_trial_complete", {})])
    assert (done.number, done.losses, done.seconds) == (7, [3.0, 2.0], 4.0)
    assert done.reported["x"] == 5
    assert (done.error, done.lost) == (None, False)


def test_a_trial_begun_again_is_taken_down_from_its_beginning():
    calls = [reported(1, 3.0), reported(2, 2.0), reported(1, 4.0), ("on_trial_complete", {})]
    assert watched(calls)[0].losses == [4.0]


def test_what_ray_gives_up_is_lost_and_says_why():
    (done,) = watched([reported(1, 3.0), ("on_trial_error", {})])
    assert done.lost
    assert done.error == "RuntimeError: the worker died"


@pytest.mark.parametrize(
    "error", [DatasetError("too few"), ZeroDivisionError("0"), np.linalg.LinAlgError("singular")]
)
def test_what_is_wrong_with_a_point_is_a_result(monkeypatch, error):
    reports: list[dict] = []
    fake = SimpleNamespace(report=reports.append)
    monkeypatch.setattr(trials, "_ray_tune", lambda: fake)

    def trial(point, report, *, scale):
        report({"val_loss": point["x"] * scale})
        raise error

    trials._guarded({"trial": {"point": {"x": 3}}}, trial=trial, shared={"scale": 2})
    assert reports[0] == {"val_loss": 6}
    assert reports[1]["error"] == f"{type(error).__name__}: {error}"
    assert reports[1]["val_loss"] > 1e100


def test_a_fault_of_the_program_is_not_taken_for_one_of_the_point(monkeypatch):
    monkeypatch.setattr(trials, "_ray_tune", lambda: None)

    def trial(point, report):
        raise KeyError("oops")

    with pytest.raises(KeyError):
        trials._guarded({"trial": {"point": {}}}, trial=trial, shared={})


@pytest.mark.parametrize("address", ["127.0.0.1:9", "127.0.0.1:99999", "nowhere.invalid:6379"])
def test_a_cluster_that_is_not_there_is_an_error_at_once(monkeypatch, address):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ConfigError, match=f"cannot connect to a Ray cluster at '{address}'"):
        connected(address).__enter__()
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ConfigError, match=f"at '{address}'"):
        connected().__enter__()


def test_without_ray_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'reionemu\[tune\]'"):
        connected().__enter__()
