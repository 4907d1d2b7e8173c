"""Posteriors of data whose truth is known, many of them, on some processes."""

from __future__ import annotations

import functools
import multiprocessing
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ranks import quantile_of, rank_of

import reionemu
from reionemu.artifact import Artifact
from reionemu.errors import ReionemuWarning
from reionemu.inference.band_powers import BandPowers
from reionemu.inference.following import derived_parameters, histories
from reionemu.inference.mock import Truth, mock_from_simulation, mock_from_spectrum
from reionemu.inference.problem import Problem
from reionemu.inference.sampling import Chains, EmceeOptions, sample
from reionemu.models.emulator import Emulator
from reionemu.threads import one_thread

N_RANKS = 99
WALKERS = 96
"""Of many, each of 99 samples is of another one, or nearly."""

Z = np.array([7.0, 8.0, 9.0])
_N_CURVES = 4000
_OVER = 1e-3
"""Neutral or ionized fractions below are taken as zero: once reionization is over, simulations have
exactly that, emulators 1e-5, and no interval holds the edge of what is possible."""


@dataclass(frozen=True)
class Task:
    """One posterior.

    Attributes
    ----------
    number : int
        Its place among the others, and the seed of all that is random about it.
    artifact : Path
        Of the emulator that infers.
    error : float
        Of the data, relative.
    steps : int
        Of each of 96 walkers.
    observed : Path, optional
        Artifact whose suite has the simulation that is observed; None: data are drawn from the
        prior and the emulator itself.
    row : int
        Of that simulation.
    """

    number: int
    artifact: Path
    error: float
    steps: int
    observed: Path | None = None
    row: int = 0


def run(tasks: list[Task], processes: int) -> list[dict[str, Any]]:
    """The verdicts, in the order of tasks."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return pool.map(verdict, tasks, chunksize=5)


@one_thread()
def verdict(task: Task) -> dict[str, Any]:
    """Where the truth lies in the posterior, by name: quantiles.

    Of drawn data, also ranks among 99 samples. Of simulations, `without` has the quantiles in the
    posterior without the emulator's covariance, to which the same samples are reweighted.
    """
    _, emulator = _loaded(task.artifact)
    if task.observed is None:
        data, truth = drawn(emulator, task.error, task.number)
    else:
        data, known = mock_from_simulation(
            _loaded(task.observed)[0], task.row, relative_error=task.error, seed=task.number
        )
        truth = _truths(known)
    problem = Problem(emulator, data)
    options = EmceeOptions(walkers=WALKERS, steps=task.steps)
    with warnings.catch_warnings():
        # So many steps are not always what convergence asks for; ranks tell whether they suffice.
        warnings.filterwarnings("ignore", "the samples are", ReionemuWarning)
        chains = sample(problem, options, seed=task.number)
    columns = _columns(emulator, chains, task.number, with_history=task.observed is not None)
    found = {
        "quantiles": _quantiles(truth, columns, np.ones(chains.log_prob.size), task.number),
        "ess": min(chains.diagnostics["ess"].values()),
    }
    if task.observed is None:
        ranks = {name: rank_of(truth[name], values, N_RANKS) for name, values in columns.items()}
        return {**found, "ranks": ranks}
    bare = _reweighted(emulator, data, chains)
    return {
        **found,
        "without": _quantiles(truth, columns, bare, task.number),
        "kept": float(bare.sum() ** 2 / (bare**2).sum() / len(bare)),
    }


def drawn(emulator: Emulator, error: float, seed: int) -> tuple[BandPowers, dict[str, float]]:
    """Data of a point of the prior, with the emulator's errors, and what they are of.

    The covariance is known to who infers, and so must not tell of the truth: it is in proportion
    to the spectrum in the middle of the box.
    """
    rng = np.random.default_rng([seed, 7])
    box = emulator.box
    assert box is not None
    theta = rng.uniform(box.low, box.high)
    data = mock_from_spectrum(
        emulator.ell,
        emulator.predict(np.mean([box.low, box.high], axis=0)).mean,
        error,
        realization="emulator",
    )
    problem = Problem(emulator, data)
    mean, covariance = problem.model(theta[None])[0], problem.covariance(theta[None])[0]
    dl = rng.multivariate_normal(mean, covariance)
    data = BandPowers("drawn", data.ell, dl, data.covariance, realization="emulator")
    truth = dict(zip(emulator.parameter_names, map(float, theta), strict=True))
    if emulator.history is not None:
        tau, std = emulator.history.tau(theta[None])
        truth["tau"] = float(rng.normal(tau[0], std[0]))
    return data, truth


@functools.cache
def _loaded(path: Path) -> tuple[Artifact, Emulator]:
    artifact = reionemu.load_artifact(path)
    return artifact, artifact.emulator()


def _truths(truth: Truth) -> dict[str, float]:
    assert truth.tau is not None
    assert truth.z is not None
    assert truth.x_hi is not None
    x_hi = _settled(np.interp(Z, truth.z, truth.x_hi))
    return {**truth.theta, "tau": truth.tau, **dict(zip(_z_names(), map(float, x_hi), strict=True))}


def _z_names() -> list[str]:
    return [f"x_HI({z:g})" for z in Z]


def _columns(
    emulator: Emulator, chains: Chains, seed: int, *, with_history: bool
) -> dict[str, np.ndarray]:
    """Samples by name; of neutral fractions, evenly spaced fewer."""
    flat = chains.samples.reshape(-1, len(chains.names))
    columns = dict(zip(chains.names, flat.T, strict=True))
    if emulator.history is not None:
        columns["tau"] = derived_parameters(emulator, chains, seed)["tau"].ravel()
        if with_history:
            rows = _fewer(len(flat))
            x_hi = _settled(histories(emulator.history, flat[rows], Z, seed))
            columns.update(zip(_z_names(), x_hi.T, strict=True))
    return columns


def _settled(x_hi: np.ndarray) -> np.ndarray:
    """Neutral fractions, of which those that are over, or have not begun, are exactly so."""
    return np.where(x_hi < _OVER, 0.0, np.where(x_hi > 1 - _OVER, 1.0, x_hi))


def _fewer(n: int) -> np.ndarray:
    return np.linspace(0, n - 1, min(n, _N_CURVES)).astype(int)


def _reweighted(emulator: Emulator, data: BandPowers, chains: Chains) -> np.ndarray:
    """Weights that make samples, (N,), those of the posterior without the emulator's errors."""
    bare = Problem(emulator, data, emulator_error=False)
    flat = chains.samples.reshape(-1, len(chains.names))
    change = bare.log_prob(flat) - chains.log_prob.ravel()
    return np.asarray(np.exp(change - change.max()))


def _quantiles(
    truth: dict[str, float], columns: dict[str, np.ndarray], weights: np.ndarray, seed: int
) -> dict[str, float]:
    rng = np.random.default_rng([seed, 8])
    found = {}
    for name, samples in columns.items():
        own = weights if len(samples) == len(weights) else weights[_fewer(len(weights))]
        found[name] = quantile_of(truth[name], samples, own, rng)
    return found
