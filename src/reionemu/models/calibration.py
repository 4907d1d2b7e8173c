"""Making error bars right on simulations that were not used for fitting.

A model that is asked for a simulation it was not trained on errs by z standard deviations of its
own. Were its error bars right, z would scatter by 1; they are multiplied by what it scatters by,
bin by bin. How errors of bins go together is the correlation of z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import require_int
from ..errors import DatasetError, RecordError
from .recorded import HUGE, numbers

MIN_SIMULATIONS = 5
"""Fewer unseen simulations say too little about an error bar."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """What error bars are multiplied by, and their correlation.

    Attributes
    ----------
    scale : ndarray, shape (b,)
    floor : ndarray, shape (b,)
        Standard deviation added in quadrature, of models that have none of their own.
    correlation : ndarray, shape (b, b)
    n : int
        Number of unseen simulations this comes from.
    """

    scale: np.ndarray
    floor: np.ndarray
    correlation: np.ndarray
    n: int

    @classmethod
    def of(cls, mean: np.ndarray, std: np.ndarray, truth: np.ndarray) -> Calibration:
        """From predictions of unseen simulations and their targets, shape (n, b) each.

        Raises
        ------
        DatasetError
            If there are fewer than `MIN_SIMULATIONS`.
        """
        error = truth - mean
        n = len(error)
        if n < MIN_SIMULATIONS:
            raise DatasetError(
                f"an error bar can be calibrated with {MIN_SIMULATIONS} unseen simulations or "
                f"more; there are {n}"
            )
        has_own = (std > 0).all(axis=0)
        z = error / np.where(has_own, std, 1.0)
        spread = np.sqrt((z**2).mean(axis=0))
        scale, floor = np.where(has_own, spread, 1.0), np.where(has_own, 0.0, spread)
        return cls(scale, floor, correlation_of(z), n)

    def std(self, std: np.ndarray) -> np.ndarray:
        """The calibrated standard deviation, of one of shape (..., b)."""
        return np.hypot(self.scale * std, self.floor)

    def derivative(self, std: np.ndarray) -> np.ndarray:
        """d calibrated / d std, at standard deviations of shape (..., b)."""
        own = self.scale * std
        total = np.hypot(own, self.floor)
        share = np.divide(own, total, out=np.ones_like(own), where=total > 0)
        return self.scale * share

    @property
    def cholesky(self) -> np.ndarray:
        """Lower factor of the correlation."""
        return np.linalg.cholesky(self.correlation)

    def arrays(self) -> dict[str, np.ndarray]:
        """As they are recorded."""
        return {"scale": self.scale, "floor": self.floor, "correlation": self.correlation}

    def options(self) -> dict[str, Any]:
        """What is recorded beside the arrays."""
        return {"n": self.n}

    @classmethod
    def from_record(
        cls, options: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> Calibration:
        """The inverse of `options` and `arrays`; RecordError if they are not such."""
        try:
            b = len(arrays["scale"])
            scale, floor = (
                numbers(key, arrays[key], (b,), low=0, high=HUGE) for key in ("scale", "floor")
            )
            correlation = numbers("correlation", arrays["correlation"], (b, b), high=1)
            if not ((correlation == correlation.T).all() and (np.diag(correlation) == 1).all()):
                raise ValueError("correlations must be symmetric, with a diagonal of one")
            np.linalg.cholesky(correlation)
            require_int("calibration", "n", options["n"], minimum=1)
            return cls(scale, floor, correlation, int(options["n"]))
        except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
            raise RecordError(f"the recorded calibration is not usable: {error}") from None


def correlation_of(errors: np.ndarray) -> np.ndarray:
    """Correlation R of errors of mean 0, reduced by as much as foretells others best: (1 - a) R.

    Measured with few simulations R is nearly singular, and its inverse far too large. The reduction
    a is that of the largest leave-one-out likelihood (Warton 2008, JASA 103, 340): with strong
    correlations, or many simulations, it is small. It is 1 / (n + 1) at least, as if one simulation
    more had shown none: unseen simulations are further off than those left out, if there are few.

    Parameters
    ----------
    errors : ndarray, shape (n, b)
        Of n >= 2 simulations. Columns without any error have no correlations.

    Returns
    -------
    ndarray, shape (b, b)
        With an inverse, and 1 on its diagonal.
    """
    size = np.sqrt((errors**2).mean(axis=0))
    some = size > 0
    z = errors[:, some] / size[some]
    R = z.T @ z / len(z)
    correlation = np.eye(len(size))
    correlation[np.ix_(some, some)] = (1 - _shrinkage(z, R)) * 0.5 * (R + R.T)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def shrinkages(n: int) -> np.ndarray:
    """By which correlations of errors of n simulations may be reduced."""
    return np.geomspace(1 / (n + 1), 1, 31)


def _shrinkage(z: np.ndarray, R: np.ndarray) -> float:
    """By which all scores but one tell that one best."""
    n, (values, vectors) = len(z), np.linalg.eigh(R)
    a = shrinkages(n)[:, None]
    variances = (1 - a) * n / (n - 1) * np.maximum(values, 0) + a
    # Leaving out a score changes the matrix by rank one: Sherman & Morrison.
    chi2 = (1 / variances) @ ((z @ vectors) ** 2).T
    kept = 1 - (1 - a) / (n - 1) * chi2
    loss = np.log(variances).sum(axis=1) + (np.log(kept) + chi2 / kept).mean(axis=1)
    return float(a[np.argmin(loss), 0])
