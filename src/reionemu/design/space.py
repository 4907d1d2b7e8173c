"""The box in which simulations are placed: parameters with their bounds and units."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..config import nearest, require_finite
from ..errors import ConfigError
from ..parameters import PARAMETER_NAMES, ParameterBox

_NARROWEST = 1e-6  # of the larger bound: below it, strata get lost in the rounding of float64


@dataclass(frozen=True)
class ParameterSpace:
    """A box of named parameters, bounds included.

    Parameters
    ----------
    names : tuple of str
        The p parameters, in the order of the columns of a design.
    low, high : tuple of float
        Bounds of each.
    units : tuple of str, optional
        Unit of each, empty for a number without one. By default all are empty.

    Raises
    ------
    ConfigError (ValueError)
        For a name that is no identifier or occurs twice, bounds that are not finite, in the wrong
        order or closer than a millionth of their size, or tuples of different lengths.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    units: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        units = self.units or ("",) * len(self.names)
        if not self.names or len({len(self.names), len(self.low), len(self.high), len(units)}) > 1:
            raise ConfigError(
                "a parameter space needs as many lower bounds, upper bounds and units as it has "
                f"names, and at least one; got {len(self.low)}, {len(self.high)}, {len(units)} "
                f"and {len(self.names)}"
            )
        for name, low, high, unit in zip(self.names, self.low, self.high, units, strict=True):
            _check_parameter(name, low, high, unit)
        if len(set(self.names)) < len(self.names):
            raise ConfigError(f"a parameter occurs twice: {', '.join(self.names)}")
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "low", tuple(map(float, self.low)))
        object.__setattr__(self, "high", tuple(map(float, self.high)))
        object.__setattr__(self, "units", tuple(units))

    @property
    def box(self) -> ParameterBox:
        """The same ranges, without units, as an emulator keeps them."""
        return ParameterBox(self.names, self.low, self.high)

    def with_ranges(self, ranges: Iterable[str]) -> ParameterSpace:
        """This space with other bounds, given as ``"zmean_zre=6:10"``.

        Raises ConfigError for a text of another form, an unknown parameter, or one given twice.
        """
        bounds = dict(zip(self.names, zip(self.low, self.high, strict=True), strict=True))
        given: set[str] = set()
        for text in ranges:
            name, low, high = parse_range(text)
            if name not in self.names:
                raise ConfigError(
                    f"range {text!r}: there is no parameter {name!r}{nearest(name, self.names)}; "
                    f"the parameters are {', '.join(self.names)}"
                )
            if name in given:
                raise ConfigError(f"range {text!r}: {name} was given a range before")
            given.add(name)
            bounds[name] = (low, high)
        low_bounds, high_bounds = zip(*bounds.values(), strict=True)
        return replace(self, low=low_bounds, high=high_bounds)

    def from_unit(self, unit: np.ndarray) -> np.ndarray:
        """Points of the unit cube, shape (n, p), as points of this space."""
        low, high = np.array(self.low), np.array(self.high)
        return np.clip(low + unit * (high - low), low, high)

    def to_unit(self, rows: np.ndarray) -> np.ndarray:
        """Points of this space, shape (n, p), as points of the unit cube, 1 included."""
        low, high = np.array(self.low), np.array(self.high)
        return (rows - low) / (high - low)

    def first_outside(self, rows: np.ndarray) -> tuple[int, str] | None:
        """The first of the rows, shape (n, p), that is outside, and what of it is."""
        outside = np.argwhere(~((rows >= self.low) & (rows <= self.high)))
        if not len(outside):
            return None
        row, column = map(int, outside[0])
        low, high = self.low[column], self.high[column]
        return row, (
            f"{self.names[column]} = {float(rows[row, column])!r} is outside its range "
            f"{low!r} to {high!r}"
        )


def _check_parameter(name: str, low: float, high: float, unit: str) -> None:
    if not (isinstance(name, str) and name.isidentifier()):
        raise ConfigError(f"{name!r} cannot name a parameter: only letters, digits and _ can")
    if not (isinstance(unit, str) and unit.isprintable() and unit == unit.strip()):
        raise ConfigError(f"{unit!r} cannot be the unit of {name}")
    require_finite(name, "low", low)
    require_finite(name, "high", high)
    span = float(high) - float(low)
    if not (math.isfinite(span) and span > _NARROWEST * max(abs(low), abs(high))):
        raise ConfigError(
            f"the range of {name} is {low} to {high}; the upper bound must lie above the lower "
            f"one, by more than {_NARROWEST:g} of their size"
        )


def parse_range(text: str) -> tuple[str, float, float]:
    """(name, low, high) of ``"name=low:high"``."""
    name, _, bounds = text.partition("=")
    low, _, high = bounds.partition(":")
    try:
        return name.strip(), float(low), float(high)
    except ValueError:
        raise ConfigError(
            f"range {text!r}: expected NAME=LOW:HIGH, such as zmean_zre=7:9"
        ) from None


PUBLISHED_SPACE = ParameterSpace(
    names=PARAMETER_NAMES,
    low=(7.0, 0.10, 0.10, 0.10),
    high=(9.0, 0.90, 2.0, 0.80),
    units=("", "", "h/Mpc", ""),
)
"""The box of the published suite of 1000 simulations."""
