"""What follows from samples: optical depths, histories, spectra, and how well the data fit."""

from __future__ import annotations

import numpy as np

from ..models.emulator import DEFAULT_Z, Emulator
from ..models.history import HistoryModel
from .expectation import N_DRAWS
from .exports import equal_rows
from .posterior import Bands, Predictive
from .problem import Problem
from .sampling.chains import Chains

N_CURVES = 4000
"""Samples that bands are quantiles of: their edges are known to 2% of their width."""

CHUNK = 2048


def derived_parameters(emulator: Emulator, chains: Chains, seed: int) -> dict[str, np.ndarray]:
    """Samples of tau, z50 and duration, shape (c, n) each; none without a model of histories.

    The emulator's own errors are drawn for each sample, those of the three independently.
    """
    history = emulator.history
    if history is None:
        return {}
    shape = chains.log_prob.shape
    theta = chains.samples.reshape(-1, chains.samples.shape[-1])[:, : len(history.inputs.names)]
    rng = np.random.default_rng([seed, 1])
    found = {}
    for name in ("tau", "z50", "duration"):
        parts = [getattr(history, name)(theta[i : i + CHUNK]) for i in range(0, len(theta), CHUNK)]
        mean, std = (np.concatenate(part) for part in zip(*parts, strict=True))
        found[name] = (mean + std * rng.standard_normal(len(mean))).reshape(shape)
    return found


def history_bands(emulator: Emulator, chains: Chains, seed: int) -> Bands | None:
    """The neutral fraction from z = 5 to 20, with the emulator's errors; None if it has none."""
    if emulator.history is None:
        return None
    p = len(emulator.parameter_names)
    x_hi = histories(emulator.history, _even_rows(chains)[:, :p], DEFAULT_Z, seed)
    return Bands.of(DEFAULT_Z, x_hi)


def histories(model: HistoryModel, theta: np.ndarray, z: np.ndarray, seed: int) -> np.ndarray:
    """Neutral fractions at points, shape (n, k), with an error drawn for each."""
    lower = np.linalg.cholesky(model.spread.correlation)
    normals = np.random.default_rng([seed, 2]).standard_normal((1, len(theta), len(lower)))
    return np.asarray(model.draw(theta, z, normals @ lower.T)[0][0])


def predictive(problem: Problem, chains: Chains) -> Predictive:
    """Spectra that the posterior expects, and the goodness of fit."""
    rows = _even_rows(chains)
    model, covariance = problem.moments(rows)
    chi2 = _chi2(problem.data.dl - model, covariance)
    p = len(problem.emulator.parameter_names)
    spectra = problem.emulator.spectrum.moments(rows[:, :p], N_DRAWS, 0).mean
    if problem.emulator.target.source == "cl_ksz":
        ell = problem.emulator.ell
        spectra = spectra * ell * (ell + 1) / (2 * np.pi)
    best = chains.samples.reshape(-1, len(chains.names))[[int(np.argmax(chains.log_prob))]]
    expected, spread = problem.moments(best)
    residual = problem.data.dl - expected
    return Predictive(
        band_powers=Bands.of(problem.data.ell, model),
        spectrum=Bands.of(problem.emulator.ell, spectra),
        residuals=residual[0] / np.sqrt(np.diag(spread[0])),
        chi2=float(_chi2(residual, spread)[0]),
        p_value=_exceeded(chi2, problem.data.n),
    )


def _exceeded(chi2: np.ndarray, n: int) -> float:
    from scipy.stats import chi2 as distribution

    return float(distribution.sf(chi2, n).mean())


def _chi2(residual: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    weighted = np.linalg.solve(covariance, residual[:, :, None])[:, :, 0]
    return np.einsum("ni,ni->n", residual, weighted)


def _even_rows(chains: Chains) -> np.ndarray:
    """About `N_CURVES` samples (n, d) that count alike, the same each time."""
    flat = chains.samples.reshape(-1, len(chains.names))
    if chains.weights is None:
        return flat[:: max(1, len(flat) // N_CURVES)]
    rows = equal_rows(chains.weights.ravel(), 0)
    return flat[rows[:N_CURVES]]
