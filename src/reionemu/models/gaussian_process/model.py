"""A trained Gaussian process: predictions in NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...errors import RecordError
from ..inputs import Inputs
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
        parts = [self._moments(x[i : i + CHUNK]) for i in range(0, max(len(x), 1), CHUNK)]
        mean, variance = (np.concatenate(part) for part in zip(*parts, strict=True))
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
            values = options["hyperparameters"]
            lengths = [np.array(values[key], float) for key in ("smooth", "rough", "noise_slope")]
            hyper = Hyperparameters(
                lengths[0],
                lengths[1],
                float(values["amplitude"]),
                float(values["noise"]),
                lengths[2],
            )
            process = cls(inputs, hyper, **{key: np.array(arrays[key], float) for key in _SHAPES})
            process._check()
        except (KeyError, TypeError, ValueError) as error:
            raise RecordError(f"the recorded Gaussian process is not usable: {error}") from None
        return process

    def _check(self) -> None:
        n, b, p, r = len(self.points), len(self.mean), self.inputs.dimension, 0
        r = self.projection.shape[-1]
        sizes = {"n": n, "b": b, "p": p, "r": r}
        for name, shape in _SHAPES.items():
            array, expected = getattr(self, name), tuple(sizes[size] for size in shape)
            if array.shape != expected or not np.isfinite(array).all():
                raise ValueError(f"{name} has shape {array.shape}, or is not finite")
        lengths = np.array([self.hyper.smooth, self.hyper.rough])
        if lengths.shape != (2, p) or not (lengths > 0).all() or len(self.hyper.noise_slope) != p:
            raise ValueError(f"the lengths are not {p} positive numbers")


_SHAPES = {"points": "np", "mean": "b", "weights": "nb", "projection": "nr", "scale": "b"}
