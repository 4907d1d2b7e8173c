"""A trained Gaussian process: predictions in NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...errors import RecordError
from ..inputs import Inputs
from ..recorded import HUGE, LARGE, STEEP, numbers
from .kernel import Hyperparameters, Scaled

CHUNK = 256
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
        if 0 < len(x) <= CHUNK:
            mean, variance = self._moments(x)
            return self._in_units(x, mean, variance)
        parts = [self._moments(x[i : i + CHUNK]) for i in range(0, max(len(x), 1), CHUNK)]
        mean, variance = (np.concatenate(part) for part in zip(*parts, strict=True))
        return self._in_units(x, mean, variance)

    def _in_units(
        self, x: np.ndarray, mean: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        noise = np.sqrt(self.hyper.noise_variance(x))
        return mean, np.sqrt(variance)[:, None] * self.scale, noise[:, None] * self.scale

    def _moments(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        k = self._scaled.covariance(x)
        explained = k @ self.projection
        variance = self.hyper.prior_variance - np.einsum("ij,ij->i", explained, explained)
        return self.mean + k @ self.weights, np.maximum(variance, 0.0)

    @cached_property
    def _scaled(self) -> Scaled:
        return Scaled.by(self.hyper, self.points)

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """Derivatives of the mean with respect to the parameters, shape (n, b, p)."""
        x = self.inputs(theta)
        by_x = np.empty((len(x), self.n_outputs, x.shape[1]))
        for i in range(0, len(x), CHUNK // 2):
            slope = self.hyper.covariance_gradient(x[i : i + CHUNK // 2], self.points)
            by_x[i : i + CHUNK // 2] = np.einsum("nmp,mb->nbp", slope, self.weights)
        return by_x @ self.inputs.jacobian(theta)

    def noise_gradient(self, theta: np.ndarray) -> np.ndarray:
        """Derivatives of the standard deviation of the noise, shape (n, b, p)."""
        noise = np.sqrt(self.hyper.noise_variance(self.inputs(theta)))[:, None] * self.scale
        ln_slope = np.einsum("k,nkp->np", self.hyper.noise_slope, self.inputs.jacobian(theta))
        return noise[:, :, None] * ln_slope[:, None, :]

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
