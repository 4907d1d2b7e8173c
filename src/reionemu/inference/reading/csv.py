"""The fields of a CSV file of band powers: lines `# key: value`, names of columns, rows."""

from __future__ import annotations

import re

from ...config import nearest
from ...errors import InferenceDataError
from ..band_power_checks import MAX_BINS
from .fields import FACTS
from .nodes import Node, Numbers

COLUMNS = ("ell", "ell_low", "ell_high", "dl", "sigma")

_FACT = re.compile(r"\s*#\s*(\w+)\s*:(.*)")


def parse_csv(text: str, where: str) -> dict[str, Node]:
    """The fields of a text, by name; the columns ell_low and ell_high are the field `bins`.

    Raises
    ------
    InferenceDataError (ValueError)
        Naming the line with an unknown key or column, or too few or many cells.
    """
    numbers = Numbers(where)
    fields: dict[str, Node] = {}
    columns: list[str] = []
    rows: list[list[Node]] = []
    for line, content in enumerate(text.splitlines(), start=1):
        if match := _FACT.fullmatch(content):
            _add_fact(fields, match[1], Node(match[2].strip(), line), numbers)
        elif content.strip() and not content.lstrip().startswith("#"):
            cells = content.split(",") if "," in content else content.split()
            if not columns:
                columns = _columns(cells, line, numbers)
            elif len(cells) != len(columns):
                raise numbers.error(
                    line,
                    f"{len(cells)} cells, where there are {len(columns)} columns, "
                    f"{', '.join(columns)}. Leave a bin that was not measured out of all fields",
                )
            elif len(rows) == MAX_BINS:
                raise numbers.error(line, f"more than {MAX_BINS} bins are too many")
            else:
                rows.append([Node(cell, line) for cell in cells])
    if not rows:
        raise InferenceDataError(f"{where}: there are no rows of numbers below names of columns")
    first = rows[0][0].line
    found = {name: Node([row[i] for row in rows], first) for i, name in enumerate(columns)}
    if "ell_low" in found or "ell_high" in found:
        found["bins"] = _bins(found.pop("ell_low", None), found.pop("ell_high", None), numbers)
    return {**fields, **found}


def _add_fact(fields: dict[str, Node], key: str, node: Node, numbers: Numbers) -> None:
    if key not in FACTS:
        raise numbers.error(
            node.line,
            f"unknown key {key[:40]!r}{nearest(key, FACTS)}. Known keys: {', '.join(FACTS)}; "
            "a comment with a colon begins with ##",
        )
    if key in fields:
        raise numbers.error(node.line, f"{key!r} is there twice; leave one of them")
    fields[key] = node


def _columns(cells: list[str], line: int, numbers: Numbers) -> list[str]:
    columns = [cell.strip() for cell in cells]
    for i, name in enumerate(columns):
        if name not in COLUMNS:
            raise numbers.error(
                line,
                f"unknown column {name[:40]!r}{nearest(name, COLUMNS)}. The first line without a # "
                f"names the columns: {', '.join(COLUMNS)}",
            )
        if name in columns[:i]:
            raise numbers.error(line, f"the column {name} is there twice; leave one of them")
    return columns


def _bins(low: Node | None, high: Node | None, numbers: Numbers) -> Node:
    """Pairs of edges, of two columns."""
    if low is None or high is None:
        line = (low or high or Node("", 1)).line
        raise numbers.error(line, "the columns ell_low and ell_high belong together: give both")
    pairs = zip(low.value, high.value, strict=True)
    edges = [Node([a, b], a.line) for a, b in pairs if isinstance(a, Node) and isinstance(b, Node)]
    return Node(list(edges), low.line)
