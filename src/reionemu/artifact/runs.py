"""Runs that have not completed: where they are kept, and whether anybody is still at them.

A run holds a lock on a file in its folder and touches it now and then. The system drops the lock
when the process ends, however it ends; so on one machine, and on file systems that share locks
between machines, it is known for certain who is alive. Elsewhere (a folder copied from a cluster
while the run went on) the time of the last touch must do.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import RecordError, ReionemuWarning
from ..files import temporary_name, this_machine
from .jsonio import read_json
from .layout import ALIVE, HISTORY, PROVENANCE, RUNS
from .placing import entries, entry_name

HEARTBEAT_S = 30.0
STALE_S = 600.0
"""A run on another machine that has not stirred for so long is taken to be dead."""

RUNNING, INTERRUPTED, FAILED, COMPLETED = "running", "interrupted", "failed", "completed"


def runs_of(name: str, root_dir: Path) -> list[Path]:
    """Folders of the runs of a name that have not completed, the oldest first."""
    return entries(Path(root_dir).expanduser() / RUNS / name)


def status_of(folder: Path, recorded: str) -> str:
    """The status of a record, given what its results.json says.

    Parameters
    ----------
    folder : Path
    recorded : str
        `status` in results.json; "running" may turn out to be "interrupted".
    """
    if recorded != RUNNING:
        return recorded
    return RUNNING if is_alive(folder) else INTERRUPTED


def is_alive(folder: Path) -> bool:
    """Whether a process is still at the run in this folder."""
    path = folder / ALIVE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    with open(descriptor, "rb") as file:
        with contextlib.suppress(OSError):
            if _is_locked(descriptor):
                return True
            if file.read(200).decode("utf-8", "replace") == this_machine():
                return False
        return time.time() - os.fstat(descriptor).st_mtime < STALE_S


class Pulse:
    """The lock and the heartbeat of a run in its folder; `stop` ends both."""

    def __init__(self, folder: Path) -> None:
        # Locked before it is seen, so that at no time a dead run looks alive, or a live one dead.
        temporary = temporary_name(folder / ALIVE)
        self._descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(self._descriptor, this_machine().encode())
        with contextlib.suppress(OSError):  # a file system without locks has heartbeats
            _lock(self._descriptor)
        os.replace(temporary, folder / ALIVE)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="reionemu-pulse", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let go: from now on the run counts as ended."""
        if not self._stopped.is_set():
            self._stopped.set()
            self._thread.join()
            os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._stopped.wait(HEARTBEAT_S):
            with contextlib.suppress(OSError):
                os.utime(self._descriptor)


def _lock(descriptor: int) -> None:
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_locked(descriptor: int) -> bool:
    """Whether another open file holds the lock; raises OSError where there are no locks."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def all_runs(root_dir: Path) -> Iterator[tuple[str, Path]]:
    """(name, folder) of every run in a root that has not completed, of names in order."""
    top = Path(root_dir).expanduser() / RUNS
    for folder, subfolders, _ in os.walk(top):
        found = entries(Path(folder))
        for entry in found:
            yield Path(folder).relative_to(top).as_posix(), entry
        inside = {entry.name for entry in found}
        subfolders[:] = sorted(name for name in subfolders if name not in inside)


def claim(name: str, root_dir: Path, request: Mapping[str, Any]) -> Path | None:
    """The folder of the latest dead run of the same request, renamed, so that it is only ours."""
    different = None
    for folder in reversed(runs_of(name, root_dir)):
        if is_alive(folder):
            continue
        try:
            recorded = read_json(folder / PROVENANCE).get("request")
        except (RecordError, OSError):
            continue
        if recorded != request:
            different = different or (folder, recorded)
            continue
        claimed = folder.with_name(entry_name())
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            os.rename(folder, claimed)
            return claimed
    if different is not None:
        folder, recorded = different
        warnings.warn(
            f"the unfinished run in {folder} is not gone on with: "
            f"{_first_difference(recorded, request)}. A new one is started",
            ReionemuWarning,
            stacklevel=5,
        )
    return None


def _first_difference(recorded: Any, asked: Any, where: str = "") -> str:
    if isinstance(recorded, Mapping) and isinstance(asked, Mapping):
        for key in sorted(recorded.keys() | asked.keys()):
            if recorded.get(key) != asked.get(key):
                place = f"{where}.{key}" if where else str(key)
                return _first_difference(recorded.get(key), asked.get(key), place)
    return f"{where or 'its request'} was {recorded!r:.80} and is {asked!r:.80}"


def remove_completed(name: str, root_dir: Path) -> None:
    """Remove the folders of runs that died after their record had been put in its place."""
    dead = [folder for folder in runs_of(name, root_dir) if not is_alive(folder)]
    if not dead:
        return
    root = Path(root_dir).expanduser()
    records = [root / name, *entries(root / HISTORY / name)]
    done = set()
    for record in records:
        with contextlib.suppress(RecordError, OSError):
            done.add(read_json(record / PROVENANCE).get("run"))
    for folder in dead:
        if folder.name in done:
            discard(folder)


def discard(folder: Path) -> None:
    """Remove the folder of a run, and folders above it that are then empty."""
    trash = temporary_name(folder.with_name("run"))
    with contextlib.suppress(OSError):
        os.rename(folder, trash)
        shutil.rmtree(trash, ignore_errors=True)
        above = folder.parent
        while above.name and (above.name == RUNS or RUNS in above.parts):
            above.rmdir()
            above = above.parent
