"""A trained Gaussian process: predictions in NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...errors import RecordError
from ..inputs import Inputs
from ..moments import Differentiated
from ..recorded import HUGE, LARGE, STEEP, numbers
from .kernel import Hyperparameters, Scaled

CHUNK = 64
"""Points at a time: their covariances with the training points should stay in the cache."""


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """A posterior over functions from parameters to b outputs that share one kernel.

    The mean of output j at x is mean_j + k(x)^T weights_j, its variance scale_j^2 times the
    kernel's, k(x, x) - |projection^T k(x)|^2: the projection holds the directions of the inverse
    covariance matrix that matter, so that leaving out others errs towards a larger variance.

    Attributes
    ----------
    inputs : Inputs
    hyper : Hyperparameters
    points : ndarray, shape (n, p)
        Coordinates of the training points.
    mean : ndarray, shape (b,)
    weights : ndarray, shape (n, b)
    projection : ndarray, shape (n, r)
    scale : ndarray, shape (b,)
        Standard deviation of each output in units of the smooth part of the kernel.
    """

    inputs: Inputs
    hyper: Hyperparameters
    points: np.ndarray
    mean: np.ndarray
    weights: np.ndarray
    projection: np.ndarray
    scale: np.ndarray

    @property
    def n_outputs(self) -> int:
        """b."""
        return len(self.mean)

    def predict(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, its standard deviation, and that of the noise, shape (n, b) each.

        Parameters
        ----------
        theta : ndarray, shape (n, p)
        """
        x = self.inputs(theta)
        mean, variance = np.empty((len(x), self.n_outputs)), np.empty(len(x))
        for i in range(0, len(x), CHUNK):
            part = slice(i, i + CHUNK)
            mean[part], _, variance[part] = self._moments(self._scaled.covariance(x[part]))
        noise = np.sqrt(self.hyper.noise_variance(x))
        return mean, np.sqrt(variance)[:, None] * self.scale, noise[:, None] * self.scale

    def with_gradients(self, theta: np.ndarray) -> Differentiated:
        """The same, with derivatives by the parameters: see `Surrogate.with_gradients`."""
        x = self.inputs(theta)
        (n, p), b = x.shape, self.n_outputs
        mean, variance = np.empty((n, b)), np.empty(n)
        by_x = np.empty((n, b + 2, p))  # of the mean of each output, the variance, and ln(noise)
        by_x[:, -1] = self.hyper.noise_slope
        for i in range(0, n, CHUNK):
            part = slice(i, i + CHUNK)
            mean[part], variance[part], by_x[part, :-1] = self._slopes(x[part])
        by_theta = by_x @ self.inputs.jacobian(theta)
        std, noise = np.sqrt(variance), np.sqrt(self.hyper.noise_variance(x))
        # Where rounding has left no variance there is no slope either.
        by_theta[:, -2] *= np.divide(0.5, std, out=np.zeros(n), where=std > 0)[:, None]
        by_theta[:, -1] *= noise[:, None]
        std_slope, noise_slope = (by_theta[:, i, None] * self.scale[:, None] for i in (-2, -1))
        std, noise = std[:, None] * self.scale, noise[:, None] * self.scale
        return Differentiated(mean, std, noise, by_theta[:, :-2], std_slope, noise_slope)

    def _moments(self, k: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, projection^T k, and variance, of points with covariances k, shape (n, m)."""
        b = self.n_outputs
        products = k @ self._columns
        explained = products[:, b:]
        variance = self.hyper.prior_variance - np.vecdot(explained, explained)
        return self.mean + products[:, :b], explained, np.maximum(variance, 0.0)

    def _slopes(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, shape (n, b), variance, (n,), and both by coordinates, (n, b + 1, p)."""
        (n, p), b = x.shape, self.n_outputs
        smooth, rough, slope_of_rough = self._scaled.parts(x)
        mean, explained, variance = self._moments(smooth + rough)
        # Of the variance this is what the weights are of the mean, times -1/2, but at each point.
        by_k = explained @ self.projection.T
        sums, slopes = np.empty((n, b + 1, p + 1)), np.zeros((n, b + 1, p))
        for part, length in ((smooth, self.hyper.smooth), (slope_of_rough, self.hyper.rough)):
            sums[:, :b] = (part @ self._weighted).reshape(n, b, p + 1)
            part *= by_k
            sums[:, b] = -2 * (part @ self._one_and_points)
            slopes += (sums[..., 1:] - x[:, None, :] * sums[..., :1]) / length**2
        return mean, variance, slopes

    @cached_property
    def _scaled(self) -> Scaled:
        return Scaled.by(self.hyper, self.points)

    @cached_property
    def _columns(self) -> np.ndarray:
        """Weights and projection, shape (n, b + r), in the order in which products are fastest."""
        return np.asfortranarray(np.concatenate([self.weights, self.projection], axis=1))

    @cached_property
    def _one_and_points(self) -> np.ndarray:
        """1 and the points, shape (n, p + 1)."""
        return np.concatenate([np.ones((len(self.points), 1)), self.points], axis=1)

    @cached_property
    def _weighted(self) -> np.ndarray:
        """The same times the weights of each output, shape (n, b (p + 1))."""
        products = self.weights[:, :, None] * self._one_and_points[:, None, :]
        return products.reshape(len(products), -1)

    def options(self) -> dict[str, Any]:
        """What is recorded beside the arrays."""
        return {"inputs": self.inputs.to_mapping(), "hyperparameters": self.hyper.to_mapping()}

    def arrays(self) -> dict[str, np.ndarray]:
        """What is recorded as arrays."""
        names = ("points", "mean", "weights", "projection", "scale")
        return {name: np.asarray(getattr(self, name), np.float64) for name in names}

    @classmethod
    def from_record(
        cls, options: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> GaussianProcess:
        """The inverse of `options` and `arrays`.

        Raises
        ------
        RecordError
            If they are not those of a Gaussian process.
        """
        inputs = Inputs.from_mapping(options.get("inputs") or {})
        try:
            hyper = _hyperparameters(options["hyperparameters"], inputs.dimension)
            n, r = np.shape(arrays["projection"])
            p, b = inputs.dimension, len(arrays["mean"])
            return cls(
                inputs,
                hyper,
                points=numbers("points", arrays["points"], (n, p), high=LARGE),
                mean=numbers("mean", arrays["mean"], (b,)),
                weights=numbers("weights", arrays["weights"], (n, b)),
                projection=numbers("projection", arrays["projection"], (n, r), high=LARGE),
                scale=numbers("scale", arrays["scale"], (b,), low=1 / HUGE),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RecordError(f"the recorded Gaussian process is not usable: {error}") from None


def _hyperparameters(values: Mapping[str, Any], p: int) -> Hyperparameters:
    smooth, rough = (
        numbers(key, values[key], (p,), low=1 / LARGE, high=LARGE) for key in ("smooth", "rough")
    )
    amplitude, noise = (
        float(numbers(key, values[key], (), low=0, high=LARGE)) for key in ("amplitude", "noise")
    )
    slope = numbers("noise_slope", values["noise_slope"], (p,), high=STEEP)
    return Hyperparameters(smooth, rough, amplitude, noise, slope)
