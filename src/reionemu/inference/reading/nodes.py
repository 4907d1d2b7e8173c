"""Values in a text file that say on which line they stand, and numbers made of them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InferenceDataError, MissingFileError, UnreadableFileError

MAX_BYTES = 16 * 2**20
"""Larger files are refused unread."""

_GAPS = ("", "-", "--", "nan", ".nan", "na", "n/a", "null", "none", "~", "...")


@dataclass(frozen=True)
class Node:
    """A text, or a list of nodes, and its line in the file.

    Attributes
    ----------
    value : str or list of Node
    line : int
        From 1.
    is_block : bool
        Whether it is a text that holds rows of numbers, rather than a word or a name.
    """

    value: str | list[Node]
    line: int
    is_block: bool = False


@dataclass(frozen=True)
class Numbers:
    """Makes numbers of nodes; errors name the file, the line and the field.

    Attributes
    ----------
    where : str
        What errors call the file.
    """

    where: str

    def error(self, line: int, what: str) -> InferenceDataError:
        """The error that says `what` of a line."""
        return InferenceDataError(f"{self.where}, line {line}: {what}")

    def number(self, text: str, line: int, what: str) -> float:
        """One number; gaps, however they are marked, are refused by name."""
        text = text.strip()
        if text.lower() in _GAPS:
            raise self.error(
                line,
                f"{what} is missing ({text!r}). Leave a bin that was not measured out of all "
                "fields, the covariance and the windows included",
            )
        try:
            value = float(text if text.isascii() and "_" not in text else "")
        except ValueError:
            raise self.error(line, f"{what} is {text[:40]!r}, not a number") from None
        if not math.isfinite(value):
            raise self.error(line, f"{what} is {text[:40]!r}, not a finite number")
        return value

    def vector(self, node: Node, name: str, bins: Sequence[str] = ()) -> np.ndarray:
        """A list of numbers, or a text that holds some, shape (m,).

        `bins` is what errors call the first of them.
        """
        if isinstance(node.value, str):
            cells = node.value.split() if node.is_block else [node.value]
            node = Node([Node(cell, node.line) for cell in cells], node.line)
        return np.array(self._row(node, name, bins))

    def matrix(self, node: Node, name: str) -> np.ndarray:
        """Rows of numbers, all as long as the first, shape (m, w)."""
        if isinstance(node.value, str):
            return self.table(node.value, node.line + 1, name)
        rows = [(row.line, self._row(row, f"{name}[{i}]")) for i, row in enumerate(node.value)]
        return self._rectangular(rows, node.line, name)

    def table(self, text: str, first_line: int, name: str) -> np.ndarray:
        """The same of a text, in which # begins a comment."""
        rows: list[tuple[int, list[float]]] = []
        for line, content in enumerate(text.splitlines(), start=first_line):
            cells = content.partition("#")[0].replace(",", " ").split()
            if cells:
                rows.append(
                    (line, self._values(cells, [line] * len(cells), f"{name}[{len(rows)}]"))
                )
        return self._rectangular(rows, first_line, name)

    def _row(self, node: Node, name: str, bins: Sequence[str] = ()) -> list[float]:
        if isinstance(node.value, str):
            raise self.error(node.line, f"{name} is {node.value[:40]!r}, expected a list")
        cells = []
        for i, item in enumerate(node.value):
            if not isinstance(item.value, str):
                raise self.error(item.line, f"{name}[{i}] is a list or a table, expected a number")
            cells.append(item.value)
        return self._values(cells, [item.line for item in node.value], name, bins)

    def _values(
        self, cells: list[str], lines: Sequence[int], name: str, bins: Sequence[str] = ()
    ) -> list[float]:
        """Numbers, fast if they are good."""
        text = "".join(cells)
        if text.isascii() and "_" not in text:
            with contextlib.suppress(ValueError):
                values = [float(cell) for cell in cells]
                if all(map(math.isfinite, values)):
                    return values
        return [
            self.number(cell, lines[i], f"{name}{bins[i] if i < len(bins) else f'[{i}]'}")
            for i, cell in enumerate(cells)
        ]

    def _rectangular(self, rows: list[tuple[int, list[float]]], line: int, name: str) -> np.ndarray:
        if not rows:
            raise self.error(line, f"{name} holds no numbers")
        expected = len(rows[0][1])
        for i, (at, values) in enumerate(rows):
            if len(values) != expected:
                raise self.error(
                    at, f"{name}[{i}] has {len(values)} numbers, where the first row has {expected}"
                )
        return np.array([values for _, values in rows])


def read_text(path: Path, what: str) -> str:
    """The text of a file of at most `MAX_BYTES`.

    Raises
    ------
    MissingFileError (FileNotFoundError)
    UnreadableFileError (OSError)
        If it is no file, too large, empty, or not in UTF-8.
    """
    try:
        if not path.exists():
            raise MissingFileError(f"{path} does not exist; {what} was expected there")
        if not path.is_file():
            raise UnreadableFileError(f"{path} is not a file; {what} was expected")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, (MissingFileError, UnreadableFileError)):
            raise
        reason = getattr(error, "strerror", None) or error
        raise UnreadableFileError(f"{path} cannot be read: {reason}") from None
    if len(content) > MAX_BYTES:
        raise UnreadableFileError(
            f"{path} is larger than {MAX_BYTES // 2**20} MB: too large for {what}"
        )
    if not content.strip():
        raise UnreadableFileError(f"{path} is empty; {what} was expected")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(
            f"{path} is not a text file in UTF-8 (byte {error.start} is not); {what} was expected"
        ) from None
