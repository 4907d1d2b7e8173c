"""Whether samples suffice: autocorrelation times, R-hat, and verdicts from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .density import Array

MIN_TIMES = 50.0
MAX_CHANGE = 0.05
MAX_R_HAT = 1.01
WINDOW = 5.0
BURN_IN_TIMES = 10.0
_GROUPS = 4


@dataclass(frozen=True)
class Demand:
    """One thing asked of samples.

    Attributes
    ----------
    asked : str
        Such as "R-hat below 1.01".
    found : str
        Such as "1.002 (alpha_zre)".
    is_met : bool
    """

    asked: str
    found: str
    is_met: bool


@dataclass(frozen=True, eq=False)
class EnsembleVerdict:
    """What walkers have come to.

    Attributes
    ----------
    demands : tuple of Demand
    burn_in : int
        Steps at the start that are of no use.
    times : ndarray (d,)
        Autocorrelation times [steps].
    ess, r_hat : ndarray (d,)
    acceptance : float
    n_stuck : int
        Walkers that never move, or never come up to the median density of all.
    """

    demands: tuple[Demand, ...]
    burn_in: int
    times: Array
    ess: Array
    r_hat: Array
    acceptance: float
    n_stuck: int

    @property
    def is_converged(self) -> bool:
        """Whether all demands are met."""
        return all(demand.is_met for demand in self.demands)


def judge_ensemble(
    chain: Array, log_prob: Array, names: Sequence[str], target_ess: int
) -> EnsembleVerdict:
    """Judge the steps of all walkers, from the first on.

    The first steps, ten autocorrelation times as found in the second half, but half of all at
    most, are burn-in. Of the rest are asked, for every parameter: a length of 50 autocorrelation
    times tau; `target_ess` effective samples, which are steps times walkers over tau; a tau that
    differs by less than 5% from that without the last eighth; a rank-normalized split R-hat, of
    the two halves of four groups of walkers, below 1.01; and that no walker is stuck.

    Parameters
    ----------
    chain : ndarray (steps, walkers, d)
    log_prob : ndarray (steps, walkers)
    names : sequence of str
    target_ess : int
    """
    half = len(chain) // 2
    burn_in = min(int(BURN_IN_TIMES * autocorrelation_times(chain[half:]).max()) + 1, half)
    kept, walkers = chain[burn_in:], chain.shape[1]
    times = autocorrelation_times(kept)
    change = np.abs(times / autocorrelation_times(kept[: max(1, 7 * len(kept) // 8)]) - 1)
    ess = walkers * len(kept) / times
    thinned = kept[:: max(1, int(times.min() / 2))]
    r_hat = np.array([split_r_hat(grouped(thinned[..., i])) for i in range(len(names))])
    moved = np.any(kept[1:] != kept[:-1], axis=2)
    density = log_prob[burn_in:]
    stuck = ~moved.any(axis=0) | (density.max(axis=0) < np.median(density))
    of = worst_of(names)
    demands = (
        of("at least 50 autocorrelation times", len(kept) / times, ".0f", MIN_TIMES, np.inf),
        of(f"at least {target_ess} effective samples", ess, ".0f", target_ess, np.inf),
        of("autocorrelation times that change by less than 5%", change, ".1%", 0, MAX_CHANGE),
        of("split R-hat below 1.01", r_hat, ".4f", 0, MAX_R_HAT),
        Demand("no stuck walkers", f"{stuck.sum()} of {walkers}", not stuck.any()),
    )
    acceptance = float(moved.mean()) if moved.size else 0.0
    return EnsembleVerdict(demands, burn_in, times, ess, r_hat, acceptance, int(stuck.sum()))


def worst_of(names: Sequence[str]) -> Callable[[str, Array, str, float, float], Demand]:
    """A function that makes a demand of the parameter that is farthest from meeting it."""

    def demand(asked: str, values: Array, form: str, low: float, high: float) -> Demand:
        worst = int(np.argmin(values) if high == np.inf else np.argmax(values))
        is_met = bool(low <= values[worst] < high)
        return Demand(asked, f"{format(values[worst], form)} ({names[worst]})", is_met)

    return demand


def sentence(demands: Sequence[Demand]) -> str:
    """What was asked and what was found, in one sentence."""
    asked = ", ".join(d.asked for d in demands)
    found = ", ".join(d.found for d in demands)
    failed = ", ".join(d.asked for d in demands if not d.is_met)
    verdict = f"not converged (failed: {failed})" if failed else "converged"
    return f"{verdict}: asked for {asked}; found {found}"


def by_name(names: Sequence[str], values: Array) -> dict[str, Any]:
    """Numbers of parameters for a record; None for those that are not finite."""
    return {
        name: float(value) if np.isfinite(value) else None
        for name, value in zip(names, values, strict=True)
    }


def autocorrelation_times(chain: Array) -> Array:
    """Integrated autocorrelation times of walkers [steps].

    tau = 1 + 2 sum rho(t), up to the first t of at least 5 tau(t) (Sokal 1997, in "Functional
    integration", doi 10.1007/978-1-4899-0319-8_6). Correlations are about the mean of all walkers:
    a walker that stays elsewhere lengthens them.

    Parameters
    ----------
    chain : ndarray (steps, walkers, d)

    Returns
    -------
    ndarray (d,)
        The number of steps, where a parameter never changes.
    """
    return np.array([_time(chain[..., i]) for i in range(chain.shape[2])])


def _time(x: Array) -> float:
    """The autocorrelation time of one parameter, (steps, walkers)."""
    from scipy.fft import irfft, next_fast_len, rfft

    n = len(x)
    size = next_fast_len(2 * n, real=True)
    mean = x.mean()
    power = np.zeros(size // 2 + 1)
    for walker in x.T:  # one by one: all at once takes gigabytes for long chains
        power += np.abs(rfft(walker - mean, size)) ** 2
    covariance = irfft(power, size)[:n]
    if not covariance[0] > 0:
        return float(n)
    times = 2 * np.cumsum(covariance / covariance[0]) - 1
    beyond = np.arange(n) >= WINDOW * times
    return max(float(times[np.argmax(beyond) if beyond.any() else -1]), 1 / n)


def grouped(x: Array) -> Array:
    """Halves in time of groups of walkers (8, ...), from one parameter (steps, walkers).

    One walker is too few samples for R-hat: its mean scatters by more than is asked.
    """
    half = len(x) // 2
    return np.stack(
        [
            part[:, : x.shape[1] // _GROUPS * _GROUPS][:, group::_GROUPS].ravel()
            for part in (x[:half], x[len(x) - half :])
            for group in range(_GROUPS)
        ]
    )


def split_r_hat(chains: Array) -> float:
    """R-hat of chains (m, n) that have been split; the larger of those of location and scale.

    Rank-normalized, Vehtari et al. 2021 (Bayesian Anal. 16, 667, doi 10.1214/20-BA1221), eqs. 1-4
    and 14. Infinite if there is nothing to compare.
    """
    if chains.shape[1] < 2:
        return np.inf
    folded = np.abs(chains - np.median(chains))
    return max(_r_hat(_rank_normalized(chains)), _r_hat(_rank_normalized(folded)))


def _rank_normalized(x: Array) -> Array:
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return ndtri((rankdata(x).reshape(x.shape) - 0.375) / (x.size + 0.25))


def _r_hat(z: Array) -> float:
    n = z.shape[1]
    within = z.var(axis=1, ddof=1).mean()
    between = z.mean(axis=1).var(ddof=1)
    return float(np.sqrt((n - 1) / n + between / within)) if within > 0 else np.inf
