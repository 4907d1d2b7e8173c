"""The width of the redshift-of-reionization field, from linear theory.

The field is z_re = zmean + (1 + zmean) * (delta filtered with b(k) W(k R)), at z = zmean, so that
to first order its standard deviation is

    sigma_z = (1 + zmean) b0 D(zmean) sigma(alpha, kb),
    sigma^2 = int dlnk k^3 P(k) / (2 pi^2) W(k R)^2 / (1 + k/kb)^(2 alpha),

R = 1 Mpc/h (Battaglia, Trac, Cen & Loeb 2013, ApJ 776, 81). Spectra and histories are much simpler
functions of it, and of which scales it comes from, than of b0, alpha and kb. Any smooth function
close to it would do, so P(k) is the fitting formula of Eisenstein & Hu 1998 (ApJ 496, 605) without
wiggles: no Boltzmann code is needed to predict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..config import require_finite

K_RANGE, N_K = (2e-3, 20.0), 96
"""Wavenumbers [h/Mpc] of the integral: the largest scales of a box, and where W has cut it off."""

N_GROWTH, N_FEW, FEW_UP_TO = 200, 12, 0.03
"""Terms of the growth factor's series, most of them for z = 0: a dozen will do beyond z = 3."""

SMOOTHING = 1.0
"""Radius of the top hat [Mpc/h]."""

SHAPE_RADII = (3.0, 20.0)
"""Radii [Mpc/h] of Gaussians exp(-(k R)^2) that divide the variance by scale."""


@dataclass(frozen=True)
class LinearTheory:
    """A flat universe, as far as the width of reionization depends on it.

    Parameters
    ----------
    h, omega_m, omega_b, sigma8, n_s, t_cmb : float
        As in `reionemu.Cosmology`, whose defaults these are.
    """

    h: float = 0.6732
    omega_m: float = 0.315612
    omega_b: float = 0.04939
    sigma8: float = 0.8120
    n_s: float = 0.96605
    t_cmb: float = 2.7255

    def __post_init__(self) -> None:
        for name in ("h", "omega_m", "omega_b", "sigma8", "t_cmb"):
            require_finite("cosmology", name, getattr(self, name), minimum=0, exclusive=True)
        require_finite("cosmology", "omega_m", self.omega_m, below=1)
        require_finite("cosmology", "omega_b", self.omega_b, below=self.omega_m)
        require_finite("cosmology", "n_s", self.n_s, minimum=-5, below=5)

    @classmethod
    def from_mapping(cls, values: Mapping[str, float]) -> LinearTheory:
        """From a recorded cosmology; what is not said has its default."""
        return cls(**{k: float(values[k]) for k in cls.__dataclass_fields__ if k in values})

    def coordinates(self, theta: np.ndarray) -> np.ndarray:
        """Physical coordinates, shape (n, 4), of (zmean, alpha, kb [h/Mpc], b0), shape (n, 4).

        zmean; ln(sigma_R / sigma) for the two radii R of `SHAPE_RADII`, where sigma_R is the part
        of sigma(alpha, kb) from scales larger than R; and ln sigma_z.
        """
        zmean, alpha, kb, b0 = theta.T
        ln_sigma = 0.5 * np.log(self._variances(alpha, kb))
        width = np.log1p(zmean) + np.log(b0) + self._ln_growth(zmean) + ln_sigma[0]
        return np.stack([zmean, *(ln_sigma[1:] - ln_sigma[0]), width], axis=-1)

    def coordinates_jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Derivatives of coordinates (second axis) by parameters (third), shape (n, 4, 4)."""
        zmean, alpha, kb, b0 = theta.T
        variance = self._variances(alpha, kb)
        by_alpha, by_kb = self._variance_slopes(alpha, kb)
        by_alpha, by_kb = 0.5 * by_alpha / variance, 0.5 * by_kb / variance
        jacobian = np.zeros((len(theta), 4, 4))
        jacobian[:, 0, 0] = 1.0
        for i in (1, 2):
            jacobian[:, i, 1] = by_alpha[i] - by_alpha[0]
            jacobian[:, i, 2] = by_kb[i] - by_kb[0]
        jacobian[:, 3, 0] = 1 / (1 + zmean) + self._ln_growth_slope(zmean)
        jacobian[:, 3, 1], jacobian[:, 3, 2], jacobian[:, 3, 3] = by_alpha[0], by_kb[0], 1 / b0
        return jacobian

    def _variances(self, alpha: np.ndarray, kb: np.ndarray) -> np.ndarray:
        """sigma^2 of all scales, and of those beyond each radius: shape (3, n)."""
        k, weights = self._integrand
        return (np.exp(-2 * alpha[:, None] * np.log1p(k / kb[:, None])) @ weights).T

    def _variance_slopes(self, alpha: np.ndarray, kb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of `_variances` by alpha and by kb, shape (3, n) each."""
        k, weights = self._integrand
        ratio = k / kb[:, None]
        ln_bias = np.log1p(ratio)
        terms = np.exp(-2 * alpha[:, None] * ln_bias)
        by_kb = (terms * ratio / (1 + ratio)) @ weights * (2 * alpha / kb)[:, None]
        return -2 * ((terms * ln_bias) @ weights).T, by_kb.T

    @cached_property
    def _integrand(self) -> tuple[np.ndarray, np.ndarray]:
        """Wavenumbers, shape (m,), and weights, (m, 3), whose sums are variances for b = 1."""
        ln_k = np.linspace(np.log(K_RANGE[0]), np.log(K_RANGE[1]), N_K)
        fine = np.exp(np.linspace(np.log(1e-4), np.log(50), 4000))
        power = self._power(fine) * fine**3
        sigma8_2 = np.trapezoid(power * _top_hat(8 * fine) ** 2, np.log(fine))
        k = np.exp(ln_k)
        weights = self._power(k) * k**3 * _top_hat(SMOOTHING * k) ** 2 * (ln_k[1] - ln_k[0])
        weights *= self.sigma8**2 / sigma8_2
        beyond = [np.exp(-((k * radius) ** 2)) for radius in (0.0, *SHAPE_RADII)]
        return k, weights[:, None] * np.stack(beyond, axis=-1)

    def _power(self, k: np.ndarray) -> np.ndarray:
        """P(k) but for its amplitude: Eisenstein & Hu 1998, equations 26 and 28 to 31."""
        matter, baryons = self.omega_m * self.h**2, self.omega_b * self.h**2
        fraction = self.omega_b / self.omega_m
        sound = 44.5 * np.log(9.83 / matter) / np.sqrt(1 + 10 * baryons**0.75)
        suppression = (
            1 - 0.328 * np.log(431 * matter) * fraction + 0.38 * np.log(22.3 * matter) * fraction**2
        )
        shape = suppression + (1 - suppression) / (1 + (0.43 * k * sound * self.h) ** 4)
        q = k * (self.t_cmb / 2.7) ** 2 / (self.omega_m * self.h * shape)
        log = np.log(2 * np.e + 1.8 * q)
        transfer = log / (log + (14.2 + 731 / (1 + 62.5 * q)) * q**2)
        return k**self.n_s * transfer**2

    def _ln_growth(self, z: np.ndarray) -> np.ndarray:
        """ln D1, 1 today, of matter and a cosmological constant.

        D = a (1 + x)^-1 2F1(3/2, 1; 11/6; x/(1 + x)), x = a^3 (1 - Om)/Om.
        """
        a = 1 / (1 + z)
        x = a**3 * (1 - self.omega_m) / self.omega_m
        return np.log(a * _series(x / (1 + x))[0] / (1 + x)) - self._ln_growth_today

    def _ln_growth_slope(self, z: np.ndarray) -> np.ndarray:
        """d ln D1/dz."""
        a = 1 / (1 + z)
        x = a**3 * (1 - self.omega_m) / self.omega_m
        w = x / (1 + x)
        series, slope = _series(w)
        # Of ln a, -ln(1 + x) and of ln F, where dx/dz = -3 a x and dw/dx = (1 - w)^2.
        return -a + 3 * a * w - 3 * a * w * (1 - w) * slope / series

    @cached_property
    def _ln_growth_today(self) -> float:
        """The same sum at z = 0, where x/(1 + x) is 1 - Om."""
        series, _ = _series(np.array([1 - self.omega_m]))
        return float(np.log(series[0]) + np.log(self.omega_m))


_COEFFICIENTS = np.cumprod([1.0, *((1.5 + n) / (11 / 6 + n) for n in range(N_GROWTH - 1))])
_SLOPES = np.append(np.polynomial.polynomial.polyder(_COEFFICIENTS), 0.0)
_TERMS = np.stack([_COEFFICIENTS, _SLOPES], axis=-1)
_MANY = np.arange(N_GROWTH), _TERMS
_FEW = np.arange(N_FEW), _TERMS[:N_FEW]


def _series(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """2F1(3/2, 1; 11/6; w) and its derivative, for w, shape (n,), from 0 to below 1."""
    powers, terms = _MANY if w.max(initial=0) > FEW_UP_TO else _FEW
    series, slope = (w[:, None] ** powers @ terms).T
    return series, slope


def _top_hat(x: np.ndarray) -> np.ndarray:
    return 3 * (np.sin(x) - x * np.cos(x)) / x**3
