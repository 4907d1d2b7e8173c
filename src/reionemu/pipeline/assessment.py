"""How wrong an emulator is, in physical units, and whether its error bars say so.

A held-out simulation differs from the predicted mean by the emulator's error and, in a suite in
which each has a realization of its own, by the scatter between realizations. Its deviation is
therefore measured in units of both together: z = (truth - mean) / sqrt(error^2 + scatter^2). That
is in uK^2, as spectra are used: those that scatter by 20% are skewed, so that 98% and not 99.7%
are within 3 sigma of the mean even if the scatter is right.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..models.emulator import DEFAULT_DRAWS, Emulator
from .scores import EXPECTED, SIGMAS, binomial_tails, coverage, gaussian_crps, joint_chi2

QUARTERS = 4
SIGNIFICANCE = 0.05

X_HI_RANGE = (0.01, 0.99)
"""Predicted neutral fractions whose error bars are assessed: beyond, reionization is over or not
begun, and the error is none."""


def assess(
    emulator: Emulator,
    X: np.ndarray,
    Y: np.ndarray,
    *,
    tau: np.ndarray | None = None,
    x_hi: np.ndarray | None = None,
    z: np.ndarray | None = None,
) -> dict[str, Any]:
    """Errors of predictions of simulations, and whether the uncertainties cover them.

    Parameters
    ----------
    emulator : Emulator
        Without a box, if some of the points may lie outside it.
    X : ndarray, shape (n, p)
        Parameters.
    Y : ndarray, shape (n, b)
        Targets, transformed as the emulator's.
    tau : ndarray, shape (n,), optional
        Optical depths. Assessed, as is x_hi, if the emulator has a model of histories.
    x_hi : ndarray, shape (n, k), optional
        Neutral fractions at redshifts z.
    z : ndarray, shape (k,), optional

    Returns
    -------
    dict
        "n"; of all relative errors |predicted/true - 1| "mean_relative_error" and
        "p95_relative_error", and "worst_relative_error" (mean over bins of the worst simulation);
        and lists with one value a bin: "ell", "mean", "median", "p95" and "max".

        For a model with an uncertainty also, one value a bin, "coverage_1sigma",
        "coverage_2sigma" and "coverage_3sigma" (0.683, 0.954 and 0.997 would be right), "chi2" (the
        mean of z^2; 1), "z_mean" (0), "z_std" (1), "crps" (the continuous ranked probability score
        of a Gaussian, relative to the spectrum: Gneiting & Raftery 2007, JASA 102, 359, section
        4.2), "mean_relative_std" (the emulator's error) and, where simulations scatter,
        "mean_relative_scatter"; over all bins "coverage" (three values), "reduced_chi2" (the mean
        of z^2) and "joint_chi2" (with the covariance between bins, a bin; None if that has no
        inverse); and "by_parameter" and "suspect", see `slices` and `most_suspect`.

        With tau or x_hi: "history", see `assess_history`.
    """
    X = np.asarray(X, np.float64)
    prediction = emulator.predict(X, n_draws=DEFAULT_DRAWS)
    truth = emulator.target.invert(np.asarray(Y, np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.abs(prediction.mean / truth - 1)
    report: dict[str, Any] = {
        "n": len(error),
        "mean_relative_error": float(error.mean()),
        "p95_relative_error": float(np.quantile(error, 0.95)),
        "worst_relative_error": float(error.mean(axis=1).max()),
        "ell": emulator.ell.tolist(),
        "mean": error.mean(axis=0).tolist(),
        "median": np.median(error, axis=0).tolist(),
        "p95": np.quantile(error, 0.95, axis=0).tolist(),
        "max": error.max(axis=0).tolist(),
    }
    z_scores = None
    if prediction.covariance is not None:
        scatter = emulator.spectrum.scatter(X)
        covariance = prediction.covariance + (0.0 if scatter is None else scatter)
        report["mean_relative_std"] = _relative(prediction.covariance, truth)
        if scatter is not None:
            report["mean_relative_scatter"] = _relative(scatter, truth)
        z_scores, uncertainty = _uncertainty(truth, prediction.mean, covariance)
        report |= uncertainty
    report["by_parameter"] = slices(X, emulator.parameter_names, error, z_scores)
    if z_scores is not None:
        report["suspect"] = most_suspect(report["by_parameter"])
    if emulator.history is not None and (tau is not None or x_hi is not None):
        report["history"] = assess_history(emulator.history, X, tau, x_hi, z)
    return report


def _uncertainty(
    truth: np.ndarray, mean: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, dict[str, Any]]:
    """Deviations in standard deviations, shape (n, b), and what they say of the uncertainty."""
    std = _std(covariance)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (truth - mean) / std
        score = gaussian_crps(z) * std / truth
        correlation = covariance / (std[:, :, None] * std[:, None, :])
    by_bin = {f"coverage_{n}sigma": (np.abs(z) <= n).mean(axis=0).tolist() for n in SIGMAS}
    return z, by_bin | {
        "chi2": (z**2).mean(axis=0).tolist(),
        "z_mean": z.mean(axis=0).tolist(),
        "z_std": z.std(axis=0).tolist(),
        "crps": score.mean(axis=0).tolist(),
        "coverage": coverage(z),
        "reduced_chi2": float((z**2).mean()),
        "joint_chi2": joint_chi2(z, correlation),
    }


def _std(covariance: np.ndarray) -> np.ndarray:
    return np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))


def _relative(covariance: np.ndarray, truth: np.ndarray) -> list[float]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return (_std(covariance) / truth).mean(axis=0).tolist()


def slices(
    X: np.ndarray, names: tuple[str, ...], error: np.ndarray, z: np.ndarray | None
) -> dict[str, list[dict[str, Any]]]:
    """The errors in four equally large parts of the points, by each parameter.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    names : tuple of str
    error : ndarray, shape (n, b)
        Relative errors.
    z : ndarray, shape (n, b), or None
        Deviations in standard deviations.

    Returns
    -------
    dict
        By parameter, in ascending order: "low" and "high" of it, "n", "mean_relative_error" and,
        if z is given, "coverage" (within 1, 2, 3) and "chi2".
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for column, name in zip(X.T, names, strict=True):
        parts = np.array_split(np.argsort(column, kind="stable"), QUARTERS)
        found[name] = []
        for rows in parts[: len(X)]:
            part: dict[str, Any] = {
                "low": float(column[rows].min()),
                "high": float(column[rows].max()),
                "n": len(rows),
                "mean_relative_error": float(error[rows].mean()),
            }
            if z is not None:
                part |= {"coverage": coverage(z[rows]), "chi2": float((z[rows] ** 2).mean())}
            found[name].append(part)
    return found


def most_suspect(parts: dict[str, list[dict[str, Any]]]) -> dict[str, Any] | None:
    """The part of parameter space whose coverage is least probable, if chance does not explain it.

    Errors of the bins of a simulation may be all the same, so that a part is taken to have as many
    independent ones as it has simulations. Chance does not explain one of many tests (parts, three
    levels, two sides) whose probability is below 0.05 over their number: Bonferroni's inequality.

    Returns
    -------
    dict or None
        "parameter", "too_narrow" (whether the error bars are, or too wide), and the part itself.
    """
    tests = [
        (chance, name, too_narrow, part)
        for name, quarters in parts.items()
        for part in quarters
        for found, expected in zip(part["coverage"], EXPECTED, strict=True)
        for too_narrow, chance in zip(
            (True, False), binomial_tails(found, part["n"], expected), strict=True
        )
    ]
    if not tests:
        return None
    chance, name, too_narrow, part = min(tests, key=lambda test: test[0])
    if chance * len(tests) >= SIGNIFICANCE:
        return None
    return {"parameter": name, "too_narrow": too_narrow, **part}


def assess_history(
    model: Any,
    X: np.ndarray,
    tau: np.ndarray | None,
    x_hi: np.ndarray | None,
    z: np.ndarray | None,
) -> dict[str, Any]:
    """Errors of emulated optical depths and neutral fractions.

    Returns
    -------
    dict
        "tau": "mean_relative_error", "p95_relative_error", "worst_relative_error", "coverage"
        (within 1, 2, 3 sigma) and "chi2". "x_hi": "mean_error", "p99_error" and "worst_error", of
        |predicted - true|, and "coverage" and "chi2" where the prediction is between 0.01 and 0.99.
    """
    report: dict[str, Any] = {}
    if tau is not None:
        mean, std = model.tau(X)
        error, scores = np.abs(mean / tau - 1), (tau - mean) / std
        report["tau"] = {
            "mean_relative_error": float(error.mean()),
            "p95_relative_error": float(np.quantile(error, 0.95)),
            "worst_relative_error": float(error.max()),
            **_covered(scores),
        }
    if x_hi is not None and z is not None:
        mean, std = model.predict(X, z)
        error, partial = np.abs(mean - x_hi), (mean > X_HI_RANGE[0]) & (mean < X_HI_RANGE[1])
        report["x_hi"] = {
            "mean_error": float(error.mean()),
            "p99_error": float(np.quantile(error, 0.99)),
            "worst_error": float(error.max()),
            **_covered(((x_hi - mean)[partial]) / std[partial]),
        }
    return report


def _covered(z: np.ndarray) -> dict[str, Any]:
    """Coverage and mean square of deviations; of none, nothing."""
    return {"coverage": coverage(z), "chi2": float((z**2).mean())} if z.size else {}
