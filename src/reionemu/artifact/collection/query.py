"""Conditions on the facts of a record: `metrics.val_loss<0.1`, `model.hidden_dim=64`.

    PATH OP VALUE     OP is one of = != < <= > >= ~
    PATH              it is there, and neither null nor false

VALUE is a number, true, false, a quoted text, a time (2026-11-23, or with T12:30), an age or
duration (45s, 30min, 6h, 7d, 2w), none, or else plain text. `=` may be written `==`.

Numbers compare with numbers, times with times (UTC unless said otherwise; a day is the whole
day), text with text (digits in it as numbers, so that version 2.10 comes after 2.9). An age means
that long ago: `created_at>7d` is younger than a week. `~` looks for text inside, whatever its
case, or with * ? [ in it for a pattern that fits the whole. NaN is equal to nan and neither
smaller nor larger than anything. A record that does not have PATH meets no condition on it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cached_property, lru_cache
from typing import Any

from ...config import nearest, tomllib
from ...errors import ConfigError
from .entry import is_nan, spellings

GRAMMAR = (
    "expected PATH, or PATH OP VALUE with OP one of = != < <= > >= ~, such as "
    "metrics.val_loss<0.1, model.activation=silu, 'created_at>7d', name~sweep"
)
_CONDITION = re.compile(
    r"\s*(?P<path>[^\s=!<>~](?:[^=!<>~]*[^\s=!<>~])?)\s*(?:(?P<op>==|!=|<=|>=|=|<|>|~)\s*(?P<value>.+?)\s*)?",
    re.DOTALL,
)
_ORDER: dict[str, Callable[[int], bool]] = {
    "<": lambda sign: sign < 0,
    "<=": lambda sign: sign <= 0,
    ">": lambda sign: sign > 0,
    ">=": lambda sign: sign >= 0,
    "=": lambda sign: sign == 0,
    "!=": lambda sign: sign != 0,
}
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|w)")
_DIGITS = re.compile(r"([0-9]{1,18})")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MAX_TEXT = 10_000


@dataclass(frozen=True)
class Condition:
    """One condition; made by `parse`.

    Attributes
    ----------
    path : str
        Dotted path.
    op : str or None
        "=", "!=", "<", "<=", ">", ">=" or "~"; None for "is there".
    text : str
        The value as it was written.
    """

    path: str
    op: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.path}{self.op or ''}{self.text}"

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether a record with these facts meets the condition."""
        found = [path for path in spellings(self.path) if path in values]
        if self.op is None:
            if found:
                return values[found[0]] is not None and values[found[0]] is not False
            return _has_below(self.path, values)
        return bool(found) and self._compare(values[found[0]])

    def _compare(self, value: Any) -> bool:
        assert self.op is not None
        if self.op == "~":
            return self._fits(value)
        if value is None:
            is_none = self._plain in ("none", "null", "None")
            return is_none if self.op == "=" else self.op == "!=" and not is_none
        if isinstance(value, str):
            return self._compare_text(value)
        wanted = self._number(value)
        if wanted is None:
            return self.op == "!="
        if is_nan(value) or is_nan(wanted):
            same = is_nan(value) and is_nan(wanted)
            return same if self.op == "=" else self.op == "!=" and not same
        return _ORDER[self.op]((value > wanted) - (value < wanted))

    def _number(self, value: Any) -> Any:
        """What a value that is not text is compared with; None if it cannot be equal."""
        wanted = self._typed
        if isinstance(wanted, timedelta):
            wanted = wanted.total_seconds() if self.path.endswith("_s") else None
        if isinstance(value, bool):
            ordered = self.op in ("=", "!=")
            return wanted if isinstance(wanted, bool) and ordered else None
        return wanted if _is_number(wanted) else None

    def _compare_text(self, value: str) -> bool:
        assert self.op is not None
        wanted = self._typed
        if isinstance(wanted, (date, timedelta)):
            moment = parse_time(value)
            if moment is not None:
                return _ORDER[self.op](_sign_of_time(moment, wanted))
        if self.op in ("=", "!="):
            return (value == self._plain) == (self.op == "=")
        mine, theirs = natural(value), natural(self._plain)
        return _ORDER[self.op]((mine > theirs) - (mine < theirs))

    def _fits(self, value: Any) -> bool:
        text = _as_text(value)[:_MAX_TEXT].casefold()
        wanted = self._plain.casefold()
        if any(character in wanted for character in "*?["):
            return fnmatch.fnmatchcase(text, wanted)
        return wanted in text

    @cached_property
    def _typed(self) -> Any:
        return _typed(self.text)

    @cached_property
    def _plain(self) -> str:
        """The value as text, without the quotes."""
        return self._typed if isinstance(self._typed, str) else self.text


def parse(expression: str) -> Condition:
    """The condition that an expression states.

    Raises
    ------
    ConfigError (ValueError)
        If it is none; the message has the grammar.
    """
    match = _CONDITION.fullmatch(expression)
    if match is None:
        raise ConfigError(f"{expression!r} is not a condition: {GRAMMAR}")
    op = "=" if match["op"] == "==" else match["op"]
    if match["value"] and match["value"][0] in "=<>~":
        raise ConfigError(f"{expression!r}: {match['op']}{match['value'][0]} is no OP: {GRAMMAR}")
    return Condition(match["path"], op, match["value"] or "")


def require_known(path: str, known: Collection[str]) -> None:
    """Raise ConfigError, naming the nearest known paths, if no record has a path.

    Parameters
    ----------
    path : str
        As a user wrote it.
    known : collection of str
        The dotted paths of all records.
    """
    if any(spelling in known for spelling in spellings(path)) or _has_below(path, known):
        return
    ending = sorted(other for other in known if f".{other}".endswith(f".{path}"))[:5]
    close = nearest(path, known)
    hint = f" (did you mean {', '.join(map(repr, ending))}?)" if ending else close
    raise ConfigError(f"no record here has {path!r}{hint}")


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


def _typed(text: str) -> Any:
    """Text as the type it looks like: bool, number, date, datetime, timedelta, or str."""
    age = _AGE.fullmatch(text)
    if age:
        try:
            return timedelta(seconds=float(age[1]) * _UNITS[age[2]])
        except OverflowError:
            return timedelta.max
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            return text
    moment = parse_time(text)
    if moment is not None:
        return moment
    try:
        value = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return text
    scalar = value["value"] if set(value) == {"value"} else text
    return scalar if isinstance(scalar, (bool, int, float, str)) else text


def _sign_of_time(moment: datetime, wanted: date | timedelta) -> int:
    """-1, 0 or 1: `moment` is before, in, or after what is wanted."""
    if isinstance(wanted, timedelta):
        try:
            start = datetime.now(timezone.utc) - wanted
        except OverflowError:
            return 1
        return (moment > start) - (moment < start)
    if isinstance(wanted, datetime):
        return (moment > wanted) - (moment < wanted)
    return (moment.date() > wanted) - (moment.date() < wanted)


def _has_below(path: str, known: Collection[str]) -> bool:
    """Whether something lies below a path, as in `kfold` where there is `kfold.n_splits`."""
    below = tuple(f"{spelling}." for spelling in spellings(path))
    return any(other.startswith(below) for other in known)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _as_text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return str(value)
    except ValueError:  # a whole number of thousands of digits
        return ""
