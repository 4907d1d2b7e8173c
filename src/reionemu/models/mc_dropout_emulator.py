"""The emulator with dropout, and Monte-Carlo prediction: Gal & Ghahramani 2016 (ICML 48, 1050)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from ..config import require_int
from ..errors import ConfigError
from .architecture import StackOptions
from .network import DROPOUT, DenseStack, one_thread_if_small

MAX_ROWS = 2**17
"""Rows of one forward pass; more draws than fit are made in several."""


class MCDropoutEmulator(DenseStack):
    """A fully connected network with dropout after every hidden activation.

    Parameters
    ----------
    input_dim, output_dim : int
        Number of parameters and of ell bins.
    hidden_dim, num_hidden_layers : int
    activation : {"relu", "gelu", "silu", "tanh", "sigmoid"}
    dropout_rate : float
        Probability, in [0, 1), with which a hidden unit is dropped.

    Raises
    ------
    ConfigError (ValueError)
        For values that are not possible.
    """

    def __init__(
        self,
        input_dim: int = 4,
        output_dim: int = 5,
        hidden_dim: int = 20,
        num_hidden_layers: int = 2,
        activation: str = "relu",
        dropout_rate: float = 0.1,
    ) -> None:
        super().__init__(
            StackOptions(
                input_dim, output_dim, hidden_dim, num_hidden_layers, activation, dropout_rate
            )
        )


def enable_dropout_only(model: nn.Module) -> None:
    """Put every dropout layer into training mode, and leave all other modules as they are."""
    for module in model.modules():
        if isinstance(module, DROPOUT):
            module.train()


@contextlib.contextmanager
def dropout_active(model: nn.Module) -> Iterator[None]:
    """Within the block, the model is in evaluation mode but for its dropout; then as it was."""
    modes = [(module, module.training) for module in model.modules()]
    for module, _ in modes:
        module.training = isinstance(module, DROPOUT)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def mc_draws(model: nn.Module, x: torch.Tensor, n_draws: int) -> torch.Tensor:
    """Stochastic forward passes, folded into few: shape (n_draws, n, b) for x of shape (n, p).

    The model must treat rows independently, as any network without batch statistics does; each
    row of each draw then has dropout masks of its own.
    """
    per_pass = max(1, MAX_ROWS // max(1, len(x)))
    passes = []
    with torch.no_grad(), one_thread_if_small(model), dropout_active(model):
        for start in range(0, n_draws, per_pass):
            n = min(per_pass, n_draws - start)
            output = model(x.repeat(n, *[1] * (x.ndim - 1)))
            passes.append(output.reshape(n, len(x), *output.shape[1:]))
    return torch.cat(passes)


def predict_mc(
    params: Any,
    model: nn.Module,
    X_mean: Any = None,
    X_std: Any = None,
    Y_mean: Any = None,
    Y_std: Any = None,
    *,
    normalize_X: bool = True,
    normalize_Y: bool = False,
    n_mc_samples: int = 100,
    device: str = "cpu",
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Monte-Carlo dropout prediction for targets built with `y_transform="ln"`.

    For other targets, and for predictions that do not change from call to call, use
    `reionemu.load_artifact(...).emulator()`, which knows what its targets are.

    Parameters
    ----------
    params : array_like, shape (p,) or (n, p)
    model : nn.Module
        Trained model; its training mode is left as it was.
    X_mean, X_std : array_like, shape (p,)
        Normalizer of the inputs; needed if `normalize_X`.
    Y_mean, Y_std : array_like, shape (b,)
        Normalizer of the targets; needed if `normalize_Y`.
    n_mc_samples : int
        Number of draws. With one, the standard deviation is NaN.
    device : str
        Where to compute.

    Returns
    -------
    mean, std : ndarray, shape (b,) or (n, b)
        Over the draws, of exp(log-target); std with ddof=1.
    samples : ndarray, shape (n_mc_samples, b) or (n_mc_samples, n, b)
        The draws, exponentiated.
    samples_log : ndarray
        The draws as the model gives them, normalization undone.

    Raises
    ------
    ConfigError (ValueError)
        If a normalizer is missing, or shapes do not fit.
    """
    require_int("predict_mc", "n_mc_samples", n_mc_samples, minimum=1)
    if isinstance(params, torch.Tensor):
        params = params.detach().cpu()
    x = np.asarray(params, dtype=np.float32)
    single = x.ndim == 1
    x = np.atleast_2d(x)
    if normalize_X:
        x = (x - _normalizer("X_mean", X_mean, x)) / _normalizer("X_std", X_std, x)
    if any(p.device != torch.device(device) for p in model.parameters()):
        model.to(device)
    inputs = torch.as_tensor(x, dtype=torch.float32, device=device)
    samples_log = mc_draws(model, inputs, n_mc_samples).cpu().numpy()
    if normalize_Y:
        std, mean = (
            _normalizer(name, value, samples_log)
            for name, value in (("Y_std", Y_std), ("Y_mean", Y_mean))
        )
        samples_log = samples_log * std + mean
    if single:
        samples_log = samples_log[:, 0]
    samples = np.exp(samples_log)
    several = n_mc_samples > 1
    std = samples.std(axis=0, ddof=1) if several else np.full_like(samples[0], np.nan)
    return samples.mean(axis=0), std, samples, samples_log


def _normalizer(name: str, value: Any, array: np.ndarray) -> np.ndarray:
    if value is None:
        axis = name[0]
        raise ConfigError(f"predict_mc: {name} is needed with normalize_{axis}=True")
    value = np.asarray(value, dtype=np.float32)
    if value.ndim and value.shape[-1] != array.shape[-1]:
        raise ConfigError(
            f"predict_mc: {name} has {value.shape[-1]} values where the data have {array.shape[-1]}"
        )
    return value
