"""Several records side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import ConfigError
from .difference import (
    SECTION_OF,
    SECTIONS,
    comparable,
    said_elsewhere,
    without_empty_parents,
)
from .entry import Entry
from .values import is_element, natural

_OTHER = "other"


@dataclass(frozen=True)
class Row:
    """One value in several records.

    Attributes
    ----------
    section : str
        "record", "configs", "dataset", "environment", "metrics" or "other".
    path : str
        Dotted path.
    values : tuple
        In the order of the records; None where there is none.
    present : tuple of bool
        Whether a record has it.
    """

    section: str
    path: str
    values: tuple[Any, ...]
    present: tuple[bool, ...]

    @property
    def differs(self) -> bool:
        """Whether the records do not all have the same value."""
        first = comparable(self.values[0])
        return not all(self.present) or any(comparable(v) != first for v in self.values)


@dataclass(frozen=True)
class Comparison:
    """Several records side by side.

    Attributes
    ----------
    entries : tuple of Entry
        The columns.
    rows : tuple of Row
    """

    entries: tuple[Entry, ...]
    rows: tuple[Row, ...]

    def to_mapping(self) -> dict[str, Any]:
        """For JSON."""
        records = [{"name": e.name, "path": str(e.path), "status": e.status} for e in self.entries]
        rows = [
            {"section": row.section, "path": row.path, "values": list(row.values)}
            for row in self.rows
        ]
        return {"records": records, "rows": rows}


def compare(entries: Sequence[Entry], *, everything: bool = False) -> Comparison:
    """Set records side by side.

    Parameters
    ----------
    entries : sequence of Entry
    everything : bool
        Also what is the same in all, every element of lists, and what was going on at the time.
        Without it: what differs in configurations, dataset and environment, and each metric
        once.

    Raises
    ------
    ConfigError (ValueError)
        If there is nothing to compare.
    """
    if not entries:
        raise ConfigError("there are no records to compare")
    facts = [_with_lists(entry) for entry in entries]
    rows = []
    for path in without_empty_parents({path for values in facts for path in values}):
        section = SECTION_OF.get(path.partition(".")[0], _OTHER)
        present = tuple(path in values for values in facts)
        row = Row(section, path, tuple(values.get(path) for values in facts), present)
        if everything or (not _is_detail(row) and (section == "metrics" or row.differs)):
            rows.append(row)
    if not everything:
        twice = said_elsewhere({row.path: row.values for row in rows if row.section == "metrics"})
        rows = [row for row in rows if row.path not in twice]
    order = (*SECTIONS, _OTHER)
    rows.sort(key=lambda row: (order.index(row.section), natural(row.path)))
    return Comparison(tuple(entries), tuple(rows))


def _with_lists(entry: Entry) -> dict[str, Any]:
    """The facts of an entry with the elements of each list put together again."""
    facts: dict[str, Any] = {}
    for path, value in entry.values.items():
        parent, _, last = path.rpartition(".")
        if last.isdigit():
            facts.setdefault(parent, []).append(value)
        else:
            facts[path] = value
    return facts


def _is_detail(row: Row) -> bool:
    """Whether a row is too much for a first look."""
    lists = row.section == "metrics" and any(isinstance(value, list) for value in row.values)
    nothing = row.section == "metrics" and all(value is None for value in row.values)
    parts = row.path.split(".")
    said_elsewhere = parts[0] in ("command", "seeds")  # by the configurations
    return (
        row.section == _OTHER
        or lists
        or nothing
        or said_elsewhere
        or "fingerprint" in parts
        or is_element(row.path)
    )
