"""Runs that are recorded as they go: killed at any moment, and crowded."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

import reionemu
from reionemu.artifact import verify_artifact

KILLS = 200
EPOCHS = 4


def logged(log: Path) -> list[int]:
    """The tags of the runs that were reported done."""
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def check_complete(path: Path) -> int:
    """The tag of a record that must be whole, with a history and a sum of all its epochs."""
    verification = verify_artifact(path)
    assert verification.ok, str(verification)
    artifact = reionemu.load_artifact(path)
    assert artifact.status == "completed"
    assert artifact.results["history"] == {"train_loss": [1.0, 2.0, 3.0, 4.0]}
    tag = artifact.results["metrics"]["tag"]
    assert artifact.results["metrics"] == {"tag": tag, "sum": 10.0}
    assert {float(w) for a in artifact._weights()[0].values() for w in np.unique(a)} == {float(tag)}
    return int(tag)


def check_dead(path: Path) -> int:
    """How many epochs of a killed run can be read."""
    deadline = time.monotonic() + 5
    while (artifact := reionemu.load_artifact(path)).status == "running":
        # A child of the killed process (git, say) may outlive it by an instant, with its lock.
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert artifact.status == "interrupted"
    assert verify_artifact(path).ok
    history = artifact.results["history"].get("train_loss", [])
    assert history == [float(epoch) for epoch in range(1, len(history) + 1)]
    return len(history)


def test_killed_at_any_moment(writers, tmp_path: Path) -> None:
    root, log = tmp_path / "root", tmp_path / "log"
    rng, scale = np.random.default_rng(4), 0.1
    job = {"root": root, "name": "run", "log": log}
    writers.wait(writers.start("record", count=1, **job))
    read_epochs, completed = set(), 1
    for _ in range(KILLS):
        child = writers.start("record", **job)
        time.sleep(rng.uniform(0, 2 * scale))
        writers.kill(child)
        check_complete(root / "run")
        dead = list(root.glob(".runs/run/2*"))
        assert len(dead) <= 1
        read_epochs |= {check_dead(path) for path in dead}
        done = len(logged(log))
        scale = float(np.clip(scale * (0.85 if done > completed else 1.15), 1e-3, 2.0))
        completed = done

    # Kills came at all stages of a run; before the first epoch is over is too short a stage.
    assert set(range(1, EPOCHS + 1)) <= read_epochs
    assert len(read_epochs) > 2
    assert completed > KILLS / 5
    writers.wait(writers.start("record", count=1, **job))
    assert {item.name for item in root.iterdir()} <= {"run", ".history", ".runs"}
    assert list(root.glob(".runs/run/[2.]*")) == []
    tags = [check_complete(path) for path in [root / "run", *root.glob(".history/run/2*")]]
    assert set(logged(log)) <= set(tags)
    assert len(set(tags)) == len(tags)  # nothing was recorded twice


@pytest.mark.parametrize(("n_writers", "each"), [(2, 12), (8, 3)])
def test_one_name_and_one_root(n_writers: int, each: int, writers, tmp_path: Path) -> None:
    root = tmp_path / "root"
    logs = [tmp_path / f"log{i}" for i in range(n_writers)]
    shared = {"root": root, "name": "run", "count": each, "resume": False}
    children = [writers.start("record", log=log, **shared) for log in logs]
    for i in range(n_writers):
        own = {"root": root, "name": f"group/own{i}", "count": 1, "log": tmp_path / f"own{i}"}
        children.append(writers.start("record", **own))
    deadline = time.monotonic() + 120
    seen = set()
    while time.monotonic() < deadline and sum(len(logged(log)) for log in logs) < n_writers * each:
        if root.exists() and (root / "run").exists():
            seen.add(reionemu.load_artifact(root / "run").results["metrics"]["tag"])
    for child in children:
        writers.wait(child)
    tags = [check_complete(path) for path in [root / "run", *root.glob(".history/run/2*")]]
    assert sorted(tags) == sorted(tag for log in logs for tag in logged(log))
    assert len(tags) == n_writers * each
    assert seen <= set(tags)
    assert {check_complete(root / "group" / f"own{i}") for i in range(n_writers)}
    assert not (root / ".runs").exists()


def test_a_killed_run_is_told_from_one_that_goes_on(writers, tmp_path: Path) -> None:
    root = tmp_path / "root"
    job = {"root": root, "name": "run", "log": tmp_path / "log"}
    with reionemu.start_artifact("mine", root):
        child = writers.start("record", **job)
        while not list(root.glob(".runs/run/2*")):
            time.sleep(0.001)
        writers.kill(child)
        writers.wait(child)
        if dead := list(root.glob(".runs/run/2*")):  # it may have completed one just then
            assert reionemu.load_artifact(dead[0]).status == "interrupted"
        assert reionemu.load_artifact(root / "mine").status == "running"
