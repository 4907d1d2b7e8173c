"""What the last listing of a root read, kept in the user's cache folder to make the next one quick.

It may be deleted at any time. Nothing is believed that cannot be checked: a row is used only while
the files of the record have the inodes, sizes and times they had when they were read, and files
that had only just changed then are read again. A file that is torn, foreign, of another version or
of another user counts as absent.

The file is a line with the checksum of the rest, then one JSON object: "format", "root" and
"tables". A table is of records that have the same dotted paths, as most have: "paths", "rows"
([folder, signature, is it a record, status, problem]) and "columns", for each path the values of
all rows, as JSON in a text, so that only columns that somebody looks at need be read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ... import __version__
from ...errors import ReionemuError
from ...files import write_bytes
from .entry import Value
from .glance import Known
from .scan import Scan

_FORMAT = f"reionemu catalogue 4, {__version__}"
_MAX_BYTES = 512 * 2**20
_OLD_S = 60 * 86400
WORTHWHILE_BYTES = 2**20
"""A cache is written when it saves reading so much next time."""


def cache_folder() -> Path | None:
    """Where this user's caches of this package are, or None if there is no telling."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):
        return Path(given) / "reionemu"
    with contextlib.suppress(RuntimeError):
        return Path.home() / ".cache" / "reionemu"
    return None


def load(root: Path) -> dict[str, Known]:
    """What the last listing of `root` read, by folder; empty if there is nothing to be had."""
    path = _path(root)
    content = _read(path) if path else None
    if content is None:
        return {}
    checksum, _, body = content.partition(b"\n")
    if checksum != _checksum(body):
        return {}
    try:
        document = json.loads(body)
        if document["format"] != _FORMAT or document["root"] != os.path.realpath(root):
            return {}
        known: dict[str, Known] = {}
        for table in document["tables"]:
            known.update(_of_table(table))
        return known
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return {}


def save(root: Path, scan: Scan, before: Mapping[str, Known]) -> None:
    """Keep what a scan read, if that is worth it and possible."""
    path = _path(root)
    if path is None or not _is_worthwhile(path, scan, before):
        return
    with contextlib.suppress(OSError, ReionemuError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        body = _encode(os.path.realpath(root), scan.known)
        if len(body) < _MAX_BYTES:
            write_bytes(path, _checksum(body) + b"\n" + body)
            _remove_old(path.parent)


class _Table:
    """Columns of values, each decoded when somebody looks at it."""

    def __init__(self, texts: list[str], length: int) -> None:
        self._texts, self._length = texts, length
        self.columns: list[list[Value] | None] = [None] * len(texts)

    def column(self, place: int) -> list[Value]:
        """The values of all rows in one column; None if they are not what they should be."""
        column = self.columns[place]
        if column is None:
            column = [None] * self._length
            with contextlib.suppress(ValueError, TypeError, RecursionError):
                read = json.loads(self._texts[place])
                if isinstance(read, list) and len(read) == self._length:
                    column = read
            self.columns[place] = column
        return column

    def __len__(self) -> int:
        return len(self._texts)


class _Row(Sequence[Value]):
    """One row of a table."""

    __slots__ = ("_number", "_table")

    def __init__(self, table: _Table, number: int) -> None:
        self._table, self._number = table, number

    def __getitem__(self, place: Any) -> Any:
        column = self._table.columns[place]
        return (column or self._table.column(place))[self._number]

    def __len__(self) -> int:
        return len(self._table)


def _is_worthwhile(path: Path, scan: Scan, before: Mapping[str, Known]) -> bool:
    """Whether a new cache would save more than writing it costs."""
    gone = len(before) - len(before.keys() & scan.known.keys())
    if 2 * gone > len(before):
        return True
    worthwhile = WORTHWHILE_BYTES
    if before:  # a large cache is not written again for a little
        with contextlib.suppress(OSError):
            worthwhile = max(worthwhile, path.stat().st_size // 4)
    return scan.bytes_read > worthwhile


def _encode(root: str, known: Mapping[str, Known]) -> bytes:
    shapes: dict[tuple[str, ...], list[tuple[str, Known]]] = {}
    for folder, item in known.items():
        shapes.setdefault(item.paths, []).append((folder, item))
    tables = []
    for paths, items in shapes.items():
        rows = [(folder, k.signature, k.is_record, k.status, k.problem) for folder, k in items]
        columns = [_to_json([k.row[place] for _, k in items]) for place in range(len(paths))]
        tables.append({"paths": paths, "rows": rows, "columns": columns})
    return _to_json({"format": _FORMAT, "root": root, "tables": tables}).encode()


def _to_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _of_table(document: Mapping[str, Any]) -> Iterator[tuple[str, Known]]:
    paths, rows, columns = tuple(document["paths"]), document["rows"], document["columns"]
    right = all(isinstance(text, str) for text in (*paths, *columns))
    if not right or len(columns) != len(paths):
        raise TypeError
    table = _Table(columns, len(rows))
    for number, (folder, signature, is_record, status, problem) in enumerate(rows):
        right = isinstance(folder, str) and isinstance(is_record, bool) and isinstance(status, str)
        if not right or not isinstance(problem, (str, type(None))):
            raise TypeError
        yield folder, Known(signature, is_record, status, problem, paths, _Row(table, number))


def _path(root: Path) -> Path | None:
    folder = cache_folder()
    name = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:32]
    return folder / f"catalogue-{name}.json" if folder else None


def _read(path: Path) -> bytes | None:
    """The content of a plain file that belongs to this user and not everybody may write."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
            if not ours or status.st_mode & 0o002 or status.st_size > _MAX_BYTES:
                return None
            return file.read(status.st_size)
    except OSError:
        return None


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).hexdigest().encode()


def _remove_old(folder: Path) -> None:
    """Remove caches of roots that nobody has listed for long."""
    with contextlib.suppress(OSError):
        for path in folder.glob("catalogue-*.json"):
            if time.time() - path.stat().st_mtime > _OLD_S:
                path.unlink()
