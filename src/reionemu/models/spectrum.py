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
from .moments import Differentiated, Moments

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

    def with_gradients(self, theta: np.ndarray) -> Differentiated:
        """The same with derivatives by the parameters; noise is called scatter there."""


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
        y, error, _ = self._calibrated(*self.model.predict(theta))
        std = self.target.derivative(y) * error
        covariance = std[:, :, None] * self.calibration.correlation * std[:, None, :]
        return Moments(self.target.invert(y), std, covariance)

    def draws(self, theta: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
        """Spectra as they might be, shape (n_draws, n, b) [uK^2]."""
        return self.displaced(theta, standard_draws(self.calibration, n_draws, seed))

    def displaced(self, theta: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Spectra, shape (m, n, b), off the mean by offsets, shape (m, b), in error bars."""
        y, error, _ = self._calibrated(*self.model.predict(theta))
        return self.target.invert(y + offsets[:, None, :] * error)

    def scatter(self, theta: np.ndarray) -> np.ndarray | None:
        """Covariance of the spectra of single simulations, shape (n, b, b) [uK^4], if known."""
        if not self.noise_is_scatter:
            return None
        y, _, noise = self._calibrated(*self.model.predict(theta))
        std = self.target.derivative(y) * noise
        return std[:, :, None] * self.calibration.correlation * std[:, None, :]

    def differentiated(self, theta: np.ndarray) -> Differentiated:
        """Moments and their derivatives at points, shape (n, p), in closed form.

        In uK^2, and uK^2 per unit of each parameter. Errors have the correlation of `calibration`;
        so has the scatter of single simulations, which is zero where `scatter` does not know it.
        """
        found = self.model.with_gradients(theta)
        y, error, noise = self._calibrated(found.mean, found.std, found.scatter)
        y_slope, error_slope, noise_slope = self._calibrated_slopes(found, noise)
        slope, curvature = self.target.derivative(y), self.target.curvature(y)
        return Differentiated(
            mean=self.target.invert(y),
            std=slope * error,
            scatter=slope * noise,
            mean_slope=slope[..., None] * y_slope,
            std_slope=slope[..., None] * error_slope + (curvature * error)[..., None] * y_slope,
            scatter_slope=slope[..., None] * noise_slope + (curvature * noise)[..., None] * y_slope,
        )

    def _calibrated(
        self, mean: np.ndarray, std: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Target of the mean spectrum, its error, and the scatter around it, shape (n, b) each.

        Scatter of a logarithm lifts the mean: that of a log-normal y is exp(m + s^2 / 2).
        """
        if not self.noise_is_scatter:
            return mean, self.calibration.std(np.hypot(std, noise)), np.zeros_like(mean)
        noise = self.calibration.std(noise)
        if self.target.is_logarithmic:
            mean = mean + 0.5 * noise**2 * self.target.ln_base
        return mean, self.calibration.std(std), noise

    def _calibrated_slopes(
        self, found: Differentiated, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Derivatives of what `_calibrated` gives, of which `noise` is the last: (n, b, p) each."""
        by_std, by_noise = found.std_slope, found.scatter_slope
        if not self.noise_is_scatter:
            total = np.hypot(found.std, found.scatter)
            products = found.std[..., None] * by_std + found.scatter[..., None] * by_noise
            by_total = products / np.where(total > 0, total, 1.0)[..., None]
            by_total *= self.calibration.derivative(total)[..., None]
            return found.mean_slope, by_total, np.zeros_like(by_total)
        by_std = self.calibration.derivative(found.std)[..., None] * by_std
        by_noise = self.calibration.derivative(found.scatter)[..., None] * by_noise
        by_mean = found.mean_slope
        if self.target.is_logarithmic:
            by_mean = by_mean + (noise * self.target.ln_base)[..., None] * by_noise
        return by_mean, by_std, by_noise


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
