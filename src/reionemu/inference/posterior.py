"""What is known of the parameters, and of what follows from them, after the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .band_powers import BandPowers
from .sampling.chains import Chains

if TYPE_CHECKING:
    from pathlib import Path

EDGE_DENSITY = 0.2
"""A posterior whose density at the edge of the prior is this much of its maximum runs into it."""

N_EDGE_BINS = 20


@dataclass(frozen=True, eq=False)
class Bands:
    """Quantiles of a curve over the posterior, at each of k places.

    Attributes
    ----------
    x : ndarray, shape (k,)
        Multipoles, or redshifts.
    median, low68, high68, low95, high95 : ndarray, shape (k,)
        The median, and central intervals of 68% and 95% (quantiles 0.16, 0.84, 0.025, 0.975).
    """

    x: np.ndarray
    median: np.ndarray
    low68: np.ndarray
    high68: np.ndarray
    low95: np.ndarray
    high95: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, curves: np.ndarray) -> Bands:
        """Of curves, shape (n, k), that count alike."""
        levels = (0.5, 0.16, 0.84, 0.025, 0.975)
        return cls(np.asarray(x, float), *np.quantile(curves, levels, axis=0))


@dataclass(frozen=True, eq=False)
class Predictive:
    """What data the posterior expects, and how well those there are agree.

    Attributes
    ----------
    band_powers : Bands
        Of the model at the data's multipoles, late-time part included [uK^2].
    spectrum : Bands
        D_ell of reionization in the emulator's bins [uK^2].
    residuals : ndarray, shape (m,)
        Data less the model of the most probable sample, in standard deviations of both.
    chi2 : float
        Of that sample, with the full covariance; there are m data.
    p_value : float
        Probability of a larger chi^2, of data drawn from the posterior (Gelman, Meng & Stern 1996,
        Statistica Sinica 6, 733): the mean over samples of the survival function of their chi^2.
        Of the band powers alone: a constraint on tau is not among these data.
    """

    band_powers: Bands
    spectrum: Bands
    residuals: np.ndarray
    chi2: float
    p_value: float


@dataclass(frozen=True)
class ParameterSummary:
    """The marginal posterior of one parameter.

    Attributes
    ----------
    name : str
    mean, std, median : float
    low68, high68, low95, high95 : float
        Central intervals: quantiles 0.16, 0.84, 0.025, 0.975.
    at_edge : {"low", "high", "both"} or None
        At which edge of the prior the density is not small: the interval there is the prior's.
    """

    name: str
    mean: float
    std: float
    median: float
    low68: float
    high68: float
    low95: float
    high95: float
    at_edge: str | None


@dataclass(frozen=True, eq=False)
class Posterior:
    """Samples of the parameters, with what follows from them.

    Attributes
    ----------
    chains : Chains
        c chains of n samples of d parameters.
    data : BandPowers
    priors : dict of str
        By parameter, such as "uniform(7, 9)".
    low, high : ndarray, shape (d,)
        Limits of the priors; the latter may be infinite.
    derived : dict of ndarray, shape (c, n)
        tau, z50 and duration (redshift of x_HI = 3/4 less that of 1/4), each with the emulator's
        own error drawn for each sample; empty if the emulator knows no histories.
    history : Bands or None
        Mass-weighted neutral fraction over redshift.
    predictive : Predictive
    facts : dict
        JSON-able: sampler, seed, priors that were given, tau, late_time, emulator.
    """

    chains: Chains
    data: BandPowers
    priors: dict[str, str]
    low: np.ndarray
    high: np.ndarray
    derived: dict[str, np.ndarray]
    history: Bands | None
    predictive: Predictive
    facts: dict[str, Any]

    def __repr__(self) -> str:
        state = "converged" if self.chains.is_converged else "not converged"
        return (
            f"<Posterior of {', '.join(self.names)} given {self.data.name}: "
            f"{self.chains.log_prob.size} samples by {self.chains.sampler}, {state}>"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The d sampled parameters."""
        return self.chains.names

    @property
    def all_names(self) -> tuple[str, ...]:
        """Sampled and derived parameters."""
        return (*self.names, *self.derived)

    @property
    def samples_flat(self) -> np.ndarray:
        """Samples of all chains, shape (c n, d)."""
        return self.chains.samples.reshape(-1, len(self.names))

    @property
    def weights_flat(self) -> np.ndarray:
        """Their weights, which sum to 1, shape (c n,)."""
        if self.chains.weights is not None:
            return self.chains.weights.ravel()
        n = self.chains.log_prob.size
        return np.full(n, 1 / n)

    @property
    def best_fit(self) -> dict[str, float]:
        """The most probable of the samples."""
        best = self.samples_flat[int(np.argmax(self.chains.log_prob))]
        return dict(zip(self.names, map(float, best), strict=True))

    def column(self, name: str) -> np.ndarray:
        """Samples of a parameter, sampled or derived, shape (c, n)."""
        if name in self.derived:
            return self.derived[name]
        return self.chains.samples[..., self.names.index(name)]

    def summary(self) -> list[ParameterSummary]:
        """Each parameter's marginal, sampled ones first."""
        return [self._summary(name) for name in self.all_names]

    def _summary(self, name: str) -> ParameterSummary:
        from .latex import quantiles

        values, weights = self.column(name).ravel(), self.weights_flat
        mean = float(weights @ values)
        levels = quantiles(self, name, (0.5, 0.16, 0.84, 0.025, 0.975))
        median, low68, high68, low95, high95 = map(float, levels)
        edge = self._edge(name)
        std = self._std(name)
        return ParameterSummary(name, mean, std, median, low68, high68, low95, high95, edge)

    def _edge(self, name: str) -> str | None:
        if name in self.derived:
            return None
        i = self.names.index(name)
        x, weights, std = self.column(name).ravel(), self.weights_flat, self._std(name)
        width = min((self.high[i] - self.low[i]) / N_EDGE_BINS, std / 4)
        if width == 0:
            return None
        bins = np.arange(x.min(), x.max() + 2 * width, width)
        top = np.histogram(x, bins, weights=weights)[0].max()
        at_low, at_high = (
            bool(np.isfinite(edge) and weights[abs(x - edge) < width].sum() > EDGE_DENSITY * top)
            for edge in (self.low[i], self.high[i])
        )
        if at_low and at_high:
            return "both"
        return "low" if at_low else "high" if at_high else None

    def _std(self, name: str) -> float:
        values, weights = self.column(name).ravel(), self.weights_flat
        return float(np.sqrt(weights @ (values - weights @ values) ** 2))

    def to_arviz(self) -> Any:
        """As ArviZ InferenceData: see `exports.to_arviz`."""
        from .exports import to_arviz

        return to_arviz(self)

    def to_getdist(self) -> Any:
        """As GetDist MCSamples: see `exports.to_getdist`."""
        from .exports import to_getdist

        return to_getdist(self)

    def latex_table(self) -> str:
        """A table for a paper: see `latex.latex_table`."""
        from .latex import latex_table

        return latex_table(self)

    def save(self, name: str, root: str | Path, *, artifact: Any) -> Path:
        """Save as an artifact: see `records.save_posterior`."""
        from .records import save_posterior

        return save_posterior(self, name, root, artifact=artifact)
