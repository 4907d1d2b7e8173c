"""Training all members of an ensemble at once, in PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch

from ...errors import NonFiniteLossError
from .options import EnsembleOptions
from .soap import REFRESH, Soap

Progress = Callable[[int, int], None]

WARM_UP = 0.05
"""The part of the training over which the learning rate rises."""

LEAST_VARIANCE = 1e-10
"""Residuals are not believed to be smaller: numbers have single precision."""

_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "tanh": torch.tanh,
    "silu": torch.nn.functional.silu,
}


def train_members(
    x: np.ndarray,
    y: np.ndarray,
    held_out: np.ndarray,
    options: EnsembleOptions,
    seed: int,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[np.ndarray]:
    """Layers of m networks, shape (m, n_in + 1, n_out) each, of which the last row is the bias.

    A member has the largest posterior probability given targets to which noise was added, as much
    as they have (randomized maximum a posteriori, as Pearce et al. 2020, AISTATS, but for random
    centres of the prior): members then differ by as much as the noise leaves open. Trained on the
    same targets they would all agree on the noise in them.

    Parameters
    ----------
    x : ndarray, shape (n, p)
        Coordinates.
    y : ndarray, shape (n, b)
        Targets of mean 0 and standard deviation 1.
    held_out : ndarray of bool, shape (m, n)
        Rows that a member does not see.

    Raises
    ------
    NonFiniteLossError
        If training diverges.
    """
    rng = np.random.default_rng(seed)
    m, sizes = len(held_out), [x.shape[1], *[options.hidden_dim] * options.num_hidden_layers]
    sizes.append(y.shape[1])
    with _one_thread():

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.tensor(array, dtype=torch.float32, device=device)

        starts = [rng.normal(size=(m, a + 1, b)) / a**0.5 for a, b in pairwise(sizes)]
        layers = [tensor(start).requires_grad_() for start in starts]
        draws, seen = tensor(rng.normal(size=(m, *y.shape))), tensor(~held_out)[..., None]
        _descend(layers, tensor(x), tensor(y), draws, seen, options, progress)
        return [layer.detach().cpu().numpy().astype(np.float64) for layer in layers]


def _descend(
    layers: list[torch.Tensor],
    x: torch.Tensor,
    y: torch.Tensor,
    draws: torch.Tensor,
    seen: torch.Tensor,
    options: EnsembleOptions,
    progress: Progress | None,
) -> None:
    """Minimize -ln(posterior) / n of each member, with the noise at what its residuals say."""
    optimizer = Soap([layer.detach() for layer in layers])
    n_seen, history = seen.sum(dim=1, keepdim=True), list[float]()
    for epoch in range(options.epochs):
        residuals = _forward(layers, x, options.activation) - y
        squares = residuals.detach() ** 2 * seen
        history.append(float(squares.sum() / (seen.sum() * y.shape[1])))
        if not math.isfinite(history[-1]):
            raise _diverged(epoch + 1, history[:-1])
        if epoch % REFRESH == 0:
            variance = (squares.sum(dim=(0, 1)) / seen.sum()).clamp_min(LEAST_VARIANCE)
            noise = draws * variance.sqrt()
        misfit = ((residuals - noise) ** 2 * seen / (2 * variance * n_seen)).sum()
        loss = misfit + _prior(layers, n_seen, options.prior_scale)
        gradients = torch.autograd.grad(loss, layers)
        with torch.no_grad():
            optimizer.step(list(gradients), _rate(epoch, options))
        if progress and ((epoch + 1) % REFRESH == 0 or epoch + 1 == options.epochs):
            progress(epoch + 1, options.epochs)


def _forward(layers: list[torch.Tensor], x: torch.Tensor, activation: str) -> torch.Tensor:
    """Outputs, shape (m, n, b), for coordinates, shape (n, p)."""
    hidden = x.expand(len(layers[0]), *x.shape)
    for layer in layers[:-1]:
        inner = torch.baddbmm(layer[:, -1:], hidden, layer[:, :-1])
        hidden = _ACTIVATIONS[activation](inner)
    return torch.baddbmm(layers[-1][:, -1:], hidden, layers[-1][:, :-1])


def _prior(layers: list[torch.Tensor], n_seen: torch.Tensor, scale: float) -> torch.Tensor:
    """-ln of the prior over weights and biases, over the number of rows, without constants."""
    terms = [(layer**2 / n_seen).sum() * (layer.shape[1] - 1) for layer in layers]
    return torch.stack(terms).sum() / (2 * scale**2)


def _rate(epoch: int, options: EnsembleOptions) -> float:
    done = epoch / options.epochs
    rise = min(1.0, (epoch + 1) / (WARM_UP * options.epochs))
    return options.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * done))


def _diverged(epoch: int, losses: list[float]) -> NonFiniteLossError:
    return NonFiniteLossError(
        f"the mean squared error is not finite in epoch {epoch}: training of the ensemble has "
        "diverged. Lower its learning_rate",
        epoch=epoch,
        history={"train_loss": losses},
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """With one thread results do not depend on the machine, and small matrices are no slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
