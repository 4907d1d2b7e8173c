"""The marginal likelihood of hyper-parameters, with its gradient, and where it is highest."""

from __future__ import annotations

import numpy as np

from ...errors import DatasetError
from .kernel import Hyperparameters

JITTER = 1e-9
"""Added to the diagonal, in units of the smooth part's variance."""

ROWS_PER_COMPONENT = 10

MAX_ROWS = 1000
"""Hyper-parameters are found with so many rows at most: the cost grows with the cube."""

# Centre and width of Gaussian priors, and bounds, of the logarithms of what is learned. Spectra
# depend smoothly on all parameters, over lengths beyond the box; the noise is anything from nothing
# to all.
_SMOOTH = (np.log(4.0), 1.0, np.log(0.2), np.log(50.0))
_ROUGH = (np.log(1.0), 1.0, np.log(0.05), np.log(50.0))
_AMPLITUDE = (np.log(0.05), 1.5, np.log(1e-4), np.log(3.0))
_NOISE = (np.log(0.02), 2.0, np.log(1e-4), np.log(3.0))
_SLOPE = (0.0, 0.5, -2.0, 2.0)


def find_hyperparameters(x: np.ndarray, y: np.ndarray, seed: int = 0) -> Hyperparameters:
    """The hyper-parameters of the largest posterior probability.

    Parameters
    ----------
    x : ndarray, shape (n, p)
        Coordinates.
    y : ndarray, shape (n, b)
        Outputs less their means.
    seed : int
        Of the choice of `MAX_ROWS` rows, where there are more.

    Raises
    ------
    DatasetError
        If the covariance matrix is singular wherever one looks.
    """
    from scipy.optimize import minimize

    if len(x) > MAX_ROWS:
        rows = np.random.default_rng(seed).permutation(len(x))[:MAX_ROWS]
        x, y = x[rows], y[rows]
    p = x.shape[1]
    table = np.array([*[_SMOOTH] * p, *[_ROUGH] * p, _AMPLITUDE, _NOISE, *[_SLOPE] * p])
    centre, width, low, high = table.T
    y = _principal(y)

    def objective(vector: np.ndarray) -> tuple[float, np.ndarray]:
        offset = (vector - centre) / width
        try:
            value, slope = negative_log_evidence(vector, x, y)
        except np.linalg.LinAlgError:
            return 1e12, np.zeros_like(vector)
        return value + 0.5 * float(offset @ offset), slope + offset / width

    found = minimize(
        objective,
        centre,
        jac=True,
        method="L-BFGS-B",
        bounds=np.stack([low, high], axis=-1),
        options={"maxiter": 150, "ftol": 1e-7},
    )
    if not found.fun < 1e12:
        raise DatasetError(
            "the covariance matrix of the training points is singular whatever the lengths: are "
            "rows repeated?"
        )
    return Hyperparameters.from_vector(found.x)


def negative_log_evidence(
    vector: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[float, np.ndarray]:
    """-ln p(y | hyper-parameters) without constants, and its gradient.

    All outputs share the covariance K between points; that between outputs, B, takes the value
    that fits best, B = y^T K^-1 y / n, so that -ln p = b/2 ln|K| + n/2 ln|B| (the separable
    covariance of Bonilla, Chai & Williams 2007, NIPS 20).

    Parameters
    ----------
    vector : ndarray, shape (3 p + 2,)
        See `Hyperparameters.from_vector`.
    x, y : ndarray, shape (n, p), (n, b)

    Raises
    ------
    numpy.linalg.LinAlgError
        If K is not positive definite.
    """
    hyper = Hyperparameters.from_vector(vector)
    n, b = y.shape
    smooth, rough, slope_of_rough = hyper.parts(x, x)
    noise = hyper.noise_variance(x)
    lower, inverse = factorize(smooth + rough, noise)
    weights = inverse @ y
    between = y.T @ weights / n
    value = b * np.log(np.diag(lower)).sum() + 0.5 * n * np.linalg.slogdet(between)[1]

    # d value = sum(M * dK)
    M = 0.5 * (b * inverse - weights @ np.linalg.solve(between, weights.T))
    by_smooth = _by_lengths(M * smooth, x / hyper.smooth)
    by_rough = _by_lengths(M * slope_of_rough, x / hyper.rough)
    by_noise = 2 * np.diag(M) * noise
    slope = [by_smooth, by_rough, [2 * (M * rough).sum(), by_noise.sum()], by_noise @ x]
    return float(value), np.concatenate(slope)


def factorize(covariance: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cholesky factor and inverse of covariance + diag(noise), shape (n, n) each."""
    from scipy.linalg.lapack import dpotri

    K = covariance.copy()
    K[np.diag_indices_from(K)] += noise + JITTER
    lower = np.linalg.cholesky(K)
    inverse, _ = dpotri(lower, lower=1)  # the lower half of it
    half = np.tril(inverse, -1)
    return lower, half + half.T + np.diag(np.diag(inverse))


def _by_lengths(G: np.ndarray, x: np.ndarray) -> np.ndarray:
    """sum_ij G_ij (x_i - x_j)^2 for each column of x, G being symmetric: shape (p,)."""
    return 2 * (G.sum(axis=1) @ (x * x) - np.einsum("ij,ij->j", x, G @ x))


def _principal(y: np.ndarray) -> np.ndarray:
    """The largest principal components of outputs, one for ten rows at most: shape (n, b').

    To the evidence all components count alike, those that are noise too; and with as many as rows
    it says nothing. Outputs that are copies of each other would make their covariance singular.
    """
    left, values, _ = np.linalg.svd(y / y.std(axis=0), full_matrices=False)
    kept = max(1, min(int((values > 1e-5 * values[0]).sum()), len(y) // ROWS_PER_COMPONENT))
    return left[:, :kept] * values[:kept]
