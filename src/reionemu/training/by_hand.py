"""The gradient of the mean squared error of a dense stack, without autograd.

Autograd and the calls of modules take longer than the arithmetic of a network of a few hundred
weights. Here are the operations of PyTorch that they would come to, in the same order, so that
the numbers are the same, bit for bit, those of dropout included. Whatever is not exactly such a
stack, or is watched by a hook, or is not trained with that loss, goes through autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as of_all_modules

from ..models.network import DenseStack
from .flat import flattened_parameters

Gradient = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(x, y) -> loss, with its gradient left in the parameters."""

_ATEN = torch.ops.aten
_MEAN = 1
"""The reduction of `mse_loss`, as ATen counts them."""
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def gradient_of(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss_fn: Callable[..., Any]
) -> Gradient:
    """How to get a gradient into parameters that have none, or zeros.

    It is good for as long as model and optimizer keep their modules and tensors.
    """

    def by_autograd(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        loss = loss_fn(model(x), y)
        loss.backward()
        return loss

    if not (isinstance(model, DenseStack) and _is_mse(loss_fn)):
        return by_autograd
    modules = [module for module in model.network if not _does_nothing(module)]
    if not _are_known(model, modules, optimizer):
        return by_autograd
    first, *rest = [_LAYERS[type(module)](module) for module in modules]
    dtype = first.weight.dtype
    widths = [
        size for m in modules if type(m) is nn.Linear for size in (m.in_features, m.out_features)
    ]
    one = torch.ones((), dtype=dtype)

    def by_hand(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if not _are_batches(x, y, (widths[0], widths[-1]), dtype):
            return by_autograd(x, y)
        output = first.forward(x)
        for layer in rest:
            output = layer.forward(output)
        gradient = _ATEN.mse_loss_backward.default(one, output, y, _MEAN)
        for layer in reversed(rest):
            gradient = layer.backward(gradient)
        first.keep(gradient)
        return _ATEN.mse_loss.default(output, y, _MEAN)

    return by_hand


class _Linear:
    def __init__(self, module: nn.Linear) -> None:
        self.weight, self._bias = module.weight.detach(), module.bias.detach()
        assert module.weight.grad is not None
        assert module.bias.grad is not None
        self._weight_grad, self._bias_grad = module.weight.grad, module.bias.grad

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self._x = x
        return nn.functional.linear(x, self.weight, self._bias)

    def keep(self, gradient: torch.Tensor) -> None:
        # Not straight into the gradients: last bits can depend on where in memory a result goes.
        self._weight_grad.copy_(gradient.t().mm(self._x))
        self._bias_grad.copy_(gradient.sum(0))

    def backward(self, gradient: torch.Tensor) -> torch.Tensor:
        self.keep(gradient)
        return gradient.mm(self.weight)


class _Dropout:
    def __init__(self, module: nn.Dropout) -> None:
        self._kept = 1.0 - module.p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self._mask = torch.empty_like(x).bernoulli_(self._kept).div_(self._kept)
        return x * self._mask

    def backward(self, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * self._mask


@dataclass(frozen=True)
class _Function:
    """An activation, and its derivative times a gradient, of the output or of the input."""

    function: Callable
    derivative: Callable
    of_output: bool

    def __call__(self, module: nn.Module) -> _Activation:
        return _Activation(self)


class _Activation:
    def __init__(self, function: _Function) -> None:
        self._of = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output = self._of.function(x)
        self._saved = output if self._of.of_output else x
        return output

    def backward(self, gradient: torch.Tensor) -> torch.Tensor:
        return self._of.derivative(gradient, self._saved)


_LAYERS: dict[type[nn.Module], Callable[[Any], Any]] = {
    nn.Linear: _Linear,
    nn.Dropout: _Dropout,
    nn.ReLU: _Function(
        torch.relu, lambda g, y: _ATEN.threshold_backward.default(g, y, 0), of_output=True
    ),
    nn.Tanh: _Function(torch.tanh, _ATEN.tanh_backward.default, of_output=True),
    nn.Sigmoid: _Function(torch.sigmoid, _ATEN.sigmoid_backward.default, of_output=True),
    nn.GELU: _Function(nn.functional.gelu, _ATEN.gelu_backward.default, of_output=False),
    nn.SiLU: _Function(nn.functional.silu, _ATEN.silu_backward.default, of_output=False),
}


def _is_mse(loss_fn: Callable[..., Any]) -> bool:
    if type(loss_fn) is nn.MSELoss:
        return loss_fn.reduction == "mean" and not _is_watched(loss_fn)
    return loss_fn is nn.functional.mse_loss


def _does_nothing(module: nn.Module) -> bool:
    return type(module) is nn.Dropout and (module.p == 0 or not module.training)


def _are_known(
    model: DenseStack, modules: list[nn.Module], optimizer: torch.optim.Optimizer
) -> bool:
    """Whether the layers here are all there is to the model, and the optimizer has every weight."""
    parameters = [p for module in modules for p in module.parameters()]
    flat = flattened_parameters(optimizer)
    return (
        type(model).forward is DenseStack.forward
        and type(model.network) is nn.Sequential
        and type(modules[0]) is nn.Linear
        and all(type(m) in _LAYERS and _has_usual_options(m) for m in modules)
        and len(flat) == len(parameters)
        and {id(p) for p in flat} == {id(p) for p in parameters}
        and not any(p._backward_hooks or p._post_accumulate_grad_hooks for p in parameters)
        and not any(_is_watched(m) for m in model.modules())
    )


def _has_usual_options(module: nn.Module) -> bool:
    return (
        not getattr(module, "inplace", False)
        and getattr(module, "approximate", "none") == "none"
        and getattr(module, "p", 0.5) < 1
        and getattr(module, "bias", True) is not None
    )


def _is_watched(module: nn.Module) -> bool:
    return "forward" in vars(module) or any(
        getattr(module, name) or getattr(of_all_modules, f"_global{name}") for name in _HOOKS
    )


def _are_batches(
    x: torch.Tensor, y: torch.Tensor, shape: tuple[int, int], dtype: torch.dtype
) -> bool:
    return (
        type(x) is type(y) is torch.Tensor
        and x.shape == (len(x), shape[0])
        and y.shape == (len(x), shape[1])
        and len(x) > 0
        and x.dtype == y.dtype == dtype
        and x.is_cpu
        and y.is_cpu
        and not (x.requires_grad or y.requires_grad)
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
    )
