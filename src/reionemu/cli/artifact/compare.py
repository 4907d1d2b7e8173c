"""reionemu artifact compare"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..output import JsonOption, print_json
from .tables import (
    GAP,
    cell,
    common_folder,
    number,
    on_terminal,
    padded,
    printable,
    shortened,
    styled,
    write,
)

if TYPE_CHECKING:
    from ...artifact.collection.side_by_side import Comparison, Row

_MIN_WIDTH, _MAX_WIDTH = 14, 40


def compare(
    paths: Annotated[list[Path], typer.Argument(help="Folders of artifacts, two or more.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Also show what is the same, and all else recorded.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Set artifacts side by side: where they differ, and their metrics."""
    from ...artifact.collection import side_by_side
    from ...artifact.collection.scan import read_entry
    from ...artifact.folder import find_record
    from ...errors import ConfigError

    if len(paths) < 2:
        raise ConfigError("compare needs two artifacts or more; `artifact show` shows one")
    entries = [read_entry(find_record(path.expanduser())) for path in paths]
    comparison = side_by_side.compare(entries, everything=everything)
    if json:
        print_json(comparison.to_mapping())
        return
    write(_lines(comparison, [str(path) for path in paths]))


def _lines(comparison: Comparison, paths: list[str]) -> Iterator[str]:
    """The rows under the names; on a terminal, as many records at a time as fit."""
    heads = _heads(paths)
    labels = [_label(row) for row in comparison.rows]
    texts = [[_text(row, i) for i in range(len(paths))] for row in comparison.rows]
    left = max(map(len, labels), default=0)
    widths = _widths(heads, texts)
    if not on_terminal():
        yield from _block(comparison, labels, texts, heads, widths, left, range(len(paths)))
        return
    room = shutil.get_terminal_size().columns - left
    most = min(max(room // len(paths) - len(GAP), _MIN_WIDTH), _MAX_WIDTH)
    cut = [shortened(head, most, True) for head in heads]
    if len(set(cut)) < len(set(heads)):  # they cannot be told apart any more
        yield from (f"{i}  {head}" for i, head in enumerate(heads, start=1))
        yield ""
        heads = [str(i) for i in range(1, len(heads) + 1)]
        widths = _widths(heads, texts)
    widths = [min(width, most) for width in widths]
    start = 0
    while start < len(paths):
        end, used = start, 0
        while end < len(paths) and (end == start or used + widths[end] + len(GAP) <= room):
            used += widths[end] + len(GAP)
            end += 1
        if start:
            yield ""
        yield from _block(comparison, labels, texts, heads, widths, left, range(start, end))
        start = end


def _heads(paths: list[str]) -> list[str]:
    folder = common_folder(paths)
    return [printable(path[len(folder) :] or path) for path in paths]


def _widths(heads: list[str], texts: list[list[str]]) -> list[int]:
    return [max(map(len, (head, *(row[i] for row in texts)))) for i, head in enumerate(heads)]


def _block(
    comparison: Comparison,
    labels: list[str],
    texts: list[list[str]],
    heads: list[str],
    widths: list[int],
    left: int,
    shown: range,
) -> Iterator[str]:
    names = [padded(shortened(heads[i], widths[i], True), widths[i], right=True) for i in shown]
    yield styled(GAP.join([" " * left, *names]), "bold")
    section = ""
    for row, label, cells in zip(comparison.rows, labels, texts, strict=True):
        if row.section != section and on_terminal():
            section = row.section
            yield styled(section, "dim")
        values = [padded(shortened(cells[i], widths[i]), widths[i], right=True) for i in shown]
        yield GAP.join([padded(label, left), *values]).rstrip()


def _label(row: Row) -> str:
    path = printable(row.path)
    return f"  {path.removeprefix('metrics.')}" if on_terminal() else path


def _text(row: Row, column: int) -> str:
    if not row.present[column]:
        return "-"
    value: Any = row.values[column]
    form = number if row.section == "metrics" else cell
    if isinstance(value, list):
        return ", ".join(map(form, value))
    return "none" if value is None else form(value)
