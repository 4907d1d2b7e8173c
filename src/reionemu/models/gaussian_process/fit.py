"""Training a Gaussian process."""

from __future__ import annotations

import numpy as np

from ...threads import one_thread
from ..inputs import Inputs
from ..out_of_fold import OutOfFold
from ..training_set import training_set
from .evidence import JITTER, factorize, find_hyperparameters
from .kernel import Hyperparameters
from .model import GaussianProcess

TOLERANCE, ALONE = 0.05, 0.2
"""How much, relatively, the whole error may grow by leaving directions out; the mean's alone."""

N_PROBES = 1000


def fit_gaussian_process(
    theta: np.ndarray, y: np.ndarray, inputs: Inputs, *, seed: int = 0
) -> tuple[GaussianProcess, OutOfFold]:
    """Train on n points, and predict each from all others.

    The cost is that of some fifty inversions of a matrix of min(n, 1000) rows, and one of n. One
    thread is used, so that the result does not depend on the number of cores.

    Parameters
    ----------
    theta : ndarray, shape (n, p)
    y : ndarray, shape (n, b)
    inputs : Inputs
    seed : int
        Of the choice of rows that find the hyper-parameters, where n > 1000.

    Returns
    -------
    process : GaussianProcess
    out_of_fold : OutOfFold
        Leave-one-out predictions in closed form: Rasmussen & Williams 2006, equation 5.12.

    Raises
    ------
    DatasetError
        If arrays are not what can be learned from (see `training_set`), or the covariance matrix is
        singular.
    """
    theta, y = training_set(theta, y, inputs.names)
    x, mean = inputs(theta), y.mean(axis=0)
    with one_thread():
        hyper = find_hyperparameters(x, y - mean, seed)
        process, inverse = condition(theta, y, inputs, hyper)
    variance, noise = 1 / np.diag(inverse), hyper.noise_variance(x)
    return process, OutOfFold(
        mean=y - process.weights * variance[:, None],
        std=np.sqrt(np.maximum(variance - noise, 0))[:, None] * process.scale,
        noise=np.sqrt(noise)[:, None] * process.scale,
    )


def condition(
    theta: np.ndarray, y: np.ndarray, inputs: Inputs, hyper: Hyperparameters
) -> tuple[GaussianProcess, np.ndarray]:
    """The posterior given training points and hyper-parameters, and the inverse of K, (n, n)."""
    x, mean = inputs(theta), y.mean(axis=0)
    covariance = hyper.covariance(x, x)
    _, inverse = factorize(covariance, hyper.noise_variance(x))
    weights = inverse @ (y - mean)
    scale = np.sqrt(np.einsum("ij,ij->j", y - mean, weights) / len(y))
    low, high = theta.min(axis=0), theta.max(axis=0)
    probes = np.random.default_rng(0).uniform(low, high, (N_PROBES, len(low)))
    projection = _projection(covariance, hyper, x, inputs(probes))
    return GaussianProcess(inputs, hyper, x, mean, weights, projection, scale), inverse


def _projection(
    covariance: np.ndarray, hyper: Hyperparameters, x: np.ndarray, probes: np.ndarray
) -> np.ndarray:
    """A matrix V, shape (n, r), such that V V^T does for the inverse of K in variances.

    Of the eigenvectors those are left out that reduce the variance nowhere by much; what is lost
    makes error bars wider, at no probe by more than TOLERANCE.
    """
    # Of the matrix itself: in its inverse the directions that matter would drown in rounding.
    values, vectors = np.linalg.eigh(covariance + np.diag(hyper.noise_variance(x) + JITTER))
    root = vectors / np.sqrt(values)
    reductions = (hyper.covariance(probes, x) @ root) ** 2
    order = np.argsort(-reductions.max(axis=0))
    variance = hyper.prior_variance - np.cumsum(reductions[:, order], axis=1)
    variance = np.maximum(variance, JITTER)
    total = variance + hyper.noise_variance(probes)[:, None]
    few = [np.sqrt(of / of[:, -1:]).max(axis=0) - 1 for of in (total, variance)]
    needed = int(np.argmax((few[0] <= TOLERANCE) & (few[1] <= ALONE))) + 1
    return root[:, order[:needed]]
