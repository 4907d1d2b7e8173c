"""Trained models as PyTorch modules, in the space of targets: see `as_torch`."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import ConfigError
from .dense import DenseNetwork
from .ensemble.model import NetworkEnsemble
from .gaussian_process.model import GaussianProcess
from .inputs import LOGARITHMIC, Inputs
from .network import activation_module
from .spectrum import NetworkSpectrum, SurrogateSpectrum
from .torch_network import TorchNetwork
from .width import _COEFFICIENTS

_ROWS = 256
"""Taken at once by a surrogate, for which each goes with all points of training."""


class ConstantModule(nn.Module):
    """A module with constant arrays, which go with it to other devices."""

    def hold(self, **arrays: Any) -> None:
        """Take arrays, by name, as float64."""
        for name, array in arrays.items():
            self.register_buffer(name, torch.tensor(np.asarray(array), dtype=torch.float64))


def target_module(spectrum: SurrogateSpectrum | NetworkSpectrum) -> nn.Module:
    """From parameters, shape (n, p), to the target of the mean spectrum, shape (n, b).

    Raises
    ------
    ConfigError
        If the model is of a kind that has no form in PyTorch.
    """
    if isinstance(spectrum, SurrogateSpectrum):
        return _Surrogate(spectrum)
    return _Network(spectrum)


class _Surrogate(ConstantModule):
    """Targets of the mean spectrum by a surrogate, shape (n, b)."""

    noise: torch.Tensor
    noise_slope: torch.Tensor
    noise_scale: torch.Tensor
    noise_floor: torch.Tensor

    def __init__(self, spectrum: SurrogateSpectrum) -> None:
        super().__init__()
        model, target = spectrum.model, spectrum.target
        self._lift = 0.5 * target.ln_base
        self._lifted = spectrum.noise_is_scatter and target.is_logarithmic
        if isinstance(model, GaussianProcess):
            self.mean: nn.Module = _Process(model)
            noise, slope = model.hyper.noise * model.scale, model.hyper.noise_slope
        elif isinstance(model, NetworkEnsemble):
            self.mean = _Ensemble(model)
            noise, slope = model.uncertainty.noise * model.scale, model.uncertainty.noise_slope
        else:
            raise ConfigError(f"a {type(model).__name__} has no form in PyTorch")
        self.coordinates = _Coordinates(model.inputs)
        calibration = spectrum.calibration
        self.hold(noise=noise, noise_slope=slope)
        self.hold(noise_scale=calibration.scale, noise_floor=calibration.floor)

    def forward(self, theta: torch.Tensor) -> torch.Tensor:
        return torch.cat([self._targets(part) for part in theta.split(_ROWS)])

    def _targets(self, theta: torch.Tensor) -> torch.Tensor:
        x = self.coordinates(theta)
        mean = self.mean(x)
        if not self._lifted:
            return mean
        noise = torch.exp(x @ self.noise_slope)[:, None] * self.noise * self.noise_scale
        return mean + self._lift * (noise**2 + self.noise_floor**2)


class _Coordinates(ConstantModule):
    """See `Inputs`."""

    low: torch.Tensor
    high: torch.Tensor
    k: torch.Tensor
    weights: torch.Tensor
    series: torch.Tensor

    def __init__(self, inputs: Inputs) -> None:
        super().__init__()
        self._names, self._physical = inputs.names, inputs.coordinates == "physical"
        self.hold(low=inputs.low, high=inputs.high)
        if self._physical:
            theory = inputs.cosmology
            k, weights = theory._integrand
            self._dark = (1 - theory.omega_m) / theory.omega_m
            self.hold(k=k, weights=weights, series=_COEFFICIENTS)

    def forward(self, theta: torch.Tensor) -> torch.Tensor:
        raw = self._of_reionization(theta) if self._physical else self._plain(theta)
        return 2 * (raw - self.low) / (self.high - self.low) - 1

    def _plain(self, theta: torch.Tensor) -> torch.Tensor:
        columns = zip(self._names, theta.unbind(dim=-1), strict=True)
        logs = [torch.log(x) if name in LOGARITHMIC else x for name, x in columns]
        return torch.stack(logs, dim=-1)

    def _of_reionization(self, theta: torch.Tensor) -> torch.Tensor:
        """See `LinearTheory.coordinates`."""
        zmean, alpha, kb, b0 = theta.unbind(dim=-1)
        bias = torch.exp(-2 * alpha[:, None] * torch.log1p(self.k / kb[:, None]))
        ln_sigma = 0.5 * torch.log(bias @ self.weights)
        growth = self._ln_growth(zmean) - self._ln_growth(torch.zeros_like(zmean))
        width = torch.log1p(zmean) + torch.log(b0) + growth + ln_sigma[:, 0]
        shape = ln_sigma[:, 1:] - ln_sigma[:, :1]
        return torch.cat([zmean[:, None], shape, width[:, None]], dim=-1)

    def _ln_growth(self, z: torch.Tensor) -> torch.Tensor:
        """But for a constant: see `LinearTheory`."""
        x = self._dark / (1 + z) ** 3
        w = x / (1 + x)
        powers = w[:, None] ** torch.arange(len(self.series), device=z.device)
        return -torch.log1p(z) - torch.log1p(x) + torch.log(powers @ self.series)


class _Process(ConstantModule):
    """The mean of a `GaussianProcess`, shape (n, b), at coordinates, shape (n, p)."""

    points: torch.Tensor
    smooth: torch.Tensor
    rough: torch.Tensor
    weights: torch.Tensor
    mean: torch.Tensor

    def __init__(self, model: GaussianProcess) -> None:
        super().__init__()
        hyper = model.hyper
        self._amplitude2 = hyper.amplitude**2
        self.hold(points=model.points, smooth=hyper.smooth, rough=hyper.rough)
        self.hold(weights=model.weights, mean=model.mean)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        smooth = torch.exp(-0.5 * self._squared(x, self.smooth))
        # The root has no derivative at 0: points of training, where that of the kernel is 0.
        r = torch.sqrt(5 * self._squared(x, self.rough).clamp(min=1e-20))
        rough = self._amplitude2 * (1 + r + r**2 / 3) * torch.exp(-r)
        return self.mean + (smooth + rough) @ self.weights

    def _squared(self, x: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        x, y = x / length, self.points / length
        return (x * x).sum(dim=-1, keepdim=True) + (y * y).sum(dim=-1) - 2 * (x @ y.T)


class _Ensemble(ConstantModule):
    """The mean of a `NetworkEnsemble`, shape (n, b), at coordinates, shape (n, p)."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, model: NetworkEnsemble) -> None:
        super().__init__()
        self.activation = activation_module(model.activation)
        self._names = [f"layer_{i}" for i in range(len(model.layers))]
        self.hold(mean=model.mean, scale=model.scale)
        self.hold(**dict(zip(self._names, model.layers, strict=True)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *inner, last = (self.get_buffer(name) for name in self._names)
        hidden = x
        for layer in inner:
            hidden = self.activation(hidden @ layer[:, :-1] + layer[:, -1:])
        outputs = hidden @ last[:, :-1] + last[:, -1:]
        return self.mean + outputs.mean(dim=0) * self.scale


class _Network(ConstantModule):
    """Targets by a network without dropout, shape (n, b)."""

    def __init__(self, spectrum: NetworkSpectrum) -> None:
        super().__init__()
        network = spectrum.network
        if isinstance(network, DenseNetwork):
            self.network = _sequential(network)
        elif isinstance(network, TorchNetwork):
            self.network = copy.deepcopy(network.model).double().eval()
        else:
            raise ConfigError(f"a {type(network).__name__} has no form in PyTorch")
        self.network.requires_grad_(False)
        for name in ("x", "y"):
            norm = getattr(spectrum, f"{name}_normalizer")
            mean, std = (0.0, 1.0) if norm is None else (norm.mean, norm.std)
            self.hold(**{f"{name}_mean": mean, f"{name}_std": std})

    def train(self, mode: bool = True) -> _Network:
        """Dropout stays off."""
        return super().train(False)

    def forward(self, theta: torch.Tensor) -> torch.Tensor:
        x_mean, x_std, y_mean, y_std = map(self.get_buffer, ("x_mean", "x_std", "y_mean", "y_std"))
        return self.network((theta - x_mean) / x_std) * y_std + y_mean


def _sequential(network: DenseNetwork) -> nn.Module:
    """The layers of a network, without dropout."""
    modules: list[nn.Module] = []
    for layer, matrix, bias in zip(network.layers, network._matrices, network._biases, strict=True):
        linear = nn.Linear(matrix.shape[0], matrix.shape[1], dtype=torch.float64)
        linear.load_state_dict({"weight": torch.tensor(matrix.T), "bias": torch.tensor(bias)})
        modules.append(linear)
        if layer.activation:
            modules.append(activation_module(layer.activation))
    return nn.Sequential(*modules)
