"""Which points, once they are trained on, make a Gaussian process surest over a region.

How sure a Gaussian process is depends on where its training points are and not on what was found
there. So the variance after a simulation is known before it is run, and points are chosen one
after the other, each the one that most lowers the mean variance over the region, all earlier ones
taken as done: Sacks, Schiller & Welch 1989 (Technometrics 31, 41); Cohn 1996 (Neural Networks 9,
1071); Seo, Wallat, Graepel & Obermayer 2000 (IJCNN 3, 241).
"""

from __future__ import annotations

import numpy as np

from .evidence import JITTER
from .model import GaussianProcess


def next_points(
    process: GaussianProcess,
    candidates: np.ndarray,
    probes: np.ndarray,
    n: int,
    *,
    weights: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """The candidates that most lower the mean variance at the probes.

    Simulating c multiplies the variance at u by 1 - corr(u, c)^2, corr being the correlation of
    what is not known at u with what a simulation at c, noise included, would show. The cost is
    that of n passes over a matrix of candidates by probes.

    Parameters
    ----------
    process : GaussianProcess
    candidates : ndarray, shape (c, p)
        Parameters to choose from.
    probes : ndarray, shape (m, p)
        Where the variance counts.
    n : int
        How many to choose, at most c.
    weights : ndarray, shape (m,)
        How much the variance counts at each probe.
    known : ndarray, shape (k, p)
        Parameters of points that are trained on next time beside those of the process; k may be 0.

    Returns
    -------
    ndarray of int, shape (n,)
        Rows of `candidates`, the most useful first.
    """
    hyper = process.hyper
    x, u = process.inputs(candidates), process.inputs(probes)
    at_x, at_u = explained(process, known, x), explained(process, known, u)
    covariance = (hyper.covariance(u, x) - at_u.T @ at_x) * np.sqrt(weights)[:, None]
    variance = hyper.prior_variance - (at_x**2).sum(axis=0)
    noise = hyper.noise_variance(x) + JITTER
    chosen: list[int] = []
    learned = np.empty((n, len(x)))
    for i in range(n):
        reduction = np.einsum("uc,uc->c", covariance, covariance) / (variance + noise)
        reduction[chosen] = -1.0
        best = int(np.argmax(reduction))
        chosen.append(best)
        spread = np.sqrt(variance[best] + noise[best])
        own = hyper.covariance(x[best : best + 1], x)[0] - at_x[:, best] @ at_x
        learned[i] = (own - learned[:i, best] @ learned[:i]) / spread
        covariance -= np.outer(covariance[:, best] / spread, learned[i])
        variance = np.maximum(variance - learned[i] ** 2, 0.0)
    return np.array(chosen)


def variance_with(process: GaussianProcess, known: np.ndarray, probes: np.ndarray) -> np.ndarray:
    """Variance of the mean at probes after training on `known` too, in units of `scale`^2.

    Hyper-parameters stay what they are.

    Parameters
    ----------
    process : GaussianProcess
    known : ndarray, shape (k, p)
        Parameters of points that the process was not trained on; k may be 0.
    probes : ndarray, shape (m, p)

    Returns
    -------
    ndarray, shape (m,)
    """
    at_probes = explained(process, known, process.inputs(probes))
    return np.maximum(process.hyper.prior_variance - (at_probes**2).sum(axis=0), 0.0)


def explained(process: GaussianProcess, known: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A, shape (n + k, m), such that A^T A is what training points explain of k(x, x)."""
    from scipy.linalg import solve_triangular

    hyper = process.hyper
    points = (
        np.concatenate([process.points, process.inputs(known)]) if len(known) else process.points
    )
    K = hyper.covariance(points, points)
    K[np.diag_indices_from(K)] += hyper.noise_variance(points) + JITTER
    return solve_triangular(np.linalg.cholesky(K), hyper.covariance(points, x), lower=True)
