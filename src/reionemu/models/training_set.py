"""What models can be trained on."""

from __future__ import annotations

import numpy as np

from ..errors import DatasetError
from .inputs import check_points, finite_rows


def training_set(
    theta: np.ndarray, y: np.ndarray, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Parameters, shape (n, p), and targets, shape (n, b), in double precision.

    Parameters
    ----------
    theta : array_like, shape (n, p)
    y : array_like, shape (n, b)
    names : tuple of str
        The p parameters.

    Raises
    ------
    DatasetError
        If they do not fit together, are fewer than p + 2 simulations, are not finite, or say
        nothing: a parameter that must be positive is not, or a target is the same everywhere.
    """
    theta, y = (_numbers(*named) for named in (("parameters", theta), ("targets", y)))
    check_points(theta, names)
    n, p = theta.shape
    if y.ndim != 2 or len(y) != n or not y.shape[1]:
        raise DatasetError(
            f"targets have shape {y.shape}: a row is needed for each of {n} simulations, with a "
            "column for each output"
        )
    if n < p + 2:
        raise DatasetError(
            f"nothing can be learned about {p} parameters from {n} simulation(s): at least {p + 2} "
            "are needed"
        )
    finite_rows("targets", y)
    constant = np.flatnonzero(np.ptp(y, axis=0) == 0)
    if len(constant):
        raise DatasetError(
            f"column {constant[0]} of the targets is {y[0, constant[0]]:g} in every row: nothing "
            "can be learned about it. Leave it out of the training set"
        )
    return theta, y


def _numbers(name: str, array: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(array, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DatasetError(f"{name} are not a table of numbers: {error}") from None
