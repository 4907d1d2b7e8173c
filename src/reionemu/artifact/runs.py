"""Runs that have not completed: where they are kept, what became of them, going on with one."""

from __future__ import annotations

import contextlib
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import FileBusyError, RecordError, ReionemuWarning
from ..files import temporary_name
from .formats.jsonio import encode, read_json
from .layout import CONFIGS, HISTORY, PROVENANCE, RESULTS, RUNS
from .placing import entries, entry_name, put_in_place
from .pulse import Pulse, is_alive, last_sign_of_life

RUNNING, INTERRUPTED, FAILED, COMPLETED = "running", "interrupted", "failed", "completed"


def runs_of(name: str, root_dir: Path) -> list[Path]:
    """Folders of the runs of a name that have not completed, the oldest first."""
    return entries(Path(root_dir).expanduser() / RUNS / name)


def all_runs(root_dir: Path) -> Iterator[tuple[str, Path]]:
    """(name, folder) of every run in a root that has not completed, of names in order."""
    top = Path(root_dir).expanduser() / RUNS
    for folder, subfolders, _ in os.walk(top):
        found = entries(Path(folder))
        for entry in found:
            yield Path(folder).relative_to(top).as_posix(), entry
        inside = {entry.name for entry in found}
        subfolders[:] = sorted(name for name in subfolders if name not in inside)


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


def require_no_conflict(name: str, root_dir: Path) -> None:
    """Raise RecordError if a run goes on whose record would lie in, or around, one of this name."""
    for other, folder in all_runs(root_dir):
        nested = other.startswith(f"{name}/") or name.startswith(f"{other}/")
        if nested and is_alive(folder):
            raise RecordError(f"{name!r} cannot be a record: a run of {other!r} goes on")


def claim(
    name: str, root_dir: Path, request: Mapping[str, Any]
) -> tuple[Path, Pulse, float | None] | None:
    """The folder of the latest dead run of the same request, this process's pulse in it, and when
    it last gave a sign of life.

    The folder is renamed, by which a process that was taken for dead notices. What stands in the
    way of going on with a run is said in a warning.
    """
    reasons: list[str] = []
    for folder in reversed(runs_of(name, root_dir)):
        try:
            recorded = read_json(folder / PROVENANCE).get("request")
            for document in (CONFIGS, RESULTS):
                read_json(folder / document)
        except (RecordError, OSError, AttributeError) as error:
            reasons.append(f"{folder}: its record is damaged: {error}")
            continue
        if encode({"": recorded}) != encode({"": request}):
            reasons.append(f"{folder}: {_first_difference(recorded, request)}")
        elif is_alive(folder):
            reasons.append(f"{folder}: another process seems to be at it")
        else:
            died_at = last_sign_of_life(folder)
            with contextlib.suppress(FileBusyError, FileNotFoundError):  # another was faster
                pulse = Pulse(folder)
                try:
                    claimed = folder.with_name(entry_name())
                    os.rename(folder, claimed)
                    return claimed, pulse, died_at
                except BaseException:
                    pulse.stop()
                    raise
    if reasons:
        warnings.warn(
            f"a new run of {name!r} is started; not gone on with is {reasons[0]}",
            ReionemuWarning,
            stacklevel=5,
        )
    return None


def remove_completed(name: str, root_dir: Path) -> None:
    """Tidy up after runs that died when their record was complete, or was being put in place.

    A record that got no further than the history, and is newer than the one that has the name, is
    put in its place.
    """
    dead = [folder for folder in runs_of(name, root_dir) if not is_alive(folder)]
    if not dead:
        return
    root = Path(root_dir).expanduser()
    current = _facts(root / name)
    earlier = {run: (path, end) for path in entries(root / HISTORY / name)
               for run, end in [_facts(path)] if run}  # fmt: skip
    for folder in dead:
        run, _ = _facts(folder)
        if run is None or (run != current[0] and run not in earlier):
            continue
        if run != current[0] and earlier[run][1] > current[1]:
            put_in_place(earlier[run][0], root / name, root / HISTORY / name, replace=True)
        discard(folder)


def _facts(folder: Path) -> tuple[str | None, str]:
    """(id of the run, when it ended) of a record, as far as it says."""
    with contextlib.suppress(RecordError, OSError, AttributeError):
        provenance = read_json(folder / PROVENANCE)
        return provenance.get("run"), str(provenance.get("ended_at") or "")
    return None, ""


def discard(folder: Path) -> None:
    """Remove the folder of a run, and folders above it, up to `.runs`, that are then empty."""
    trash = temporary_name(folder.with_name("run"))
    with contextlib.suppress(OSError):
        os.rename(folder, trash)
        shutil.rmtree(trash, ignore_errors=True)
        above = folder.parent
        while above.name != RUNS:
            above.rmdir()
            above = above.parent
        above.rmdir()


def _first_difference(recorded: Any, asked: Any, where: str = "") -> str:
    if isinstance(recorded, Mapping) and isinstance(asked, Mapping):
        for key in sorted(recorded.keys() | asked.keys()):
            a, b = recorded.get(key), asked.get(key)
            if encode({"": a}) != encode({"": b}):
                return _first_difference(a, b, f"{where}.{key}" if where else str(key))
    return f"{where or 'its request'} was {recorded!r:.80} and is {asked!r:.80}"
