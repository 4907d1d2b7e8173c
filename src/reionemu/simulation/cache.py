"""The cache on disk of what simulations share.

    CACHE/simulations/<key>/    modes.npy  samples.npy  momentum.npy
                                contents.json   what they were made of; size and SHA-256 of each

The key is a hash of everything the arrays depend on. A folder is built aside and moved into place,
so it is whole or not there; if its bytes are not those that were written, it is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReionemuError
from ..files import require_space, sha256_of, sync_directory, sync_file, temporary_name, write_bytes
from ..machine import usable_cores
from ..threads import for_each
from .config import SimulationConfig, n_planes
from .shared import NAMES, Progress, Shared, compute, nodes, shapes

FORMAT = 2
"""Raised whenever the same configuration would give other arrays."""

_CONTENTS = "contents.json"


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
    """
    folder = folder_of(cache, config, seed, axis)
    with contextlib.suppress(DamagedCacheError):
        return _load(folder, config, check)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(folder):
        with contextlib.suppress(DamagedCacheError):  # another process may have made it meanwhile
            return _load(folder, config, check)
        require_space(folder.parent, cache_bytes(config), "initial conditions")
        _build(folder, config, seed, axis, device, threads, progress)
    return _load(folder, config, check=False)


@contextlib.contextmanager
def _one_at_a_time(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Whether no other process builds this folder, after waiting for it if need be.

    On a file system without locks that is not known, and taken to be so.
    """
    import filelock

    lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"))
    mine = True
    try:
        lock.acquire(blocking=wait)
    except filelock.Timeout:
        mine = False
    except NotImplementedError:
        pass
    try:
        yield mine
    finally:
        lock.release()


def _load(folder: Path, config: SimulationConfig, check: bool) -> Shared:
    """The arrays in a folder, mapped: changes to them stay in memory.

    Raises
    ------
    DamagedCacheError
        If anything is missing or is not as it was written.
    """
    try:
        contents = json.loads((folder / _CONTENTS).read_text())
        for name, (size, digest) in contents["files"].items():
            path = folder / name
            if path.stat().st_size != size or (check and sha256_of(path) != digest):
                raise DamagedCacheError(f"{path} is not as it was written")
        arrays = Shared(**{name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in NAMES})
        for name, (shape, kind) in shapes(config, n_planes(config)).items():
            array = getattr(arrays, name)
            if array.shape != shape or array.dtype != kind:
                raise DamagedCacheError(f"{name} in {folder} has the shape {array.shape}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
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
        if folder.exists():
            shutil.rmtree(folder)
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
        if path.is_dir():
            made_of = {}
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                made_of = dict(json.loads((path / _CONTENTS).read_text())["depends_on"])
            size = sum(file.stat().st_size for file in path.iterdir())
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
        with _one_at_a_time(entry.path.with_name(key), wait=False) as mine:
            if mine:
                shutil.rmtree(entry.path, ignore_errors=True)
                freed += entry.size_bytes
    return freed
