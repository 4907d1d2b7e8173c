"""What an interrupted run leaves, and goes on from.

::

    FOLDER/settings.json     what the samples depend on: problem, options, seed
    FOLDER/block-00000.bin   arrays (safetensors), and the SHA-256 of them and the block before
    FOLDER/block-00001.bin
    FOLDER/lock

A block that is torn, or does not follow from the one before, ends what is read: as the same seed
gives the same samples, they are merely drawn again from there on.
"""

from __future__ import annotations

import errno
import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import (
    AlreadyExistsError,
    FileBusyError,
    NotEnoughSpaceError,
    ReionemuWarning,
    UnreadableFileError,
)
from ...files import require_space, require_writable, write_bytes
from ...locks import locked

Arrays = Mapping[str, NDArray[Any]]

_DIGEST = hashlib.sha256().digest_size
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Store(Protocol):
    """Where a sampler keeps blocks of arrays."""

    def blocks(self) -> list[dict[str, NDArray[Any]]]:
        """Those kept so far; the next one is appended to these."""

    def append(self, arrays: Arrays) -> None:
        """Keep another."""

    def replace(self, arrays: Arrays) -> None:
        """Keep one in the place of all."""


class Nowhere:
    """A store that keeps nothing."""

    @contextmanager
    def opened(self, settings: Mapping[str, Any]) -> Iterator[None]:
        """For whoever needs no care."""
        yield

    def blocks(self) -> list[dict[str, NDArray[Any]]]:
        """Nothing."""
        return []

    def append(self, arrays: Arrays) -> None:
        """Forget them."""

    replace = append


class Checkpoint:
    """A folder that keeps what a sampler has done, block by block.

    Parameters
    ----------
    folder : path
        Made if it is not there; the folder that it is in must be.
    fingerprint : str
        Of the problem: `Problem.fingerprint`.
    """

    def __init__(self, folder: Path | str, fingerprint: str) -> None:
        self.folder = Path(folder)
        self.fingerprint = fingerprint
        self._root = b""  # the digest that the first block follows
        self._last = b""
        self._next = 0

    @contextmanager
    def opened(self, settings: Mapping[str, Any]) -> Iterator[None]:
        """Be the only process that uses the folder, for samples that depend on `settings`.

        Raises
        ------
        AlreadyExistsError
            If it holds samples of another problem, other options or another seed.
        FileBusyError
            If another process uses it.
        UnreadableFileError
            If its settings cannot be read.
        MissingFileError, ReadOnlyError
            If it cannot be made.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise AlreadyExistsError(f"{self.folder} is a file; name a folder to keep samples in")
        writable = self.folder if self.folder.is_dir() else self.folder.parent
        require_writable(writable, f"samples in {self.folder}")
        self.folder.mkdir(exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.folder / "lock", wait=False))
            except FileBusyError:
                raise FileBusyError(
                    f"another process keeps its samples in {self.folder}; wait until it has "
                    "finished, or name another folder"
                ) from None
            self._claim({"problem": self.fingerprint, **settings})
            yield

    def blocks(self) -> list[dict[str, NDArray[Any]]]:
        """The arrays of every block up to the first that is missing or not whole.

        A block that is there and of no use gives a ReionemuWarning.
        """
        from safetensors.numpy import load

        found = []
        self._last, self._next = self._root, 0
        while (path := self._path(self._next)).exists():
            content = path.read_bytes()
            body, digest = content[:-_DIGEST], content[-_DIGEST:]
            if digest != _digest(self._last, body):
                warnings.warn(
                    f"{path} is damaged, or of another run; sampling goes on from the "
                    f"{self._next} block(s) before it",
                    ReionemuWarning,
                    stacklevel=2,
                )
                break
            found.append(load(body))
            self._last, self._next = digest, self._next + 1
        return found

    def append(self, arrays: Arrays) -> None:
        """Keep another block.

        Raises
        ------
        NotEnoughSpaceError
            If there is no room; the blocks before it are as they were.
        """
        self._last = self._write(self._path(self._next), self._last, arrays)
        self._next += 1

    def replace(self, arrays: Arrays) -> None:
        """Keep one block in the place of all; for samplers whose state holds all they did."""
        self._write(self._path(0), self._root, arrays)

    def remove(self) -> None:
        """Delete what is kept, and the folder if there is nothing else in it."""
        for path in self.folder.glob("block-*.bin"):
            path.unlink()
        for name in ("settings.json", "lock"):
            (self.folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def _path(self, number: int) -> Path:
        return self.folder / f"block-{number:05d}.bin"

    def _claim(self, settings: Mapping[str, Any]) -> None:
        """Write down the settings, or see that they are those of the blocks that are there."""
        text = json.dumps(settings, indent=1, sort_keys=True)
        path = self.folder / "settings.json"
        if path.exists():
            _require_same(_read(path), json.loads(text), self.folder)
        else:
            _write_bytes(path, text.encode())
        self._root = hashlib.sha256(text.encode()).digest()

    def _write(self, path: Path, previous: bytes, arrays: Arrays) -> bytes:
        from safetensors.numpy import save

        body = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        digest = _digest(previous, body)
        _write_bytes(path, body + digest)
        return digest


def _digest(previous: bytes, body: bytes) -> bytes:
    return hashlib.sha256(previous + body).digest()


def _write_bytes(path: Path, content: bytes) -> None:
    require_space(path.parent, len(content), "samples")
    try:
        write_bytes(path, content)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise NotEnoughSpaceError(
            f"no room for samples in {path.parent}. What was kept before is whole: free some space "
            "and run this again to go on"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict):
        raise UnreadableFileError(
            f"{path} does not say what the samples beside it are of; remove {path.parent}, or "
            "name another folder"
        )
    return settings


def _require_same(there: Mapping[str, Any], here: Mapping[str, Any], folder: Path) -> None:
    differences = [
        f"{key} is {there.get(key)!r} there and {here.get(key)!r} here"
        for key in sorted({*there, *here})
        if there.get(key) != here.get(key)
    ]
    if differences:
        raise AlreadyExistsError(
            f"{folder} holds samples of another run: {'; '.join(differences)}. Go on with what is "
            "there, name another folder, or remove this one"
        )
