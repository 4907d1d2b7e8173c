"""Errors of predicted spectra, and whether error bars cover them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reionemu.pipeline.assessment import slices
from reionemu.pipeline.scores import coverage


@dataclass(frozen=True, eq=False)
class Outcome:
    """Predictions of simulations that were not trained on.

    Attributes
    ----------
    theta : ndarray, shape (n, p)
    truth, mean, std : ndarray, shape (n, b)
        [uK^2].
    """

    theta: np.ndarray
    truth: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @property
    def error(self) -> np.ndarray:
        """|predicted / true - 1|, shape (n, b)."""
        return np.abs(self.mean / self.truth - 1)

    @property
    def z(self) -> np.ndarray:
        """Errors in error bars, shape (n, b)."""
        return (self.truth - self.mean) / self.std

    @staticmethod
    def joined(outcomes: list[Outcome]) -> Outcome:
        """Several as one."""
        names = ("theta", "truth", "mean", "std")
        return Outcome(*(np.concatenate([getattr(o, name) for o in outcomes]) for name in names))


def summary(outcome: Outcome) -> dict[str, Any]:
    """Errors and coverage over all simulations and bins.

    "worst" is the mean over bins of the worst simulation, "worst_value" the worst of all values.
    """
    error, z = outcome.error, outcome.z
    return {
        "mean": float(error.mean()),
        "p95": float(np.quantile(error, 0.95)),
        "worst": float(error.mean(axis=1).max()),
        "worst_value": float(error.max()),
        "chi2": float((z**2).mean()),
        "coverage": coverage(z),
    }


def by_bin(outcome: Outcome, ell: np.ndarray) -> list[dict[str, Any]]:
    """The same in each bin."""
    error, z = outcome.error, outcome.z
    return [
        {
            "ell": float(ell[i]),
            "mean": float(error[:, i].mean()),
            "chi2": float((z[:, i] ** 2).mean()),
            "coverage": coverage(z[:, i]),
        }
        for i in range(len(ell))
    ]


def by_quarter(outcome: Outcome, names: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    """The same in quarters of the simulations, by each parameter."""
    return slices(outcome.theta, names, outcome.error, outcome.z)
