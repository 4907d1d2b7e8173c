"""Values as they are written and recorded: numbers, times, ages, text, and their order."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from ...config import tomllib
from .entry import is_nan

AGES = "45s, 30min, 6h, 7d, 2w, 1y"
"""How ages are written, for messages; `m` is min, too."""

_UNITS = {
    "s": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
    "d": 86400,
    "w": 7 * 86400,
    "y": 365 * 86400,
}
_AGE = re.compile(rf"(\d+\.?\d*|\.\d+)\s*({'|'.join(_UNITS)})", re.ASCII)
_NUMBER = re.compile(
    r"[+-]?(\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|infinity|nan)", re.A | re.I
)
_DIGITS = re.compile(r"([0-9]{1,18})")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def typed(text: str) -> Any:
    """Text as the type it looks like: bool, number, date, datetime, timedelta, or str."""
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            return text
    for read in (parse_age, parse_time, _parse_number):
        value = read(text)
        if value is not None:
            return value
    try:
        document = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return text
    scalar = document["value"] if set(document) == {"value"} else text
    return scalar if isinstance(scalar, (bool, int, float, str)) else text


def parse_age(text: str) -> timedelta | None:
    """The span of time that text such as "7d" or "1.5 h" states; None for other text.

    Units are s, m or min, h, d, w (weeks) and y (365 days). More than `timedelta` holds is
    `timedelta.max`.
    """
    age = _AGE.fullmatch(text)
    if age is None:
        return None
    try:
        return timedelta(seconds=float(age[1]) * _UNITS[age[2]])
    except OverflowError:
        return timedelta.max


@lru_cache(maxsize=2**16)
def parse_time(text: str) -> datetime | None:
    """The moment that ISO 8601 text states, UTC unless it says otherwise; None for other text."""
    if not _DAY.match(text) or len(text) > 40:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=timezone.utc)
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError:
        return None


def _parse_number(text: str) -> int | float | None:
    if not _NUMBER.fullmatch(text):
        return None
    for read in (int, float):
        try:
            return read(text)
        except ValueError:  # not a whole number, or one of thousands of digits
            continue
    return None


def natural(text: str) -> list[str | int]:
    """A key that sorts text with the numbers in it as numbers: run-2 before run-10."""
    parts: list[str | int] = [*_DIGITS.split(text.casefold())]
    parts[1::2] = map(int, parts[1::2])
    return parts


def sort_key(value: Any) -> tuple[int, Any]:
    """A key that sorts values of all types: false, true, numbers, NaN, times, text."""
    if isinstance(value, bool):
        return (0, value)
    if is_nan(value):
        return (2, 0)
    if isinstance(value, (int, float)):
        return (1, value)
    moment = parse_time(value)
    return (3, moment) if moment else (4, natural(value))


def is_number(value: Any) -> bool:
    """Whether a value is a number, which true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def kind_of(value: Any) -> str | None:
    """What orders a recorded value: "number", "time" or "text"; None for null, true and false."""
    if isinstance(value, str):
        return "time" if parse_time(value) else "text"
    return "number" if is_number(value) else None


def is_element(path: str) -> bool:
    """Whether a dotted path leads to an element of a list."""
    return any(part.isdigit() for part in path.split("."))
