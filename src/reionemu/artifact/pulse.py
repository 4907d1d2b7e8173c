"""Whether anybody is still at a run.

A run holds a lock on a file in its folder and touches it now and then. The system drops the lock
when the process ends, however it ends; so on one machine, and on file systems that share locks
between machines, it is known who is alive. Elsewhere (a folder copied from a cluster while the run
went on) the time of the last touch must do.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
import weakref
from pathlib import Path

from ..errors import FileBusyError
from ..files import this_machine
from .layout import ALIVE

HEARTBEAT_S = 30.0
STALE_S = 180.0
"""A run on another machine that has not stirred for so long is taken to be dead."""
_TRIES, _PAUSE_S = 40, 0.005


def is_alive(folder: Path) -> bool:
    """Whether a process is still at the run in this folder."""
    try:
        descriptor = os.open(folder / ALIVE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    with open(descriptor, "rb") as file:
        with contextlib.suppress(OSError):
            if _is_locked(descriptor):
                return True
            if file.read(200).decode("utf-8", "replace") == this_machine():
                return False
        return abs(time.time() - os.fstat(descriptor).st_mtime) < STALE_S


def last_sign_of_life(folder: Path) -> float | None:
    """When a run last touched its file (seconds since 1970), if it has one."""
    with contextlib.suppress(OSError):
        return os.stat(folder / ALIVE).st_mtime
    return None


class Pulse:
    """The lock and the heartbeat of this process in the folder of a run; `stop` ends both.

    A pulse that is forgotten ends, too; and a forked child has no part in it.

    Raises
    ------
    FileBusyError (OSError)
        If another process has a pulse there.
    """

    def __init__(self, folder: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        self._descriptor = os.open(folder / ALIVE, flags, 0o644)
        try:
            _lock(self._descriptor, folder / ALIVE)
            if os.pread(self._descriptor, 200, 0) != this_machine().encode():
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, this_machine().encode(), 0)
            os.utime(self._descriptor)
        except BaseException:
            os.close(self._descriptor)
            raise
        stopped = threading.Event()
        thread = threading.Thread(
            target=_beat, args=(self._descriptor, stopped), name="reionemu-pulse", daemon=True
        )
        _open_here.add(self)
        thread.start()
        self._end = weakref.finalize(self, _end, stopped, thread)

    def stop(self) -> None:
        """Let go: from now on the run counts as ended."""
        self._end()

    def _forget(self) -> None:
        """Close what a forked child inherited, so that it does not hold the parent's lock."""
        self._end.detach()
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


_open_here: weakref.WeakSet[Pulse] = weakref.WeakSet()


def _in_child() -> None:
    for pulse in list(_open_here):
        pulse._forget()
    _open_here.clear()


os.register_at_fork(after_in_child=_in_child)


def _beat(descriptor: int, stopped: threading.Event) -> None:
    """Touch an open file until told to stop, then close it, which drops its lock."""
    while not stopped.wait(HEARTBEAT_S):
        with contextlib.suppress(OSError):
            os.utime(descriptor)
    os.close(descriptor)


def _end(stopped: threading.Event, thread: threading.Thread) -> None:
    stopped.set()
    thread.join()


def _lock(descriptor: int, path: Path) -> None:
    """Lock an open file for this process, or raise FileBusyError; do without where there is none.

    Those who look whether it is locked hold it for an instant, so this tries more than once.
    """
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(_PAUSE_S)
        except OSError:
            return
    raise FileBusyError(f"another process is at the run in {path.parent}")


def _is_locked(descriptor: int) -> bool:
    """Whether another open file holds the lock; raises OSError where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
