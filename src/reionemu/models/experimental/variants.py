"""The proof-of-concept models: fixed widths, layers called fc1, fc2, fc3 and out."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..architecture import DenseLayer, named_layers
from ..network import activation_module


class _NamedStack(nn.Module):
    """Linear layers by name, `activation` after each hidden one, then dropout if there is any."""

    widths: tuple[int, ...]
    layers: list[DenseLayer]

    def __init__(self) -> None:
        super().__init__()
        for layer, n_in, n_out in zip(self.layers, self.widths[:-1], self.widths[1:], strict=True):
            self.add_module(layer.key, nn.Linear(n_in, n_out))
        first = self.layers[0]
        self.activation = activation_module(str(first.activation))
        if first.dropout:
            self.dropout = nn.Dropout(first.dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Targets, shape (..., 5), for (normalized) inputs, shape (..., p)."""
        for layer in self.layers[:-1]:
            x = self.activation(self.get_submodule(layer.key)(x))
            if layer.dropout:
                x = self.dropout(x)
        return self.get_submodule(self.layers[-1].key)(x)

    def record(self) -> dict[str, Any]:
        """Class name: these models have no options."""
        return {"class_name": type(self).__name__}


class POCEmulatorThreeParams(_NamedStack):
    """3-5-5, GELU."""

    widths = (3, 5, 5)
    layers = named_layers(1, "gelu")


class POCEmulatorFourParamsV1(_NamedStack):
    """4-20-5, GELU."""

    widths = (4, 20, 5)
    layers = named_layers(1, "gelu")


class POCEmulatorFourParamsV2(_NamedStack):
    """4-20-20-20-5, ReLU, dropout 0.1 after each hidden layer."""

    widths = (4, 20, 20, 20, 5)
    layers = named_layers(3, "relu", dropout=0.1)


class POCEmulatorFourParamsV3(_NamedStack):
    """4-20-20-5, ReLU."""

    widths = (4, 20, 20, 5)
    layers = named_layers(2, "relu")
