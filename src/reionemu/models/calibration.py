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

from ..errors import DatasetError, RecordError

MIN_SIMULATIONS = 5
"""Fewer unseen simulations say too little about an error bar."""

SHRINKAGE = 1e-3
"""By which correlations are reduced, so that their matrix has an inverse."""


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
        n, b = error.shape
        if n < MIN_SIMULATIONS:
            raise DatasetError(
                f"an error bar can be calibrated with {MIN_SIMULATIONS} unseen simulations or "
                f"more; there are {n}"
            )
        has_own = (std > 0).all(axis=0)
        z = error / np.where(has_own, std, 1.0)
        spread = np.sqrt((z**2).mean(axis=0))
        z = z / np.where(spread > 0, spread, 1.0)
        correlation = (1 - SHRINKAGE) * (z.T @ z) / n
        correlation[np.diag_indices(b)] = 1.0
        return cls(np.where(has_own, spread, 1.0), np.where(has_own, 0.0, spread), correlation, n)

    def std(self, std: np.ndarray) -> np.ndarray:
        """The calibrated standard deviation, of one of shape (..., b)."""
        return np.hypot(self.scale * std, self.floor)

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
            values = {key: np.array(arrays[key], float) for key in ("scale", "floor")}
            correlation = np.array(arrays["correlation"], float)
            b = len(values["scale"])
            if correlation.shape != (b, b) or any(v.shape != (b,) for v in values.values()):
                raise ValueError("shapes do not fit together")
            if not all(np.isfinite(v).all() and (v >= 0).all() for v in values.values()):
                raise ValueError("error bars must be finite and not negative")
            if not (np.isfinite(correlation).all() and (correlation == correlation.T).all()):
                raise ValueError("correlations must be finite and symmetric")
            np.linalg.cholesky(correlation)
            return cls(**values, correlation=correlation, n=int(options["n"]))
        except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
            raise RecordError(f"the recorded calibration is not usable: {error}") from None
