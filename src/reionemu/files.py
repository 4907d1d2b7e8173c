"""Writing files so that a reader always finds the old one or the new one, whole.

Every file is built beside its final name, flushed to the disk, and moved into place by a rename.
A process that is killed leaves at most a hidden `.NAME.HOST-PID-xxxx.tmp`, which the next writer
of the same name on that host removes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import warnings
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

from .errors import (
    FileBusyError,
    MissingFileError,
    NotEnoughSpaceError,
    ReadOnlyError,
    ReionemuWarning,
    UnreadableFileError,
)


def _host() -> str:
    """What tells processes of one number apart: the machine and, in containers, the namespace."""
    name = re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname())[:32] or "host"
    with contextlib.suppress(OSError):
        return f"{name}_{os.stat('/proc/self/ns/pid').st_ino}"
    return name


_HOST = _host()


_COPY_CHUNK = 64 * 2**20


def this_machine() -> str:
    """What tells this machine, as long as it is up, from others: its boot, or else its name."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return socket.gethostname()


def require_writable(folder: Path, what: str) -> None:
    """Raise MissingFileError or ReadOnlyError unless files can be made in `folder`."""
    if not folder.is_dir():
        raise MissingFileError(f"cannot write {what}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ReadOnlyError(f"cannot write {what}: no permission to write in {folder}")


def temporary_name(final: Path) -> Path:
    """A fresh hidden name beside `final` that tells which host and process it belongs to."""
    return final.with_name(f".{final.name}.{_HOST}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def remove_abandoned(final: Path) -> None:
    """Remove what killed writers of `final` on this host left beside it."""
    pattern = re.compile(re.escape(f".{final.name}.{_HOST}-") + r"(\d+)-[0-9a-f]{8}\.tmp")
    with contextlib.suppress(OSError):
        for entry in os.scandir(final.parent):
            match = pattern.fullmatch(entry.name)
            if match and not _is_running(int(match[1])):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)


def sync_directory(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut, where the system can promise that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_file(path: Path) -> None:
    """Flush one file to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write; when the block ends well, move it to `path`.

    If the block raises, the temporary file is removed and `path` is as it was. A symbolic link is
    followed, and the permissions of a file that is replaced are kept.

    Raises
    ------
    MissingFileError
        When the folder that `path` should be in does not exist.
    """
    final = Path(os.path.realpath(path))
    require_writable(final.parent, str(path))
    if final.is_dir():
        raise UnreadableFileError(f"cannot write {path}: it is a folder")
    remove_abandoned(final)
    temporary = temporary_name(final)
    try:
        yield temporary
        sync_file(temporary)
        if final.exists():
            shutil.copymode(final, temporary)
        os.replace(temporary, final)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        name_file(error, path)
        raise
    sync_directory(final.parent)


def name_file(error: BaseException, path: Path) -> None:
    """Say in an error of the system, such as a full disk, what was written, if it does not."""
    if isinstance(error, OSError) and error.errno and error.filename is None:
        error.filename = str(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file at `path` by `content`, all or nothing."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Be the only process that writes `path`, or raise FileBusyError at once.

    The lock is an advisory one on a hidden file beside `path`; the system drops it when the
    process ends, however it ends.
    """
    import filelock

    final = Path(os.path.realpath(path))
    require_writable(final.parent, str(path))
    lock = filelock.FileLock(final.with_name(f".{final.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise FileBusyError(
            f"another process is writing {path}; run this again when it has finished"
        ) from None
    except NotImplementedError:  # a file system without locks
        warnings.warn(
            f"{final.parent} does not support locks: let only one process write {path}",
            ReionemuWarning,
            stacklevel=3,
        )
    try:
        yield
    finally:
        lock.release()


def copy_file(
    source: Path, target: Path, progress: Callable[[int, int], None] | None = None
) -> None:
    """Copy a file by the cheapest means the file system offers.

    A clone that shares the data on disk (btrfs, XFS, bcachefs: an instant), else a copy inside
    the kernel, else one through this process; for the latter two, room is checked for first, and
    `progress` is called with (bytes copied, bytes in all).

    Raises
    ------
    NotEnoughSpaceError
        When the copy would not fit.
    """
    with open(source, "rb", buffering=0) as reader, open(target, "wb", buffering=0) as writer:
        if _clone(reader.fileno(), writer.fileno()):
            return
        size = os.fstat(reader.fileno()).st_size
        require_space(target.parent, size, f"a copy of {source}")
        copied = 0
        while copied < size:
            copied += _copy_some(reader, writer, min(size - copied, _COPY_CHUNK))
            if progress:
                progress(copied, size)


def _copy_some(reader: FileIO, writer: FileIO, count: int) -> int:
    """Copy `count` bytes from where both files stand, inside the kernel if it can."""
    done = 0
    try:
        done = os.copy_file_range(reader.fileno(), writer.fileno(), count)
    except (AttributeError, OSError) as error:  # not on this system, or not between these files
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
    if done == 0:
        block = memoryview(reader.read(count))
        done = len(block)
        while block:
            block = block[writer.write(block) :]
    if done == 0:
        raise UnreadableFileError(f"{reader.name} became shorter while it was copied")
    return done


def require_space(folder: Path, needed: int, what: str) -> None:
    """Raise NotEnoughSpaceError unless `folder` has `needed` bytes free and a little more."""
    free = shutil.disk_usage(folder).free
    if free < needed + 2**20:
        raise NotEnoughSpaceError(
            f"no room for {what} in {folder}: {human_size(needed)} are needed, with 1 MB to spare, "
            f"and {human_size(free)} are free. Nothing was changed. Free some space, or work on "
            "another disk"
        )


def _clone(source: int, target: int) -> bool:
    """Whether `target` could be made a copy-on-write clone of `source` (descriptors; Linux)."""
    try:
        import fcntl

        fcntl.ioctl(target, 0x40049409, source)  # FICLONE
    except (ImportError, OSError):
        return False
    return True


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, read a piece at a time."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def human_size(size: float) -> str:
    """A number of bytes as people say it, such as "3.2 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
