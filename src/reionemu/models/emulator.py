"""From parameters to a spectrum in physical units."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import require_choice, require_finite, require_int
from ..errors import ConfigError, ReionemuWarning
from ..parameters import ParameterBox, as_theta
from ..targets import Target
from .domain import Domain
from .prediction import History, JointDraws, Prediction
from .spectrum import NetworkSpectrum, SurrogateSpectrum
from .suite import Suite

if TYPE_CHECKING:
    from .as_torch import EmulatorModule
    from .history import HistoryModel

OUT_OF_RANGE = ("raise", "warn", "nan")
DEFAULT_DRAWS = 201
DEFAULT_Z = np.linspace(5.0, 20.0, 61)


class Emulator:
    """A trained model with everything needed to read its answers.

    Made by `reionemu.load_artifact(path).emulator()`.

    Attributes
    ----------
    ell : ndarray, shape (b,)
    parameter_names : tuple of str
    box : ParameterBox or None
        Where it was trained; None if the caller asked for no check.
    target : Target
    spectrum : SurrogateSpectrum or NetworkSpectrum
    history : HistoryModel or None
        Optical depth and neutral fraction, if it was trained on them.
    suite : Suite or None
        What it was trained on, if that is recorded.
    """

    def __init__(
        self,
        spectrum: SurrogateSpectrum | NetworkSpectrum,
        *,
        ell: np.ndarray,
        parameter_names: tuple[str, ...],
        box: ParameterBox | None,
        history: HistoryModel | None = None,
        suite: Suite | None = None,
        domain: Domain | None = None,
        correlation: np.ndarray | None = None,
    ) -> None:
        self.spectrum = spectrum
        self.ell = np.asarray(ell, dtype=np.float64)
        self.parameter_names = tuple(parameter_names)
        self.box = box
        self.history = history
        self.suite = suite
        self._domain = domain
        self._correlation = correlation

    @property
    def target(self) -> Target:
        """What the model was trained to give."""
        return self.spectrum.target

    def __repr__(self) -> str:
        beside = ", tau and x_HI(z)" if self.history is not None else ""
        return (
            f"<Emulator of {self.target.source} in {len(self.ell)} bins, ell {self.ell[0]:.0f} to "
            f"{self.ell[-1]:.0f}{beside}, from {', '.join(self.parameter_names)}>"
        )

    def predict(
        self,
        theta: Any,
        *,
        out_of_range: str = "raise",
        n_draws: int = DEFAULT_DRAWS,
        seed: int = 0,
    ) -> Prediction:
        """Predict the spectrum at one or many points.

        Parameters
        ----------
        theta : array_like, shape (p,) or (n, p), or mapping
            Parameters in the order of `parameter_names`, or by name.
        out_of_range : {"raise", "warn", "nan"}
            For points outside the training box: refuse, extrapolate with a warning, or answer
            NaN there.
        n_draws : int
            Dropout draws, at least 2; of no consequence for a model without.
        seed : int
            Of the dropout masks. The same call gives the same numbers; and, for all models but
            registered ones with dropout, whatever other points are predicted with it.

        Returns
        -------
        Prediction

        Raises
        ------
        OutOfRangeError (ValueError)
            Naming the parameter, its value and its range.
        ConfigError (ValueError)
            If theta has a wrong shape, or names that are not parameters.

        Warns
        -----
        ReionemuWarning
            For points inside the box that no training point is near.
        """
        _require_draws(n_draws, seed)
        points, outside, single = self._points(theta, out_of_range)
        found = self.spectrum.moments(points, n_draws, seed)
        values = [found.mean, found.std, found.covariance]
        if outside.any():
            for value in values:
                if value is not None:
                    value[outside] = np.nan
        if single:
            values = [None if value is None else value[0] for value in values]
        mean, std, covariance = values
        assert mean is not None
        return Prediction(self.ell.copy(), mean, std, self.target.source, covariance)

    def draws(
        self,
        theta: Any,
        *,
        out_of_range: str = "raise",
        n_draws: int = DEFAULT_DRAWS,
        seed: int = 0,
    ) -> np.ndarray:
        """Spectra as they might be [uK^2], shape (n_draws, b) or (n_draws, n, b).

        They scatter by the emulator's error. A model that does not know it gives one.
        """
        points, outside, single = self._points(theta, out_of_range)
        _require_draws(n_draws, seed)
        samples = self.spectrum.draws(points, n_draws, seed)
        samples[:, outside] = np.nan
        return samples[:, 0] if single else samples

    def gradient(self, theta: Any, *, out_of_range: str = "raise") -> np.ndarray:
        """Derivatives of the mean spectrum, shape (b, p) or (n, b, p).

        In uK^2 per unit of each parameter, in closed form.

        Raises
        ------
        ConfigError
            For a network, whose derivatives PyTorch knows: see `torch`.
        """
        if not isinstance(self.spectrum, SurrogateSpectrum):
            raise ConfigError(
                "the derivatives of this network are those PyTorch takes: emulator.torch()"
            )
        points, outside, single = self._points(theta, out_of_range)
        gradient = self.spectrum.differentiated(points).mean_slope
        gradient[outside] = np.nan
        return gradient[0] if single else gradient

    def torch(self, *, out_of_range: str = "raise") -> EmulatorModule:
        """The mean spectrum as a PyTorch module: see `models.as_torch.as_module`."""
        from .as_torch import as_module

        return as_module(self, out_of_range=out_of_range)

    def predict_history(self, theta: Any, z: Any = None, *, out_of_range: str = "raise") -> History:
        """Predict optical depth and neutral fraction at one or many points.

        Parameters
        ----------
        theta, out_of_range
            As in `predict`.
        z : array_like, shape (k,), optional
            Redshifts, in any order; by default 5 to 20 by 0.25.

        Returns
        -------
        History

        Raises
        ------
        ConfigError
            If the emulator was not trained on histories.
        """
        model = self._history()
        points, outside, single = self._points(theta, out_of_range)
        z = DEFAULT_Z if z is None else np.atleast_1d(np.asarray(z, float))
        found = (
            model.predict(points, z),
            model.tau(points),
            model.z50(points),
            model.duration(points),
        )
        values = [value for pair in found for value in pair]
        for value in values:
            value[outside] = np.nan
        return History(z.copy(), *(value[0] if single else value for value in values))

    def joint_draws(
        self,
        theta: Any,
        z: Any = None,
        *,
        out_of_range: str = "raise",
        n_draws: int = DEFAULT_DRAWS,
        seed: int = 0,
    ) -> JointDraws:
        """Spectra and histories as they might be: draws from the emulator's joint error.

        A network's errors are taken as independent of the history's.

        Parameters
        ----------
        theta, out_of_range
            As in `predict`.
        z : array_like, shape (k,), optional
            Redshifts; by default 5 to 20 by 0.25.
        n_draws, seed : int

        Returns
        -------
        JointDraws

        Raises
        ------
        ConfigError
            If the emulator was not trained on histories.
        """
        model = self._history()
        points, outside, single = self._points(theta, out_of_range)
        _require_draws(n_draws, seed)
        z = DEFAULT_Z if z is None else np.atleast_1d(np.asarray(z, float))
        b = len(self.ell)
        if self._correlation is not None and isinstance(self.spectrum, SurrogateSpectrum):
            lower = np.linalg.cholesky(self._correlation)
            normals = np.random.default_rng(seed).standard_normal((n_draws, len(lower))) @ lower.T
            spectrum = self.spectrum.displaced(points, normals[:, :b])
            x_hi, tau = model.draw(points, z, normals[:, b:])
        else:
            spectrum = self.spectrum.draws(points, n_draws, seed)
            lower = np.linalg.cholesky(model.spread.correlation)
            rng = np.random.default_rng([seed, 1])  # not the numbers of the spectrum's draws
            x_hi, tau = model.draw(points, z, rng.standard_normal((n_draws, len(lower))) @ lower.T)
        for value in (spectrum, x_hi, tau):
            value[:, outside] = np.nan
        if single:
            spectrum, x_hi, tau = spectrum[:, 0], x_hi[:, 0], tau[:, 0]
        return JointDraws(spectrum, z.copy(), x_hi, tau)

    def sample_covariance(
        self, theta: Any, area: float | None = None, *, out_of_range: str = "raise"
    ) -> np.ndarray:
        """Covariance of the spectrum of one sky of some area [sr]: (b, b) or (n, b, b) [uK^4].

        The scatter between realizations, which is no error of the emulator: by how much a map
        differs from the mean of many. It goes with the inverse of the area.

        Parameters
        ----------
        theta, out_of_range
            As in `predict`.
        area : float, optional
            Solid angle [sr]; by default that of a simulated map.

        Raises
        ------
        ConfigError
            If the suite does not tell: it shares one realization, or has no size.
        """
        points, outside, single = self._points(theta, out_of_range)
        covariance = self._map_covariance(points)
        covariance[outside] = np.nan
        if area is not None:
            require_finite("sample_covariance", "area", area, minimum=0, exclusive=True)
            if area > 4 * np.pi:
                raise ConfigError(
                    f"sample_covariance: area = {area:g} sr is more than the whole sky; a square "
                    f"degree is {(np.pi / 180) ** 2:.3g} sr"
                )
            if self.suite is None or self.suite.map_area is None:
                raise ConfigError("the area of the simulated maps is not recorded")
            covariance = covariance * (self.suite.map_area / area)
        return covariance[0] if single else covariance

    def realization_covariance(self, theta: Any, *, out_of_range: str = "raise") -> np.ndarray:
        """How sure the mean over realizations is, shape (b, b) or (n, b, b) [uK^4].

        Of a suite that shares R realizations, `sample_covariance` / R: the same deviation for all
        parameters, nearly, and not in `Prediction.std`. Zero for a suite of own realizations,
        where it is a part of `Prediction.std`.
        """
        covariance = self.sample_covariance(theta, out_of_range=out_of_range)
        suite = self.suite
        assert suite is not None
        return covariance * (0.0 if suite.realizations == "own" else 1 / suite.n_realizations)

    def _map_covariance(self, points: np.ndarray) -> np.ndarray:
        known = self.suite.ln_covariance if self.suite is not None else None
        if known is None:
            scatter = self.spectrum.scatter(points)
            if scatter is not None:  # of what a row is the mean of
                return scatter * (1 if self.suite is None else self.suite.n_realizations)
            raise ConfigError(
                "the scatter between realizations is not known: the suite has one for all "
                "parameters, or the model is a network, which does not tell it from its own error. "
                "Simulate several (`reionemu simulate --realizations 0,1,2,3`, `training-set "
                "--realizations mean`)"
            )
        mean = self.spectrum.moments(points, DEFAULT_DRAWS, 0).mean
        return mean[:, :, None] * known * mean[:, None, :]

    def is_sparse(self, theta: Any) -> np.ndarray:
        """Which points in the box have no training points around them: shape () or (n,)."""
        points, single = as_theta(theta, self.parameter_names)
        sparse = self._is_sparse(points)
        return sparse[0] if single else sparse

    def _is_sparse(self, points: np.ndarray) -> np.ndarray:
        if self._domain is None or self.box is None:
            return np.zeros(len(points), bool)
        return self._domain.sparse(points)

    def _history(self) -> HistoryModel:
        if self.history is None:
            raise ConfigError(
                "this emulator was not trained on optical depths and histories: its training "
                "arrays had none, or were not of the four parameters in their order. Build them "
                "again (`reionemu training-set`) and train"
            )
        return self.history

    def _points(self, theta: Any, out_of_range: str) -> tuple[np.ndarray, np.ndarray, bool]:
        """Points, shape (n, p), which of them to answer with NaN, and whether there was one."""
        require_choice("predict", "out_of_range", out_of_range, OUT_OF_RANGE)
        points, single = as_theta(theta, self.parameter_names)
        outside = self._check_box(points, out_of_range)
        sparse = self._is_sparse(points).any()
        if outside.any():  # to be answered with NaN: what stands there must only be computable
            assert self.box is not None
            points = points.copy()
            points[outside] = np.mean([self.box.low, self.box.high], axis=0)
        if sparse:
            warnings.warn(
                "some points are far from all training points, though inside the box: error bars "
                "are less sure there (see Emulator.is_sparse)",
                ReionemuWarning,
                stacklevel=3,
            )
        return points, outside, single

    def _check_box(self, points: np.ndarray, out_of_range: str) -> np.ndarray:
        """Which points must be answered with NaN, shape (n,)."""
        none = np.zeros(len(points), dtype=bool)
        if self.box is None:
            return none
        outside = np.asarray(self.box.outside(points).any(axis=1))
        if not outside.any():
            return none
        if out_of_range == "nan":
            return outside
        error = self.box.error(points)
        if out_of_range == "raise":
            raise error
        warnings.warn(
            f"extrapolating: {error.parameter} = {error.value:.6g} is outside the training range "
            f"[{error.low:.6g}, {error.high:.6g}]",
            ReionemuWarning,
            stacklevel=4,
        )
        return none


def _require_draws(n_draws: int, seed: int) -> None:
    require_int("predict", "n_draws", n_draws, minimum=2)
    require_int("predict", "seed", seed, minimum=0)
