"""The cache on disk of what simulations share.

    CACHE/simulations/<key>/    modes.npy  samples.npy  momentum.npy
                                contents.json   what they were made of; size and SHA-256 of each

The key is a hash of everything the arrays depend on. A folder is built aside and moved into place,
so it is whole or not there; if its bytes are not those that were written, it is made again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileBusyError, NotEnoughSpaceError, ReadOnlyError, ReionemuError
from ..files import require_space, sha256_of, sync_directory, sync_file, temporary_name, write_bytes
from ..locks import locked
from ..machine import usable_cores
from ..threads import for_each
from .config import SimulationConfig, n_planes
from .shared import NAMES, Progress, Shared, compute, nodes, shapes

FORMAT = 2
"""Raised whenever the same configuration would give other arrays."""

_CONTENTS = "contents.json"

_OURS = re.compile(r"[0-9a-f]{24}$|\.[0-9a-f]{24}\..*\.tmp$")
"""Names of folders in a cache; others are left alone."""


class DamagedCacheError(ReionemuError):
    """Something in the cache is not as it was written; it is not shown to users, but made again."""


def default_cache() -> Path:
    """$REIONEMU_CACHE, or `reionemu` in $XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("REIONEMU_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "reionemu"


def depends_on(config: SimulationConfig, seed: int, axis: int) -> dict[str, Any]:
    """Everything the shared arrays depend on, ready for JSON."""
    return {
        "format": FORMAT,
        "box": float(config.box),
        "n_cells": config.n_cells,
        "cosmology": asdict(config.cosmology),
        "z_min": float(config.z_min),
        "z_max": float(config.z_max),
        "geometry": config.geometry,
        "deposit": config.deposit,
        "nodes": list(nodes(config)),
        "seed": seed,
        "axis": axis,
    }


def folder_of(cache: Path, config: SimulationConfig, seed: int, axis: int) -> Path:
    """Where the cache keeps what those simulations share."""
    text = json.dumps(depends_on(config, seed, axis), sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:24]
    return Path(cache).expanduser() / "simulations" / key


def cache_bytes(config: SimulationConfig) -> int:
    """Room on disk that one realization, seen along one axis, takes."""
    kinds = shapes(config, n_planes(config)).values()
    return sum(int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in kinds)


def load_or_compute(
    cache: Path,
    config: SimulationConfig,
    seed: int,
    axis: int,
    *,
    check: bool = True,
    device: Any = "cpu",
    threads: int = 1,
    progress: Progress | None = None,
) -> Shared:
    """Map the shared arrays from the cache, making them first if they are not there.

    Parameters
    ----------
    cache : Path
    config, seed, axis
        As for `shared.compute`.
    check : bool
        Compare the SHA-256 of every file; otherwise only its size. A process whose parent has
        checked need not do so again.

    Raises
    ------
    NotEnoughSpaceError
        If the disk has no room for them.
    ReadOnlyError
        If they are not there, and nothing can be written there.
    """
    folder = folder_of(cache, config, seed, axis)
    made_of = depends_on(config, seed, axis)
    with contextlib.suppress(DamagedCacheError):
        return _load(folder, config, made_of, check)
    with named_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(_lock_of(folder.parent, folder.name), wait=True):
            with contextlib.suppress(DamagedCacheError):  # another process may have made it
                return _load(folder, config, made_of, check)
            require_space(folder.parent, cache_bytes(config), "initial conditions")
            _build(folder, config, seed, axis, device, threads, progress)
    return _load(folder, config, made_of, check=False)


@contextlib.contextmanager
def named_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the system, such as a disk that fills up, into ones that say what to do."""
    try:
        yield
    except ReionemuError:
        raise
    except OSError as error:
        what = f"initial conditions in {folder}"
        do = "name another folder in REIONEMU_CACHE or with --cache"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NotEnoughSpaceError(
                f"no room left for {what}; nothing of them was kept. Free some space, or {do}"
            ) from None
        raise ReadOnlyError(f"cannot keep {what} ({error.strerror}): {do}") from None


def _load(folder: Path, config: SimulationConfig, made_of: dict[str, Any], check: bool) -> Shared:
    """The arrays in a folder, mapped: changes to them stay in memory.

    Raises
    ------
    DamagedCacheError
        If anything is missing or is not as it was written.
    """
    try:
        contents = json.loads((folder / _CONTENTS).read_text())
        if contents["depends_on"] != made_of:
            raise DamagedCacheError(f"{folder} was made of something else")
        for name in NAMES:
            path = folder / f"{name}.npy"
            size, digest = contents["files"][path.name]
            if path.stat().st_size != size or (check and sha256_of(path) != digest):
                raise DamagedCacheError(f"{path} is not as it was written")
        arrays = Shared(**{name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in NAMES})
        for name, (shape, kind) in shapes(config, n_planes(config)).items():
            array = getattr(arrays, name)
            if array.shape != shape or array.dtype != kind:
                raise DamagedCacheError(f"{name} in {folder} has the shape {array.shape}")
    except (OSError, EOFError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise DamagedCacheError(f"{folder}: {error}") from None
    return arrays


def _build(
    folder: Path,
    config: SimulationConfig,
    seed: int,
    axis: int,
    device: Any,
    threads: int,
    progress: Progress | None,
) -> None:
    """Compute the arrays in a folder aside and put it in place of whatever is there."""
    for abandoned in folder.parent.glob(f".{folder.name}.*.tmp"):
        shutil.rmtree(abandoned, ignore_errors=True)  # we hold the lock: nobody else is building
    aside = temporary_name(folder)
    aside.mkdir()
    try:
        compute(
            config,
            seed,
            axis,
            allocate=lambda name, shape, kind: _mapped(aside / f"{name}.npy", shape, kind),
            device=device,
            threads=threads,
            progress=progress,
        )
        paths = [aside / f"{name}.npy" for name in NAMES]
        files: dict[str, tuple[int, str]] = {}

        def seal(path: Path) -> None:
            sync_file(path)
            files[path.name] = (path.stat().st_size, sha256_of(path))

        for_each(seal, paths, min(len(paths), usable_cores()))
        contents = {"depends_on": depends_on(config, seed, axis), "files": files}
        write_bytes(aside / _CONTENTS, json.dumps(contents, indent=1, sort_keys=True).encode())
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
        else:
            folder.unlink(missing_ok=True)
        os.rename(aside, folder)
        sync_directory(folder.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _mapped(path: Path, shape: tuple[int, ...], kind: Any) -> np.ndarray:
    """A new array in a file whose blocks are claimed: on a full disk a map would kill the process.

    Raises OSError if they cannot be.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


@dataclass(frozen=True)
class CacheEntry:
    """Something in the cache.

    Attributes
    ----------
    path : Path
    size_bytes : int
    made_of : dict
        See `depends_on`; empty if that cannot be read.
    """

    path: Path
    size_bytes: int
    made_of: dict[str, Any]


def entries(cache: Path) -> list[CacheEntry]:
    """What is in a cache, the largest first; unfinished work of processes that died included."""
    found = []
    for path in Path(cache).expanduser().glob("simulations/*"):
        if path.is_dir() and _OURS.match(path.name):
            made_of, size = {}, 0
            with contextlib.suppress(OSError):  # it may be removed meanwhile
                size = sum(file.stat().st_size for file in path.iterdir())
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                made_of = dict(json.loads((path / _CONTENTS).read_text())["depends_on"])
            found.append(CacheEntry(path, size, made_of))
    return sorted(found, key=lambda entry: -entry.size_bytes)


def clear(cache: Path) -> int:
    """Remove everything from a cache, and return how many bytes that were.

    What another process is just making is left alone. A process that simulates from a file keeps
    it, where the system lets go of files only when nobody reads them any more.
    """
    freed = 0
    for entry in entries(cache):
        key = entry.path.name.removeprefix(".").split(".")[0]
        with (
            contextlib.suppress(FileBusyError),
            locked(_lock_of(entry.path.parent, key), wait=False),
        ):
            shutil.rmtree(entry.path, ignore_errors=True)
            freed += entry.size_bytes
    return freed


def _lock_of(folder: Path, key: str) -> Path:
    """The file whose lock is held by the process that builds what has this key."""
    return folder / f".{key}.lock"
