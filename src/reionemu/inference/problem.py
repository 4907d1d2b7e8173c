"""The posterior density of the parameters, given band powers."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..config import nearest
from ..errors import ConfigError, InferenceDataError, ReionemuWarning
from ..models.emulator import Emulator
from .band_power_checks import SKY
from .band_powers import BandPowers
from .expectation import Expectation
from .gaussian import LN_2PI, log_gaussian, log_gaussian_gradient
from .late_time import DEFAULT_PRIOR, LATE_TIME
from .measurements import TauConstraint, tau_constraint
from .priors import Prior, prior_of
from .starting import spread_points


class Problem:
    """A posterior density: deterministic, for many points at once, with derivatives.

    The likelihood is a Gaussian in band powers,

        ln L = -1/2 r^T C^-1 r - 1/2 ln det(2 pi C),   r = data - W D(theta) - A T,
        C = C_data + W C_emulator(theta) W^T + f W S(theta) W^T,

    with D the emulator's spectrum and C_emulator the covariance of its errors, W the windows of
    the data, T a late-time spectrum (`LateTimeTemplate`) of amplitude A, for data of the total
    effect, and S the covariance between maps of the suite's size, f as in `Expectation`. A
    constraint on the optical depth multiplies it by a Gaussian of tau(theta), whose variance has
    the emulator's added.

    Parameters
    ----------
    emulator : Emulator
    data : BandPowers
    tau : "planck2018" or (mean, std), optional
        A constraint on the optical depth.
    late_time : (mean, std), optional
        Of the Gaussian prior of `late_time_dl3000` [uK^2], for data of the total effect;
        by default `DEFAULT_PRIOR`.
    priors : mapping, optional
        By parameter; see `priors.prior_of`. The others are flat. All are cut off at the box that
        the emulator was trained in, and the late-time amplitude at 0.
    emulator_error : bool
        Whether the emulator's own errors count; only tests have a reason to leave them out.

    Attributes
    ----------
    names : tuple of str
        The d parameters: the emulator's, and `late_time_dl3000` for data of the total effect.
    n_dim : int
        d.
    low, high : ndarray, shape (d,)
        Where the density is not zero; the latter may be infinite for the last.
    priors : tuple of Prior
    fingerprint : str
        Tells it from other problems (SHA-256).

    Raises
    ------
    ConfigError
        For a prior or a constraint that is none, an unknown parameter, or an emulator that knows
        no optical depth if one is asked for.
    InferenceDataError
        If the data reach beyond the emulator's multipoles.

    Warns
    -----
    ReionemuWarning
        If the emulator is of few realizations, and how much they scatter is not known.
    """

    def __init__(
        self,
        emulator: Emulator,
        data: BandPowers,
        *,
        tau: TauConstraint = None,
        late_time: tuple[float, float] | None = None,
        priors: Mapping[str, Any] | None = None,
        emulator_error: bool = True,
    ) -> None:
        self.emulator, self.data = emulator, data
        self.expectation = Expectation(emulator, data, emulator_error=emulator_error)
        self.tau = self._constraint(tau)
        self.priors = self._priors(dict(priors or {}), late_time)
        self.low = np.array([prior.low for prior in self.priors])
        self.high = np.array([prior.high for prior in self.priors])
        self._flat = -float(
            sum(np.log(p.high - p.low) for p in self.priors if p.distribution is None)
        )
        if self.expectation.lacks_scatter or (emulator.suite is None and data.realization == SKY):
            warnings.warn(
                "how much realizations scatter is not known to this emulator, which has the "
                "amplitude of few: its error is left out, and the posterior is too narrow. "
                "Simulate several (reionemu simulate --realizations) and train again",
                ReionemuWarning,
                stacklevel=2,
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters."""
        late = (LATE_TIME,) if self.data.is_total else ()
        return (*self.emulator.parameter_names, *late)

    @property
    def n_dim(self) -> int:
        """How many there are."""
        return len(self.names)

    @property
    def fingerprint(self) -> str:
        """A hash of data, priors, constraints, and of the likelihood at some points."""
        u = np.random.default_rng(0).random((8, self.n_dim))
        values = [f"{value:.7g}" for value in self.log_likelihood(self.from_unit(u))]
        facts = (self.names, self.data.sha256, self.tau, [p.text for p in self.priors], values)
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """ln(prior times likelihood) at points (n, d) or (d,): (n,) or ().

        -inf outside the support of the prior.
        """
        x = np.asarray(x, dtype=np.float64)
        points = np.atleast_2d(x)
        value = self.log_prior(points)
        inside = value > -np.inf
        if inside.all():
            value = value + self._log_likelihood(points)
        elif inside.any():
            value[inside] += self._log_likelihood(points[inside])
        return value[0] if x.ndim == 1 else value

    def log_prior(self, x: np.ndarray) -> np.ndarray:
        """ln of the normalized prior at points (n, d) or (d,): (n,) or ()."""
        x = np.asarray(x, dtype=np.float64)
        points = np.atleast_2d(x)
        if points.shape[1] != self.n_dim:
            raise ConfigError(
                f"points have {points.shape[1]} values; the parameters are {', '.join(self.names)}"
            )
        inside = ((points >= self.low) & (points <= self.high)).all(axis=1)
        value = np.where(inside, self._flat, -np.inf)
        for column, prior in zip(points.T, self.priors, strict=True):
            if prior.distribution is not None:
                value = value + prior.log_density(column)
        return value[0] if x.ndim == 1 else value

    def log_likelihood(self, x: np.ndarray) -> np.ndarray:
        """ln of the likelihood at points (n, d) or (d,): (n,) or (); -inf outside the support."""
        x = np.asarray(x, dtype=np.float64)
        points = np.atleast_2d(x)
        value = np.full(len(points), -np.inf)
        inside = self.log_prior(points) > -np.inf
        if inside.any():
            value[inside] = self._log_likelihood(points[inside])
        return value[0] if x.ndim == 1 else value

    def model(self, x: np.ndarray) -> np.ndarray:
        """Band powers (n, m) at points (n, d) [uK^2]: what the data should be."""
        return self.moments(x)[0]

    def covariance(self, x: np.ndarray) -> np.ndarray:
        """Covariance of the data around `model`, (n, m, m) [uK^4]."""
        return self.moments(x)[1]

    def moments(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both, at the cost of one."""
        x = self._points(x)
        expected = self.expectation(self._theta(x))
        return expected.mean + self._late(x), self.data.covariance + expected.covariance

    def log_likelihood_and_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ln of the likelihood (n,) and its derivatives (n, d) at points (n, d) of the support.

        The derivative of the emulator's variance of tau is taken as zero.

        Raises
        ------
        ConfigError
            If the emulator is a network, whose error bars have no derivatives here.
        """
        x = self._points(x)
        theta, W = self._theta(x), self.expectation.matrix
        mean, slope, parts = self.expectation.differentiated(theta)
        covariance = np.broadcast_to(self.data.covariance, (len(x), *self.data.covariance.shape))
        for part in parts:
            covariance = covariance + W @ part.covariance @ W.T
        residual = self.data.dl - mean @ W.T - self._late(x)
        value = self._log_gaussian(residual, covariance)
        gradient = np.zeros((len(x), self.n_dim))
        p = theta.shape[1]
        gradient[:, :p] = log_gaussian_gradient(residual, covariance, W, slope, parts)
        if self.data.is_total:
            whitened = np.linalg.solve(covariance, residual[:, :, None])[:, :, 0]
            gradient[:, p] = whitened @ self.expectation.template
        if self.tau is not None:
            found, variance = self._tau_moments(theta)
            value = value + _log_normal(found - self.tau[0], variance)
            history = self.emulator.history
            assert history is not None
            by_tau = -(found - self.tau[0]) / variance
            gradient[:, :p] += by_tau[:, None] * history.gradient_tau(theta)
        return value, gradient

    def from_unit(self, u: np.ndarray) -> np.ndarray:
        """Points (n, d) from quantiles of the prior."""
        return np.stack([p.from_unit(c) for p, c in zip(self.priors, u.T, strict=True)], axis=1)

    def to_unit(self, x: np.ndarray) -> np.ndarray:
        """Quantiles of the prior (n, d) of points."""
        return np.stack([p.to_unit(c) for p, c in zip(self.priors, x.T, strict=True)], axis=1)

    def unit_slope(self, x: np.ndarray) -> np.ndarray:
        """Derivatives of parameters by their quantiles, (n, d)."""
        slopes = [np.exp(-p.log_density(c)) for p, c in zip(self.priors, x.T, strict=True)]
        return np.stack(slopes, axis=1)

    def start(self, n: int, seed: int) -> np.ndarray:
        """Distinct points (n, d) spread about as the posterior is."""
        return spread_points(self, n, seed)

    def _theta(self, x: np.ndarray) -> np.ndarray:
        return x[:, : len(self.emulator.parameter_names)]

    def _late(self, x: np.ndarray) -> np.ndarray | float:
        return x[:, -1:] * self.expectation.template if self.data.is_total else 0.0

    def _log_likelihood(self, x: np.ndarray) -> np.ndarray:
        """At points (n, d) of the support."""
        mean, covariance = self.moments(x)
        value = self._log_gaussian(self.data.dl - mean, covariance)
        if self.tau is None:
            return value
        found, variance = self._tau_moments(self._theta(x))
        return value + _log_normal(found - self.tau[0], variance)

    def _log_gaussian(self, residual: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        try:
            return log_gaussian(residual, covariance)
        except np.linalg.LinAlgError:
            raise InferenceDataError(
                f"{self.data.name}: with the emulator's errors, the covariance cannot be inverted: "
                "errors of the data are too small beside them, or bins too many. Merge bins"
            ) from None

    def _points(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.n_dim:
            raise ConfigError(
                f"points must have the shape (n, {self.n_dim}), with columns "
                f"{', '.join(self.names)}; got {x.shape}"
            )
        return x

    def _constraint(self, tau: Any) -> tuple[float, float] | None:
        found = tau_constraint(tau)
        if found is not None and self.emulator.history is None:
            raise ConfigError(
                "a constraint on tau needs an emulator of optical depths, and this one was trained "
                "without: build the training arrays again (reionemu training-set) and train"
            )
        return found

    def _tau_moments(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The optical depth, and the variance of the constraint and the emulator together."""
        assert self.tau is not None
        assert self.emulator.history is not None
        tau, std = self.emulator.history.tau(theta)
        return tau, self.tau[1] ** 2 + std**2

    def _priors(
        self, given: dict[str, Any], late_time: tuple[float, float] | None
    ) -> tuple[Prior, ...]:
        box, names = self.emulator.box, self.emulator.parameter_names
        if box is None:
            raise ConfigError(
                "the emulator knows no box that it was trained in, beyond which there must be no "
                "posterior: give its bounds when it is loaded (emulator(bounds=...))"
            )
        for name in given:
            if name == LATE_TIME and not self.data.is_total:
                raise ConfigError(
                    f"{self.data.name} are band powers of reionization alone (is_total is not "
                    f"set): there is no {LATE_TIME} to have a prior"
                )
            if name not in self.names:
                raise ConfigError(f"there is no parameter {name!r}{nearest(name, self.names)}")
        if late_time is not None and LATE_TIME in given:
            raise ConfigError(f"give late_time or a prior of {LATE_TIME}, not both")
        if late_time is not None and not self.data.is_total:
            raise ConfigError(
                f"{self.data.name} are band powers of reionization alone (is_total is not set): "
                "they have no late-time part"
            )
        if self.data.is_total:
            given.setdefault(LATE_TIME, DEFAULT_PRIOR if late_time is None else late_time)
        priors = []
        for name in self.names:
            low, high = (0.0, np.inf)
            if name in names:
                i = names.index(name)
                low, high = box.low[i], box.high[i]
            flat = Prior(f"uniform({low:.6g}, {high:.6g})", None, low, high)
            prior = prior_of(name, given[name]) if name in given else flat
            priors.append(prior.within(low, high, name))
        return tuple(priors)


def _log_normal(residual: np.ndarray, variance: np.ndarray) -> np.ndarray:
    return -0.5 * (residual**2 / variance + np.log(variance) + LN_2PI)
