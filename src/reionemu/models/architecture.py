"""The fully connected architectures, described once for PyTorch and for NumPy.

A dense network is a list of linear layers, each followed by an activation and by dropout or not.
This module needs neither library: `network` builds modules from the description, `dense` runs it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..config import check_keys, require_choice, require_finite, require_int

RECORD_KEY = "reionemu_model"
"""Where a state dict of a built-in model keeps the options the model was made with."""

ACTIVATIONS = ("relu", "gelu", "silu", "tanh", "sigmoid")


@dataclass(frozen=True)
class DenseLayer:
    """One linear layer, by the prefix of its entries in a state dict, and what follows it."""

    key: str
    activation: str | None = None
    dropout: float = 0.0


@dataclass(frozen=True)
class StackOptions:
    """Options of the built-in emulators.

    Parameters
    ----------
    input_dim, output_dim, hidden_dim, num_hidden_layers : int
    activation : {"relu", "gelu", "silu", "tanh", "sigmoid"}
    dropout_rate : float or None
        Probability, in [0, 1), with which a hidden unit is dropped; None for a model without
        dropout layers.
    """

    input_dim: int = 4
    output_dim: int = 5
    hidden_dim: int = 20
    num_hidden_layers: int = 2
    activation: str = "relu"
    dropout_rate: float | None = None

    def __post_init__(self) -> None:
        for name in ("input_dim", "output_dim", "hidden_dim", "num_hidden_layers"):
            require_int("model", name, getattr(self, name), minimum=1)
        object.__setattr__(self, "activation", str(self.activation).lower())
        require_choice("model", "activation", self.activation, ACTIVATIONS)
        if self.dropout_rate is not None:
            require_finite("model", "dropout_rate", self.dropout_rate, minimum=0, below=1)

    def layers(self) -> list[DenseLayer]:
        """The layers, with the names they have in `nn.Sequential` called `network`."""
        stride = 2 if self.dropout_rate is None else 3
        hidden = [
            DenseLayer(f"network.{stride * i}", self.activation, self.dropout_rate or 0.0)
            for i in range(self.num_hidden_layers)
        ]
        return [*hidden, DenseLayer(f"network.{stride * self.num_hidden_layers}")]

    def widths(self) -> list[int]:
        """Number of values before, between and after the layers."""
        return [self.input_dim, *[self.hidden_dim] * self.num_hidden_layers, self.output_dim]

    @classmethod
    def dimensions_of(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
        """The dimensions that the shapes of a state dict imply; the rest it cannot tell."""
        matched = {re.fullmatch(r"network\.(\d+)\.weight", name): shapes[name] for name in shapes}
        by_position = {int(match[1]): shape for match, shape in matched.items() if match}
        weights = [by_position[position] for position in sorted(by_position)]
        if len(weights) < 2 or any(len(shape) != 2 for shape in weights):
            return {}
        return {
            "input_dim": weights[0][1],
            "output_dim": weights[-1][0],
            "hidden_dim": weights[0][0],
            "num_hidden_layers": len(weights) - 1,
        }


def named_layers(n_hidden: int, activation: str, dropout: float = 0.0) -> list[DenseLayer]:
    """The layers of an experimental model: fc1, fc2, ..., out."""
    hidden = [DenseLayer(f"fc{i}", activation, dropout) for i in range(1, n_hidden + 1)]
    return [*hidden, DenseLayer("out")]


def options_for(owner: str, options: Mapping[str, Any], *, dropout: bool) -> StackOptions:
    """StackOptions from a record or the keyword arguments of a class; unknown keys are refused."""
    known = [f.name for f in fields(StackOptions) if dropout or f.name != "dropout_rate"]
    check_keys(options, known, owner)
    defaults = {"dropout_rate": 0.1} if dropout else {}
    return StackOptions(**{**defaults, **options})
