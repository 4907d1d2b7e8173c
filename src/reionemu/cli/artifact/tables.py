"""Tables of records: names made harmless, numbers at the right precision, cut to the terminal.

Rich would be slow for ten thousand rows, so these are set by hand. To a pipe or a file goes plain
text, as wide as it needs to be; colours and cut-off text are for terminals alone.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

GAP = "  "
_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
_STATUS_STYLES = {
    "completed": "green",
    "running": "cyan",
    "interrupted": "yellow",
    "failed": "red",
    "damaged": "red",
}
_AGES = ((60, "s", 1), (3600, "min", 60), (86400, "h", 3600), (14 * 86400, "d", 86400))
_MAX_CELL = 500


@dataclass
class Column:
    """One column of a table.

    Attributes
    ----------
    header : str
    cells : list of str
        Printable text.
    right : bool
        Whether it is set to the right, as numbers are.
    shrinks_to : int or None
        The width it may be cut to on a narrow terminal; None if it may not be cut.
    optional : bool
        Whether it may be left out there, rather than that what must stay is cut.
    keeps_end : bool
        Whether it is cut in the middle, as names are, which often differ at their ends.
    short : list of str or None
        Shorter cells to take on a narrow terminal before anything is cut.
    """

    header: str
    cells: list[str]
    right: bool = False
    shrinks_to: int | None = None
    optional: bool = False
    keeps_end: bool = False
    short: list[str] | None = None


def on_terminal() -> bool:
    """Whether somebody is looking."""
    return sys.stdout.isatty()


def print_columns(columns: Sequence[Column]) -> None:
    """A table on standard output."""
    width = shutil.get_terminal_size().columns if on_terminal() else None
    write(_lines(_fit(columns, width)))


def write(lines: Iterable[str]) -> None:
    """Lines on standard output; a reader that has seen enough, such as `head`, ends it quietly."""
    encoding = sys.stdout.encoding or "utf-8"
    text = "".join(f"{line}\n" for line in lines)
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def printable(value: Any) -> str:
    """Text that does nothing to a terminal: what cannot be printed is shown as an escape."""
    text = str(value)
    if len(text) > _MAX_CELL:
        text = f"{text[: _MAX_CELL - 3]}..."
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def number(value: Any) -> str:
    """A measured value: three significant digits, zeros at the end kept."""
    if not _is_float(value):
        return cell(value)
    if 1e3 <= abs(value) < 1e7:
        return f"{value:.0f}"
    return f"{value:#.3g}".removesuffix(".")


def cell(value: Any) -> str:
    """A value as it was chosen: up to four significant digits; times to the second."""
    from ...artifact.collection.values import parse_time

    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if _is_float(value):
        return f"{value:.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"
    if isinstance(value, str):
        moment = parse_time(value) if len(value) > 10 else None
        return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else printable(value)
    try:
        return printable(value)
    except ValueError:  # a whole number of thousands of digits
        return "(too long)"


def age(moment: datetime, now: datetime | None = None) -> str:
    """How long ago a moment was: "3 h ago"; the day, if it is more than two weeks."""
    seconds = ((now or datetime.now(timezone.utc)) - moment).total_seconds()
    if seconds < 0:
        return f"{moment:%Y-%m-%d %H:%M}"
    if seconds < 1:
        return "just now"
    for limit, unit, length in _AGES:
        if seconds < limit:
            return f"{seconds // length:.0f} {unit} ago"
    return f"{moment:%Y-%m-%d}"


def styled(text: str, style: str) -> str:
    """Text in a colour or weight, on a terminal that wants it (NO_COLOR, TERM=dumb)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain or not on_terminal() else f"\033[{_CODES[style]}m{text}\033[0m"


def shortened(text: str, width: int, keeps_end: bool = False) -> str:
    """Text cut to a width, with an ellipsis for what is missing."""
    from rich.cells import cell_len, set_cell_size

    if len(text) <= width and (text.isascii() or cell_len(text) <= width):
        return text
    room = max(width - 1, 0)
    end = room * 3 // 5 if keeps_end else 0
    tail = set_cell_size(text[::-1], end)[::-1].lstrip() if end else ""
    return f"{set_cell_size(text, room - end).rstrip()}…{tail}"


def padded(text: str, width: int, right: bool = False) -> str:
    """Text with spaces around it up to a width."""
    from rich.cells import cell_len

    space = " " * (width - (len(text) if text.isascii() else cell_len(text)))
    return f"{space}{text}" if right else f"{text}{space}"


def common_folder(names: list[str]) -> str:
    """The folder, with "/" at its end, that all of several names begin with; or nothing."""
    if len(set(names)) < 2:
        return ""
    shared = list(names[0].split("/")[:-1])
    for name in names[1:]:
        parts = name.split("/")[:-1]
        while shared != parts[: len(shared)]:
            shared.pop()
    return "/".join([*shared, ""])


def _lines(columns: Sequence[tuple[Column, int]]) -> Iterable[str]:
    """The lines of a table of columns with their widths."""
    heads = [padded(shortened(c.header, width), width, c.right) for c, width in columns]
    yield styled(GAP.join(heads).rstrip(), "bold")
    for row in zip(*(_fitted(column, width) for column, width in columns), strict=True):
        yield GAP.join(row).rstrip()


def _fitted(column: Column, width: int) -> list[str]:
    """The cells of a column, all of one width, and in colour where that helps."""
    cells = column.cells
    if max(map(len, cells), default=0) > width or not all(map(str.isascii, cells)):
        cells = [shortened(text, width, column.keeps_end) for text in cells]
    if all(map(str.isascii, cells)):
        align = str.rjust if column.right else str.ljust
        cells = [align(text, width) for text in cells]
    else:
        cells = [padded(text, width, column.right) for text in cells]
    if column.header == "status" and on_terminal():
        styles = [_STATUS_STYLES.get(text) for text in column.cells]
        cells = [styled(t, s) if s else t for t, s in zip(cells, styles, strict=True)]
    return cells


def _fit(columns: Sequence[Column], available: int | None) -> list[tuple[Column, int]]:
    """The columns that are shown, with their widths.

    Where there is too little room, shorter cells are taken, then optional columns are cut or left
    out, then others are cut.
    """
    widths = {i: _width(column) for i, column in enumerate(columns)}
    excess = sum(widths.values()) + len(GAP) * (len(columns) - 1) - (available or 10**9)
    for i, column in enumerate(columns):
        if excess > 0 and column.short is not None:
            columns = [*columns[:i], replace(column, cells=column.short), *columns[i + 1 :]]
            excess -= widths[i] - _width(columns[i])
            widths[i] = _width(columns[i])
    flexible = [i for i, column in enumerate(columns) if column.shrinks_to is not None]
    stiff = [i for i, column in enumerate(columns) if column.shrinks_to is None and column.optional]
    for i in (*sorted(flexible, key=lambda i: (not columns[i].optional, -widths[i])), *stiff):
        least = min(columns[i].shrinks_to or widths[i], widths[i])
        if columns[i].optional and widths[i] - least < excess:
            excess -= widths.pop(i) + len(GAP)
        elif excess > 0:
            given = min(excess, widths[i] - least)
            widths[i] -= given
            excess -= given
    return [(column, widths[i]) for i, column in enumerate(columns) if i in widths]


def _width(column: Column) -> int:
    """How wide a column wants to be."""
    from rich.cells import cell_len

    texts = [column.header, *column.cells]
    return max(map(len if all(map(str.isascii, texts)) else cell_len, texts))


def _is_float(value: Any) -> bool:
    return isinstance(value, float)
