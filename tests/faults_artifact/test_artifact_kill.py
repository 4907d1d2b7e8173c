"""Killed at any moment of saving, the record at a name is the old one or the new one, whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

KILLS = 100


class Moments:
    """Random delays that follow the machine's speed: half of them let a save end, half do not."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.scale = 0.01

    def sleep(self) -> None:
        time.sleep(self.rng.uniform(0, 2 * self.scale))

    def learn(self, ended: bool) -> None:
        self.scale = float(np.clip(self.scale * (0.8 if ended else 1.25), 1e-3, 2.0))


def saved(log: Path) -> list[int]:
    """The tags whose saving was reported done."""
    return [int(line) for line in log.read_text().split()] if log.exists() else []


@pytest.mark.parametrize("two_renames", [False, True], ids=["exchange", "two renames"])
def test_killed_while_replacing(
    two_renames: bool, writers, tag_of: Callable, entries: Callable, tmp_path: Path
) -> None:
    moments = Moments(seed=1)
    root, log = tmp_path / "root", tmp_path / "log"
    job = {"root": root, "name": "run", "log": log, "two_renames": two_renames}
    writers.wait(writers.start("loop", tag=0, count=1, **job))
    tag = 1
    done = 1
    for _ in range(KILLS):
        child = writers.start("loop", tag=tag, **job)
        moments.sleep()
        writers.kill(child)
        before = max(tag, saved(log)[-1])
        tag = tag_of(root / "run")
        assert tag in (before, before + 1)
        progress = len(saved(log))
        moments.learn(ended=progress > done)
        done = progress
        assert len(list(root.glob(".run.*.tmp"))) <= 1

    earlier = [tag_of(entry) for entry in entries(root, "run")]
    assert set(saved(log)) <= {*earlier, tag}
    writers.wait(writers.start("loop", tag=tag, count=1, **job))
    assert tag_of(root / "run") == tag + 1
    assert {item.name for item in root.iterdir()} == {"run", ".history"}
    assert tag_of(root / "run") not in earlier
    assert done > KILLS / 5  # kills came at all stages of saving, not before it


def test_killed_while_saving_for_the_first_time(writers, tag_of: Callable, tmp_path: Path) -> None:
    moments = Moments(seed=2)
    absent = 0
    for i in range(KILLS):
        child = writers.start("once", root=tmp_path, name=f"run{i}", tag=i)
        moments.sleep()
        writers.kill(child)
        path = tmp_path / f"run{i}"
        absent += not path.exists()
        moments.learn(ended=path.exists())
        if path.exists():
            assert tag_of(path) == i
        elif i % 10 == 0:  # what the killed one left is in nobody's way
            writers.wait(writers.start("once", root=tmp_path, name=f"run{i}", tag=-i))
            assert tag_of(path) == -i
            assert not list(tmp_path.glob(f".run{i}.*"))
    assert KILLS / 10 < absent < KILLS * 9 / 10
