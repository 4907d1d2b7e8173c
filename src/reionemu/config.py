"""Checks that configuration classes share, and building them from mappings such as TOML tables."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import sys
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from .errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "check_keys",
    "from_mapping",
    "nearest",
    "require_choice",
    "require_finite",
    "require_int",
    "tomllib",
]

T = TypeVar("T")


def require_int(owner: str, name: str, value: Any, minimum: int) -> None:
    """Raise ConfigError unless `value` is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < minimum:
        raise ConfigError(f"{owner}.{name} must be a whole number >= {minimum}, got {value!r}")


def require_finite(
    owner: str,
    name: str,
    value: Any,
    *,
    minimum: float = -math.inf,
    below: float = math.inf,
    exclusive: bool = False,
) -> None:
    """Raise ConfigError unless `value` is finite, >= (or >) `minimum`, and < `below`."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{owner}.{name} must be a number, got {value!r}") from None
    low_ok = number > minimum if exclusive else number >= minimum
    if not (math.isfinite(number) and low_ok and number < below):
        bounds = f"{'>' if exclusive else '>='} {minimum:g}" if minimum > -math.inf else "finite"
        if below < math.inf:
            bounds += f" and < {below:g}"
        raise ConfigError(f"{owner}.{name} must be {bounds}, got {value!r}")


def require_choice(owner: str, name: str, value: Any, choices: Collection[str]) -> None:
    """Raise ConfigError, naming the nearest choice, unless `value` is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(sorted(choices))
        raise ConfigError(
            f"{owner}.{name} must be one of {listed}; got {value!r}{nearest(value, choices)}"
        )


def require_bool(owner: str, name: str, value: Any) -> None:
    """Raise ConfigError unless the value is True or False."""
    if not isinstance(value, bool):
        raise ConfigError(f"{owner}.{name} must be true or false, got {value!r}")


def nearest(word: Any, known: Collection[str]) -> str:
    """`" (did you mean 'x'?)"` for the known name closest to `word`, or an empty string."""
    match = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.5)
    return f" (did you mean {match[0]!r}?)" if match else ""


def check_keys(mapping: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Refuse keys of `mapping` that are not in `known`, naming the nearest known one."""
    for key in mapping:
        if key not in known:
            raise ConfigError(
                f"{where}: unknown key {key!r}{nearest(key, known)}. "
                f"Known keys: {', '.join(sorted(known))}"
            )


def from_mapping(cls: type[T], mapping: Mapping[str, Any], where: str) -> T:
    """Make the dataclass `cls` from a mapping, checking keys, types and values.

    Parameters
    ----------
    cls : type
        A configuration dataclass.
    mapping : mapping
        Option names and values; options left out keep their defaults.
    where : str
        What error messages call the mapping, such as ``"demo.toml, [fit]"``.

    Raises
    ------
    ConfigError
        Naming the key at fault, and for an unknown key the nearest known one.
    """
    from pydantic import TypeAdapter, ValidationError

    check_keys(mapping, [f.name for f in dataclasses.fields(cls) if f.init], where)  # type: ignore[arg-type]
    try:
        # By way of JSON, in which strict means no more than it does in TOML.
        return TypeAdapter(cls).validate_json(json.dumps(dict(mapping), default=str), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where}: {f'{place}: ' if place else ''}{message}") from None
