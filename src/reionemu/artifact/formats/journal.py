"""The history of a run as it goes: one line of JSON for each epoch, appended."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import RecordError
from .jsonio import MAX_VALUES, decode, to_plain


def journal_line(entry: Mapping[str, Any]) -> bytes:
    """The line of an entry: "epoch" and its values by name."""
    return (json.dumps(to_plain(entry), allow_nan=False) + "\n").encode()


def read_journal(content: bytes) -> list[dict[str, Any]]:
    """The entries of history.jsonl, up to a line that is torn, as the last one of a kill may be.

    Raises
    ------
    RecordError (ValueError)
        If there are more than `MAX_VALUES` values in it.
    """
    if content.count(b"\n") + content.count(b",") > MAX_VALUES:
        raise RecordError(f"history.jsonl holds more than {MAX_VALUES} values: not a record")
    found = []
    for line in io.BytesIO(content):
        if not line.endswith(b"\n"):
            break
        try:
            entry = decode(line, "history.jsonl")
        except RecordError:
            break
        if not isinstance(entry, dict) or type(entry.get("epoch")) is not int:
            break
        found.append(entry)
    return found


def as_history(journal: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """The entries of a journal as lists by name."""
    history: dict[str, list[float]] = {}
    for entry in journal:
        for key, value in entry.items():
            if key != "epoch":
                history.setdefault(key, []).append(value)
    return history
