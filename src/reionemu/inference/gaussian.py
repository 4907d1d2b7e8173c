"""Gaussians whose covariance depends on the parameters, for many points at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LN_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False)
class Part:
    """A covariance std R std, and how it changes with the p parameters.

    Attributes
    ----------
    std : ndarray, shape (n, b)
    slope : ndarray, shape (n, b, p)
        Derivatives of std.
    correlation : ndarray, shape (b, b)
        R.
    """

    std: np.ndarray
    slope: np.ndarray
    correlation: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """Shape (n, b, b)."""
        return self.std[:, :, None] * self.correlation * self.std[:, None, :]


def log_gaussian(residual: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """ln of normalized densities of mean 0, shape (n,).

    Parameters
    ----------
    residual : ndarray, shape (n, m)
    covariance : ndarray, shape (n, m, m)
        Positive definite.
    """
    lower = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(lower, residual[:, :, None])[:, :, 0]
    ln_determinant = np.log(np.einsum("nii->ni", lower)).sum(axis=1)
    chi2 = np.einsum("ni,ni->n", whitened, whitened)
    return -0.5 * (chi2 + residual.shape[1] * LN_2PI) - ln_determinant


def log_gaussian_gradient(
    residual: np.ndarray,
    covariance: np.ndarray,
    matrix: np.ndarray,
    mean_slope: np.ndarray,
    parts: list[Part],
) -> np.ndarray:
    """Derivatives of `log_gaussian` by parameters, shape (n, p).

    With W = `matrix`, a = W^T C^-1 r and M = W^T C^-1 W, a part std R std of the covariance adds
    (a std') . R (std a) - sum_i std'_i (R o M) std_i, the slope of the mean a . mean'.

    Parameters
    ----------
    residual, covariance
        As there: residual = data - W mean - ...
    matrix : ndarray, shape (m, b)
        W, by which mean and parts are seen.
    mean_slope : ndarray, shape (n, b, p)
    parts : list of Part
        What of the covariance depends on the parameters, as W (std R std) W^T.
    """
    inverse = np.linalg.inv(covariance)
    a = np.einsum("nij,nj->ni", inverse, residual) @ matrix
    M = matrix.T @ inverse @ matrix
    gradient = np.einsum("nb,nbp->np", a, mean_slope)
    for part in parts:
        by_std = a * ((a * part.std) @ part.correlation)
        by_std -= np.einsum("nij,nj->ni", part.correlation * M, part.std)
        gradient += np.einsum("nb,nbp->np", by_std, part.slope)
    return gradient
