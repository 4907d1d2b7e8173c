"""Models and optimizers from plain dictionaries, such as a search space yields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..config import require_choice
from ..errors import MissingOptionError
from ..models.four_param_emulator import FourParamEmulator
from ..models.mc_dropout_emulator import MCDropoutEmulator

_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def build_four_param_model(config: Mapping[str, Any]) -> FourParamEmulator:
    """A FourParamEmulator from a dictionary.

    Its keys are hidden_dim, num_hidden_layers, activation, input_dim=4 and output_dim=5; others
    are ignored. Raises MissingOptionError for a key that is missing, and ConfigError for a
    value that is not possible.
    """
    return FourParamEmulator(**_stack_options(config))


def build_mc_dropout_model(config: Mapping[str, Any]) -> MCDropoutEmulator:
    """An MCDropoutEmulator from the same keys and dropout_rate=0.1."""
    return MCDropoutEmulator(**_stack_options(config), dropout_rate=config.get("dropout_rate", 0.1))


def build_optimizer(model: nn.Module, config: Mapping[str, Any]) -> torch.optim.Optimizer:
    """An optimizer over the model's parameters.

    Parameters
    ----------
    model : nn.Module
    config : mapping
        "optimizer" ("adam" or "adamw", the default), "lr", "weight_decay" (default 0). Other keys
        are ignored.

    Raises
    ------
    ConfigError (ValueError)
        For an unknown optimizer.
    MissingOptionError (KeyError)
        Without "lr".
    """
    name = config.get("optimizer", "adamw")
    require_choice("optimizer", "optimizer", name, _OPTIMIZERS)
    return _OPTIMIZERS[name](
        model.parameters(), lr=_needed(config, "lr"), weight_decay=config.get("weight_decay", 0.0)
    )


def _stack_options(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "input_dim": config.get("input_dim", 4),
        "output_dim": config.get("output_dim", 5),
        **{key: _needed(config, key) for key in ("hidden_dim", "num_hidden_layers", "activation")},
    }


def _needed(config: Mapping[str, Any], key: str) -> Any:
    if key not in config:
        raise MissingOptionError(
            f"the configuration lacks {key!r}; it has {', '.join(config) or 'nothing'}"
        )
    return config[key]
