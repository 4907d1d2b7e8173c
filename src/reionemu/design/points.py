"""A list of points in a parameter space, how it came about, and how evenly it fills the space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..config import require_int
from ..errors import ConfigError
from ..parameters import as_theta
from .space import ParameterSpace

MAX_POINTS = 50_000
"""The most points of a design; the discrepancy of so many takes 10 s, growing as their square."""


class Step(NamedTuple):
    """How some points of a design were made: by which method, how many, from which seed.

    The method is a word; that of points which came from elsewhere is "given".
    """

    method: str
    points: int
    seed: int | None


@dataclass(frozen=True, eq=False)
class Design:
    """Points in parameter space, in an order that is kept: the id of a point is its index from 0.

    Parameters
    ----------
    names : tuple of str
        The p parameters.
    rows : array_like, shape (n, p)
        The points, in physical units; kept as a read-only copy in float64.
    steps : tuple of Step, optional
        How the rows were made, first rows first; by default they were all given.
    space : ParameterSpace, optional
        Where the points were placed; None where nobody said.

    Raises
    ------
    ConfigError (ValueError)
        If the rows are not n >= 1 points of p finite numbers, lie outside the space, are more
        than MAX_POINTS, or are not as many as the steps made; if the space has other parameters,
        or a method is no word.
    """

    names: tuple[str, ...]
    rows: np.ndarray
    steps: tuple[Step, ...] = ()
    space: ParameterSpace | None = None

    def __post_init__(self) -> None:
        rows = np.array(as_theta(self.rows, self.names)[0])
        require_count(len(rows))
        steps = tuple(self.steps) or (Step("given", len(rows), None),)
        if sum(step.points for step in steps) != len(rows):
            raise ConfigError(f"{steps} do not make the {len(rows)} points of the design")
        if not all(step.method.isidentifier() for step in steps):
            raise ConfigError(f"the method of each step must be one word; got {steps}")
        if self.space:
            if self.space.names != tuple(self.names):
                raise ConfigError(
                    f"the columns of the design are {', '.join(self.names)}, and the parameters "
                    f"of its space {', '.join(self.space.names)}"
                )
            if outside := self.space.first_outside(rows):
                raise ConfigError(
                    f"point {outside[0]}: {outside[1]}; widen the range, or leave the point out"
                )
        rows.flags.writeable = False
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "steps", steps)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def method(self) -> str:
        """The methods of the steps, such as ``"lhs+augment"``."""
        return "+".join(step.method for step in self.steps)

    @property
    def seed(self) -> int | None:
        """The seed of the last step."""
        return self.steps[-1].seed

    def as_mappings(self) -> list[dict[str, float]]:
        """``{name: value}`` of each point."""
        return [dict(zip(self.names, row, strict=True)) for row in self.rows.tolist()]

    def require_space(self) -> ParameterSpace:
        """The space of the design; ConfigError where there is none."""
        if self.space is None:
            raise ConfigError("the design does not say its bounds: give the space it is to fill")
        return self.space

    def unit(self) -> np.ndarray:
        """The points in the unit cube, shape (n, p); ConfigError where there is no space."""
        return self.require_space().to_unit(self.rows)

    def discrepancy(self) -> float:
        """The centered L2 discrepancy, squared, of the points in the unit cube.

        How far the share of points in boxes at the corners of the cube is from the boxes' volume,
        in all projections (Hickernell 1998, Math. Comp. 67, 299, eq. 5.7). Less is more even.
        """
        from scipy.stats import qmc

        return float(qmc.discrepancy(self.unit()))

    def largest_gap(self) -> tuple[str, float]:
        """The widest interval of one parameter without a point, as (name, fraction of its range).

        A Latin hypercube of n points has none wider than 2/n.
        """
        ends = np.zeros((1, len(self.names)))
        gaps = np.diff(np.concatenate([ends, np.sort(self.unit(), axis=0), 1 - ends]), axis=0)
        widest = gaps.max(axis=0)
        return self.names[int(widest.argmax())], float(widest.max())


def require_count(n: int) -> None:
    """Raise ConfigError unless `n` is a number of points that a design may have."""
    require_int("design", "n", n, 1)
    if n > MAX_POINTS:
        raise ConfigError(f"a design has at most {MAX_POINTS} points; {n} are too many")


def require_seed(seed: int) -> None:
    """Raise ConfigError unless `seed` is a whole number from 0 to 2^64 - 1."""
    require_int("design", "seed", seed, 0)
    if seed >= 2**64:
        raise ConfigError(f"design.seed must be a whole number < 2^64, got {seed}")
