"""A trained ensemble: predictions in NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ...config import require_choice
from ...errors import RecordError
from ..inputs import Inputs
from ..moments import Differentiated
from ..recorded import HUGE, LARGE, STEEP, numbers
from .options import ACTIVATIONS
from .uncertainty import Uncertainty

CHUNK = 256
"""Points at a time: what all members make of them should stay in the cache."""


@dataclass(frozen=True, eq=False)
class NetworkEnsemble:
    """m dense networks from coordinates to b outputs, and what their spread means.

    Attributes
    ----------
    inputs : Inputs
    activation : {"tanh", "silu"}
        After each layer but the last.
    layers : tuple of ndarray, shape (m, n_in + 1, n_out)
        Weights, and in the last row biases.
    mean, scale : ndarray, shape (b,)
        Outputs are those of the networks times scale plus mean.
    uncertainty : Uncertainty
    """

    inputs: Inputs
    activation: str
    layers: tuple[np.ndarray, ...]
    mean: np.ndarray
    scale: np.ndarray
    uncertainty: Uncertainty

    @property
    def n_outputs(self) -> int:
        """b."""
        return len(self.mean)

    @property
    def n_members(self) -> int:
        """m."""
        return len(self.layers[0])

    def predict(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, its standard deviation, and that of the noise, shape (n, b) each.

        Parameters
        ----------
        theta : ndarray, shape (n, p)
        """
        x = self.inputs(theta)
        mean, std = np.empty((2, len(x), self.n_outputs))
        for i in range(0, len(x), CHUNK):
            part = slice(i, i + CHUNK)
            outputs = forward(self.layers, x[part], self.activation)
            mean[part], std[part] = outputs.mean(axis=0), self.uncertainty.std(outputs)
        noise = self.uncertainty.noise_std(x)
        return self.mean + mean * self.scale, std * self.scale, noise * self.scale

    def with_gradients(self, theta: np.ndarray) -> Differentiated:
        """The same, with derivatives by the parameters: see `Surrogate.with_gradients`."""
        x = self.inputs(theta)
        (n, p), b = x.shape, self.n_outputs
        mean, std = np.empty((2, n, b))
        mean_slope, std_slope = np.empty((2, n, b, p))
        for i in range(0, n, CHUNK):
            part = slice(i, i + CHUNK)
            outputs, slopes = forward_slopes(self.layers, x[part], self.activation)
            mean[part], mean_slope[part] = outputs.mean(axis=0), slopes.mean(axis=0)
            std[part] = self.uncertainty.std(outputs)
            std_slope[part] = self.uncertainty.std_slope(outputs, slopes)
        noise, jacobian = self.uncertainty.noise_std(x), self.inputs.jacobian(theta)
        noise_slope = noise[..., None] * self.uncertainty.noise_slope
        slopes_by_x = (mean_slope, std_slope, noise_slope)
        return Differentiated(
            self.mean + mean * self.scale,
            std * self.scale,
            noise * self.scale,
            *(by_x * self.scale[:, None] @ jacobian for by_x in slopes_by_x),
        )

    def options(self) -> dict[str, Any]:
        """What is recorded beside the arrays."""
        return {
            "inputs": self.inputs.to_mapping(),
            "activation": self.activation,
            "n_layers": len(self.layers),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """What is recorded as arrays."""
        named = {"mean": self.mean, "scale": self.scale}
        named |= {name: getattr(self.uncertainty, name) for name in _OF_UNCERTAINTY}
        named |= {_layer_name(i): layer for i, layer in enumerate(self.layers)}
        return {name: np.asarray(array, np.float64) for name, array in named.items()}

    @classmethod
    def from_record(
        cls, options: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> NetworkEnsemble:
        """The inverse of `options` and `arrays`.

        Raises
        ------
        RecordError
            If they are not those of an ensemble.
        """
        inputs = Inputs.from_mapping(options.get("inputs") or {})
        try:
            require_choice("ensemble", "activation", options["activation"], ACTIVATIONS)
            p, b = inputs.dimension, len(arrays["mean"])
            mean = numbers("mean", arrays["mean"], (b,))
            scale = numbers("scale", arrays["scale"], (b,), low=1 / HUGE)
            typical, bias, noise = (
                numbers(name, arrays[name], (b,), low=1 / LARGE, high=LARGE)
                for name in ("typical", "bias", "noise")
            )
            slope = numbers("noise_slope", arrays["noise_slope"], (p,), high=STEEP)
            uncertainty = Uncertainty(typical, bias, noise, slope)
            layers = _layers(arrays, int(options["n_layers"]), p, b)
            ensemble = cls(inputs, options["activation"], layers, mean, scale, uncertainty)
            if unknown := sorted(arrays.keys() - ensemble.arrays().keys()):
                raise ValueError(f"unknown arrays {', '.join(unknown)}")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RecordError(f"the recorded ensemble is not usable: {error}") from None
        return ensemble


_OF_UNCERTAINTY = ("typical", "bias", "noise", "noise_slope")


def _layers(
    arrays: Mapping[str, np.ndarray], n_layers: int, p: int, b: int
) -> tuple[np.ndarray, ...]:
    if n_layers < 2:
        raise ValueError(f"an ensemble has two layers or more, not {n_layers}")
    found = [arrays[_layer_name(i)] for i in range(n_layers)]
    if any(np.ndim(layer) != 3 for layer in found):
        raise ValueError("layers of an ensemble have three dimensions")
    m, widths = len(found[0]), [p, *[np.shape(layer)[2] for layer in found[:-1]], b]
    if m < 2 or b < 1:
        raise ValueError(f"an ensemble of {m} members with {b} outputs has no spread")
    return tuple(
        numbers(_layer_name(i), layer, (m, n_in + 1, n_out), high=LARGE)
        for i, (layer, (n_in, n_out)) in enumerate(zip(found, pairwise(widths), strict=True))
    )


def _layer_name(i: int) -> str:
    return f"layer_{i}"


def forward(layers: tuple[np.ndarray, ...], x: np.ndarray, activation: str) -> np.ndarray:
    """Outputs, shape (m, n, b), of networks for coordinates, shape (n, p)."""
    hidden = x
    for layer in layers[:-1]:
        hidden = _activate(hidden @ layer[:, :-1] + layer[:, -1:], activation)
    return hidden @ layers[-1][:, :-1] + layers[-1][:, -1:]


def forward_slopes(
    layers: tuple[np.ndarray, ...], x: np.ndarray, activation: str
) -> tuple[np.ndarray, np.ndarray]:
    """The same, and derivatives by the coordinates, shape (m, n, b, p).

    The chain rule is followed from the inputs on: there are fewer of them than of outputs.
    """
    m, (n, p) = len(layers[0]), x.shape
    hidden, slopes = np.broadcast_to(x, (m, n, p)), np.broadcast_to(np.eye(p), (m, n, p, p))
    for layer in layers[:-1]:
        inner = hidden @ layer[:, :-1] + layer[:, -1:]
        slopes = slopes @ layer[:, None, :-1] * _derivative(inner, activation)[:, :, None]
        hidden = _activate(inner, activation)
    last = layers[-1]
    return hidden @ last[:, :-1] + last[:, -1:], (slopes @ last[:, None, :-1]).swapaxes(2, 3)


def _activate(x: np.ndarray, activation: str) -> np.ndarray:
    return np.tanh(x) if activation == "tanh" else x * _sigmoid(x)


def _derivative(x: np.ndarray, activation: str) -> np.ndarray:
    if activation == "tanh":
        return 1 - np.tanh(x) ** 2
    sigmoid = _sigmoid(x)
    return sigmoid * (1 + x * (1 - sigmoid))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))  # overflows nowhere
