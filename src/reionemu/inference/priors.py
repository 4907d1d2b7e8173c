"""Priors: independent distributions of parameters, cut off where the emulator was not trained."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..config import nearest
from ..errors import ConfigError

TINY = 1e-290

OWN_NAMES = ("uniform", "normal", "loguniform")

_CALL = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*")


@dataclass(frozen=True, eq=False)
class Prior:
    """The prior of one parameter.

    Attributes
    ----------
    text : str
        Such as "uniform(7, 9)": what is recorded, and what `parse_prior` reads.
    distribution : frozen distribution of scipy.stats, or None
        None for a flat prior between `low` and `high`.
    low, high : float
        The density is zero beyond them, and renormalized between.
    """

    text: str
    distribution: Any
    low: float
    high: float

    def within(self, low: float, high: float, name: str) -> Prior:
        """The prior cut off at other limits as well.

        Raises
        ------
        ConfigError
            If nothing of it is left.
        """
        box = low, high
        low, high = max(low, self.low), min(high, self.high)
        if self.distribution is None:
            text = f"uniform({low:.6g}, {high:.6g})"
            prior = Prior(text, None, low, high)
            empty = not (low < high < np.inf and low > -np.inf)
        else:
            prior = Prior(self.text, self.distribution, low, high)
            empty = not (low < high and prior._mass > TINY)
        if empty:
            raise ConfigError(
                f"the prior of {name}, {self.text}, has nothing between {box[0]:g} and {box[1]:g}, "
                "its limits (of the emulator's training box, or of what can be)"
            )
        if (prior.log_density(np.array([low, high])) == np.inf).any():
            raise ConfigError(
                f"the density of the prior of {name}, {self.text}, is infinite at {low:g} or at "
                f"{high:g}"
            )
        return prior

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Logarithm of the density at values of any shape; -inf beyond the limits."""
        inside = (x >= self.low) & (x <= self.high)
        if self.distribution is None:
            return np.where(inside, -np.log(self.high - self.low), -np.inf)
        with np.errstate(divide="ignore"):
            value = self.distribution.logpdf(x) - np.log(self._mass)
        return np.where(inside, value, -np.inf)

    def from_unit(self, u: np.ndarray) -> np.ndarray:
        """Quantiles: the value below which a fraction u of the prior lies."""
        if self.distribution is None:
            return self.low + (self.high - self.low) * u
        d, mass = self.distribution, self._mass
        # From the tail that is nearer, where differences of probabilities are exact.
        if self._is_upper:
            x = d.isf(d.sf(self.low) - u * mass)
        else:
            x = d.ppf(d.cdf(self.low) + u * mass)
        return np.clip(x, self.low, self.high)

    def to_unit(self, x: np.ndarray) -> np.ndarray:
        """The inverse of `from_unit`."""
        if self.distribution is None:
            return (x - self.low) / (self.high - self.low)
        d = self.distribution
        above = d.sf(self.low) - d.sf(x) if self._is_upper else d.cdf(x) - d.cdf(self.low)
        return above / self._mass

    @cached_property
    def _is_upper(self) -> bool:
        """Whether the limits are beyond the median of the distribution before it was cut off."""
        return float(self.distribution.cdf(self.low)) > 0.5

    @cached_property
    def _mass(self) -> float:
        """Its probability between the limits."""
        d = self.distribution
        low, high = (self.high, self.low) if self._is_upper else (self.low, self.high)
        tail = d.sf if self._is_upper else d.cdf
        return float(tail(high) - tail(low))


def prior_of(name: str, value: Any) -> Prior:
    """The prior that a user gave for a parameter.

    Parameters
    ----------
    name : str
    value : str, (mean, std), or a frozen continuous distribution of scipy.stats
        Text is read by `parse_prior`; two numbers are a Gaussian's.

    Raises
    ------
    ConfigError
    """
    if isinstance(value, Prior):
        return value
    if isinstance(value, str):
        return parse_prior(name, value)
    if isinstance(value, Sequence) and len(value) == 2:
        return parse_prior(name, f"normal({value[0]!r}, {value[1]!r})")
    if all(hasattr(value, method) for method in ("logpdf", "ppf", "cdf", "support")):
        text = _text_of(name, value)
        low, high = (float(x) for x in value.support())
        return Prior(text, value, low, high)
    raise ConfigError(
        f"the prior of {name} must be text such as 'normal(0.5, 0.1)', a mean and a standard "
        f"deviation, or a continuous distribution of scipy.stats; got {value!r:.80}"
    )


def parse_prior(name: str, text: str) -> Prior:
    """A prior from text: uniform(low, high), normal(mean, std), loguniform(low, high).

    Or a continuous distribution of scipy.stats by its name there, with its own arguments: gamma(2).

    Raises
    ------
    ConfigError
        Saying what was expected.
    """
    match = _CALL.fullmatch(text)
    kind, inside = match.groups() if match is not None else ("", "no numbers")
    try:
        numbers = [float(item) for item in inside.split(",") if item.strip()]
        if not np.isfinite(numbers).all():
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"the prior of {name}, {text!r:.80}, is not of the form normal(0.5, 0.1): expected a "
            f"name ({', '.join(OWN_NAMES)}, or one of scipy.stats) and numbers in brackets"
        ) from None
    if kind in OWN_NAMES:
        return _own(name, kind, numbers, text)
    family = getattr(scipy_stats(), kind, None)
    if not isinstance(family, scipy_stats().rv_continuous):
        raise ConfigError(
            f"the prior of {name}: there is no distribution {kind!r}{nearest(kind, OWN_NAMES)}"
        )
    try:
        prior = prior_of(name, family(*numbers))
        if not np.isfinite(prior.distribution.median()):
            raise ValueError("its median is not a number")
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the prior of {name}, {text}: {error}") from None
    return prior


def _own(name: str, kind: str, numbers: list[float], text: str) -> Prior:
    from scipy.stats import loguniform, norm

    if len(numbers) != 2:
        raise ConfigError(f"the prior of {name}, {text}: {kind} has two numbers")
    first, second = numbers
    plain = f"{kind}({first:.10g}, {second:.10g})"
    if kind == "normal":
        if second <= 0:
            raise ConfigError(f"the prior of {name}, {text}: a standard deviation is above 0")
        return Prior(plain, norm(first, second), -np.inf, np.inf)
    if not first < second or (kind == "loguniform" and first <= 0):
        raise ConfigError(
            f"the prior of {name}, {text}: the first number must be "
            f"{'above 0 and ' if kind == 'loguniform' else ''}below the second"
        )
    return Prior(plain, None if kind == "uniform" else loguniform(first, second), first, second)


def _text_of(name: str, distribution: Any) -> str:
    """A frozen distribution of scipy.stats as `parse_prior` reads it: shapes, loc, scale."""
    try:
        family = distribution.dist
        shapes, loc, scale = family._parse_args(*distribution.args, **distribution.kwds)
        numbers = [repr(float(value)) for value in (*shapes, loc, scale)]
    except (AttributeError, TypeError, ValueError):
        numbers = []
    if not numbers or not hasattr(scipy_stats(), str(family.name)):
        raise ConfigError(
            f"the prior of {name} cannot be recorded: it must be a distribution that scipy.stats "
            "has, of numbers, not of arrays"
        )
    if family.name == "uniform":
        low, high = distribution.support()
        return f"uniform({float(low)!r}, {float(high)!r})"
    return f"{family.name}({', '.join(numbers)})"


def scipy_stats() -> Any:
    """scipy.stats, which takes a second to import."""
    import scipy.stats

    return scipy.stats
