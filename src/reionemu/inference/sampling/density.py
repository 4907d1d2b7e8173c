"""What samplers need to know of a posterior density, and what they do not put up with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ConfigError

Array = NDArray[np.float64]

Progress = Callable[[str, int, int], None]
"""Called with (what is going on, how much of it is done, how much there is in all)."""


class Density(Protocol):
    """A posterior density of d parameters, such as `reionemu.inference.Problem`."""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters."""

    @property
    def n_dim(self) -> int:
        """How many there are."""

    @property
    def fingerprint(self) -> str:
        """What tells this density from others."""

    def log_prob(self, x: Array) -> Array:
        """ln(prior times likelihood) (n,) at points (n, d); -inf outside the support."""

    def log_likelihood(self, x: Array) -> Array:
        """The same without the prior."""

    def log_likelihood_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """ln likelihood (n,) and its derivatives (n, d)."""

    def from_unit(self, u: Array) -> Array:
        """Points (n, d) from quantiles of the prior."""

    def to_unit(self, x: Array) -> Array:
        """Quantiles of the prior (n, d) of points."""

    def unit_slope(self, x: Array) -> Array:
        """Derivatives (n, d) of parameters by their quantiles."""

    def start(self, n: int, seed: int) -> Array:
        """Distinct points (n, d) of finite density, spread like the posterior."""


def at(names: tuple[str, ...], x: ArrayLike) -> str:
    """A point as text, such as "zmean_zre=8, alpha_zre=0.4"."""
    values = np.ravel(x)
    return ", ".join(f"{name}={value:.6g}" for name, value in zip(names, values, strict=True))


def watched(
    density: Density, function: Callable[[Array], NDArray[np.float64]]
) -> Callable[[Array], Array]:
    """A log density that raises where it is neither finite nor -inf, instead of misleading.

    Raises
    ------
    ConfigError
        By the returned function: naming the point.
    """

    def value_of(x: Array) -> Array:
        value = np.asarray(function(x))
        good = value < np.inf
        if not good.all():
            worst = int(np.argmin(good))
            raise ConfigError(
                f"the posterior density is {value[worst]} (its logarithm) at "
                f"{at(density.names, x[worst])}; it must be finite, or -inf where the parameters "
                "are impossible. Look at the data, the prior and the emulator there"
            )
        return value

    return value_of


def starting_points(density: Density, n: int, seed: int) -> tuple[Array, Array]:
    """Points (n, d) to start from and their log density (n,).

    Raises
    ------
    ConfigError
        If the density is not finite at one of them, or they do not differ in some parameter.
    """
    points = np.array(density.start(n, seed), dtype=float)
    log_prob = watched(density, density.log_prob)(points)
    if not np.isfinite(log_prob).all():
        worst = int(np.argmin(log_prob))
        raise ConfigError(
            f"the posterior density vanishes at a point to start from, "
            f"{at(density.names, points[worst])} ({np.sum(~np.isfinite(log_prob))} of {n}); the "
            f"data may exclude every value of {', '.join(density.names)} that the prior allows"
        )
    for name, column in zip(density.names, points.T, strict=True):
        if n > 1 and np.ptp(column) == 0:
            raise ConfigError(
                f"all {n} points to start from have {name}={column[0]:.6g}; the prior of {name} "
                "may be too narrow"
            )
    return points, log_prob
