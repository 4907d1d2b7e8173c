"""Earlier records of a name and its unfinished runs: looking them up, bringing back, removing."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ..errors import MissingFileError, ReadOnlyError, RecordError
from ..files import remove_abandoned, sync_directory, temporary_name
from .checking.findings import ERROR
from .collection.scan import scan
from .folder import find_record
from .formats.jsonio import read_json
from .layout import CONFIGS, HISTORY, INFO, PROVENANCE, RESULTS, RUNS
from .placing import ENTRY, artifact_path, entries, put_in_place, recover, remove_empty
from .pulse import is_alive
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
    replaced_at : datetime or None
        When another record took the place of an earlier one.
    """

    name: str
    path: Path
    place: str
    status: str
    saved_at: datetime | None
    replaced_at: datetime | None = None


def locate(path: Path) -> tuple[Path, str]:
    """(root, name) of the record at a path, which may lie in the history or among the runs.

    The root is the folder that has `.history` or `.runs` with that name in it. Without either the
    record tells its name, if the path ends in that; else it is the folder that the record lies in.
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
    parts = _recorded_name(path).split("/")
    if len(parts) > 1 and path.parts[-len(parts) :] == tuple(parts):
        return path.parents[len(parts) - 1], "/".join(parts)
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
    if not path.is_dir():
        return [find_record(path)]
    itself = (path / INFO).exists()
    folders = [entry.path for entry in scan(path, {}).entries] if not itself else []
    if itself:  # a root may have a stray info.json
        for folder in sorted(path.iterdir()):
            if folder.is_dir() and not folder.is_symlink() and not folder.name.startswith("."):
                folders += [entry.path for entry in scan(folder, {}).entries]
        folders = [path, *folders, *(run for _, run in all_runs(path))]
    folders += _all_earlier(path)
    if not folders:
        raise RecordError(f"{path} is not an artifact, and there is none in it")
    return folders


def _all_earlier(path: Path) -> list[Path]:
    """Earlier records in every history below a folder."""
    found = []
    for folder, subfolders, _ in os.walk(path):
        if HISTORY in subfolders:
            history = Path(folder, HISTORY)
            kept = [entry for name in _names(history) for entry in entries(history / name)]
            found += [entry for entry in kept if entry.is_dir()]
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
    return found


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
    ReadOnlyError (PermissionError)
        If nothing may be written in the root.
    """
    root, name = locate(path)
    if entry is None and ENTRY.fullmatch(_absolute(path).name):
        entry = _absolute(path).name
    final = artifact_path(name, root)
    recover(final, root / HISTORY / name)
    earlier = entries(root / HISTORY / name)
    fitting = [folder for folder in earlier if folder.name.startswith(entry or "")]
    if not fitting:
        raise MissingFileError(_nothing_to_restore(root, name, entry, earlier))
    if entry and len(fitting) > 1:
        raise RecordError(f"{entry!r} fits {len(fitting)} earlier records of {name!r}; say more")
    chosen = fitting[-1]
    _require_whole(chosen)
    with _allowed(f"cannot restore {name!r} in {root}"):
        final.parent.mkdir(parents=True, exist_ok=True)
        put_in_place(chosen, final, chosen.parent, replace=True)
    remove_empty(chosen.parent)
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
        Only those that were replaced longer ago, or runs that began longer ago.
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
    limit = None if older_than is None else _ago(older_than)
    chosen: list[Version] = []
    for found, group in groups:
        if name is not None and found != name:
            continue
        rest = group[: max(len(group) - keep, 0)]
        for version in rest:
            since = version.replaced_at or version.saved_at
            if limit is None or (since and since < limit):
                chosen.append(version)
    return chosen


def remove(version: Version) -> bool:
    """Remove an earlier record, or a dead run; False if it is no longer there, or goes on.

    Folders of the history that are then empty go, too.

    Raises
    ------
    ReadOnlyError (PermissionError)
        If nothing may be removed there.
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
    root, _ = locate(version.path)
    try:
        with _allowed(f"cannot remove earlier records in {root}"):
            os.rename(version.path, trash)  # so that nobody finds half of it
    except FileNotFoundError:
        return False
    if trash.is_dir() and not trash.is_symlink():
        shutil.rmtree(trash, ignore_errors=True)
    else:  # a file that had the name of a record once
        trash.unlink()
    remove_empty(version.path.parent)
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


def _nothing_to_restore(root: Path, name: str, entry: str | None, earlier: list[Path]) -> str:
    """Why there is no earlier record of that name, or none that begins so."""
    if earlier:
        there = ", ".join(folder.name for folder in earlier[-5:])
        return f"there is no earlier record {entry!r} of {name!r} in {root}; there are: {there}"
    if not (root / name).exists() and not entries(root / RUNS / name):
        return _no_such(root, name)
    return f"there is no earlier record of {name!r} in {root}: none was replaced by a later one"


def _require_whole(folder: Path) -> None:
    """Raise RecordError unless the files of an earlier record are those that were saved."""
    from .checking.verify import inspect_folder

    if not folder.is_dir():
        raise RecordError(f"{folder} is damaged, and was not brought back: it is not a folder")
    errors = [finding for finding in inspect_folder(folder) if finding.level == ERROR]
    if errors:
        raise RecordError(
            f"{folder} is damaged, and was not brought back: {errors[0].where} "
            f"{errors[0].message}; look at it with: reionemu artifact verify "
            f"{shlex.quote(str(folder))}"
        )


@contextlib.contextmanager
def _allowed(what: str) -> Iterator[None]:
    """Say of what may not be done what that is, rather than in which hidden folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise ReadOnlyError(f"{what}: no permission to write there") from None
        raise


def _ago(age: timedelta) -> datetime:
    try:
        return datetime.now(timezone.utc) - age
    except OverflowError:
        return datetime.min.replace(tzinfo=timezone.utc)


def _recorded_name(folder: Path) -> str:
    """The name that a record says it was saved under; empty if it does not."""
    with contextlib.suppress(RecordError, OSError, AttributeError):
        name = read_json(folder / INFO).get("run_id")
        return name if isinstance(name, str) else ""
    return ""


def _version(name: str, folder: Path, place: str) -> Version:
    status = DAMAGED
    with contextlib.suppress(RecordError, OSError, AttributeError):
        read_json(folder / INFO).keys()
        results = read_json(folder / RESULTS) if (folder / RESULTS).exists() else {}
        status = status_of(folder, str(results.get("status", "not recorded")))
    replaced = _entry_time(folder) if place == EARLIER else None
    return Version(name, folder, place, status, _time(folder), replaced)


def _time(folder: Path) -> datetime | None:
    """When a record was saved, or the run of an unfinished one began."""
    for file, key in ((INFO, "created_at"), (PROVENANCE, "started_at")):
        with contextlib.suppress(RecordError, OSError, AttributeError, TypeError, ValueError):
            moment = datetime.fromisoformat(read_json(folder / file)[key].replace("Z", "+00:00"))
            return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return _entry_time(folder)  # no later than it was replaced


def _entry_time(folder: Path) -> datetime | None:
    """The time in the name of an earlier record: when it was replaced."""
    with contextlib.suppress(ValueError):
        return datetime.strptime(folder.name[:23], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=timezone.utc)
    return None


def _names(top: Path) -> Iterator[str]:
    """Names that have a history, in order."""
    for folder, subfolders, _ in os.walk(top):
        found = {entry.name for entry in entries(Path(folder))}
        if found and Path(folder) != top:
            yield Path(folder).relative_to(top).as_posix()
        subfolders[:] = sorted(name for name in subfolders if name not in found)
