"""Values of nested documents by dotted path, for programs that know only names and values."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

_LONGEST_LIST = 32


def flat(document: Any, *, skip: Collection[str] = ()) -> dict[str, Any]:
    """Numbers, words, truth values and nulls of a document, by dotted path.

    Elements of lists have their index as name; lists of more than 32 values, such as histories,
    are left out. A dot in a key is written as %2E, so that no two values share a path.

    Parameters
    ----------
    document
        Mappings and lists of values, as `jsonio.decode` returns them.
    skip : collection of str
        Keys at the top that are left out.
    """
    if not isinstance(document, Mapping):
        return {}
    return dict(_walk({key: value for key, value in document.items() if key not in skip}, ""))


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        items = [(str(key).replace("%", "%25").replace(".", "%2E"), v) for key, v in value.items()]
    elif isinstance(value, list):
        items = [(str(i), item) for i, item in enumerate(value)] * (len(value) <= _LONGEST_LIST)
    else:
        yield path, value
        return
    for key, item in items:
        yield from _walk(item, f"{path}.{key}" if path else key)


def number_or_text(value: Any) -> int | float | bool | str:
    """A value that strict JSON has; what is not finite as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def as_time(value: Any) -> datetime | None:
    """A time in ISO 8601, UTC unless it says otherwise; None if it is anything else."""
    if not isinstance(value, str) or not value.isascii() or len(value) > 40:
        return None
    try:
        when = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=timezone.utc)
