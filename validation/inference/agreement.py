"""One posterior by all samplers, and by weighting draws of the prior, which is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logsumexp
from scipy.stats import qmc

import reionemu
from reionemu.inference.following import derived_parameters
from reionemu.inference.mock import mock_from_simulation
from reionemu.inference.problem import Problem
from reionemu.inference.sampling import Chains, EmceeOptions, NestedOptions, NutsOptions, sample

OPTIONS = {
    "emcee": EmceeOptions(target_ess=10_000),
    "nuts": NutsOptions(chains=8, max_chains=16),
    "nested": NestedOptions(target_ess=10_000),
}
ERROR = 0.1
PRIOR_POINTS = 2**18
_CHUNK = 2**12


def agreement(artifact: Path, row: int, seed: int = 0) -> dict[str, Any]:
    """Means and widths of parameters and tau, by sampler, and the evidence where it is known."""
    record = reionemu.load_artifact(artifact)
    data, truth = mock_from_simulation(record, row, relative_error=ERROR)
    problem = Problem(record.emulator(), data)
    found: dict[str, Any] = {"sim": truth.sim, "samplers": {}}
    for name, chains in {
        **{name: sample(problem, options, seed=seed) for name, options in OPTIONS.items()},
        "prior": from_prior(problem, PRIOR_POINTS, seed),
    }.items():
        tau = derived_parameters(problem.emulator, chains, seed).get("tau")
        columns = np.moveaxis(chains.samples, -1, 0).reshape(problem.n_dim, -1)
        names = problem.names
        if tau is not None:
            columns, names = np.vstack([columns, tau.ravel()]), (*names, "tau")
        mean, std = _moments(columns, chains.weights)
        found["samplers"][name] = {
            "mean": dict(zip(names, map(float, mean), strict=True)),
            "std": dict(zip(names, map(float, std), strict=True)),
            "ess": float(np.min(list(chains.diagnostics["ess"].values()))),
            "is_converged": chains.is_converged,
            **{
                key: chains.diagnostics[key]
                for key in ("seconds", "log_evidence", "log_evidence_error")
                if key in chains.diagnostics
            },
        }
    return found


def from_prior(problem: Problem, n: int, seed: int) -> Chains:
    """Points that fill the prior evenly (Sobol), weighted by the likelihood."""
    u = qmc.Sobol(problem.n_dim, seed=seed).random(n)
    x = problem.from_unit(u)
    log_like = np.concatenate(
        [problem.log_likelihood(x[i : i + _CHUNK]) for i in range(0, n, _CHUNK)]
    )
    evidence = float(logsumexp(log_like) - np.log(n))
    weights = np.exp(log_like - logsumexp(log_like))
    ess = float(1 / (weights**2).sum())
    return Chains(
        problem.names,
        x[None],
        log_like[None] + problem.log_prior(x)[None],
        weights[None],
        "nested",
        True,
        "weighted draws of the prior",
        {
            "ess": dict.fromkeys(problem.names, ess),
            "log_evidence": evidence,
            "log_evidence_error": float(1 / np.sqrt(ess)),
        },
    )


def _moments(columns: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of rows (k, N)."""
    w = None if weights is None else weights.ravel()
    mean = np.average(columns, axis=1, weights=w)
    return mean, np.sqrt(np.average((columns - mean[:, None]) ** 2, axis=1, weights=w))


def largest_differences(samplers: dict[str, Any]) -> dict[str, dict[str, float]]:
    """By parameter: how far means are apart, in sigma, and the largest ratio of widths less 1."""
    found = {}
    for name in next(iter(samplers.values()))["mean"]:
        means = [one["mean"][name] for one in samplers.values()]
        stds = [one["std"][name] for one in samplers.values()]
        found[name] = {
            "mean": float(np.ptp(means) / np.mean(stds)),
            "width": float(max(stds) / min(stds) - 1),
        }
    return found
