"""How wrong an emulator is, in physical units, bin by bin."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..models.emulator import DEFAULT_DRAWS, Emulator


def assess(emulator: Emulator, X: np.ndarray, Y: np.ndarray) -> dict[str, Any]:
    """Relative errors of predicted spectra, and whether the uncertainty covers them.

    Parameters
    ----------
    emulator : Emulator
        Without a box, if some of the points may lie outside it.
    X : ndarray, shape (n, p)
        Parameters.
    Y : ndarray, shape (n, b)
        Targets, transformed as the emulator's.

    Returns
    -------
    dict
        "n", "mean_relative_error" and "worst_relative_error" (mean over bins of the worst
        simulation); and lists with one value a bin: "ell", "mean", "median", "p95" and "max" of
        |predicted/true - 1|; for a model with an uncertainty also "coverage_1sigma",
        "coverage_2sigma" (68.3% and 95.4% would be right) and "mean_relative_std".
    """
    prediction = emulator.predict(np.asarray(X, np.float64), n_draws=DEFAULT_DRAWS)
    truth = emulator.target.invert(np.asarray(Y, np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.abs(prediction.mean / truth - 1)
    report: dict[str, Any] = {
        "n": len(error),
        "mean_relative_error": float(error.mean()),
        "worst_relative_error": float(error.mean(axis=1).max()),
        "ell": emulator.ell.tolist(),
        "mean": error.mean(axis=0).tolist(),
        "median": np.median(error, axis=0).tolist(),
        "p95": np.quantile(error, 0.95, axis=0).tolist(),
        "max": error.max(axis=0).tolist(),
    }
    if prediction.std is not None:
        deviation = np.abs(prediction.mean - truth)
        report |= {
            f"coverage_{n}sigma": (deviation <= n * prediction.std).mean(axis=0).tolist()
            for n in (1, 2)
        }
        report["mean_relative_std"] = (prediction.std / truth).mean(axis=0).tolist()
    return report
