"""Locks that the system keeps, and drops when a process ends, however it ends.

Some file systems of clusters have none. There nobody waits for anybody: two processes may do the
same work, and the first result that is complete stays. (A lock that is a mere file would be left
by a machine that dies, and hold up all others.)
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import FileBusyError


@contextlib.contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock on a file, made for the purpose, in an existing folder.

    Raises
    ------
    FileBusyError
        If another process holds it, unless `wait`.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise FileBusyError(f"another process holds {path}") from None
        except OSError:  # no locks here
            pass
        yield
    finally:
        os.close(descriptor)
