"""A posterior made with NumPy: Gaussian but for two parameters that run into the edges of a box."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

NAMES = ("zmean_zre", "alpha_zre", "kb_zre", "b0_zre")
LOW, HIGH = np.array([7.0, 0.1, 0.1, 0.1]), np.array([9.0, 0.9, 2.0, 0.8])
MEAN, STD = np.array([7.9, 0.5, 0.1, 0.8]), np.array([0.2, 0.1, 0.4, 0.15])
ELL = np.array([2033.5, 4093.4, 6153.3, 8213.3, 10273.2])
EDGES = {"kb_zre": "low", "b0_zre": "high"}
LEVELS = (0.025, 0.16, 0.5, 0.84, 0.975)


def bands(x: np.ndarray, draws: np.ndarray) -> SimpleNamespace:
    """Quantiles of draws (n, k) at x (k,)."""
    low95, low68, median, high68, high95 = np.quantile(draws, LEVELS, axis=0)
    return SimpleNamespace(
        x=x, median=median, low68=low68, high68=high68, low95=low95, high95=high95
    )


class StandIn:
    """What figures read of a posterior."""

    def __init__(self, *, is_total: bool, has_history: bool, tau: Any, seed: int) -> None:
        rng = np.random.default_rng(seed)
        x = MEAN + STD * rng.standard_normal((60_000, 4))
        x = x[((x > LOW) & (x < HIGH)).all(axis=1)][:8000]
        patchy = 2 * x[:, 3:] * (ELL / 3000) ** -x[:, 1:2]
        self.names, self.low, self.high = NAMES, LOW, HIGH
        self.priors = {
            name: f"uniform({low:g}, {high:g})"
            for name, low, high in zip(NAMES, LOW, HIGH, strict=True)
        }
        model = patchy
        if is_total:
            x = np.column_stack([x, rng.normal(2.4, 0.5, len(x))])
            self.names = (*NAMES, "late_time_dl3000")
            self.low, self.high = np.append(LOW, 0.0), np.append(HIGH, np.inf)
            model = patchy + x[:, 4:] * (ELL / 3000) ** 0.3
        shape = (8, 1000)
        z50, tau_of = x[:, 0] - 0.1, 0.055 + 0.008 * (x[:, 0] - 7.5)
        self.derived, self.history = {}, None
        if has_history:
            duration = 1 + x[:, 3]
            derived = {"tau": tau_of, "z50": z50, "duration": duration}
            self.derived = {name: values.reshape(shape) for name, values in derived.items()}
            z = np.linspace(5, 12, 29)
            slope = 2 * np.log(3) / duration[:, None]
            self.history = bands(z, 1 / (1 + np.exp(-(z - z50[:, None]) * slope)))
        self.chains = SimpleNamespace(
            samples=x.reshape(*shape, -1),
            log_prob=-0.5 * (((x[:, :4] - MEAN) / STD) ** 2).sum(axis=1).reshape(shape),
            weights=None,
            sampler="emcee",
            is_converged=True,
            criterion="more than 50 autocorrelation times: 80",
        )
        self.all_names = (*self.names, *self.derived)
        self.weights_flat = np.full(len(x), 1 / len(x))
        dl = np.median(model, axis=0) * (1 + 0.1 * np.array([1.2, -0.6, 0.3, -0.8, 0.5]))
        self.data = SimpleNamespace(name="mock of sim7", ell=ELL, dl=dl, std=0.1 * dl, n=len(ELL))
        self.predictive = SimpleNamespace(
            band_powers=bands(ELL, model), spectrum=bands(ELL, patchy), chi2=4.24, p_value=0.53
        )
        self.facts = {"tau": tau}

    def column(self, name: str) -> np.ndarray:
        if name in self.derived:
            return self.derived[name]
        return self.chains.samples[..., self.names.index(name)]

    def summary(self) -> list[SimpleNamespace]:
        return [self._summary(name) for name in self.all_names]

    def _summary(self, name: str) -> SimpleNamespace:
        values = self.column(name)
        low95, low68, median, high68, high95 = np.quantile(values, LEVELS)
        return SimpleNamespace(
            name=name, mean=values.mean(), std=values.std(), median=median, at_edge=EDGES.get(name),
            low68=low68, high68=high68, low95=low95, high95=high95,
        )  # fmt: skip


@pytest.fixture(scope="session")
def make_posterior() -> Callable[..., Any]:
    def make(
        *, is_total: bool = False, has_history: bool = True, tau: Any = None, seed: int = 0
    ) -> StandIn:
        return StandIn(is_total=is_total, has_history=has_history, tau=tau, seed=seed)

    return make


@pytest.fixture(scope="session")
def posterior(make_posterior: Callable[..., Any]) -> Any:
    return make_posterior()
