"""Conditions on the facts of a record: `metrics.val_loss<0.1`, `model.hidden_dim=64`.

    PATH OP VALUE     OP is one of = != < <= > >= ~
    PATH              it is there, and neither null nor false

VALUE is a number, true, false, a quoted text, a time (2026-11-23, or with T12:30), an age or
duration (45s, 30min or 30m, 6h, 7d, 2w, 1y), none, or else plain text. `=` may be written `==`.

Numbers compare with numbers, times with times (UTC unless said otherwise; a day is the whole
day), text with text (digits in it as numbers, so that version 2.10 comes after 2.9). To put a
number or time in order with something else, as in `epochs<many`, makes no sense and is refused. An
age means that long ago: `created_at>7d` is younger than a week. `~` looks for text inside,
whatever its case, or with * or ? in it for a pattern that fits the whole. NaN is equal to nan and
neither smaller nor larger than anything. A record that does not have PATH meets no condition on it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cached_property
from typing import Any

from ...config import nearest
from ...errors import ConfigError
from .entry import is_nan, lookup, spellings
from .values import AGES, is_element, is_number, kind_of, natural, parse_time, typed

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
_NEEDED = {
    "number": "a number, such as 0.05 or 1e-3",
    "time": f"a time, such as 2026-11-23 or 2026-11-23T12:30, or an age, such as {AGES}",
}
_MAX_TEXT = 10_000
_MAX_NAMED = 5
_ABSENT = object()


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
        value = lookup(values, self.path, _ABSENT)
        if self.op is None:
            if value is _ABSENT:
                return _has_below(self.path, values)
            return value is not None and value is not False
        return value is not _ABSENT and self._compare(value)

    def require_order(self, values: Iterable[Any]) -> None:
        """Raise ConfigError if this puts a number or a time in order with what is neither.

        Parameters
        ----------
        values : iterable
            What the records have at the path.
        """
        if self.op not in ("<", "<=", ">", ">="):
            return
        kinds = {kind_of(value) for value in values} - {None}
        needed = "number" if "number" in kinds else "time" if kinds == {"time"} else None
        if needed is None or self._kinds & kinds - {"text"}:
            return
        raise ConfigError(
            f"{str(self)!r}: {self.path} is a {needed} in the records here, so what comes after "
            f"{self.op} must be {_NEEDED[needed]}; {self.text!r} is none{self._hint}"
        )

    @property
    def _kinds(self) -> set[str]:
        """What the value can be put in order with."""
        if isinstance(self._typed, timedelta) and self.path.endswith("_s"):
            return {"number"}
        if isinstance(self._typed, (date, timedelta)):
            return {"time"}
        return {"number"} if is_number(self._typed) else {"text"}

    @property
    def _hint(self) -> str:
        """How a number should have been written."""
        for written, form in (
            (self.text.removesuffix("%"), ".6g"),
            (self.text.replace(",", "."), ""),
        ):
            number = typed(written)
            if written != self.text and is_number(number):
                return f" (write {number / 100 if form else number:{form}})"
        return ""

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
        return wanted if is_number(wanted) else None

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
        if any(character in wanted for character in "*?"):
            return fnmatch.fnmatchcase(text, wanted.replace("[", "[[]"))
        return wanted in text

    @cached_property
    def _typed(self) -> Any:
        return typed(self.text)

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


def require_value(path: str, known: Collection[str]) -> None:
    """Raise ConfigError if no record has a value at a path, as `metrics` has not, being a group."""
    require_known(path, known)
    if any(spelling in known for spelling in spellings(path)):
        return
    below = values_below(path, known)
    more = f", and {len(below) - _MAX_NAMED} more" if len(below) > _MAX_NAMED else ""
    raise ConfigError(
        f"{path!r} is a group of values, not a value: name one of those in it, such as "
        f"{', '.join(map(repr, below[:_MAX_NAMED]))}{more}"
    )


def values_below(path: str, known: Collection[str]) -> list[str]:
    """The paths of the values in a group, without the elements of lists unless it is a list."""
    below = tuple(f"{spelling}." for spelling in spellings(path))
    found = sorted((other for other in known if other.startswith(below)), key=natural)
    return [other for other in found if not is_element(other)] or found


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


def _as_text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return str(value)
    except ValueError:  # a whole number of thousands of digits
        return ""
