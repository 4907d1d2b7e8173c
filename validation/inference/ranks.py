"""Whether truths lie in posteriors as if drawn from them."""

from __future__ import annotations

import numpy as np

INTERVALS = {"68%": (0.16, 0.84), "95%": (0.025, 0.975)}
"""Central intervals, as `reionemu.inference` gives them: between these quantiles."""


def quantile_of(
    truth: float, samples: np.ndarray, weights: np.ndarray, rng: np.random.Generator
) -> float:
    """The weight of the samples, shape (n,), below the truth; of equal ones, a random part."""
    below, equal = weights[samples < truth].sum(), weights[samples == truth].sum()
    return float((below + rng.random() * equal) / weights.sum())


def rank_of(truth: float, samples: np.ndarray, n: int) -> int:
    """How many of n samples, evenly spaced in those given, are below the truth: 0 to n."""
    rows = np.linspace(0, len(samples) - 1, n).astype(int)
    return int((samples[rows] < truth).sum())


def uniformity(ranks: np.ndarray, n: int, n_bins: int) -> float:
    """Probability of a larger chi^2 of the histogram of ranks from 0 to n, were they uniform.

    Talts et al. 2018, arXiv:1804.06788, section 4. n + 1 must be a multiple of `n_bins`.
    """
    from scipy.stats import chisquare

    if (n + 1) % n_bins:
        raise ValueError(f"{n + 1} ranks do not go into {n_bins} bins alike")
    counts, _ = np.histogram(ranks, bins=n_bins, range=(-0.5, n + 0.5))
    return float(chisquare(counts).pvalue)


def coverage(quantiles: np.ndarray) -> dict[str, float]:
    """What fraction of the truths is in each interval, given their quantiles."""
    inside = {key: (quantiles > low) & (quantiles < high) for key, (low, high) in INTERVALS.items()}
    return {key: float(value.mean()) for key, value in inside.items()}


def expected(n: int) -> dict[str, tuple[float, float]]:
    """That fraction of n truths and its standard deviation, if posteriors are right."""
    levels = {key: high - low for key, (low, high) in INTERVALS.items()}
    return {key: (p, float(np.sqrt(p * (1 - p) / n))) for key, p in levels.items()}
