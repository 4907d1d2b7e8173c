"""Training small networks without the overhead that large ones never notice.

A step of Adam on a network of a few hundred weights costs a dozen operations a tensor, each much
cheaper than the call that starts it. The update of a weight depends on that weight alone, so the
optimizer may as well be given all of them as one vector: the arithmetic is the same, bit for bit.
Threads, too, cost such a network more than they give.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from ..models.network import DenseStack, one_thread_if_small

_ELEMENTWISE = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)


@contextlib.contextmanager
def small_model_settings(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Within the block, one flat tensor a parameter group and, for a small model, one thread.

    Only the networks of this package are known to use every weight in every step; for others an
    optimizer may treat a weight without a gradient in its own way, so they are left as they are.
    """
    known = isinstance(model, DenseStack) and type(model).forward is DenseStack.forward
    with one_thread_if_small(model), flattened(optimizer) if known else contextlib.nullcontext():
        yield


class _Flat(nn.Parameter):
    """All parameters of a group as one vector, which theirs are views of."""

    members: list[nn.Parameter]


def flattened_parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """The parameters that are views of flat ones now, if all of the optimizer's are; or else none.

    Their gradients stay where they are as long as the optimizer is flattened.
    """
    held = [p for group in optimizer.param_groups for p in group["params"]]
    if not all(isinstance(p, _Flat) for p in held):
        return []
    return [member for flat in held for member in flat.members]


def zero_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Forget gradients; flat ones are set to zero in place, as others are views of them."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            if isinstance(p, _Flat):
                p.grad.zero_()  # type: ignore[union-attr]
            else:
                p.grad = None


@contextlib.contextmanager
def flattened(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Within the block, each parameter group of the optimizer is one flat tensor.

    The model's parameters and their gradients are views of it. When the block ends, group, state
    and parameters are as if nothing had happened but the steps. Left alone are optimizers that are
    not known to treat weights one by one, groups not on a CPU, and groups in which a parameter has
    no gradient: before the first step, or because the loss does not depend on it.
    """
    groups = [group for group in optimizer.param_groups if _may_flatten(optimizer, group)]
    originals = [(group, list(group["params"])) for group in groups]
    flats = [_join(optimizer, group) for group in groups]
    try:
        yield
    finally:
        for (group, params), flat in zip(originals, flats, strict=True):
            _separate(optimizer, group, params, flat)


def _may_flatten(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> bool:
    params = group["params"]
    if type(optimizer) not in _ELEMENTWISE or len(params) < 2:
        return False
    alike = all(
        p.is_cpu and p.grad is not None and p.is_leaf and p.dtype == params[0].dtype for p in params
    )
    steps = {float(optimizer.state[p].get("step", 0)) for p in params if p in optimizer.state}
    known = [p in optimizer.state for p in params]
    return alike and len(steps) <= 1 and (all(known) or not any(known))


def _join(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> nn.Parameter:
    params = group["params"]
    flat = _Flat(torch.cat([p.detach().reshape(-1) for p in params]))
    flat.grad = torch.zeros_like(flat)
    flat.members = params
    states = [optimizer.state.pop(p) for p in params if p in optimizer.state]
    if states:
        optimizer.state[flat] = {
            name: torch.cat([state[name].reshape(-1) for state in states])
            if _per_weight(name, value)
            else value
            for name, value in states[0].items()
        }
    for p, data, grad in zip(
        params, _views(flat.data, params), _views(flat.grad, params), strict=True
    ):
        p.data, p.grad = data, grad
    group["params"] = [flat]
    return flat


def _separate(
    optimizer: torch.optim.Optimizer,
    group: dict[str, Any],
    params: list[nn.Parameter],
    flat: nn.Parameter,
) -> None:
    state = optimizer.state.pop(flat, {})
    for i, p in enumerate(params):
        p.data = p.data.clone()
        p.grad = None if p.grad is None else p.grad.clone()
        if state:
            optimizer.state[p] = {
                name: _views(value, params)[i].clone()
                if _per_weight(name, value)
                else (value.clone() if isinstance(value, torch.Tensor) else value)
                for name, value in state.items()
            }
    group["params"] = params


def _per_weight(name: str, value: Any) -> bool:
    """Whether an entry of the state of the known optimizers has a value for each weight."""
    return isinstance(value, torch.Tensor) and name != "step"


def _views(flat: torch.Tensor, params: list[nn.Parameter]) -> list[torch.Tensor]:
    pieces = flat.split([p.numel() for p in params])
    return [piece.view_as(p) for piece, p in zip(pieces, params, strict=True)]
