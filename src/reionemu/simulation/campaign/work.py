"""Making one simulation after another in one process, wherever that process is."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import resource
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ...config import from_mapping
from ...errors import (
    FileBusyError,
    MissingFileError,
    NotEnoughSpaceError,
    ReadOnlyError,
    ReionemuError,
)
from ...locks import locked
from ...machine import usable_cores
from ..config import SimulationConfig
from ..raw_files import write_simulation
from .ledger import CAMPAIGN, software
from .plan import Task
from .records import THERE, identity_of, inspect

WORKPLACE = ".working"
"""Folder in the folder of a campaign for locks, and for simulations that are being written."""

MADE, BUSY, FAILED = "made", "busy", "failed"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Settings:
    """What the processes of a campaign have in common, ready for JSON.

    Parameters
    ----------
    raw : str
        Folder of the campaign.
    config : dict
        `config_document` of the configuration.
    identity : str
        `config_hash` of it.
    cache : str or None
        Folder for what a suite shares.
    device : str
    simulator : str
        Module with `open_realization`.
    """

    raw: str
    config: dict[str, Any]
    identity: str
    cache: str | None
    device: str
    simulator: str


@dataclass(frozen=True)
class Answer:
    """What became of a task: MADE, THERE, BUSY (another process is at it) or FAILED."""

    state: str
    message: str = ""
    fatal: str = ""  # name of the error to raise, if other tasks would fail likewise


class Worker:
    """Does tasks; keeps the realization of the last one open for the next."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._raw = Path(settings.raw)
        self._config = from_mapping(SimulationConfig, settings.config, "config")
        self._open = importlib.import_module(settings.simulator).open_realization
        self._key: tuple[int, int] | None = None
        self._realization: Any = None

    def do(self, task: Task, progress: Progress | None = None) -> Answer:
        """Make a simulation, unless it is there or another process is at it; raises nothing."""
        try:
            return self._do(task, progress)
        except FileBusyError:
            return Answer(BUSY)
        except Exception as error:
            if inspect(self._raw, task, self._settings.identity)[0] == THERE:
                return Answer(THERE)  # another process finished it, and tidied up
            if os.environ.get("REIONEMU_TRACEBACK"):
                traceback.print_exc()
            known = isinstance(error, (ReionemuError, MemoryError))
            text = str(error) if known and str(error) else f"{type(error).__name__}: {error}"
            return Answer(FAILED, text, _fatal(error))

    def _do(self, task: Task, progress: Progress | None) -> Answer:
        if not (self._raw / CAMPAIGN).exists():
            raise MissingFileError(
                f"{self._raw} is not to be seen from {socket.gethostname()}: it must be on a file "
                "system that all machines share"
            )
        workplace = self._raw / WORKPLACE
        workplace.mkdir(exist_ok=True)
        with locked(workplace / f"{task.name}.lock", wait=False):
            if inspect(self._raw, task, self._settings.identity)[0] == THERE:
                return Answer(THERE)
            realization = self._opened(task, progress)
            started = time.perf_counter()
            simulation = realization.run(task.parameters)
            record = {
                **identity_of(task, self._settings.identity),
                **self._circumstances(),
                "row": task.row,
                "seconds": time.perf_counter() - started,
            }
            folder = self._raw / task.name
            placed = write_simulation(
                simulation, self._config, folder, record=record, workplace=workplace
            )
        return Answer(MADE if placed else THERE)

    def _opened(self, task: Task, progress: Progress | None) -> Any:
        """The realization of a task: the last one, or from the cache, or computed."""
        from ..device import usable_device

        key = task.seed, task.axis
        if self._key != key:
            self._key, self._realization = None, None  # makes room for the next one
            cache = Path(self._settings.cache) if self._settings.cache else None
            with _one_at_a_time(cache):
                self._realization = self._open(
                    self._config,
                    task.seed,
                    task.axis,
                    cache=cache,
                    device=usable_device(self._settings.device),
                    threads=usable_cores() if cache else 1,
                    progress=progress,
                )
            self._key = key
        return self._realization

    def _circumstances(self) -> dict[str, Any]:
        unit = 1 if sys.platform == "darwin" else 1024
        return {
            "schema_version": 1,
            "host": socket.gethostname(),
            "device": self._settings.device,
            "software": software(),
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
            "finished_at": datetime.now(timezone.utc).isoformat(),
        }


def _fatal(error: Exception) -> str:
    """The name of an error that other tasks would meet likewise."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NotEnoughSpaceError.__name__
    common = isinstance(error, (NotEnoughSpaceError, MissingFileError, ReadOnlyError))
    return type(error).__name__ if common else ""


@contextlib.contextmanager
def _one_at_a_time(cache: Path | None) -> Iterator[None]:
    """Let one process at a time prepare what goes in a cache: it takes all cores, and memory."""
    if cache is None:
        yield
        return
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # nothing can be written there, but perhaps read
            cache.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(cache / ".preparing.lock", wait=True))
        yield
