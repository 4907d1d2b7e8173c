"""Dividing rows between training, validation and test."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..config import require_finite
from ..errors import ConfigError, DatasetError

DEFAULT_SPLIT: Mapping[str, float] = {"train": 0.8, "val": 0.2}


def check_split(split: Mapping[str, float]) -> None:
    """Raise ConfigError unless these are fractions by name, "train" among them, that sum to 1."""
    if "train" not in split:
        raise ConfigError(f"a split must contain 'train'; it has {', '.join(split) or 'nothing'}")
    for name, fraction in split.items():
        require_finite("split", name, fraction, minimum=0)
    if not math.isclose(sum(split.values()), 1.0, rel_tol=0, abs_tol=1e-6):
        raise ConfigError(f"the fractions of a split must sum to 1; got {sum(split.values()):g}")


def split_indices(n: int, split: Mapping[str, float], seed: int) -> dict[str, np.ndarray]:
    """Which rows belong to which part.

    One permutation of the rows is cut in the order of `split`, `round(fraction * n)` rows each,
    the last part taking the rest.

    Parameters
    ----------
    n : int
        Number of rows.
    split : mapping of str to float
        Fractions by name; "train" must be among them and they must sum to 1.
    seed : int
        Of the permutation, `np.random.default_rng(seed).permutation(n)`.

    Returns
    -------
    dict of str to ndarray of int

    Raises
    ------
    ConfigError (ValueError)
        If the fractions are not a split.
    DatasetError (ValueError)
        If a part would get no row.
    """
    check_split(split)
    order = np.random.default_rng(seed).permutation(n)
    parts: dict[str, np.ndarray] = {}
    start = 0
    for position, (name, fraction) in enumerate(split.items(), start=1):
        stop = n if position == len(split) else min(n, start + round(fraction * n))
        if stop == start:
            raise DatasetError(
                f"the split gives {name!r} no sample: {fraction:g} of {n}. "
                "Use a larger fraction, or leave it out"
            )
        parts[name] = order[start:stop]
        start = stop
    return parts


def fold_indices(n: int, k: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(training rows, validation rows) of each of k folds of one seeded permutation of n rows.

    Raises ConfigError when there are fewer rows than folds.
    """
    if n < k:
        raise ConfigError(f"{k} folds need at least {k} samples; there are {n}")
    folds = np.array_split(np.random.default_rng(seed).permutation(n), k)
    return [
        (np.concatenate(folds[:i] + folds[i + 1 :]), validation)
        for i, validation in enumerate(folds)
    ]
