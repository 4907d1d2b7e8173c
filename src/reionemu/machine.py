"""What this machine, or the part of it that a batch system granted, has to offer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Processor cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    granted = [float(cores or 1)]
    for text in _limits("cpu.max"):
        quota, _, period = text.partition(" ")
        if quota != "max":
            granted.append(int(quota) / int(period or 100_000))
    return max(1, int(min(granted)))


def available_memory() -> int:
    """Bytes of memory that can be taken before something is killed for the want of it."""
    room = [_free_memory()]
    for limit, used in zip(_limits("memory.max"), _limits("memory.current"), strict=False):
        if limit != "max":
            room.append(int(limit) - int(used) + _reclaimable())
    return max(0, min(room))


def _free_memory() -> int:
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _reclaimable() -> int:
    """Bytes of files that count as used in this process's cgroup, and would make way."""
    for text in _limits("memory.stat"):
        fields = dict(line.split() for line in text.splitlines())
        return int(fields.get("inactive_file", 0))
    return 0


def _limits(name: str) -> Iterator[str]:
    """What a file of this process's cgroup (version 2), and of those above it, says."""
    with contextlib.suppress(OSError, ValueError):
        own = next(
            line.partition("::")[2]
            for line in Path("/proc/self/cgroup").read_text().splitlines()
            if line.startswith("0::")
        )
        folder = _CGROUPS / own.strip("/")
        while folder != _CGROUPS.parent:
            with contextlib.suppress(OSError):
                yield (folder / name).read_text().strip()
            folder = folder.parent
