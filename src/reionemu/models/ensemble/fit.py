"""Training an ensemble."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...errors import DatasetError
from ..inputs import Inputs
from ..out_of_fold import OutOfFold
from ..training_set import training_set
from .model import NetworkEnsemble, forward
from .options import EnsembleOptions
from .uncertainty import calibrate

DEFAULTS = EnsembleOptions()


def fit_ensemble(
    theta: np.ndarray,
    y: np.ndarray,
    inputs: Inputs,
    *,
    options: EnsembleOptions = DEFAULTS,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NetworkEnsemble, OutOfFold]:
    """Train on n simulations, and predict each with the members that did not see it.

    Simulations at the same point are in the same fold.

    Parameters
    ----------
    theta : ndarray, shape (n, p)
    y : ndarray, shape (n, b)
    inputs : Inputs
    options : EnsembleOptions
    seed : int
        Of folds, first weights and added noise.
    device : str
        Of PyTorch.
    progress : callable, optional
        Called with the number of epochs done, and of all.

    Returns
    -------
    ensemble : NetworkEnsemble
    out_of_fold : OutOfFold
        Its uncertainties are those of `members_per_fold` members: the ensemble, of more, is
        somewhat surer of its mean.

    Raises
    ------
    DatasetError
        If there are too few points, or arrays are not what can be learned from: `training_set`.
    NonFiniteLossError
        If training diverges.
    """
    from .training import train_members

    theta, y = training_set(theta, y, inputs.names)
    folds = _folds(theta, options, seed)
    mean, scale = y.mean(axis=0), y.std(axis=0)
    x, scaled = inputs(theta), (y - mean) / scale
    held_out = folds == np.tile(np.arange(options.n_folds), options.members_per_fold)[:, None]
    layers = tuple(train_members(x, scaled, held_out, options, seed, device, progress))

    outputs = forward(layers, x, options.activation)
    outputs = outputs.reshape(options.members_per_fold, options.n_folds, *y.shape)
    unseen = outputs[:, folds, np.arange(len(y))]
    uncertainty = calibrate(scaled, unseen, x)
    return NetworkEnsemble(inputs, options.activation, layers, mean, scale, uncertainty), OutOfFold(
        mean=mean + unseen.mean(axis=0) * scale,
        std=uncertainty.std(unseen) * scale,
        noise=uncertainty.noise_std(x) * scale,
    )


def _folds(theta: np.ndarray, options: EnsembleOptions, seed: int) -> np.ndarray:
    """The fold of each row, shape (n,); as many points in each, but for one."""
    points, of_row = np.unique(theta, axis=0, return_inverse=True)
    if len(points) < options.least_points:
        raise DatasetError(
            f"an ensemble of {options.n_folds} folds needs simulations at {options.least_points} "
            f"points at least; there are {len(points)}. Simulate more, choose fewer folds, or "
            "another model"
        )
    order = np.random.default_rng(seed).permutation(len(points))
    return (order % options.n_folds)[of_row.reshape(-1)]
