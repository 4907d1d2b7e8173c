"""Opening, making and changing HDF5 files, with errors a person can act on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
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
    path = Path(path)
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
    """Make a new file at `path`, which appears there, whole, when the block ends well."""
    with files.exclusive(path), files.replacing(path) as temporary, _writing(temporary, "w") as h5:
        yield h5


@contextlib.contextmanager
def edit_h5(path: Path) -> Iterator[h5py.File]:
    """Change a file: the block works on a copy, which takes the file's place when it ends well."""
    with open_h5(path):
        pass
    with files.exclusive(path), files.replacing(path) as temporary:
        files.copy_file(Path(path), temporary)
        with _writing(temporary, "r+") as h5:
            yield h5


@contextlib.contextmanager
def _writing(temporary: Path, mode: str) -> Iterator[h5py.File]:
    """Open for writing; HDF5's word for a full disk becomes NotEnoughSpaceError."""
    try:
        with h5py.File(temporary, mode) as h5:
            yield h5
            h5.flush()
    except (OSError, RuntimeError) as error:
        if any(sign in str(error) for sign in ("No space left", "errno = 28", "errno = 27")):
            raise NotEnoughSpaceError(
                f"no room left in {temporary.parent} while writing; nothing there was changed. "
                "Free some space, or work on another disk"
            ) from None
        raise


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
    if "lock" in text:
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
