"""Posterior densities that are known: in a box, or with a normal prior in some parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr, ndtri


@dataclass(eq=False)
class Known:
    """A density whose prior is uniform in a box, or normal with `sigma`, by parameter."""

    names: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    likelihood: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # and its gradient
    center: np.ndarray  # where to start from
    spread: np.ndarray
    sigma: np.ndarray | None = None  # nan: uniform
    fingerprint: str = "known"
    mean: np.ndarray | None = None  # of the samples, where a test asks for it
    covariance: np.ndarray | None = None

    def __post_init__(self):
        if self.sigma is None:
            self.sigma = np.full(self.n_dim, np.nan)
        self.is_uniform = np.isnan(self.sigma)

    @property
    def n_dim(self) -> int:
        return len(self.names)

    def log_prior(self, x):
        width = np.where(self.is_uniform, self.high - self.low, 1.0)
        scale = np.where(self.is_uniform, 1.0, self.sigma)
        normal = -0.5 * (x / scale) ** 2 - np.log(np.sqrt(2 * np.pi) * scale)
        inside = np.all((x >= self.low) & (x <= self.high), axis=-1)
        value = np.where(self.is_uniform, -np.log(width), normal).sum(axis=-1)
        return np.where(inside, value, -np.inf)

    def log_likelihood(self, x):
        return self.likelihood(x)[0]

    def log_likelihood_and_gradient(self, x):
        return self.likelihood(x)

    def log_prob(self, x):
        return self.log_prior(x) + self.log_likelihood(x)

    def from_unit(self, u):
        scale = np.where(self.is_uniform, 1.0, self.sigma)
        low, high = (np.where(self.is_uniform, edge, 0.0) for edge in (self.low, self.high))
        return np.where(self.is_uniform, low + u * (high - low), scale * ndtri(u))

    def to_unit(self, x):
        scale = np.where(self.is_uniform, 1.0, self.sigma)
        low = np.where(self.is_uniform, self.low, 0.0)
        width = np.where(self.is_uniform, self.high - self.low, 1.0)
        return np.where(self.is_uniform, (x - low) / width, ndtr(x / scale))

    def unit_slope(self, x):
        scale = np.where(self.is_uniform, 1.0, self.sigma)
        normal = np.sqrt(2 * np.pi) * scale * np.exp(0.5 * (x / scale) ** 2)
        width = np.where(self.is_uniform, self.high - self.low, 1.0)
        return np.where(self.is_uniform, width, normal)

    def start(self, n, seed):
        noise = np.random.default_rng(seed).standard_normal((n, self.n_dim))
        return np.clip(self.center + self.spread * noise, self.low + 1e-6, self.high - 1e-6)


def boxed(likelihood: Any, names: Sequence[str], low: Any, high: Any, **kwargs: Any) -> Known:
    low, high = (np.broadcast_to(edge, len(names)).astype(float) for edge in (low, high))
    kwargs.setdefault("center", (low + high) / 2)
    kwargs.setdefault("spread", np.ones(len(names)))
    return Known(tuple(names), low, high, likelihood, **kwargs)


MEAN = np.array([1.0, -0.5, 0.3])
COVARIANCE = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, -0.3], [0.0, -0.3, 0.5]])


def make_gaussian() -> Known:
    """A normalized Gaussian likelihood in a box so wide that its edges do not matter."""
    inverse = np.linalg.inv(COVARIANCE)
    norm = -0.5 * np.linalg.slogdet(2 * np.pi * COVARIANCE)[1]

    def likelihood(x):
        r = x - MEAN
        pulled = r @ inverse
        return norm - 0.5 * np.sum(r * pulled, axis=-1), -pulled

    known = boxed(likelihood, ("a", "b", "c"), -10, 10)
    known.mean, known.covariance = MEAN, COVARIANCE
    return known


@pytest.fixture
def gaussian() -> Known:
    return make_gaussian()


@pytest.fixture
def banana() -> Known:
    """y follows x^2 - 1; x is standard normal, its prior normal and the likelihood flat in it."""

    def likelihood(x):
        r = (x[..., 1] - x[..., 0] ** 2 + 1) / 0.5
        slope = np.stack([4 * x[..., 0] * r, -2 * r, -x[..., 2]], axis=-1)
        return -0.5 * r**2 - 0.5 * x[..., 2] ** 2, slope

    low, high = np.array([-np.inf, -3.5, -5.0]), np.array([np.inf, 12.0, 5.0])
    sigma = np.array([1.0, np.nan, np.nan])
    known = Known(("x", "y", "z"), low, high, likelihood, np.array([0, -1.0, 0]), np.ones(3), sigma)
    known.start = curve
    return known


def curve(n: int, seed: int) -> np.ndarray:
    """Samples of the banana itself."""
    noise = np.random.default_rng(seed).standard_normal((n, 3))
    return np.stack([noise[:, 0], noise[:, 0] ** 2 - 1 + 0.5 * noise[:, 1], noise[:, 2]], axis=1)


@pytest.fixture
def half_normal() -> Known:
    """A Gaussian whose peak is at an edge of the box, in both parameters."""
    return boxed(
        lambda x: (-0.5 * np.sum(x**2, axis=-1), -x),
        ("a", "b"),
        0,
        8,
        center=np.ones(2),
        spread=np.full(2, 0.5),
    )


@pytest.fixture
def two_modes() -> Known:
    """Two Gaussians, three quarters and one quarter of the mass, ten sigma apart."""

    def likelihood(x):
        away = np.stack([x - 5.0 / np.sqrt(2), x + 5.0 / np.sqrt(2)])
        logs = np.log([[0.75], [0.25]]) - 0.5 * np.sum(away**2, axis=-1).reshape(2, -1)
        total = np.logaddexp(*logs)
        slope = -np.sum(np.exp(logs - total)[..., None] * away.reshape(2, -1, 2), axis=0)
        return (total - np.log(2 * np.pi)).reshape(x.shape[:-1]), slope.reshape(x.shape)

    return boxed(likelihood, ("a", "b"), -12, 12)
