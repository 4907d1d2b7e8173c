"""A trained model of histories: predictions in NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ConfigError, RecordError
from ..inputs import Inputs
from .curve import KNOTS, MIN_SLOPE, Curves, normal_cdf, normal_density
from .depth import mean_depth, mean_depth_gradient
from .spread import MODES, N_CURVE, Spread, curve_std, powers, tamed
from .surface import Surface, terms, terms_gradient

CHUNK = 1024
"""Points at a time: what is needed of them should stay in the cache."""

Z_FAR = 1e6
"""Redshifts beyond are as this one: all is neutral, and nothing overflows."""


@dataclass(frozen=True, eq=False)
class HistoryModel:
    """Neutral fraction of hydrogen and optical depth as functions of the parameters.

    Curves (see `curve`) have offsets and slopes that are polynomials of the inputs. The optical
    depth follows from the curve, times a factor near a constant, whose logarithm is a polynomial,
    too. Errors are described in `spread`.

    Attributes
    ----------
    inputs : Inputs
        Physical ones.
    curve : Surface
        Of the offset, and of the slopes less one at the K knots.
    depth : Surface
        Of ln(tau / mean depth).
    spread : Spread
    """

    inputs: Inputs
    curve: Surface
    depth: Surface
    spread: Spread

    def predict(self, theta: np.ndarray, z: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Neutral fraction, and the standard deviation of a simulation around it.

        Parameters
        ----------
        theta : ndarray, shape (n, 4)
        z : array_like, shape (k,)
            Redshifts, any and in any order.

        Returns
        -------
        x_hi, std : ndarray, shape (n, k)
            x_hi is between 0 and 1 and increases with redshift.

        Raises
        ------
        ConfigError
            If z is not a list of finite numbers.
        """
        z = _redshifts(z)
        parts = [self._neutral(theta[i : i + CHUNK], z) for i in range(0, len(theta) or 1, CHUNK)]
        x_hi, std = (np.concatenate(part) for part in zip(*parts, strict=True))
        return x_hi, std

    def _neutral(self, theta: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        u, basis = self._inputs(theta)
        curves = self._curves(u, basis)
        t = curves.normal(curves.scaled(z))
        error = curve_std(powers(t), self._errors(u, basis), self.spread.correlation)
        return normal_cdf(t), normal_density(t) * error

    def tau(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Optical depth and its standard deviation, shape (n,) each."""
        u, basis = self._inputs(theta)
        mean = mean_depth(self._curves(u, basis), self.inputs.cosmology.omega_m)
        tau = mean * np.exp(self.depth.values(basis)[:, 0])
        return tau, tau * self._errors(u, basis)[:, N_CURVE]

    def z50(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Redshift at which half of the hydrogen is neutral, and its standard deviation: (n,)."""
        return self._combined(theta, (0.5,), (1.0,))

    def duration(
        self, theta: np.ndarray, levels: tuple[float, float] = (0.75, 0.25)
    ) -> tuple[np.ndarray, np.ndarray]:
        """Redshift of one neutral fraction less that of another, and its standard deviation: (n,).

        Errors of the two redshifts are taken as independent: what is left of a curve's error is
        mostly local, where simulations share one realization.

        Raises
        ------
        ConfigError
            Unless levels are above 0 and below 1.
        """
        return self._combined(theta, levels, (1.0, -1.0))

    def _combined(
        self, theta: np.ndarray, levels: Sequence[float], signs: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        if len(levels) != len(signs) or not all(0 < level < 1 for level in levels):
            raise ConfigError(
                f"levels must be {len(signs)} neutral fractions above 0 and below 1, got {levels}"
            )
        t = np.array([NormalDist().inv_cdf(level) for level in levels])
        u, basis = self._inputs(theta)
        curves = self._curves(u, basis)
        nu = curves.invert(t)
        z = curves.centre[:, None] + curves.width[:, None] * nu
        # At fixed x_HI a curve that is higher by dt is earlier by dt / (dt/dz).
        modes = np.broadcast_to(powers(t), (*nu.shape, N_CURVE))
        std = curve_std(modes, self._errors(u, basis), self.spread.correlation)
        std *= curves.width[:, None] / curves.slope(nu)
        return z @ np.array(signs), np.sqrt((std**2).sum(axis=1))

    def errors(self, theta: np.ndarray) -> np.ndarray:
        """Standard deviations of the errors `MODES` of a simulation, shape (n, 4)."""
        return self._errors(*self._inputs(theta))

    def _errors(self, u: np.ndarray, basis: np.ndarray) -> np.ndarray:
        curve, depth = self.curve.leverage(basis), self.depth.leverage(basis)
        leverage = np.stack([curve] * N_CURVE + [depth], axis=-1)
        return self.spread.noise(u) * np.sqrt(1 + leverage)

    def draw(
        self, theta: np.ndarray, z: ArrayLike, normals: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What simulations might give.

        Parameters
        ----------
        theta : ndarray, shape (n, 4)
        z : array_like, shape (k,)
        normals : ndarray, shape (m, 4) or (m, n, 4)
            Standard normal numbers, with correlations `spread.correlation` to agree with `predict`.

        Returns
        -------
        x_hi : ndarray, shape (m, n, k)
            Each increases with redshift.
        tau : ndarray, shape (m, n)

        Raises
        ------
        ConfigError
            If z is not a list of finite numbers, or normals have another shape.
        """
        z, n = _redshifts(z), len(theta)
        normals = normals[:, None] if normals.ndim == 2 else normals
        if normals.ndim != 3 or normals.shape[1] not in (1, n) or normals.shape[2] != len(MODES):
            raise ConfigError(
                f"normals must have shape (m, {len(MODES)}) or (m, {n}, {len(MODES)}), "
                f"got {normals.shape}"
            )
        u, basis = self._inputs(theta)
        errors = self._errors(u, basis) * normals
        curves = self._curves(u, basis)
        t = curves.normal(curves.scaled(z))
        shift = np.einsum("mnc,nkc->mnk", tamed(errors[..., :N_CURVE]), powers(t))
        return normal_cdf(t + shift), self.tau(theta)[0] * np.exp(errors[..., N_CURVE])

    def gradient(self, theta: np.ndarray, z: ArrayLike) -> np.ndarray:
        """Derivatives of the neutral fraction by the parameters, shape (n, k, 4)."""
        u, basis = self._inputs(theta)
        curves = self._curves(u, basis)
        nu = curves.scaled(_redshifts(z))
        by_theta = curves.sensitivity(nu) @ self._curves_jacobian(theta, u, basis)
        return normal_density(curves.normal(nu))[..., None] * by_theta

    def gradient_tau(self, theta: np.ndarray) -> np.ndarray:
        """Derivatives of the optical depth by the parameters, shape (n, 4)."""
        u, basis = self._inputs(theta)
        by_curve = mean_depth_gradient(self._curves(u, basis), self.inputs.cosmology.omega_m)
        factor = self.depth.coefficients @ terms_gradient(u, self.depth.degree)
        by_theta = by_curve[:, None] @ self._curves_jacobian(theta, u, basis)
        by_theta += factor @ self.inputs.jacobian(theta)
        return self.tau(theta)[0][:, None] * by_theta[:, 0]

    def _inputs(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and terms of both polynomials."""
        u = self.inputs(theta)
        return u, terms(u, max(self.curve.degree, self.depth.degree))

    def _curves(self, u: np.ndarray, basis: np.ndarray) -> Curves:
        return Curves.of(self.inputs, u, self.curve.values(basis))

    def _curves_jacobian(self, theta: np.ndarray, u: np.ndarray, basis: np.ndarray) -> np.ndarray:
        """Derivatives of zmean, ln sigma_z, offset and slopes by the parameters: (n, 3 + K, 4)."""
        by_theta = self.inputs.jacobian(theta)
        half = 0.5 * (np.array(self.inputs.high) - np.array(self.inputs.low))
        scales = by_theta[:, [0, -1]] * half[[0, -1], None]
        shape = self.curve.coefficients @ terms_gradient(u, self.curve.degree)
        held = 1 + self.curve.values(basis) < MIN_SLOPE
        held[:, 0] = False
        shape[held] = 0
        return np.concatenate([scales, shape @ by_theta], axis=1)

    def options(self) -> dict[str, Any]:
        """What is recorded beside the arrays."""
        return {"inputs": self.inputs.to_mapping()}

    def arrays(self) -> dict[str, np.ndarray]:
        """What is recorded as arrays."""
        spread = {f"error_{name}": getattr(self.spread, name) for name in _SPREAD}
        return {**self.curve.arrays("curve"), **self.depth.arrays("depth"), **spread}

    @classmethod
    def from_record(
        cls, options: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> HistoryModel:
        """The inverse of `options` and `arrays`.

        Raises
        ------
        RecordError
            If they are not those of such a model.
        """
        inputs = Inputs.from_mapping(options.get("inputs") or {})
        try:
            if inputs.coordinates != "physical":
                raise ValueError("its inputs are not the physical ones")
            p = inputs.dimension
            curve = Surface.from_arrays("curve", arrays, 1 + len(KNOTS), p)
            depth = Surface.from_arrays("depth", arrays, 1, p)
            values = {name: np.array(arrays[f"error_{name}"], np.float64) for name in _SPREAD}
            for name, shape in _SPREAD.items():
                if values[name].shape != shape or not np.isfinite(values[name]).all():
                    raise ValueError(f"error_{name} is not {shape} finite numbers")
            R = values["correlation"]
            if not ((R == R.T).all() and (np.diag(R) == 1).all() and (np.abs(R) <= 1).all()):
                raise ValueError("error_correlation is not a correlation matrix")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RecordError(f"the recorded model of histories is not usable: {error}") from None
        return cls(inputs, curve, depth, Spread(**values))


_SPREAD = {"log_std": (4,), "slope": (4, 4), "correlation": (4, 4)}


def _redshifts(z: ArrayLike) -> np.ndarray:
    try:
        z = np.asarray(z, float)
    except (TypeError, ValueError):
        raise ConfigError(f"z must be a list of redshifts, got {z!r}") from None
    if z.ndim != 1 or not np.isfinite(z).all():
        raise ConfigError(f"z must be a list of finite redshifts, got shape {z.shape} or NaN")
    return np.clip(z, -Z_FAR, Z_FAR)
