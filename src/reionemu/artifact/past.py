"""Earlier records of a name and its unfinished runs: looking them up, bringing back, removing."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ..errors import MissingFileError, RecordError
from ..files import remove_abandoned, sync_directory, temporary_name
from .collection.scan import scan
from .formats.jsonio import read_json
from .layout import CONFIGS, HISTORY, INFO, PROVENANCE, RESULTS, RUNS
from .placing import ENTRY, artifact_path, entries, put_in_place, recover
from .pulse import is_alive
from .read import find_record
from .runs import RUNNING, all_runs, discard, runs_of, status_of

CURRENT, EARLIER, UNFINISHED = "current", "earlier", "unfinished"
DAMAGED = "damaged"


@dataclass(frozen=True)
class Version:
    """A record that a name has, or has had.

    Attributes
    ----------
    name : str
    path : Path
    place : {"current", "earlier", "unfinished"}
    status : str
        "damaged" if its documents cannot be read.
    saved_at : datetime or None
        When it was saved; of an unfinished run, when it began. If a record does not say, and
        it is an earlier one, when it was replaced.
    """

    name: str
    path: Path
    place: str
    status: str
    saved_at: datetime | None


def locate(path: Path) -> tuple[Path, str]:
    """(root, name) of the record at a path, which may lie in the history or among the runs.

    The root is the folder that has `.history` or `.runs` with that name in it; without either it
    is the folder that the record lies in.
    """
    path = _absolute(path)
    for hidden in (HISTORY, RUNS):
        if hidden in path.parts:
            at = len(path.parts) - 1 - path.parts[::-1].index(hidden)
            inside = path.parts[at + 1 :]
            if inside and ENTRY.fullmatch(inside[-1]):
                inside = inside[:-1]
            return Path(*path.parts[:at]), "/".join(inside)
    for root in path.parents:
        name = path.relative_to(root).as_posix()
        if entries(root / HISTORY / name) or entries(root / RUNS / name):
            return root, name
    return path.parent, path.name


def versions(path: Path) -> list[Version]:
    """All records of a name: the current one, unfinished runs, and earlier ones; newest first.

    Parameters
    ----------
    path : Path
        `<root>/<name>`, or one of the records in the history of the name.

    Raises
    ------
    MissingFileError (FileNotFoundError)
        If the name has none.
    """
    root, name = locate(path)
    recover(root / name, root / HISTORY / name)
    found = [_version(name, folder, EARLIER) for folder in entries(root / HISTORY / name)]
    found += [_version(name, folder, UNFINISHED) for folder in runs_of(name, root)]
    found.sort(key=lambda version: version.path.name, reverse=True)
    if any((root / name / document).exists() for document in (INFO, CONFIGS, RESULTS, PROVENANCE)):
        found.insert(0, _version(name, root / name, CURRENT))
    if not found:
        raise MissingFileError(_no_such(root, name))
    return found


def records_below(path: Path) -> list[Path]:
    """Folders of the records at a path: that of one artifact, or of all in a root.

    Raises
    ------
    MissingFileError (FileNotFoundError), RecordError (ValueError)
        If there is no such folder, or no record in it.
    """
    path = Path(path).expanduser()
    if not path.is_dir() or (path / INFO).exists():
        return [find_record(path)]
    folders = [entry.path for entry in scan(path, {}).entries]
    if not folders:
        raise RecordError(f"{path} is not an artifact, and there is none in it")
    return folders


def restore(path: Path, entry: str | None = None) -> Path:
    """Bring an earlier record of a name back; the current one moves to the history.

    Parameters
    ----------
    path : Path
        `<root>/<name>`, or the earlier record itself.
    entry : str, optional
        Which: the name of its folder in the history, or the beginning of it. Without it, and
        unless `path` says it, the latest.

    Returns
    -------
    Path
        `<root>/<name>`, where it is now.

    Raises
    ------
    MissingFileError (FileNotFoundError)
        If there is no such earlier record.
    RecordError (ValueError)
        If the beginning fits more than one, or the record is damaged.
    """
    root, name = locate(path)
    if entry is None and ENTRY.fullmatch(_absolute(path).name):
        entry = _absolute(path).name
    final = artifact_path(name, root)
    recover(final, root / HISTORY / name)
    earlier = entries(root / HISTORY / name)
    fitting = [folder for folder in earlier if folder.name.startswith(entry or "")]
    if not fitting:
        there = ", ".join(folder.name for folder in earlier[-5:]) or "none"
        which = f"no earlier record {entry!r}" if entry else "no earlier record"
        raise MissingFileError(f"there is {which} of {name!r} in {root}; there are: {there}")
    if entry and len(fitting) > 1:
        raise RecordError(f"{entry!r} fits {len(fitting)} earlier records of {name!r}; say more")
    chosen = fitting[-1]
    if _version(name, chosen, EARLIER).status == DAMAGED:
        raise RecordError(f"{chosen} is damaged, and was not brought back; `verify` says in what")
    put_in_place(chosen, final, chosen.parent, replace=True)
    sync_directory(final.parent)
    return final


def prunable(
    root_dir: Path,
    *,
    name: str | None = None,
    keep: int = 0,
    older_than: timedelta | None = None,
    unfinished: bool = False,
) -> list[Version]:
    """Earlier records, and on request dead runs, that may be removed. Current ones never are.

    Parameters
    ----------
    root_dir : Path
    name : str, optional
        Of this name only.
    keep : int
        As many of the latest of each name are kept.
    older_than : timedelta, optional
        Only those that were saved longer ago.
    unfinished : bool
        Also runs that were killed or failed, and not those that go on.
    """
    root = Path(root_dir).expanduser()
    if not root.is_dir():
        raise MissingFileError(f"there is no folder {root}")
    if (root / INFO).exists():
        parent, its_name = locate(root)
        raise RecordError(f"{root} is an artifact; give its root, {parent}, and name {its_name!r}")
    groups = []
    for found in _names(root / HISTORY):
        recover(root / found, root / HISTORY / found)  # or the only record might be pruned
        folders = entries(root / HISTORY / found)
        groups.append((found, [_version(found, folder, EARLIER) for folder in folders]))
    if unfinished:
        runs = [_version(found, folder, UNFINISHED) for found, folder in all_runs(root)]
        dead = [run for run in runs if run.status != RUNNING]
        for found in dict.fromkeys(run.name for run in dead):
            groups.append((found, [run for run in dead if run.name == found]))
    limit = None if older_than is None else datetime.now(timezone.utc) - older_than
    chosen: list[Version] = []
    for found, group in groups:
        if name is not None and found != name:
            continue
        rest = group[: max(len(group) - keep, 0)]
        chosen += [v for v in rest if limit is None or (v.saved_at and v.saved_at < limit)]
    return chosen


def remove(version: Version) -> bool:
    """Remove an earlier record, or a dead run; False if it is no longer there, or goes on.

    The folder of the history stays, as a writer may be about to move a record into it.
    """
    if version.place == UNFINISHED:
        if is_alive(version.path):
            return False
        existed = version.path.exists()
        discard(version.path)
        return existed and not version.path.exists()
    if version.place != EARLIER:
        raise RecordError(f"{version.path} is a current record, which is not removed here")
    remove_abandoned(version.path.with_name("record"))
    trash = temporary_name(version.path.with_name("record"))
    try:
        os.rename(version.path, trash)  # so that nobody finds half of it
    except FileNotFoundError:
        return False
    if trash.is_dir() and not trash.is_symlink():
        shutil.rmtree(trash, ignore_errors=True)
    else:  # a file that had the name of a record once
        trash.unlink()
    return True


def size_of(folder: Path) -> int:
    """Bytes of the files below the folder of a record, as far as they can be looked at."""
    size = 0
    for item in (folder, *folder.rglob("*")):
        with contextlib.suppress(OSError):
            status = item.lstat()
            size += 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    return size


def _absolute(path: Path) -> Path:
    """A path from the root, without "..", of what need not be there."""
    return Path(os.path.abspath(Path(path).expanduser()))


def _no_such(root: Path, name: str) -> str:
    """That a name has no records; and a hint if it is a folder of artifacts instead."""
    with contextlib.suppress(OSError):
        folder = root / name
        inside = sorted(entry.parent.name for entry in folder.glob(f"*/{INFO}"))
        if inside:
            examples = ", ".join(inside[:5]) + "..." * (len(inside) > 5)
            return f"{folder} is a folder of artifacts; name one of them, such as {examples}"
    return f"there is no artifact {name!r} in {root}, and never was one"


def _version(name: str, folder: Path, place: str) -> Version:
    status = DAMAGED
    with contextlib.suppress(RecordError, OSError, AttributeError):
        read_json(folder / INFO).keys()
        results = read_json(folder / RESULTS) if (folder / RESULTS).exists() else {}
        status = status_of(folder, str(results.get("status", "not recorded")))
    return Version(name, folder, place, status, _time(folder))


def _time(folder: Path) -> datetime | None:
    """When a record was saved, or the run of an unfinished one began."""
    for file, key in ((INFO, "created_at"), (PROVENANCE, "started_at")):
        with contextlib.suppress(RecordError, OSError, AttributeError, TypeError, ValueError):
            moment = datetime.fromisoformat(read_json(folder / file)[key].replace("Z", "+00:00"))
            return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    with contextlib.suppress(ValueError):  # no later than it was replaced
        return datetime.strptime(folder.name[:23], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=timezone.utc)
    return None


def _names(top: Path) -> Iterator[str]:
    """Names that have a history, in order."""
    for folder, subfolders, _ in os.walk(top):
        found = {entry.name for entry in entries(Path(folder))}
        if found and Path(folder) != top:
            yield Path(folder).relative_to(top).as_posix()
        subfolders[:] = sorted(name for name in subfolders if name not in found)
