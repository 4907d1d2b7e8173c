"""Designs as text, in the form that campaigns use: headers that begin with #, then one row a point.

    # reionemu design 1
    # made: lhs, 100 points, seed 1
    # made: augment, 50 points, seed 2
    # range: zmean_zre=7.0:9.0
    # range: alpha_zre=0.1:0.9
    # range: kb_zre=0.1:2.0 h/Mpc
    # range: b0_zre=0.1:0.8
    # zmean_zre alpha_zre kb_zre b0_zre
    8.0123456789012345e+00 1.2345678901234567e-01 ...

The first line holds the version of the format; `made` and `range` lines count only below it. Of
a file that another program wrote, only the last header line matters, which names the columns (it
may lack the #); bounds are then unknown. Fields are separated by blanks or commas, and what
follows a # in a row is a comment. Columns may stand in any order. One too many is refused, even an
index of simulations: it might be a parameter under another name, and a point is known by its place.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ..config import nearest
from ..errors import ConfigError, DatasetError, UnreadableFileError
from .points import MAX_POINTS, Design, Step
from .space import ParameterSpace, parse_range

VERSION = 1

_SIGNATURE = re.compile(r"reionemu design (\d{1,9})")
_MADE = re.compile(r"made: (\w+), (\d{1,9}) points(?:, seed (\d{1,20}))?")


def format_design(design: Design) -> str:
    """The text of a design: the same design gives the same bytes."""
    header = [f"reionemu design {VERSION}"]
    for method, points, seed in design.steps:
        header.append(
            f"made: {method}, {points} points" + ("" if seed is None else f", seed {seed}")
        )
    if space := design.space:
        columns = zip(space.names, space.low, space.high, space.units, strict=True)
        header += [f"range: {name}={a!r}:{b!r} {unit}".rstrip() for name, a, b, unit in columns]
    header.append(" ".join(design.names))
    rows = (" ".join(f"{value:.16e}" for value in row) for row in design.rows)
    return "".join([*(f"# {line}\n" for line in header), *(f"{row}\n" for row in rows)])


def parse_design(text: str, names: tuple[str, ...], where: str) -> Design:
    """The design in a text, its columns in the order of `names`.

    `where` is what errors call the text; they are those of `read_design` that are not about
    reaching the file.
    """
    try:
        return _Parser(where, names).design(text)
    except ConfigError as error:
        raise DatasetError(f"{where}: {error}") from None


@dataclass
class _Parser:
    """What has been read of a file so far."""

    where: str
    names: tuple[str, ...]
    header: list[tuple[int, str]] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    """The line of each row."""

    def design(self, text: str) -> Design:
        columns: list[str] = []
        for number, line in enumerate(io.StringIO(text, newline=None), start=1):
            content, _, comment = line.partition("#")
            fields = content.replace(",", " ").split()
            if not self.rows and not set(fields).isdisjoint(self.names):
                self.header.append((number, content))  # column names without a #
            elif fields:
                columns = columns or self._columns()
                self._add_row(number, fields, columns)
            elif comment.strip() and not self.rows:
                self.header.append((number, comment.strip()))
        if not self.rows:
            raise DatasetError(f"{self.where} holds no points, that is, no rows of numbers")
        rows = np.array(self.rows)[:, [columns.index(name) for name in self.names]]
        if not self._is_ours():
            return Design(self.names, rows)
        if not text.endswith("\n"):
            raise UnreadableFileError(f"{self.where} is torn: its last line has no end")
        space = self._space()
        if space and (outside := space.first_outside(rows)):
            raise self._error(self.lines[outside[0]], outside[1])
        return Design(self.names, rows, self._steps(), space)

    def _error(self, line: int, what: str) -> DatasetError:
        return DatasetError(f"{self.where}, line {line}: {what}")

    def _columns(self) -> list[str]:
        """The names in the last line of the header, each of those expected once."""
        expected = f"expected {', '.join(self.names)}"
        if not self.header:
            raise DatasetError(
                f"{self.where}: the first row has no header above it that names the columns; "
                f"put in a line # {' '.join(self.names)}"
            )
        line, text = self.header[-1]
        columns = text.replace(",", " ").split()
        for name, count in Counter(columns).items():
            if name not in self.names:
                raise self._error(
                    line, f"unknown column {name!r}{nearest(name, self.names)}; {expected}"
                )
            if count > 1:
                raise self._error(line, f"the column {name} is there {count} times; {expected}")
        if missing := [name for name in self.names if name not in columns]:
            raise self._error(line, f"the column {missing[0]} is missing; {expected}")
        return columns

    def _add_row(self, line: int, fields: list[str], columns: list[str]) -> None:
        if len(fields) != len(columns):
            raise self._error(
                line, f"{len(fields)} fields where the header names {len(columns)} columns"
            )
        if len(self.rows) == MAX_POINTS:
            raise self._error(line, f"more than {MAX_POINTS} points are too many for a design")
        self.rows.append([self._number(line, *pair) for pair in zip(columns, fields, strict=True)])
        self.lines.append(line)

    def _number(self, line: int, name: str, text: str) -> float:
        try:
            value = float(text if text.isascii() and "_" not in text else "")
        except ValueError:
            raise self._error(line, f"{name} is {text[:40]!r}, not a number") from None
        if not np.isfinite(value):
            raise self._error(line, f"{name} is {text[:40]!r}, not a finite number")
        return value

    def _is_ours(self) -> bool:
        match = _SIGNATURE.fullmatch(self.header[0][1])
        if match and int(match[1]) != VERSION:
            raise UnreadableFileError(
                f"{self.where} is a design in format {match[1]}; this version of reionemu reads "
                f"format {VERSION}. Use the version that wrote it, or a newer one"
            )
        return bool(match)

    def _steps(self) -> tuple[Step, ...]:
        """What the `made` lines say; if there are any, they must account for every row."""
        steps = []
        for line, text in self.header:
            if text.startswith("made:"):
                match = _MADE.fullmatch(text)
                if not match:
                    raise self._error(line, "expected '# made: METHOD, N points, seed SEED'")
                steps.append(Step(match[1], int(match[2]), int(match[3]) if match[3] else None))
        said = sum(step.points for step in steps)
        if steps and said != len(self.rows):
            raise DatasetError(
                f"{self.where} holds {len(self.rows)} points, and by its header {said}: it is torn "
                "or was edited. Get it again, or remove the lines '# made: ...' if it is right"
            )
        return tuple(steps)

    def _space(self) -> ParameterSpace | None:
        """What the `range` lines say: nothing, or the bounds of every column."""
        found: dict[str, tuple[float, float, str]] = {}
        for line, text in self.header:
            if text.startswith("range:"):
                bounds, _, unit = text.removeprefix("range:").strip().partition(" ")
                try:
                    name, low, high = parse_range(bounds)
                    ParameterSpace((name,), (low,), (high,), (unit.strip(),))
                except ConfigError as error:
                    raise self._error(line, str(error)) from None
                if name not in self.names or name in found:
                    what = "is there twice" if name in found else "is of no column"
                    raise self._error(line, f"the range of {name} {what}")
                found[name] = (low, high, unit.strip())
        if not found:
            return None
        if missing := [name for name in self.names if name not in found]:
            raise DatasetError(f"{self.where}: the header has ranges, but none of {missing[0]}")
        low_bounds, high_bounds, units = zip(*(found[name] for name in self.names), strict=True)
        return ParameterSpace(self.names, low_bounds, high_bounds, units)
