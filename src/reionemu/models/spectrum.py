"""Models of the spectrum in physical units, whatever they are made of.

Both kinds answer the same questions: what is the spectrum, how sure is that, and what would the
spectrum of one simulation, or one sky, be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..data.normalization import (
    Normalizer,
    inverse_transform_standardizer,
    transform_standardizer,
)
from ..targets import Target
from .calibration import Calibration
from .inputs import Inputs

_MAX_VALUES = 2**22


class Network(Protocol):
    """A trained network."""

    @property
    def stochastic(self) -> bool:
        """Whether draws differ."""

    def draws(self, x: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
        """Outputs, shape (n_draws or 1, n, b), for normalized inputs, shape (n, p)."""


class Surrogate(Protocol):
    """A trained model with a Gaussian uncertainty, in the space of targets."""

    @property
    def inputs(self) -> Inputs:
        """What it sees of parameters."""

    @property
    def n_outputs(self) -> int:
        """b."""

    def predict(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, its standard deviation, and that of a simulation around it, shape (n, b) each."""

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """d mean / d theta, shape (n, b, p)."""

    def noise_gradient(self, theta: np.ndarray) -> np.ndarray:
        """d noise / d theta, shape (n, b, p)."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Of predicted spectra [uK^2].

    Attributes
    ----------
    mean : ndarray, shape (n, b)
    std : ndarray, shape (n, b), or None
    covariance : ndarray, shape (n, b, b), or None
    """

    mean: np.ndarray
    std: np.ndarray | None
    covariance: np.ndarray | None


@dataclass(frozen=True, eq=False)
class SurrogateSpectrum:
    """The spectrum by a surrogate.

    Attributes
    ----------
    model : Surrogate
    target : Target
    calibration : Calibration
    noise_is_scatter : bool
        Whether what the model calls noise is the scatter between realizations, as in a suite in
        which each simulation has its own. Else it is what the model cannot follow: an error.
    """

    model: Surrogate
    target: Target
    calibration: Calibration
    noise_is_scatter: bool

    has_uncertainty = True

    def moments(self, theta: np.ndarray, n_draws: int, seed: int) -> Moments:
        """Moments at points, shape (n, p)."""
        y, error, _ = self._target_space(theta)
        std = abs(self.target.derivative(y)) * error
        covariance = std[:, :, None] * self.calibration.correlation * std[:, None, :]
        return Moments(self.target.invert(y), std, covariance)

    def draws(self, theta: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
        """Spectra as they might be, shape (n_draws, n, b) [uK^2]."""
        return self.displaced(theta, standard_draws(self.calibration, n_draws, seed))

    def displaced(self, theta: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Spectra, shape (m, n, b), off the mean by offsets, shape (m, b), in error bars."""
        y, error, _ = self._target_space(theta)
        return self.target.invert(y + offsets[:, None, :] * error)

    def scatter(self, theta: np.ndarray) -> np.ndarray | None:
        """Covariance of the spectra of single simulations, shape (n, b, b) [uK^4], if known."""
        if not self.noise_is_scatter:
            return None
        y, _, noise = self._target_space(theta)
        std = abs(self.target.derivative(y)) * noise
        return std[:, :, None] * self.calibration.correlation * std[:, None, :]

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """d mean / d theta, shape (n, b, p) [uK^2 per unit of each parameter]."""
        y, _, noise = self._target_space(theta)
        slope = self.model.gradient(theta)
        if self.noise_is_scatter and self.target.is_logarithmic:
            by_noise = noise * self.calibration.scale * self.target.ln_base
            slope = slope + by_noise[..., None] * self.model.noise_gradient(theta)
        return self.target.derivative(y)[..., None] * slope

    def _target_space(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Target of the mean spectrum, its error, and the scatter around it, shape (n, b) each.

        Scatter of a logarithm lifts the mean: that of a log-normal y is exp(m + s^2 / 2).
        """
        mean, std, noise = self.model.predict(theta)
        if not self.noise_is_scatter:
            return mean, self.calibration.std(np.hypot(std, noise)), np.zeros_like(mean)
        noise = self.calibration.std(noise)
        lift = 0.5 * noise**2 * self.target.ln_base if self.target.is_logarithmic else 0.0
        return mean + lift, self.calibration.std(std), noise


@dataclass(frozen=True, eq=False)
class NetworkSpectrum:
    """The spectrum by a network, and by its dropout an uncertainty.

    Attributes
    ----------
    network : Network
    target : Target
    x_normalizer, y_normalizer : Normalizer or None
    calibration : Calibration or None
        Without one, the spread of dropout draws is taken as it is.
    """

    network: Network
    target: Target
    x_normalizer: Normalizer | None
    y_normalizer: Normalizer | None
    calibration: Calibration | None = None

    @property
    def has_uncertainty(self) -> bool:
        """Whether there is an error bar."""
        return self.network.stochastic or self.calibration is not None

    def target_draws(self, theta: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
        """What the network says, uncalibrated, in target space: shape (n_draws or 1, n, b)."""
        x = theta
        if self.x_normalizer is not None:
            x = transform_standardizer(x, self.x_normalizer)
        y = self.network.draws(x, n_draws, seed)
        if self.y_normalizer is not None:
            y = inverse_transform_standardizer(y, self.y_normalizer)
        return y

    def moments(self, theta: np.ndarray, n_draws: int, seed: int) -> Moments:
        """Moments at points, shape (n, p): over draws."""
        parts = [self._moments(part, n_draws, seed) for part in self._parts(theta, n_draws)]
        mean = np.concatenate([part.mean for part in parts])
        if not self.has_uncertainty:
            return Moments(mean, None, None)
        std, covariance = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("std", "covariance")
        )
        return Moments(mean, std, covariance)

    def _moments(self, theta: np.ndarray, n_draws: int, seed: int) -> Moments:
        y = self.target_draws(theta, n_draws, seed)
        samples = self.target.invert(y)
        mean = samples.mean(axis=0)
        if not self.has_uncertainty:
            return Moments(mean, None, None)
        spread = samples.std(axis=0, ddof=1) if len(samples) > 1 else np.zeros_like(mean)
        if self.calibration is None:
            offsets = samples - mean
            covariance = np.einsum("dni,dnj->nij", offsets, offsets) / (len(samples) - 1)
            return Moments(mean, spread, covariance)
        std = np.hypot(self.calibration.scale * spread, self._floor(y))
        covariance = std[:, :, None] * self.calibration.correlation * std[:, None, :]
        return Moments(mean, std, covariance)

    def draws(self, theta: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
        """Spectra as they might be, (n_draws, n, b) [uK^2]; one if there is no uncertainty."""
        parts = [self._spectra(part, n_draws, seed) for part in self._parts(theta, n_draws)]
        return np.concatenate(parts, axis=1)

    def scatter(self, theta: np.ndarray) -> None:
        """What a network calls uncertainty is everything: the scatter alone is not known."""
        return

    def _spectra(self, theta: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
        y = self.target_draws(theta, n_draws, seed)
        samples = self.target.invert(y)
        if self.calibration is None:
            return samples
        # Error bars are widened around the mean, which stays what it is.
        mean = samples.mean(axis=0)
        offsets = standard_draws(self.calibration, n_draws, seed)[:, None, :]
        return mean + self.calibration.scale * (samples - mean) + self._floor(y) * offsets

    def _floor(self, y: np.ndarray) -> np.ndarray:
        """What is added to error bars in quadrature, shape (n, b) [uK^2], given target draws."""
        assert self.calibration is not None
        return self.calibration.floor * np.abs(self.target.derivative(y.mean(axis=0)))

    def _parts(self, theta: np.ndarray, n_draws: int) -> Iterator[np.ndarray]:
        step = max(1, _MAX_VALUES // (n_draws * 16))
        return (theta[i : i + step] for i in range(0, max(len(theta), 1), step))


def standard_draws(calibration: Calibration, n_draws: int, seed: int) -> np.ndarray:
    """Correlated errors in units of error bars, shape (n_draws, b)."""
    normals = np.random.default_rng(seed).standard_normal((n_draws, len(calibration.scale)))
    return normals @ calibration.cholesky.T
