"""What decides how training goes on: what `fit` saves, and restores, to be resumed.

That is the model, the optimizer, the random numbers of PyTorch, NumPy and Python, generators of
the loaders, and whatever the caller names. With it, training that is resumed on a CPU comes to the
same numbers as without the interruption, bit for bit.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from ..errors import RecordError


class Recorder(Protocol):
    """Where `fit` records its history and states; `reionemu.start_artifact` gives one."""

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Record what an epoch (from 1) came to."""

    def state_is_due(self) -> bool:
        """Whether a state should be saved after this epoch."""

    def save_state(self, epoch: int, state: Mapping[str, Any]) -> None:
        """Keep a state of tensors, numbers, texts and containers of them."""

    def trained(self, weights: Mapping[str, Any]) -> None:
        """Take the weights that the training came to."""

    def saved_state(self) -> Mapping[str, Any] | None:
        """The last state kept by an earlier run that is to go on, or None."""


class Stateful(Protocol):
    """Something with a state of its own, such as a scheduler of the learning rate."""

    def state_dict(self) -> Mapping[str, Any]:
        """The state."""

    def load_state_dict(self, state: Any) -> Any:
        """Put a state back."""


NOTHING: Mapping[str, Stateful] = MappingProxyType({})


def capture(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loaders: Sequence[Any],
    stateful: Mapping[str, Stateful],
    progress: Mapping[str, Any],
) -> dict[str, Any]:
    """The state of a training run between two epochs.

    Parameters
    ----------
    progress : mapping
        What the loop itself remembers.
    """
    return {
        "model": dict(model.state_dict()),
        "optimizer": optimizer.state_dict(),
        "random": random_state(loaders),
        "stateful": {name: thing.state_dict() for name, thing in stateful.items()},
        "progress": dict(progress),
    }


def restore(
    state: Mapping[str, Any],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loaders: Sequence[Any],
    stateful: Mapping[str, Stateful],
) -> dict[str, Any]:
    """Put a captured state back, and return the loop's own part of it.

    Raises
    ------
    RecordError (ValueError)
        If the state is not one of these.
    """
    try:
        if set(state["stateful"]) != set(stateful):
            raise ValueError(f"it has stateful={sorted(state['stateful'])}")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        for name, thing in stateful.items():
            thing.load_state_dict(state["stateful"][name])
        restore_random_state(state["random"], loaders)
        return dict(state["progress"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RecordError(
            f"the saved state does not belong to this model and optimizer: {error}. Build them as "
            "in the run that is to go on, or start without resuming"
        ) from None


def random_state(loaders: Sequence[Any] = ()) -> dict[str, Any]:
    """The random numbers to come: of PyTorch, NumPy, Python, and of generators of loaders."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    generators = [g.get_state() for g in _generators(loaders)]
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "python": [version, list(words), gauss],
        "numpy": [name, torch.from_numpy(np.array(keys, np.int64)), position, has_gauss, cached],
        "loader": generators,
    }


def restore_random_state(state: Mapping[str, Any], loaders: Sequence[Any] = ()) -> None:
    """Put back what `random_state` gave."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    for generator, saved in zip(_generators(loaders), state["loader"], strict=True):
        generator.set_state(saved)


def _generators(loaders: Sequence[Any]) -> list[torch.Generator]:
    """Generators of their own that loaders draw from, each once."""
    found = [
        getattr(owner, "generator", None)
        for loader in loaders
        for batches in (loader, getattr(loader, "batch_sampler", None))
        for owner in (batches, getattr(batches, "sampler", None))
    ]
    unique = {id(g): g for g in found if isinstance(g, torch.Generator)}
    return list(unique.values())
