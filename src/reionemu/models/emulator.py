"""From parameters to a spectrum in physical units."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..config import require_choice, require_int
from ..data.normalization import (
    Normalizer,
    inverse_transform_standardizer,
    transform_standardizer,
)
from ..errors import ReionemuWarning
from ..parameters import ParameterBox, as_theta
from ..targets import Target

OUT_OF_RANGE = ("raise", "warn", "nan")
DEFAULT_DRAWS = 201
_MAX_VALUES = 2**22


class Network(Protocol):
    """What an Emulator needs of a trained network."""

    @property
    def stochastic(self) -> bool:
        """Whether draws differ."""

    def draws(self, x: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
        """Outputs, shape (n_draws or 1, n, b), for normalized inputs, shape (n, p)."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """A predicted spectrum.

    Attributes
    ----------
    ell : ndarray, shape (b,)
        Bin centres.
    mean : ndarray, shape (b,) or (n, b)
        The spectrum [uK^2]; for a model with dropout the mean over draws.
    std : ndarray of the shape of `mean`, or None
        Standard deviation over draws (ddof=1) [uK^2]; None for a deterministic model.
    quantity : {"dl_ksz", "cl_ksz"}
        Whether this is D_ell = ell (ell + 1) C_ell / (2 pi), or C_ell.
    """

    ell: np.ndarray
    mean: np.ndarray
    std: np.ndarray | None
    quantity: str


class Emulator:
    """A trained network with everything needed to read its answers.

    Made by `reionemu.load_artifact(path).emulator()`.

    Attributes
    ----------
    ell : ndarray, shape (b,)
    parameter_names : tuple of str
    box : ParameterBox or None
        Where it was trained; None if the caller asked for no check.
    target : Target
    """

    def __init__(
        self,
        network: Network,
        *,
        ell: np.ndarray,
        parameter_names: tuple[str, ...],
        box: ParameterBox | None,
        target: Target,
        x_normalizer: Normalizer | None,
        y_normalizer: Normalizer | None,
    ) -> None:
        self.network = network
        self.ell = np.asarray(ell, dtype=np.float64)
        self.parameter_names = tuple(parameter_names)
        self.box = box
        self.target = target
        self._x_normalizer = x_normalizer
        self._y_normalizer = y_normalizer

    def __repr__(self) -> str:
        return (
            f"<Emulator of {self.target.source} in {len(self.ell)} bins, ell {self.ell[0]:.0f} to "
            f"{self.ell[-1]:.0f}, from {', '.join(self.parameter_names)}>"
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
            Dropout draws, at least 2; of no consequence for a deterministic model.
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
        """
        points, outside, single = self._points(theta, out_of_range, n_draws, seed)
        step = max(1, _MAX_VALUES // (n_draws * len(self.ell)))
        parts = [
            self._samples(points[i : i + step], outside[i : i + step], n_draws, seed)
            for i in range(0, max(len(points), 1), step)
        ]
        mean = np.concatenate([samples.mean(axis=0) for samples in parts])
        std = None
        if self.network.stochastic:
            std = np.concatenate([samples.std(axis=0, ddof=1) for samples in parts])
        if single:
            mean, std = mean[0], None if std is None else std[0]
        return Prediction(self.ell.copy(), mean, std, self.target.source)

    def draws(
        self,
        theta: Any,
        *,
        out_of_range: str = "raise",
        n_draws: int = DEFAULT_DRAWS,
        seed: int = 0,
    ) -> np.ndarray:
        """The draws behind `predict` [uK^2], shape (n_draws, b) or (n_draws, n, b).

        A deterministic model has one.
        """
        points, outside, single = self._points(theta, out_of_range, n_draws, seed)
        samples = self._samples(points, outside, n_draws, seed)
        return samples[:, 0] if single else samples

    def _points(
        self, theta: Any, out_of_range: str, n_draws: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray, bool]:
        """Points, shape (n, p), which of them to answer with NaN, and whether there was one."""
        require_choice("predict", "out_of_range", out_of_range, OUT_OF_RANGE)
        require_int("predict", "n_draws", n_draws, minimum=2)
        require_int("predict", "seed", seed, minimum=0)
        points, single = as_theta(theta, self.parameter_names)
        return points, self._check_box(points, out_of_range), single

    def _samples(self, x: np.ndarray, outside: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
        """Draws at points, shape (n_draws or 1, n, b) [uK^2]."""
        if self._x_normalizer is not None:
            x = transform_standardizer(x, self._x_normalizer)
        y = self.network.draws(x, n_draws, seed)
        if self._y_normalizer is not None:
            y = inverse_transform_standardizer(y, self._y_normalizer)
        samples = self.target.invert(y)
        if outside.any():
            samples[:, outside] = np.nan
        return samples

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


class TorchNetwork:
    """A PyTorch module as a `Network`: for models that `DenseNetwork` does not cover."""

    def __init__(self, model: Any) -> None:
        from .network import DROPOUT

        self.model = model.eval()
        self.stochastic = any(isinstance(m, DROPOUT) and m.p > 0 for m in model.modules())

    def draws(self, x: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
        """See `Network`. Masks are drawn anew for each row, from the seed."""
        import torch

        from .mc_dropout_emulator import mc_draws

        inputs = torch.as_tensor(x, dtype=torch.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            outputs = mc_draws(self.model, inputs, n_draws if self.stochastic else 1)
        return outputs.numpy().astype(np.float64)
