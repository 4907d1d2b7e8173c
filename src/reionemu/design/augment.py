"""New points in the strata that a design left empty.

Of n old points and m new ones, each should have its own of n + m strata on every axis. Where two
old points share a stratum, more strata are empty than there are new points. Those taken then lie
evenly among the empty ones: no region stays bare, even if the old points cluster elsewhere, as
they do when the range of a parameter is widened. How strata of different axes are paired is left
to exchanges.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .exchange import exchange
from .points import Design, Step, require_count, require_seed
from .space import ParameterSpace

_TRIALS = 32
_MARGIN = 1e-4  # of a stratum: kept from its edges, which rounding to physical units might cross


def augment_design(
    design: Design, n: int, seed: int, space: ParameterSpace | None = None
) -> Design:
    """A design with `n` more points, where it left room.

    A Latin hypercube that is doubled is a Latin hypercube again; so is any design whose rows lie
    in different strata, of len(design) + n, on every axis.

    Parameters
    ----------
    design : Design
        Its rows come first in the result, unchanged.
    n : int
        Number of new points.
    seed : int
        The same seed, design and n give the same points.
    space : ParameterSpace, optional
        The space to fill; by default the one the design was made in. It may be larger.

    Raises
    ------
    ConfigError (ValueError)
        If a row lies outside the space, the space is unknown or has other parameters, or there
        would be too many points.
    """
    require_count(n)
    require_count(len(design) + n)
    require_seed(seed)
    placed = replace(design, space=space or design.space)
    new = fill_strata(placed.unit(), n, np.random.default_rng([seed, len(design)]))
    return replace(
        placed,
        rows=np.concatenate([design.rows, placed.require_space().from_unit(new)]),
        steps=(*design.steps, Step("augment", n, int(seed))),
    )


def fill_strata(old: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    """New points in strata of the unit cube that the old ones, shape (n, p), left empty.

    Returns an array of shape (m, p). Without old points it is an optimized Latin hypercube.
    """
    total = len(old) + m
    columns = []
    for column in old.T:
        within = _MARGIN + (1 - 2 * _MARGIN) * rng.random(m)
        columns.append(rng.permutation((_empty_strata(column, m, rng) + within) / total))
    return exchange(np.stack(columns, axis=1), old, rng)


def strata(unit: np.ndarray, total: int) -> np.ndarray:
    """In which of `total` equal parts of [0, 1] each number lies; 1 is in the last."""
    return np.minimum((unit * total).astype(np.int64), total - 1)


def _empty_strata(column: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    """`m` of the strata without an old point, evenly among them; indices, shape (m,).

    Of several such choices, the one with which the points of this axis are the most uniform.
    """
    total = len(column) + m
    empty = np.setdiff1d(np.arange(total), strata(column, total))
    choices = [
        empty[(np.arange(m) * len(empty) + offset) // m]
        for offset in rng.integers(len(empty), size=_TRIALS)
    ]
    quantiles = (np.arange(total) + 0.5) / total

    def unevenness(choice: np.ndarray) -> float:
        """The L2 discrepancy in one dimension, squared and up to a constant.

        To 9 digits, so that ties are ties on every machine; the first choice then wins.
        """
        united = np.sort(np.concatenate([column, (choice + 0.5) / total]))
        return float(f"{((united - quantiles) ** 2).sum():.9g}")

    return min(choices, key=unevenness)
