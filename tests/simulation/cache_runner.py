"""Fills a cache in child processes that are killed, run at once, or have no room.

    python cache_runner.py FOLDER

prints reports as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from reionemu.simulation.cache import load_or_compute
from reionemu.simulation.config import SimulationConfig

CONFIG = SimulationConfig(box=200.0, n_cells=16)


def in_child(work: Callable[[], object], report: Path | None = None) -> int:
    """Start a child process; what goes wrong in it is written to `report`."""
    pid = os.fork()
    if pid:
        return pid
    status = 0
    try:
        work()
    except BaseException as error:
        status = 1
        kinds = [kind.__name__ for kind in type(error).__mro__]
        told = {"kinds": kinds, "message": str(error), "trace": traceback.format_exc()}
        if report:
            report.write_text(json.dumps(told))
    os._exit(status)


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("simulations/*"))


def kills(folder: Path) -> list[dict]:
    """Kill builders at each of their steps, then build; after each death, what is there."""
    steps: list[int] = []
    load_or_compute(folder / "whole", CONFIG, 1, 0, progress=lambda *s: steps.append(s[1]))
    found = []
    for fatal in steps:

        def work(fatal: int = fatal) -> None:
            def step(_: str, done: int, __: int) -> None:
                if done == fatal:
                    os.kill(os.getpid(), signal.SIGKILL)

            load_or_compute(folder / "killed", CONFIG, 1, 0, progress=step)

        found.append({"status": ended(in_child(work)), "left": names(folder / "killed")})
    load_or_compute(folder / "killed", CONFIG, 1, 0)
    found.append({"status": 0, "left": names(folder / "killed")})
    return found


def together(folder: Path) -> dict:
    """Four processes want the same at once; each writes a line when it builds."""
    folder.mkdir()
    log = folder / "log"

    def work() -> None:
        def step(_: str, done: int, __: int) -> None:
            if done == 1:
                with open(log, "a") as file:
                    file.write(f"{os.getpid()}\n")

        found = load_or_compute(folder, CONFIG, 2, 0, progress=step)
        assert found.momentum.any()

    children = [in_child(work, folder / "error") for _ in range(4)]
    return {"statuses": [ended(pid) for pid in children], "builders": log.read_text().split()}


def limits(folder: Path) -> list[dict]:
    """With files that may not grow beyond a limit."""
    folder.mkdir()
    found = []
    for limit in (0, 200, 5000, 40_000):
        report = folder / f"report{limit}"

        def work(limit: int = limit) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                load_or_compute(folder / "limited", CONFIG, 1, 0)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

        status = ended(in_child(work, report))
        told = json.loads(report.read_text()) if report.exists() else {}
        found.append({"status": status, "left": names(folder / "limited"), **told})
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    CONFIG.cosmology.linear_power(0.1)  # once, before any fork
    root = Path(sys.argv[1])
    print(json.dumps({do.__name__: do(root / do.__name__) for do in (kills, together, limits)}))
