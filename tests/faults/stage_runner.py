"""Runs the HDF5 stages in children of a process with no threads, and ill-treats them.

Started by the tests as a program: `stage_runner.py COMMAND JSON`; prints what happened as JSON.
A fork of this process has everything imported, so that a try costs little more than the stage.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.fft  # noqa: F401 - so that children need not load it

from reionemu import (
    BuildXYConfig,
    ClConfig,
    add_cl_to_condensed_h5,
    build_and_write_training,
    condense_sim_root,
)
from reionemu.files import exclusive


def run_stage(stage: str, target: Path, raw: str, callback: Callable | None = None) -> None:
    """Run a stage with options that make the new file differ from the old one."""
    if stage == "condense":
        condense_sim_root(Path(raw), target, progress_callback=callback)
    elif stage == "spectra":
        add_cl_to_condensed_h5(target, config=ClConfig(nbins=3), progress_callback=callback)
    else:
        build_and_write_training(target, config=BuildXYConfig(y_transform="log10"))


def content(path: Path) -> str:
    """A hash of every name, attribute and value in a file; reading it all shows it is whole."""
    digest = hashlib.sha256()

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        digest.update(name.encode())
        for key in sorted(item.attrs):
            digest.update(f"{key}={item.attrs[key]}".encode())
        if isinstance(item, h5py.Dataset):
            value = np.asarray(item[()])
            digest.update(f"{item.dtype}{item.shape}".encode())
            digest.update(
                str(value.tolist()).encode() if value.dtype == object else value.tobytes()
            )

    with h5py.File(path, "r") as h5:
        add("/", h5)
        h5.visititems(add)
    return digest.hexdigest()


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.glob(f".{target.name}.*.tmp"))


def fork(action: Callable[[], None], end: Callable[[int], object] = os._exit) -> int:
    """Run `action` in a child; the child's id. With `sys.exit` it ends as an interpreter ends."""
    child = os.fork()
    if child:
        return child
    action()
    end(0)
    raise AssertionError("not reached")


def kill(stage: str, target: str, old: str, raw: str, tries: int, seed: int) -> dict[str, Any]:
    """Kill a stage at random moments, `tries` times, and look at the file each time."""
    final, rng = Path(target), random.Random(seed)
    durations = []
    for _ in range(5):
        shutil.copyfile(old, final)
        start = time.perf_counter()
        os.waitpid(fork(lambda: run_stage(stage, final, raw)), 0)
        durations.append(time.perf_counter() - start)
    whole = {"old": Path(old).read_bytes(), "new": final.read_bytes()}
    states = {content(Path(old)): "old", content(final): "new"}

    def state() -> str:
        """Equal bytes are the quick way to see that a file is a whole one, reading it the other."""
        found = final.read_bytes()
        for name, expected in whole.items():
            if found == expected:
                return name
        try:
            return states.get(content(final), "torn")
        except OSError:
            return "torn"

    outcomes = {"old": 0, "new": 0, "torn": 0, "blocked": 0, "killed": 0, "with leftovers": 0}
    for _ in range(tries):
        shutil.copyfile(old, final)
        child = fork(lambda: run_stage(stage, final, raw))
        time.sleep(rng.uniform(0, 1.4 * statistics.median(durations)))
        os.kill(child, signal.SIGKILL)
        outcomes["killed"] += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        outcomes["with leftovers"] += bool(leftovers(final))
        outcomes[state()] += 1
        try:
            with exclusive(final):
                pass
        except OSError:
            outcomes["blocked"] += 1
    run_stage(stage, final, raw)
    finally_new = state() == "new"
    return outcomes | {"states": len(states), "then new": finally_new, "left": leftovers(final)}


def attempt(
    stage: str, final: Path, old: str, raw: str, prepare: Callable[[], Callable | None]
) -> dict[str, Any]:
    """Run a stage in a child after `prepare`, and say how it ended and what it left."""
    reader, writer = os.pipe()

    def action() -> None:
        try:
            run_stage(stage, final, raw, prepare())
        except Exception as error:
            kinds = [kind.__name__ for kind in type(error).__mro__]
            os.write(writer, json.dumps({"kinds": kinds, "message": str(error)}).encode())

    status = os.waitpid(fork(action, sys.exit), 0)[1]
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = pipe.read()
    return {
        "status": status,
        "unchanged": final.read_bytes() == Path(old).read_bytes(),
        "left": leftovers(final),
        **json.loads(said or '{"kinds": [], "message": ""}'),
    }


def limit(stage: str, target: str, old: str, raw: str, limits: list[int]) -> list[dict[str, Any]]:
    """Run a stage under each limit to the size of any file."""
    final, found = Path(target), []
    for size in limits:
        shutil.copyfile(old, final)

        def lower(size: int = size) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        found.append({"limit": size, **attempt(stage, final, old, raw, lower)})
    return found


def full(stage: str, target: str, old: str, raw: str, rooms: list[int]) -> list[dict[str, Any]]:
    """Run a stage with each number of bytes left on the target's file system.

    A negative number means plenty, until another program fills the disk in the middle.
    """
    final, found = Path(target), []
    ballast = final.with_name("ballast")
    for room in rooms:
        shutil.copyfile(old, final)

        def fill(*_: int, room: int = room) -> Callable | None:
            free = shutil.disk_usage(final.parent).free
            with open(ballast, "ab") as file, contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), file.tell(), free - max(room, 0))
            return None

        def fill_in_the_middle(done: int, total: int, fill: Callable = fill) -> None:
            if done == total // 2:
                fill()

        prepare = fill if room >= 0 else lambda middle=fill_in_the_middle: middle
        found.append({"room": room, **attempt(stage, final, old, raw, prepare)})
        ballast.unlink(missing_ok=True)
    return found


def once(stages: list[str], target: str, raw: str) -> list[str]:
    """Run stages here; the name of the error each ends with, or an empty string."""
    names = []
    for stage in stages:
        try:
            run_stage(stage, Path(target), raw)
            names.append("")
        except Exception as error:
            names.append(type(error).__name__)
    return names


if __name__ == "__main__":
    command = {"kill": kill, "limit": limit, "full": full, "once": once}[sys.argv[1]]
    print(json.dumps(command(**json.loads(sys.argv[2]))))
