"""Names of artifacts, and putting a new record in the place of an old one in one step.

A record is built in a hidden folder. If its name is free, one rename puts it there. If not, it is
moved into the history of the name, and then the two folders are exchanged, which Linux and macOS
do atomically: the name leads to the old record or to the new, and the old one is in the history.
No locks are needed, so this is as safe from two machines on one file system as from one process.

Where the file system cannot exchange folders, the old record is moved out before the new one is
moved in. A note says so in between, by which the next reader or writer undoes the step if a
process died there.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path

from ..errors import AlreadyExistsError, ReadOnlyError, RecordError
from ..files import (
    name_file,
    remove_abandoned,
    require_writable,
    sync_directory,
    sync_file,
    temporary_name,
)
from .layout import CONFIGS, HISTORY, INFO, PROVENANCE, RESULTS

ENTRY = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{8}")
"""The name of an earlier record, or of a run that has not completed."""
_NOTE = ".moved-out"
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM, errno.EXDEV)
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def artifact_path(name: str, root_dir: Path) -> Path:
    """Where the artifact of that name belongs.

    A name may have parts divided by "/". None may be empty or begin with a dot, hold a backslash or
    a character that does not print, or be the name of a file of a record or of an earlier record;
    and the result is inside `root_dir` even if links are followed.

    Raises
    ------
    RecordError (ValueError)
        For any other name, or one that lies inside another artifact or is a folder of artifacts.
    """
    root = Path(root_dir).expanduser().absolute()
    parts = name.split("/") if isinstance(name, str) else []
    objection = next(filter(None, map(_objection, parts)), "") if parts else "it is not text"
    if len(parts) and len(name) > 1000:
        objection = "it has more than 1000 characters"
    if objection:
        shown = f"{name[:60]!r}..." if parts and len(name) > 60 else repr(name)
        raise RecordError(f"{shown} cannot name an artifact: {objection}")
    path = root.joinpath(*parts)
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise RecordError(f"{name!r} leads out of {root} through a link")
    for parent in path.relative_to(root).parents:
        if parent != Path() and (root / parent / INFO).exists():
            raise RecordError(f"{name!r} lies inside another artifact, {root / parent}")
    inside = None if (path / INFO).exists() else _artifact_within(path)
    if inside is not None:
        raise RecordError(f"{name!r} is a folder of other artifacts, such as {inside}")
    return path


def _objection(part: str) -> str:
    """Why a part of a name, between slashes, is not allowed; empty if it is."""
    if not part:
        return "it is empty, or has an empty part ('/' divides folders)"
    if part.startswith("."):
        return f"{part!r:.60} begins with a dot; names that do are for the program's own files"
    if not part.isprintable():
        odd = next(c for c in part if not c.isprintable())
        return f"it has a character that does not print, {odd!a}"
    if "\\" in part:
        return "it has a backslash; '/' divides folders"
    if len(os.fsencode(part)) > 200:
        return "it, or a part of it, takes more than 200 bytes"
    if part in (INFO, CONFIGS, RESULTS, PROVENANCE):
        return f"{part!r} is the name of a file in every record"
    if ENTRY.fullmatch(part):
        return f"{part!r} is how earlier records and runs are named"
    return ""


def entry_name() -> str:
    """A fresh name that sorts by time, for an earlier record or for a run."""
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"{stamp}-{secrets.token_hex(4)}"


def entries(folder: Path) -> list[Path]:
    """Earlier records, or runs, in the folder of a name, the oldest first."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        names = (entry.name for entry in os.scandir(folder) if ENTRY.fullmatch(entry.name))
        return [folder / name for name in sorted(names)]
    return []


def prepare_root(path: Path) -> None:
    """Make the folder that an artifact goes in, or say why there can be none.

    Raises
    ------
    ReadOnlyError (PermissionError), RecordError (ValueError)
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except PermissionError:
        raise ReadOnlyError(f"cannot make the folder {path.parent}: no permission") from None
    except (FileExistsError, NotADirectoryError):
        raise RecordError(f"cannot save in {path.parent}: there is a file in the way") from None
    require_writable(path.parent, f"the artifact {path.name}")


@contextlib.contextmanager
def placing(name: str, root_dir: Path, *, replace: bool = True) -> Iterator[tuple[Path, Path]]:
    """Yield (a folder to fill, where it will be); when the block ends well, it is there.

    If the block raises, nothing has changed.

    Raises
    ------
    RecordError (ValueError)
        For an impossible name.
    AlreadyExistsError (FileExistsError)
        If the name is taken and `replace` is false.
    """
    final = artifact_path(name, root_dir)
    history = Path(root_dir).expanduser() / HISTORY / name
    prepare_root(final)
    remove_abandoned(final)
    recover(final, history)
    if not replace and final.exists():
        raise _taken(final)
    temporary = temporary_name(final)
    temporary.mkdir()
    try:
        yield temporary, final
        for file in temporary.iterdir():
            sync_file(file)
        sync_directory(temporary)
        put_in_place(temporary, final, history, replace)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        name_file(error, final)
        raise
    sync_directory(final.parent)


def recover(final: Path, history: Path) -> None:
    """Undo a replacement that died between moving the old record out and the new one in."""
    for note in sorted(history.glob(f".[0-9]*{_NOTE}"), reverse=True):  # the latest first
        entry = history / note.name[1:].removesuffix(_NOTE)
        if entry.exists():  # else it is not moved out yet
            with contextlib.suppress(OSError):
                if not final.exists():
                    os.rename(entry, final)
                note.unlink()


def _artifact_within(path: Path) -> Path | None:
    for folder, subfolders, files in os.walk(path):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        if INFO in files and Path(folder) != path:
            return Path(folder)
    return None


def _taken(final: Path) -> AlreadyExistsError:
    return AlreadyExistsError(f"{final} is there already, and was not touched; give another name")


def put_in_place(folder: Path, final: Path, history: Path, replace: bool) -> None:
    """Move a complete record to its name; what has the name moves to the history.

    Raises
    ------
    AlreadyExistsError (FileExistsError)
        If the name is taken and `replace` is false.
    """
    for _ in range(1000):  # each failure means that another writer got there first
        try:
            os.rename(folder, final)
            return
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        if not replace:
            raise _taken(final)
        entry = history / entry_name()
        if _can_exchange():
            if not _moved_into_history(folder, entry):
                continue
            try:
                _exchange(entry, final)
                sync_directory(history)
                return
            except OSError as error:
                os.rename(entry, folder)
                if error.errno == errno.ENOENT:
                    continue
                if error.errno not in _UNSUPPORTED:
                    raise
        if _replace_in_two_steps(folder, final, entry):
            return
    raise RecordError(f"could not put a record at {final}: other writers replace it incessantly")


def _moved_into_history(folder: Path, entry: Path) -> bool:
    """Move a folder to an entry; False if somebody removed the empty history meanwhile."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        os.rename(folder, entry)
    except FileNotFoundError:
        if not folder.exists():
            raise
        return False
    return True


def remove_empty(history: Path) -> None:
    """Remove the folder of the history of a name, and those above it, as far as they are empty."""
    with contextlib.suppress(OSError):
        while history.name != HISTORY:
            history.rmdir()
            history = history.parent
        history.rmdir()


def _replace_in_two_steps(folder: Path, final: Path, entry: Path) -> bool:
    """Move the old record to `entry`, then the new one in; False if another writer was faster."""
    note = entry.with_name(f".{entry.name}{_NOTE}")
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()
    except FileNotFoundError:  # the empty folder was removed in between
        return False
    sync_directory(note.parent)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.rename(final, entry)
        os.rename(folder, final)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        return False
    finally:
        recover(final, entry.parent)
        note.unlink(missing_ok=True)
    return True


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _can_exchange() -> bool:
    function = "renameat2" if sys.platform == "linux" else "renamex_np"
    return sys.platform in ("linux", "darwin") and hasattr(_libc(), function)


def _exchange(one: Path, other: Path) -> None:
    """Exchange two folders atomically, or raise OSError."""
    a, b = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux":
        at_cwd, exchange = -100, 2
        failed = _libc().renameat2(at_cwd, a, at_cwd, b, exchange)
    else:
        swap = 2
        failed = _libc().renamex_np(a, b, swap)
    if failed:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(other))
