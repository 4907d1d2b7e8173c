"""Finding every record below a folder, whatever else lies there.

A folder with an info.json is a record; folders inside a record are not looked into. Hidden
folders are passed over, but for `.runs` with the runs that have not completed. Symbolic links are
never followed: what they lead to is either below the root anyway or does not belong to it.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import RecordError
from ..layout import CONFIGS, HISTORY, INFO, PROVENANCE, RESULTS, RUNS
from ..placing import ENTRY, recover
from ..runs import RUNNING, status_of
from . import glance
from .entry import DAMAGED, Entry, make_entry
from .glance import FILES, RUN_FILES, Known
from .values import natural

_MAX_NAMED = 5

Progress = Callable[[str, int, int], None]
"""Called with (what is going on, steps done, steps in all)."""


@dataclass
class Scan:
    """What a scan found.

    Attributes
    ----------
    entries : list of Entry
        By name.
    notes : list of str
        What was passed over that one might have looked for.
    known : dict
        What was read by folder, relative to the root, for the next scan.
    bytes_read : int
        Of files that need not be read again next time.
    """

    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    known: dict[str, Known] = field(default_factory=dict)
    bytes_read: int = 0


def scan(root: Path, known: Mapping[str, Known], progress: Progress | None = None) -> Scan:
    """Look through a folder.

    Parameters
    ----------
    root : Path
    known : mapping
        What an earlier scan of the same folder read.
    progress : callable, optional
    """
    scanner = _Scanner(root, known, progress)
    scanner.walk()
    return scanner.result


def read_entry(folder: Path) -> Entry:
    """The entry of one record.

    Raises
    ------
    RecordError (ValueError)
        If there is none.
    """
    scanner = _Scanner(folder, {}, None)
    look = scanner.look("", RUN_FILES)
    if look is None:
        raise RecordError(f"{folder} is not an artifact: it has no {INFO}")
    return scanner.entry(folder.absolute().name, "", look)


class _Scanner:
    def __init__(self, root: Path, known: Mapping[str, Known], progress: Progress | None) -> None:
        self.root = str(root)
        self.before = known
        self.progress = progress
        self.result = Scan()
        self._shapes: dict[int, tuple[tuple[str, ...], Mapping[str, int]]] = {}
        self._seen = 0
        self._ahead = 1
        self._runs: list[tuple[str, str, str, Entry]] = []  # (.runs, name, run, entry)
        self._strangers: list[str] = []

    def walk(self) -> None:
        """Fill `result`."""
        self._walk("", None)
        self._add_unfinished()
        self._note_strangers()
        self.result.entries.sort(key=lambda entry: natural(entry.name))

    def _walk(self, top: str, runs: str | None) -> None:
        """Look through a folder; `runs` is the `.runs` that it is in, if it is in one."""
        todo = [top]
        while todo:
            relative = todo.pop()
            self._seen += 1
            self._ahead = self._seen + len(todo)
            self._report()
            look = self.look(relative, FILES if runs is None else RUN_FILES)
            if look is not None:
                self._add(relative, runs, look)
            if look is None or not look.is_record:
                if runs is None:
                    self._walk_runs(relative)
                    self._recover(relative)
                todo += self._inside(relative, runs, look)

    def _walk_runs(self, relative: str) -> None:
        """Look through the unfinished runs of a root.

        That goes first: a run that completes meanwhile is then seen twice rather than not at all.
        """
        runs = f"{relative}/{RUNS}" if relative else RUNS
        if _is_folder(self._full(runs)):
            self._walk(runs, runs)

    def _recover(self, relative: str) -> None:
        """Put back the records that a writer who died then had moved out of their places."""
        base = self._full(relative)
        top = f"{base}/{HISTORY}"
        for folder, subfolders, _ in os.walk(top) if _is_folder(top) else ():
            name = os.path.relpath(folder, top)
            if name != ".":
                recover(Path(base, name), Path(folder))
            subfolders[:] = [
                subfolder
                for subfolder in subfolders
                if not ENTRY.fullmatch(subfolder)
                and not os.path.lexists(f"{base}/{name}/{subfolder}/{INFO}")
            ]

    def look(self, relative: str, files: tuple[str, ...]) -> Known | None:
        """What is known, or can be read, of a folder; None if it is no record."""
        folder = self._full(relative)
        try:
            signature = glance.signature_of(folder, files)
        except OSError as error:
            return glance.unreadable(error)
        if signature[0] is None:
            return None
        found = self.before.get(relative)
        if found is None or found.signature != signature:
            started = time.time()
            found, size = glance.read_folder(folder, files)
            if found is None or not found.signature:
                return found
            if not glance.is_young(found.signature, started):
                self.result.known[relative] = found
                self.result.bytes_read += size
            return found
        self.result.known[relative] = found
        return found

    def entry(self, name: str, relative: str, look: Known) -> Entry:
        """The entry that tells what is known of a folder."""
        folder, status = self._full(relative), look.status
        if status == RUNNING:
            status = status_of(Path(folder), status)
            if status != RUNNING:  # it may have ended properly since its results were read
                again = self.look(relative, RUN_FILES)
                if again is not None and again.status not in (RUNNING, DAMAGED):
                    look, status = again, again.status
        places = self._places(look.paths)
        problem = look.problem
        if problem is None and relative and "info.run_id" in places:
            problem = _other_name(name, look.row[places["info.run_id"]])
        return make_entry(name, folder, status, problem, places, look.row)

    def _places(self, paths: tuple[str, ...]) -> Mapping[str, int]:
        """The place of each path; one mapping for the many records that share their paths."""
        known = self._shapes.get(id(paths))
        if known is None:
            places = {path: place for place, path in enumerate(paths)}
            known = self._shapes[id(paths)] = (paths, places)
        return known[1]

    def _add(self, relative: str, runs: str | None, look: Known) -> None:
        if runs is None:
            name = relative or Path(self.root).absolute().name
            self.result.entries.append(self.entry(name, relative, look))
            return
        inside, _, run = relative[len(runs) + 1 :].rpartition("/")
        name = runs[: -len(RUNS)] + (inside or run)
        if "run" not in look.paths:
            look = look._replace(paths=(*look.paths, "run"), row=[*look.row, run])
        self._runs.append((runs, name, run, self.entry(name, relative, look)))

    def _inside(self, relative: str, runs: str | None, look: Known | None) -> list[str]:
        """Folders to look into; a folder with torn records of its own is listed."""
        subfolders: list[str] = []
        prefix = f"{relative}/" if relative else ""
        is_leftover = has_files = False
        try:
            with os.scandir(self._full(relative)) as found:
                for item in found:
                    if item.is_symlink():
                        self._note_link(item)
                    elif item.name in (CONFIGS, RESULTS, PROVENANCE):
                        is_leftover = True
                    elif not item.name.startswith(".") and item.is_dir():
                        subfolders.append(prefix + item.name)
                    elif not item.name.startswith("."):
                        has_files = True
        except FileNotFoundError:  # moved away meanwhile
            return []
        except OSError as error:
            if look is None:
                self._add(relative, runs, glance.unreadable(error))
            return []
        if is_leftover and look is None:
            self._add(relative, runs, glance.damaged(f"no {INFO}: it was not written completely"))
        elif has_files and not subfolders and relative and look is None and runs is None:
            self._strangers.append(relative)
        return subfolders

    def _note_link(self, item: os.DirEntry[str]) -> None:
        with suppress(OSError):
            if not item.name.startswith(".") and item.is_dir():
                target = os.path.realpath(item.path)
                if not Path(target).is_relative_to(os.path.realpath(self.root)):
                    self.result.notes.append(f"{item.path} is a link to {target}: not followed")

    def _note_strangers(self) -> None:
        """Count the folders that hold files but nothing that is a record."""
        if self._strangers:
            n, named = len(self._strangers), sorted(self._strangers, key=natural)[:_MAX_NAMED]
            what = "folder that is no artifact" if n == 1 else "folders that are no artifacts"
            more = f" and {n - _MAX_NAMED} more" if n > _MAX_NAMED else ""
            self.result.notes.append(f"{n} {what}: {', '.join(named)}{more}")

    def _add_unfinished(self) -> None:
        """List the runs that have not completed, but not those that died when they had."""
        if not self._runs:
            return
        completed = {entry.name: entry.get("run") for entry in self.result.entries}
        for runs, name, run, entry in self._runs:
            if completed.get(name) == run:
                continue
            history = Path(self._full(runs)).parent / HISTORY / name[len(runs) - len(RUNS) :]
            if entry.status == RUNNING or not _is_in_history(history, run):
                self.result.entries.append(entry)

    def _full(self, relative: str) -> str:
        return f"{self.root}/{relative}" if relative else self.root

    def _report(self) -> None:
        if self.progress and self._seen % 64 == 0:
            self.progress("looking through the artifacts", self._seen, self._ahead)


def _other_name(name: str, recorded: Any) -> str | None:
    """What to say of a record that says it has another name, as a copied or renamed folder does.

    A record may be listed from a folder above or below the root it was saved in; earlier ones lie
    in a folder of the name.
    """
    folder, _, last = name.rpartition("/")
    name = folder if ENTRY.fullmatch(last) else name
    if not isinstance(recorded, str) or not recorded or not name:
        return None
    if f"/{name}".endswith(f"/{recorded}") or f"/{recorded}".endswith(f"/{name}"):
        return None
    return f"its {INFO} calls it {recorded!r}: was it copied or renamed?"


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _is_in_history(history: Path, run: Any) -> bool:
    """Whether a record made by a run has been replaced already."""
    with suppress(OSError), os.scandir(history) as entries:
        for entry in entries:
            known, _ = glance.read_folder(entry.path, (PROVENANCE,))
            if known and dict(zip(known.paths, known.row, strict=True)).get("run") == run:
                return True
    return False
