"""Refusing training arrays from which a model would learn something false."""

from __future__ import annotations

import numpy as np

from ..data.arrays import TrainingSet
from ..errors import DatasetError

FAR = 10.0
"""A parameter that lies so many spreads of the middle half away from it is in another unit."""


def require_usable(data: TrainingSet, train: np.ndarray) -> None:
    """Check the rows of a training set, `train` being those to fit.

    Raises
    ------
    DatasetError
        Naming simulations: if there are too few, if two have the same parameters, if a column is
        the same everywhere, or a parameter so far off all others that its unit must be wrong.
    """
    n, p = len(train), data.X.shape[1]
    fewest = 3 * (p + 1)
    if n < fewest:
        raise DatasetError(
            f"{n} simulations to train on are too few for {p} parameters; give {fewest} or more "
            "(100 for an error of a percent), or a larger part of the split"
        )
    _require_in_range(data)
    _require_distinct(data)
    for name, column in zip(data.param_names, data.X[train].T, strict=True):
        if np.ptp(column) == 0:
            raise DatasetError(
                f"{name} is {column[0]:g} in every row: nothing can be learned about it. Build the "
                "training arrays without it"
            )
    for ell, column in zip(data.ell, data.Y[train].T, strict=True):
        if np.ptp(column) == 0:
            raise DatasetError(
                f"the target at ell = {ell:.0f} is {column[0]:g} in every row: are these spectra?"
            )


def simulation(data: TrainingSet, row: int) -> str:
    """What to call a row."""
    return f"row {row} ({data.sim_ids[row]})" if data.sim_ids else f"row {row}"


def _require_in_range(data: TrainingSet) -> None:
    X = data.X.astype(np.float64)
    lower, middle, upper = np.quantile(X, [0.25, 0.5, 0.75], axis=0)
    far = np.abs(X - middle) > FAR * np.maximum(upper - lower, 1e-12 * np.abs(middle))
    if far.any() and (upper > lower).all():
        row, column = np.argwhere(far)[0]
        raise DatasetError(
            f"{data.param_names[column]} of {simulation(data, row)} is {X[row, column]:g}, where "
            f"half of the simulations have {lower[column]:g} to {upper[column]:g}: is it in "
            "another unit? Correct it, or leave the simulation out"
        )


def _require_distinct(data: TrainingSet) -> None:
    distinct, first, counts = np.unique(data.X, axis=0, return_index=True, return_counts=True)
    if len(distinct) == len(data.X):
        return
    a = int(first[np.argmax(counts > 1)])
    b = int(np.flatnonzero((data.X[a] == data.X).all(axis=1))[1])
    pair = f"{simulation(data, a)} and {simulation(data, b)}"
    repeated = len(data.X) - len(distinct)
    if np.array_equal(data.Y[a], data.Y[b]):
        raise DatasetError(
            f"{pair} are the same simulation ({repeated} rows are repeated): errors measured on "
            "copies of what was fitted would flatter. Remove the copies"
        )
    raise DatasetError(
        f"{pair} have the same parameters ({repeated} rows repeat another's): realizations of one "
        "model. Average them: reionemu training-set --realizations mean"
    )
