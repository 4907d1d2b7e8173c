"""Scalar errors of predicted targets, as functions (pred, target) -> 0-d tensor."""

from __future__ import annotations

import torch


def mse(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error."""
    return torch.mean((pred - target) ** 2)


def rmse(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Root of the mean squared error."""
    return torch.sqrt(mse(pred, target))


def mean_relative_error(
    pred: torch.Tensor, target: torch.Tensor, eps: float = 1e-8
) -> torch.Tensor:
    """Mean of |pred - target| / (|target| + eps)."""
    return torch.mean(torch.abs(pred - target) / (torch.abs(target) + eps))


def physical_mean_relative_error(
    pred: torch.Tensor, target: torch.Tensor, eps: float = 1e-8
) -> torch.Tensor:
    """`mean_relative_error` of exp(pred) and exp(target): for targets that are logarithms."""
    return mean_relative_error(torch.exp(pred), torch.exp(target), eps)
