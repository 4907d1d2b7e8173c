"""Refusing training arrays from which a model would learn something false."""

from __future__ import annotations

import warnings

import numpy as np

from ..data.arrays import TrainingSet
from ..errors import DatasetError, ReionemuWarning

FAR = 10.0
"""A value that lies so many spreads of the middle half away from it is no value of its kind."""


def require_usable(data: TrainingSet, train: np.ndarray, *, averaged: bool = True) -> None:
    """Check the rows of a training set, `train` being those to fit.

    Parameters
    ----------
    averaged : bool
        Whether realizations of one model must have been averaged: of simulations with the same
        parameters, some would be trained on and others be tested with. If not, a warning says so.

    Raises
    ------
    DatasetError
        Naming simulations: if a simulation is there twice, or two have the same parameters, if a
        column is the same everywhere, or a value is so far off all others that it must be in
        another unit, or nothing at all.
    """
    _require_in_range(data)
    _require_distinct(data, averaged)
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


def fewest(p: int) -> int:
    """How many simulations it takes to learn anything about p parameters."""
    return 3 * (p + 1)


def require_enough(data: TrainingSet, train: np.ndarray) -> None:
    """Raise DatasetError unless there are rows enough to learn anything from."""
    n, p = len(train), data.X.shape[1]
    if n < fewest(p):
        raise DatasetError(
            f"{n} simulations to train on are too few for {p} parameters; give {fewest(p)} or more "
            "(100 for an error of a percent), or a larger part of the split"
        )


def simulation(data: TrainingSet, row: int) -> str:
    """What to call a row."""
    return f"row {row} ({data.sim_ids[row]})" if data.sim_ids else f"row {row}"


def _require_in_range(data: TrainingSet) -> None:
    names = [*data.param_names, *(f"the target at ell = {ell:.0f}" for ell in data.ell)]
    values = np.concatenate([data.X, data.Y], axis=1).astype(np.float64)
    lower, middle, upper = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    far = (np.abs(values - middle) > FAR * (upper - lower)) & (upper > lower)
    if data.design_low is not None and data.design_high is not None:
        side = data.design_high - data.design_low
        beyond = (data.design_low - side > data.X) | (data.design_high + side < data.X)
        far[:, : len(data.param_names)] |= beyond
    if far.any():
        row, column = np.argwhere(far)[0]
        raise DatasetError(
            f"{names[column]} of {simulation(data, row)} is {values[row, column]:g}, where half of "
            f"the simulations have {lower[column]:g} to {upper[column]:g}: is it in another unit, "
            "or damaged? Correct it, or leave the simulation out"
        )


def _require_distinct(data: TrainingSet, averaged: bool) -> None:
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
    message = (
        f"{pair} have the same parameters ({repeated} rows repeat another's): realizations of one "
        "model. Average them: reionemu training-set --realizations mean"
    )
    if averaged:
        raise DatasetError(message)
    warnings.warn(f"{message}. Errors flatter as it is", ReionemuWarning, stacklevel=3)
