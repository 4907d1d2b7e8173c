"""Finding the folder of a record, and holding it open while its files are read."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import MissingFileError, RecordError
from .formats.jsonio import MAX_BYTES, decode
from .formats.migrations import migrate
from .formats.reading import read_file
from .layout import HISTORY, INFO, RUNS
from .placing import entries, recover


def find_record(path: Path) -> Path:
    """The folder of the record at a path, or of the latest run of that name."""
    for _ in range(10):  # where folders cannot be exchanged, a name is free for a moment
        folder = _is_folder(path)
        if folder:
            return path
        if folder is not None:
            raise RecordError(f"{path} is not an artifact: it is not a folder")
        earlier = False
        for root in path.parents:  # a name may have several parts
            name = path.relative_to(root)
            recover(path, root / HISTORY / name)
            if path.exists():
                earlier = True
                break
            if runs := entries(root / RUNS / name):
                return runs[-1]
            earlier = earlier or bool(entries(root / HISTORY / name))
        if not earlier:
            raise MissingFileError(f"there is no artifact at {path}{_others(path)}")
    raise MissingFileError(
        f"there is no artifact at {path} any more, but there are earlier records of it; "
        f"`reionemu artifact restore {shlex.quote(str(path))}` brings the latest back"
    )


def _is_folder(path: Path) -> bool | None:
    """Whether there is a folder at a path; None if there is nothing. Asked in one step."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise


class Folder:
    """A folder held open, so that its files stay those of one record."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.contents: dict[str, bytes] = {}
        relative = os.open in os.supports_dir_fd
        try:
            self._descriptor = os.open(path, os.O_RDONLY) if relative else None
        except FileNotFoundError:
            raise MissingFileError(f"there is no artifact at {path}") from None

    def read(self, name: str, limit: int = MAX_BYTES, *, growing: bool = False) -> bytes | None:
        """Contents of a file in the folder, or None if it is not there."""
        try:
            content = read_file(
                self.path / name,
                limit,
                folder=self._descriptor,
                follow_links=False,
                growing=growing,
            )
        except MissingFileError:
            return None
        self.contents[name] = content
        return content

    def names(self) -> list[str]:
        """Names of what is in the folder, in order, but for hidden files."""
        found = os.listdir(self.path if self._descriptor is None else self._descriptor)
        return sorted(name for name in found if not name.startswith("."))

    def json(self, name: str, kind: str) -> dict[str, Any] | None:
        """A JSON document in the folder, brought up to date, or None if it is not there."""
        content = self.read(name)
        if content is None:
            return None
        where = str(self.path / name)
        document = decode(content, where)
        if not isinstance(document, dict):
            raise RecordError(f"{where} is not a record: it is not a JSON object")
        return migrate(kind, document, where)

    def close(self) -> None:
        """Let go of the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)


def _others(path: Path) -> str:
    """A hint at what artifacts there are instead."""
    with suppress(OSError):
        names = sorted(p.parent.name for p in path.parent.glob(f"*/{INFO}"))
        if names:
            return f"; in {path.parent} there are {', '.join(names[:5])}{'...' * (len(names) > 5)}"
    return ""
