"""Opening, making and changing HDF5 files, with errors a person can act on."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .. import files
from ..errors import (
    DatasetError,
    MissingFileError,
    MissingGroupError,
    NotEnoughSpaceError,
    UnreadableFileError,
)


@dataclass(frozen=True)
class SkippedSim:
    """A simulation that a stage left out: its name, which count it is in, and why in words."""

    sim: str
    category: str
    reason: str


@contextlib.contextmanager
def open_h5(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading.

    Raises
    ------
    MissingFileError, UnreadableFileError
        Naming the file, when it is absent, or torn, or not HDF5.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise MissingFileError(f"{path} does not exist")
    if path.is_dir():
        raise UnreadableFileError(f"{path} is a folder; an HDF5 file was expected")
    try:
        handle = h5py.File(path, "r")
    except OSError as error:
        raise UnreadableFileError(f"cannot read {path}: {explain(path, error)}") from None
    with handle:
        yield handle


@contextlib.contextmanager
def create_h5(path: Path) -> Iterator[h5py.File]:
    """Make a new file at `path`, which appears there, whole, when the block ends well.

    Before the block writes anything, it calls `reserve`.
    """
    with files.exclusive(path), _no_room(path), files.replacing(path) as temporary:
        temporary.write_bytes(_empty_file())
        with _writing(temporary) as h5:
            yield h5


@contextlib.contextmanager
def edit_h5(
    path: Path, copy_callback: Callable[[int, int], None] | None = None
) -> Iterator[h5py.File]:
    """Change a file: the block works on a copy, which takes the file's place when it ends well.

    The caller has `files.exclusive(path)`, and calls `reserve` before it writes anything.
    `copy_callback` is called with (bytes copied, bytes in all), where a copy takes time.
    """
    with _no_room(path), files.replacing(path) as temporary:
        files.copy_file(Path(path), temporary, copy_callback)
        with _writing(temporary) as h5:
            yield h5


def reserve(h5: h5py.File, *values: Any) -> None:
    """Claim room on the disk for values about to be written to an open file.

    HDF5 does not survive a failed write: what it could not write it tries again, and fails again,
    when objects and the file are closed, until the process crashes. So the file system is asked
    for the room first, by means that fail in an orderly way.

    Raises
    ------
    NotEnoughSpaceError
    """
    size = sum(_size(value) + _OVERHEAD for value in values)
    _claim(h5.id.get_vfd_handle(), h5.id.get_filesize(), size + _SLACK, Path(h5.filename).parent)


_OVERHEAD = 2**12
"""Bytes a group or dataset takes beside its data; a few hundred in fact."""

_SLACK = 2**19
"""Bytes claimed beyond what is about to be written, for the metadata of the whole file."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def _writing(temporary: Path) -> Iterator[h5py.File]:
    """Open for writing, with some room claimed that is given back in the end."""
    with open(temporary, "r+b") as raw:
        _claim(raw.fileno(), temporary.stat().st_size, _SLACK, temporary.parent)
    with h5py.File(temporary, "r+") as h5:
        yield h5
        h5.flush()
        size = h5.id.get_filesize()
    os.truncate(temporary, min(size, temporary.stat().st_size))


def _claim(descriptor: int, start: int, size: int, folder: Path) -> None:
    """Have `size` bytes from `start` of an open file allocated, where the system can do that."""
    try:
        os.posix_fallocate(descriptor, start, size)
    except AttributeError:  # not on this system
        files.require_space(folder, size, "what is to be written")
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
        files.require_space(folder, size, "what is to be written")


@contextlib.contextmanager
def _no_room(path: Path) -> Iterator[None]:
    """Whatever the system says when a disk is full or a quota used up, said clearly."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise NotEnoughSpaceError(
            f"no room left to write {path} ({os.strerror(error.errno)}); it is as it was. "
            "Free some space, or work on another disk"
        ) from None


def _size(value: Any) -> int:
    """Bytes that a value takes in a file; text is stored apart, with a pointer to each piece."""
    array = np.asarray(value)
    if array.dtype.kind == "O":
        return sum(len(str(item).encode()) + 48 for item in array.ravel())
    return array.nbytes


@functools.cache
def _empty_file() -> bytes:
    """The bytes of an HDF5 file with nothing in it."""
    with h5py.File("empty", "w", driver="core", backing_store=False) as h5:
        h5.flush()
        return h5.id.get_file_image()


@contextlib.contextmanager
def locked_h5(path: Path) -> Iterator[None]:
    """Be the only process that changes a file, which must be there and readable."""
    with open_h5(path):
        pass
    with files.exclusive(path):
        yield


def explain(path: Path, error: Exception) -> str:
    """In a few words, why HDF5 could not open a file."""
    text = str(error)
    if not path.exists():
        return "it is a link to a file that does not exist"
    if path.stat().st_size == 0:
        return "the file is empty"
    if "truncated" in text:
        return "the file is truncated (an interrupted copy or write?)"
    if "signature not found" in text:
        return "it is not an HDF5 file"
    if "unable to lock" in text:
        return "another process is writing it"
    return text


def require_group(parent: h5py.Group, name: str) -> h5py.Group:
    """The group `name` of `parent`, or MissingGroupError with the file and the path in it."""
    group = parent.get(name)
    if not isinstance(group, h5py.Group):
        raise MissingGroupError(
            f"{parent.file.filename}: there is no group {parent.name.rstrip('/')}/{name}"
        )
    return group


def find_group(parent: h5py.Group, path: str) -> h5py.Group | None:
    """The group at `path` under `parent`; None where there is none, or something else."""
    found = parent.get(path)
    return found if isinstance(found, h5py.Group) else None


def read_scalar(group: h5py.Group, name: str) -> float:
    """A number stored as a scalar or as an array of length one; NaN where there is none.

    Raises DatasetError where there is something else.
    """
    dataset = group.get(name)
    if not isinstance(dataset, h5py.Dataset):
        return float("nan")
    if dataset.size != 1 or dataset.dtype.kind not in "fiu":
        raise DatasetError(
            f"{dataset.name} should be one number; it has shape {dataset.shape} "
            f"and type {dataset.dtype}"
        )
    return float(np.asarray(dataset[()]).reshape(()))


def read_strings(dataset: Any) -> list[str]:
    """An array of strings, whichever way it was stored."""
    return [
        item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
        for item in np.asarray(dataset[()]).ravel().tolist()
    ]
