"""A trained emulator as a PyTorch module: for derivatives, and for likelihoods written in PyTorch.

The same numbers as `Emulator.predict` gives, computed by PyTorch in double precision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..config import require_choice
from ..errors import ConfigError
from ..parameters import ParameterBox
from .emulator import OUT_OF_RANGE, Emulator
from .torch_modules import ConstantModule, target_module

if TYPE_CHECKING:
    from .history import HistoryModel


def as_module(emulator: Emulator, *, out_of_range: str = "raise") -> EmulatorModule:
    """The mean spectrum, and the optical depth, as functions that PyTorch can differentiate.

    Of a Gaussian process or an ensemble this is the mean of `predict`. Of a network it is what it
    says without dropout: `predict` has the mean over draws, which differs by about half their
    variance.

    Parameters
    ----------
    emulator : Emulator
    out_of_range : {"raise", "warn", "nan"}
        As in `Emulator.predict`. Within `torch.func.vmap` only "nan" works, or an emulator without
        a box.

    Returns
    -------
    EmulatorModule

    Raises
    ------
    ConfigError
        If the model is of a kind that has no form in PyTorch.
    """
    require_choice("as_module", "out_of_range", out_of_range, OUT_OF_RANGE)
    return EmulatorModule(emulator, out_of_range)


class EmulatorModule(ConstantModule):
    """See `as_module`.

    Call it with parameters, a tensor of shape (..., p), for the mean spectrum, shape (..., b)
    [uK^2], in float64. It has no weights to train.
    """

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, emulator: Emulator, out_of_range: str) -> None:
        super().__init__()
        self.spectrum = target_module(emulator.spectrum)
        self._emulator, self._out_of_range = emulator, out_of_range
        low, high = _ends(emulator.box, len(emulator.parameter_names))
        self.hold(low=low, high=high)

    def forward(self, theta: torch.Tensor) -> torch.Tensor:
        """The mean spectrum, shape (..., b) [uK^2].

        Parameters
        ----------
        theta : Tensor, shape (..., p)
            Parameters, in the order of `Emulator.parameter_names`.

        Raises
        ------
        OutOfRangeError
            As `Emulator.predict` does.
        ConfigError
            If theta has another shape.
        """
        points = self._points(theta)
        y = self.spectrum(points)
        target = self._emulator.target
        if target.is_logarithmic:
            y = torch.exp(target.ln_base * y) - target.eps
        return self._masked(y, points).reshape(*theta.shape[:-1], y.shape[-1])

    def tau(self, theta: torch.Tensor) -> torch.Tensor:
        """The optical depth, shape (...), of parameters of shape (..., p).

        Its derivatives are those in closed form; there are no second ones.

        Raises
        ------
        ConfigError, OutOfRangeError
            As above; or if the emulator was not trained on histories.
        """
        if self._emulator.history is None:
            raise ConfigError("this emulator was not trained on optical depths")
        points = self._points(theta)
        tau = _OpticalDepth.apply(points, self._emulator.history)
        return self._masked(tau[:, None], points).reshape(theta.shape[:-1])

    def _points(self, theta: torch.Tensor) -> torch.Tensor:
        """Shape (n, p), in float64."""
        names = self._emulator.parameter_names
        if theta.ndim == 0 or theta.shape[-1] != len(names):
            raise ConfigError(
                f"theta has shape {tuple(theta.shape)}; expected (..., {len(names)}), the columns "
                f"being {', '.join(names)}"
            )
        points = theta.reshape(-1, len(names)).to(torch.float64)
        if self._out_of_range != "nan" and bool(self._outside(points).any()):
            self._emulator._check_box(points.detach().cpu().numpy(), self._out_of_range)
        return points

    def _outside(self, points: torch.Tensor) -> torch.Tensor:
        """Which points are outside the box, or NaN: shape (n, 1)."""
        return ~((points >= self.low) & (points <= self.high)).all(dim=-1, keepdim=True)

    def _masked(self, values: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        if self._out_of_range != "nan":
            return values
        return torch.where(self._outside(points), torch.nan, values)


def _ends(box: ParameterBox | None, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Bounds beyond which `ParameterBox.outside` calls a point outside, shape (p,) each."""
    if box is None:
        return np.full(p, -np.inf), np.full(p, np.inf)
    low, high = np.array(box.low), np.array(box.high)
    slack = 1e-6 * np.maximum(high - low, np.maximum(abs(low), abs(high)))
    return low - slack, high + slack


class _OpticalDepth(torch.autograd.Function):
    """The optical depth by NumPy."""

    @staticmethod
    def forward(ctx: Any, points: torch.Tensor, model: HistoryModel) -> torch.Tensor:
        theta = points.detach().cpu().numpy()
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(torch.as_tensor(model.gradient_tau(theta), device=points.device))
        return torch.as_tensor(model.tau(theta)[0], device=points.device)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_tau: torch.Tensor) -> tuple[torch.Tensor, None]:
        return by_tau[:, None] * ctx.saved_tensors[0], None
