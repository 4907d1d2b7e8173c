"""What a campaign takes of memory and disk, and how many processes fit."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigError
from ...files import human_size, require_space
from ...machine import available_memory, usable_cores
from .plan import Plan

_BYTES_PER_WAVENUMBER = 26 * 3 * 8  # of which there are some N / 4
_SMALL_FILES_BYTES = 40_000


@dataclass(frozen=True)
class Needs:
    """Bytes that a campaign takes.

    Attributes
    ----------
    preparing : int
        Memory, while what a realization shares is computed; one process at a time does that.
    worker : int
        Memory of a process that simulates; and prepares, where each row has its own realization.
    mapped : int
        The part of that which processes share: files in the cache.
    cache : int
        Disk, for each realization and line of sight that rows share.
    simulation : int
        Disk, for each simulation.
    """

    preparing: int
    worker: int
    mapped: int
    cache: int
    simulation: int

    def memory(self, workers: int) -> int:
        """Memory that so many processes may take together."""
        return max(self.preparing, self.worker) + (workers - 1) * (self.worker - self.mapped)


def needs_of(plan: Plan, simulator: str) -> Needs:
    """What a plan takes, by the `memory_estimate` of the module `simulator`."""
    threads = usable_cores() if plan.realizations else 1
    estimate = importlib.import_module(simulator).memory_estimate(plan.config, threads)
    pixels = plan.config.n_cells
    preparing, running = estimate.shared_bytes, estimate.run_bytes
    return Needs(
        preparing=preparing,
        worker=running if plan.realizations else max(preparing, running),
        mapped=estimate.mapped_bytes if plan.realizations else 0,
        cache=estimate.cache_bytes,
        simulation=4 * pixels**2 + _BYTES_PER_WAVENUMBER * pixels // 4 + _SMALL_FILES_BYTES,
    )


def choose_workers(
    wanted: int | None, needs: Needs, tasks: int, *, device: str = "cpu", force: bool = False
) -> int:
    """How many processes to start: `wanted`, or as many as cores and memory allow.

    A device that is not the CPU is left to one process.

    Raises
    ------
    ConfigError
        If there is not enough memory for them, unless `force`.
    """
    available = available_memory()
    if wanted is None:
        most = usable_cores() if device == "cpu" else 1
        room = (available - needs.memory(1)) // max(needs.worker - needs.mapped, 1) + 1
        wanted = max(1, min(most, room))
    workers = min(wanted, tasks)
    if needs.memory(workers) > available and not force:
        raise ConfigError(
            f"not enough memory: {workers} process{'es' if workers > 1 else ''} may take "
            f"{human_size(needs.memory(workers))}, of which {human_size(needs.preparing)} while "
            f"preparing, and {human_size(available)} can be had. Take "
            f"{'fewer workers or ' if workers > 1 else ''}a preset with fewer cells, or force it "
            "(--force)"
        )
    return workers


def cache_folder(plan: Plan, wanted: Path | None) -> Path | None:
    """Where to keep what simulations share: nowhere if a realization serves one row only."""
    if not plan.realizations:
        return None
    if wanted is not None:
        return Path(wanted).expanduser().absolute()
    from ..cache import default_cache

    return default_cache().absolute()


def require_disk(raw: Path, cache: Path | None, plan: Plan, needs: Needs, tasks: int) -> None:
    """Raise NotEnoughSpaceError unless simulations and cache fit on their disks."""
    require_space(_existing(raw), needs.simulation * tasks, f"{tasks} simulations")
    if cache is not None and not cache.exists():  # what it holds already is not known here
        room = needs.cache * plan.realizations
        require_space(_existing(cache), room, "what the simulations share")


def _existing(path: Path) -> Path:
    """A folder, or the first of those above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
