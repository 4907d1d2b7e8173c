"""What a campaign consists of: every row of a design, for every realization and line of sight."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...config import require_int
from ...errors import ConfigError
from ...parameters import PARAMETER_NAMES, as_theta
from ..config import HIGHEST_ZMEAN, LOWEST_ZMEAN, OwnSeeds, SimulationConfig
from ..model import check_parameters


@dataclass(frozen=True)
class Task:
    """One simulation to be made: its folder's name, and what goes in it."""

    name: str
    row: int
    seed: int
    axis: int
    parameters: dict[str, float]


@dataclass(frozen=True)
class Plan:
    """A configuration and the rows of a design, shape (n, 4), columns as in PARAMETER_NAMES."""

    config: SimulationConfig
    theta: np.ndarray

    @property
    def maps_per_row(self) -> int:
        """Realizations times lines of sight."""
        seeds = self.config.realizations
        return (1 if isinstance(seeds, OwnSeeds) else len(seeds)) * len(self.config.axes)

    @property
    def realizations(self) -> int:
        """Pairs of a realization and a line of sight that rows share; none if each has its own."""
        return 0 if isinstance(self.config.realizations, OwnSeeds) else self.maps_per_row

    def __len__(self) -> int:
        return len(self.theta) * self.maps_per_row

    def tasks(self, rows: slice = slice(None)) -> list[Task]:
        """The simulations of these rows, those of one realization together.

        A folder is called `sim<row>`; where a row has several realizations `_s<seed>`, and where it
        has several lines of sight `_a<axis>`, is added.
        """
        found = list(self._tasks(range(len(self.theta))[rows]))
        if isinstance(self.config.realizations, OwnSeeds):
            return found
        order = {seed: i for i, seed in enumerate(self.config.realizations)}
        return sorted(found, key=lambda task: (order[task.seed], task.axis, task.row))

    def _tasks(self, rows: range) -> Iterator[Task]:
        seeds, axes = self.config.realizations, self.config.axes
        for row in rows:
            parameters = dict(zip(PARAMETER_NAMES, self.theta[row].tolist(), strict=True))
            own = (seeds.seed_of(row),) if isinstance(seeds, OwnSeeds) else seeds
            for seed in own:
                for axis in axes:
                    name = f"sim{row}"
                    name += f"_s{seed}" if len(own) > 1 else ""
                    name += f"_a{axis}" if len(axes) > 1 else ""
                    yield Task(name, row, seed, axis, parameters)


def make_plan(design: Any, config: SimulationConfig) -> Plan:
    """The plan of a design: an object with `names` and `rows`, or what `as_theta` takes.

    If zmean_zre leaves the range that `config` prepares for, that is widened to whole redshifts.

    Raises
    ------
    ConfigError
        For parameters with other names, shapes or values than the model has.
    """
    if hasattr(design, "names") and hasattr(design, "rows"):
        design = dict(zip(design.names, np.asarray(design.rows).T, strict=True))
    theta, _ = as_theta(design)
    if not len(theta):
        raise ConfigError("the design has no rows")
    plan = Plan(_covering(config, theta[:, PARAMETER_NAMES.index("zmean_zre")]), theta)
    for row, values in enumerate(theta.tolist()):
        try:
            check_parameters(dict(zip(PARAMETER_NAMES, values, strict=True)), plan.config)
        except ConfigError as error:
            raise ConfigError(f"row {row} of the design: {error}") from None
    return plan


def _covering(config: SimulationConfig, zmean: np.ndarray) -> SimulationConfig:
    low, high = config.zmean_range
    lowest, highest = float(zmean.min()), float(zmean.max())
    if not LOWEST_ZMEAN <= lowest <= highest <= HIGHEST_ZMEAN:
        raise ConfigError(
            f"zmean_zre is {lowest:g} to {highest:g} in the design; it must be from "
            f"{LOWEST_ZMEAN:g} to {HIGHEST_ZMEAN:g}"
        )
    if lowest < low:
        low = float(math.floor(lowest))
    if highest > high:
        high = float(math.ceil(highest))
    return config.with_changes(zmean_range=(low, high))


def parse_rows(text: str) -> slice:
    """Rows "a:b" as Python has them: from a up to, not including, b; either may be left out.

    Raises
    ------
    ConfigError
        Unless a and b are whole numbers >= 0.
    """
    ends = text.split(":")
    try:
        first, last = (int(end) if end.strip() else None for end in ends)
    except ValueError:
        raise ConfigError(f"rows {text!r}: expected A:B, such as 0:100 or 900:") from None
    for name, end in (("first", first), ("last", last)):
        if end is not None:
            require_int("rows", name, end, minimum=0)
    return slice(first, last)
