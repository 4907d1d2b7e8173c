"""Where chains start: points spread about as the posterior is, found without any chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit, logsumexp

from ..errors import ConfigError

if TYPE_CHECKING:
    from .problem import Problem

N_POOL, N_ROUNDS = 2048, 30
STEP = 0.6
"""Width of the new points around chosen ones, in units of theirs: wider loses, narrower lags."""


def spread_points(problem: Problem, n: int, seed: int) -> np.ndarray:
    """Points (n, d) of a pool drawn from the prior, then moved towards the posterior.

    In each round points are chosen with probabilities L^b, b such that about 4 n of the pool would
    do (b = 1 is the posterior), and the next pool is scattered around them: population Monte Carlo
    without its weights, which a chain's burn-in makes up for. In quantiles of the prior, as logits.

    Parameters
    ----------
    problem : Problem
    n : int
    seed : int

    Raises
    ------
    ConfigError
        If the data exclude all that the prior allows, as far as numbers go.
    """
    rng = np.random.default_rng([seed, 0x5747])
    size = max(N_POOL, 16 * n)
    v = logit(np.clip(rng.random((size, problem.n_dim)), 1e-9, 1 - 1e-9))
    for _ in range(N_ROUNDS):
        u = expit(v)
        x = problem.from_unit(u)
        log_like = np.where(np.isfinite(ll := problem.log_likelihood(x)), ll, -np.inf)
        if not (log_like > -np.inf).any():
            raise ConfigError(
                "the likelihood is zero wherever the prior allows: the data exclude all of it"
            )
        power = _tempered(log_like, min(max(4 * n, 256), size // 4))
        # Of the largest with Gumbel noise, each is drawn once (without replacement).
        score = power * log_like + rng.gumbel(size=len(log_like))
        order = np.argsort(-score)
        if power == 1.0:
            break
        chosen = order[: max(4 * n, 64)]
        spread = np.cov(v[chosen].T).reshape(problem.n_dim, problem.n_dim)
        lower = np.linalg.cholesky(spread + 1e-9 * np.eye(problem.n_dim))
        centres = v[chosen[rng.integers(len(chosen), size=size)]]
        offsets = STEP * rng.standard_normal(centres.shape) @ lower.T
        v = np.clip(centres + offsets, -15, 15)
    return x[order[:n]]


def _tempered(log_like: np.ndarray, target: int) -> float:
    """The largest power, up to 1, of the likelihood that leaves `target` effective points."""

    def excess(power: float) -> float:
        w = power * log_like
        w = w - w.max()
        return float(2 * logsumexp(w) - logsumexp(2 * w) - np.log(target))

    if excess(1.0) >= 0:
        return 1.0
    return float(brentq(excess, 0.0, 1.0, xtol=1e-12)) if excess(0.0) > 0 else 0.0
