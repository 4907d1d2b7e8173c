"""Priors: independent distributions of parameters, cut off where the emulator was not trained."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import nearest
from ..errors import ConfigError

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
            below, above = prior._tails()
            empty = not (low < high and above - below > 1e-12)
        if empty:
            raise ConfigError(
                f"the prior of {name}, {self.text}, has nothing between {box[0]:g} and {box[1]:g}, "
                "where the emulator was trained"
            )
        return prior

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Logarithm of the density at values of any shape; -inf beyond the limits."""
        inside = (x >= self.low) & (x <= self.high)
        if self.distribution is None:
            return np.where(inside, -np.log(self.high - self.low), -np.inf)
        below, above = self._tails()
        with np.errstate(divide="ignore"):
            value = self.distribution.logpdf(x) - np.log(above - below)
        return np.where(inside, value, -np.inf)

    def from_unit(self, u: np.ndarray) -> np.ndarray:
        """Quantiles: the value below which a fraction u of the prior lies."""
        if self.distribution is None:
            return self.low + (self.high - self.low) * u
        below, above = self._tails()
        return np.clip(self.distribution.ppf(below + u * (above - below)), self.low, self.high)

    def to_unit(self, x: np.ndarray) -> np.ndarray:
        """The inverse of `from_unit`."""
        if self.distribution is None:
            return (x - self.low) / (self.high - self.low)
        below, above = self._tails()
        return (self.distribution.cdf(x) - below) / (above - below)

    def _tails(self) -> tuple[float, float]:
        """Cumulative probabilities at both limits, of the distribution before it was cut off."""
        return float(self.distribution.cdf(self.low)), float(self.distribution.cdf(self.high))


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
        low, high = (float(x) for x in value.support())
        return Prior(_text_of(value), value, low, high)
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
    import scipy.stats

    match = _CALL.fullmatch(text)
    try:
        kind, numbers = match[1], [float(item) for item in match[2].split(",") if item.strip()]  # type: ignore[index]
        if not np.isfinite(numbers).all():
            raise ValueError
    except (TypeError, ValueError):
        raise ConfigError(
            f"the prior of {name}, {text!r:.80}, is not of the form normal(0.5, 0.1): expected a "
            f"name ({', '.join(OWN_NAMES)}, or one of scipy.stats) and numbers in brackets"
        ) from None
    if kind in OWN_NAMES:
        return _own(name, kind, numbers, text)
    family = getattr(scipy.stats, kind, None)
    if not isinstance(family, scipy.stats.rv_continuous):
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


def _text_of(distribution: Any) -> str:
    """A frozen distribution of scipy.stats as `parse_prior` reads it, where that can be said."""
    name = getattr(getattr(distribution, "dist", None), "name", type(distribution).__name__)
    numbers = [*getattr(distribution, "args", ()), *getattr(distribution, "kwds", {}).values()]
    return f"{name}({', '.join(f'{float(x):.10g}' for x in numbers)})"
