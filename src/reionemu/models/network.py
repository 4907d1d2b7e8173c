"""The fully connected stack that every built-in emulator is, in PyTorch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from .architecture import RECORD_KEY, StackOptions

_MODULES = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}

DROPOUT = nn.modules.dropout._DropoutNd
"""What all dropout layers are."""


def activation_module(name: str) -> nn.Module:
    """The module of an activation in `architecture.ACTIVATIONS`."""
    return _MODULES[name]()


_SMALL = 20_000


@contextlib.contextmanager
def one_thread_if_small(model: nn.Module) -> Iterator[None]:
    """Within the block PyTorch uses one thread, if the model has no more than 20,000 weights.

    More cost such a model more than they give; and with one, results do not depend on how many
    the machine has.
    """
    threads = torch.get_num_threads()
    small = threads > 1 and sum(p.numel() for p in model.parameters()) <= _SMALL
    if small:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if small:
            torch.set_num_threads(threads)


class DenseStack(nn.Module):
    """Linear layers with an activation, and perhaps dropout, after each hidden one.

    Its state dicts carry, in their metadata, the options the model was made with: weights alone
    do not tell an activation or a dropout rate. PyTorch ignores what it does not know there.
    """

    def __init__(self, options: StackOptions) -> None:
        super().__init__()
        self.options = options
        modules: list[nn.Module] = []
        widths = options.widths()
        for layer, n_in, n_out in zip(options.layers(), widths[:-1], widths[1:], strict=True):
            modules.append(nn.Linear(n_in, n_out))
            if layer.activation:
                modules.append(activation_module(layer.activation))
                if options.dropout_rate is not None:
                    modules.append(nn.Dropout(options.dropout_rate))
        self.network = nn.Sequential(*modules)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Targets, shape (..., output_dim), for (normalized) inputs, shape (..., input_dim)."""
        return self.network(x)

    def record(self) -> dict[str, Any]:
        """Class name and options: what is needed to build this model again."""
        options = {name: value for name, value in asdict(self.options).items() if value is not None}
        return {"class_name": type(self).__name__, **options}

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Weights by name, with `record()` in the metadata."""
        state = super().state_dict(*args, **kwargs)
        metadata = getattr(state, "_metadata", None)
        prefix = str(kwargs.get("prefix", ""))
        if metadata is not None and prefix[:-1] in metadata:
            metadata[prefix[:-1]][RECORD_KEY] = self.record()
        return state
