"""Running a campaign: what is missing is made, by processes here or by a Ray cluster."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import errors
from ...config import require_int
from ...design import read_design
from ...errors import AlreadyExistsError, ConfigError
from ...files import human_size
from ..config import SimulationConfig, preset
from ..seed_scatter import seed_scatter as known_scatter
from .ledger import config_document, config_hash, holds, settle
from .plan import Plan, Task, make_plan
from .processes import run_on_processes
from .records import missing_tasks, write_manifest
from .resources import cache_folder, choose_workers, needs_of, require_disk
from .work import FAILED, MADE, WORKPLACE, Answer, Progress, Settings

SIMULATOR = "reionemu.simulation"
"""Module with `open_realization` and `memory_estimate`."""


@dataclass(frozen=True)
class FailedSimulation:
    """A simulation that could not be made, and why."""

    name: str
    message: str


@dataclass(frozen=True)
class CampaignResult:
    """What came of a campaign, or of some of its rows.

    Attributes
    ----------
    raw : Path
    total : int
        Simulations that were asked for.
    made : int
        Those that this call made.
    already_there : int
        Those that were there before, or that another process made meanwhile.
    failed : tuple of FailedSimulation
    complete : bool
        Whether the folder now holds all rows of the design; then it has a manifest.json, too.
    seconds : float
        Time that passed.
    """

    raw: Path
    total: int
    made: int
    already_there: int
    failed: tuple[FailedSimulation, ...]
    complete: bool
    seconds: float


def run_campaign(
    design: Any,
    raw: Path,
    config: SimulationConfig | str,
    *,
    rows: slice = slice(None),
    workers: int | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    ray: str | None = None,
    force: bool = False,
    seed_scatter: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> CampaignResult:
    """Make the simulations of a design that are not there yet.

        raw/
          campaign.json      configuration, rows, versions, sample variance of the spectra; a
                             folder belongs to one campaign
          sim<row>[_s<seed>][_a<axis>]/    see `raw_files.write_simulation`
          manifest.json      all records, once everything is there
          SHA256SUMS         for `sha256sum -c`, likewise

    It may be killed at any moment and called again, and any number of calls may run at once, on
    machines that share `raw`, on overlapping rows. The HDF5 files are the same bytes however the
    work was shared out; times and hosts are in the records only.

    Parameters
    ----------
    design : Path, Design, mapping or array_like, shape (n, 4)
        A design file, or its rows. It may have grown at its end since an earlier call.
    raw : Path
        Folder for the simulations; made if need be.
    config : SimulationConfig or str
        Or the name of a preset. Its `zmean_range` is widened to whole redshifts if the design
        needs it.
    rows : slice
        Those to make now, of all rows of the design.
    workers : int, optional
        Processes of one thread; by default as many as cores and memory allow.
    cache : Path, optional
        Folder for what simulations of one realization share; by default the user's cache folder.
        Realizations that serve one row only (`OwnSeeds`) are not kept.
    device : str
        As PyTorch names it, or "auto".
    ray : str, optional
        Address of a Ray cluster to run on instead of in processes here, or "local". All its
        machines must see `raw`; `cache` may be local to each.
    force : bool
        Start even if the memory does not seem to be enough.
    seed_scatter : mapping, optional
        Sample variance of the spectra, put into campaign.json; by default what is known of the
        preset.
    progress : callable, optional
        Called with (what is done, steps done, steps in all).
    say : callable, optional
        Called with lines for a person.

    Raises
    ------
    ConfigError (ValueError)
        For a design or options that do not fit, or too little memory.
    AlreadyExistsError (FileExistsError)
        If `raw` belongs to another campaign.
    UnreadableFileError (OSError)
        If a simulation in it is damaged.
    NotEnoughSpaceError (OSError)
        If the disk is, or would be, full.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, when all processes have ended.
    """
    started = time.monotonic()
    source = Path(design).expanduser() if isinstance(design, (str, os.PathLike)) else None
    plan = make_plan(load_design(design), preset(config) if isinstance(config, str) else config)
    tasks = plan.tasks(rows)
    raw = Path(raw).expanduser().absolute()
    _check(raw, plan, rows, tasks, workers)
    if not ray:
        from ..device import usable_device

        device = str(usable_device(device))
    holds(raw, plan)  # or another campaign's folder is refused
    todo = missing_tasks(raw, tasks, config_hash(plan.config))
    count = _Count(len(tasks), len(tasks) - len(todo))
    say, progress = say or _ignore, progress or _ignore
    say(f"{count.total} simulations, {count.there} of them there already")
    if todo:
        folder = cache_folder(plan, cache)
        job = _Job(plan, todo, _settings(raw, plan, folder, device), workers, ray, force)
        answers = _answers(job, progress, say)
        raw.mkdir(parents=True, exist_ok=True)
        settle(raw, plan, source, seed_scatter or known_scatter(plan.config))
        with _stoppable(), contextlib.closing(answers):
            count.gather(answers, progress)
    complete = write_manifest(raw)
    if complete:
        shutil.rmtree(raw / WORKPLACE, ignore_errors=True)
    took = time.monotonic() - started
    return CampaignResult(
        raw, count.total, count.made, count.there, tuple(count.failed), complete, took
    )


def _check(raw: Path, plan: Plan, rows: slice, tasks: list[Task], workers: int | None) -> None:
    """Refuse what cannot be before anything is written."""
    if not tasks:
        raise ConfigError(
            f"rows {rows.start or 0}:{'' if rows.stop is None else rows.stop} are none of the "
            f"design, which has the rows 0 to {len(plan.theta) - 1}"
        )
    if workers is not None:
        require_int("run_campaign", "workers", workers, minimum=1)
    if raw.exists() and not raw.is_dir():
        raise AlreadyExistsError(f"{raw} is a file; a folder for simulations was expected")


def load_design(design: Any) -> Any:
    """The design in a file; or what is given, if it is no path."""
    return read_design(Path(design)) if isinstance(design, (str, os.PathLike)) else design


@dataclass(frozen=True)
class _Job:
    """What is to be made, and how."""

    plan: Plan
    tasks: list[Task]
    settings: Settings
    workers: int | None
    ray: str | None
    force: bool


def _answers(
    job: _Job, progress: Progress, say: Callable[[str], None]
) -> Generator[tuple[Task, Answer], None, None]:
    """Say what it will take, and refuse what cannot be; nothing starts before the first answer."""
    settings, tasks = job.settings, job.tasks
    needs = needs_of(job.plan, settings.simulator)
    cache = Path(settings.cache) if settings.cache and not job.ray else None
    require_disk(Path(settings.raw), cache, job.plan, needs, len(tasks))
    say(f"{human_size(needs.simulation * len(tasks))} of disk in {settings.raw}")
    if cache is not None:
        say(f"{human_size(needs.cache * job.plan.realizations)} of disk in {cache}, kept")
    if job.ray:
        from .on_ray import run_on_ray

        return run_on_ray(job.ray, settings, tasks, needs)
    workers = choose_workers(
        job.workers, needs, len(tasks), device=settings.device, force=job.force
    )
    say(f"{workers} at a time, with up to {human_size(needs.memory(workers))} of memory in all")
    return run_on_processes(settings, tasks, workers, progress)


class _Count:
    """What became of the simulations so far."""

    def __init__(self, total: int, there: int) -> None:
        self.total, self.there, self.made = total, there, 0
        self.failed: list[FailedSimulation] = []

    def gather(self, answers: Iterator[tuple[Task, Answer]], progress: Progress) -> None:
        """Count answers as they come; raises on one that says all would fail."""
        for task, answer in answers:
            if answer.fatal:
                raise getattr(errors, answer.fatal)(f"{task.name}: {answer.message}")
            if answer.state == FAILED:
                self.failed.append(FailedSimulation(task.name, answer.message))
            elif answer.state == MADE:
                self.made += 1
            else:
                self.there += 1
            done = self.made + self.there + len(self.failed)
            progress("simulating", done, self.total)


def _settings(raw: Path, plan: Plan, cache: Path | None, device: str) -> Settings:
    config, identity = config_document(plan.config), config_hash(plan.config)
    return Settings(str(raw), config, identity, str(cache) if cache else None, device, SIMULATOR)


def _ignore(*_: Any) -> None:
    """What is called where the caller wants to hear nothing."""


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Within the block SIGTERM does what Ctrl-C does: a KeyboardInterrupt, which ends workers.

    Only in the main thread of a program, which alone gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
