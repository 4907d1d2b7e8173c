"""The forward pass of a dense network in NumPy: predicting needs no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from ..errors import RecordError
from .architecture import DenseLayer

_MAX_VALUES = 2**22
"""Values of one intermediate array; larger batches are computed in several."""


class DenseNetwork:
    """Weights and layers of a trained network, evaluated in float64.

    Dropout draws are functions: the mask of draw i depends on the seed and on i, not on the
    inputs, so that a draw is one network of the dropout ensemble, a prediction does not depend on
    what else is predicted with it, and the same call gives the same numbers.

    Parameters
    ----------
    layers : sequence of DenseLayer
    weights : mapping of str to ndarray
        `<key>.weight`, shape (n_out, n_in), and `<key>.bias`, shape (n_out,), of each layer.

    Raises
    ------
    RecordError
        If a weight is missing or shapes do not fit together.
    """

    def __init__(self, layers: Sequence[DenseLayer], weights: Mapping[str, np.ndarray]) -> None:
        self.layers = tuple(layers)
        expected = {f"{layer.key}.{part}" for layer in layers for part in ("weight", "bias")}
        if set(weights) != expected:
            odd = sorted(expected ^ set(weights))
            raise RecordError(f"the weights do not belong to the recorded model: {', '.join(odd)}")
        self._matrices = [np.asarray(weights[f"{k.key}.weight"], np.float64).T for k in layers]
        self._biases = [np.asarray(weights[f"{k.key}.bias"], np.float64) for k in layers]
        for before, after in zip(self._matrices[:-1], self._matrices[1:], strict=True):
            if before.shape[1] != after.shape[0]:
                raise RecordError(f"the weights do not fit together: {before.shape}, {after.shape}")

    @property
    def stochastic(self) -> bool:
        """Whether the network has dropout."""
        return any(layer.dropout > 0 for layer in self.layers)

    def draws(self, x: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
        """Outputs, shape (n_draws, n, b), for normalized inputs x, shape (n, p).

        Without dropout every draw is the same, and one is returned.
        """
        if not self.stochastic:
            return self._forward(x, None)[None]
        masks = _masks(self._hidden_dropout(), n_draws, seed)
        width = max(matrix.shape[1] for matrix in self._matrices)
        step = max(1, _MAX_VALUES // (n_draws * width))
        starts = range(0, max(len(x), 1), step)
        parts = [self._forward(x[i : i + step], masks) for i in starts]
        return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]

    def _hidden_dropout(self) -> tuple[tuple[int, float], ...]:
        pairs = zip(self.layers, self._matrices, strict=True)
        return tuple(
            (matrix.shape[1], layer.dropout) for layer, matrix in pairs if layer.activation
        )

    def _forward(self, x: np.ndarray, masks: list[np.ndarray] | None) -> np.ndarray:
        """Shape (n, b), or with masks (n_draws, n, b)."""
        hidden = x
        for i, layer in enumerate(self.layers):
            flat = hidden.reshape(-1, hidden.shape[-1]) @ self._matrices[i]
            width = self._matrices[i].shape[1]
            hidden = (flat + self._biases[i]).reshape(*hidden.shape[:-1], width)
            if layer.activation:
                hidden = _activate(hidden, layer.activation)
                if masks is not None:
                    hidden = hidden * masks[i][:, None, :]
        return hidden


@lru_cache(maxsize=8)
def _masks(sizes: tuple[tuple[int, float], ...], n_draws: int, seed: int) -> list[np.ndarray]:
    """One array (n_draws, width) a hidden layer: 0 where a unit is dropped, else 1/(1 - p)."""
    rng = np.random.default_rng(seed)
    return [(rng.random((n_draws, width)) >= p) / (1.0 - p) for width, p in sizes]


def _activate(x: np.ndarray, name: str) -> np.ndarray:
    if name == "relu":
        return np.maximum(x, 0.0)
    if name == "tanh":
        return np.tanh(x)
    if name == "gelu":
        from scipy.special import ndtr

        return x * ndtr(x)
    with np.errstate(over="ignore"):
        sigmoid = 1.0 / (1.0 + np.exp(-x))
    return x * sigmoid if name == "silu" else sigmoid
