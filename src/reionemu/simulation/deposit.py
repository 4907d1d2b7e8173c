"""Sharing particles among the cells of a grid.

A particle at u cells from the centre of cell 0 gives the cells around it, along each axis, the
weights of a triangular-shaped cloud (TSC, 3 cells) or of a cloud in cell (CIC, 2 cells); Hockney &
Eastwood 1981, section 5-2.
"""

from __future__ import annotations

import itertools

import torch


def cloud(u: torch.Tensor, kind: str) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The first cell that each particle touches, and the weights of it and the next ones.

    Parameters
    ----------
    u : Tensor, float32
        Positions in cells from the centre of cell 0; they are overwritten.
    kind : {"tsc", "cic"}

    Returns
    -------
    first : Tensor, float32 of whole numbers, shape of u
    weights : list of Tensor, shape of u
    """
    if kind == "cic":
        first = u.floor()
        right = u.sub_(first)
        return first, [1 - right, right]
    centre = u.round()
    d = u.sub_(centre)
    left, right = (0.5 - d).square_().mul_(0.5), (0.5 + d).square_().mul_(0.5)
    return centre.sub_(1), [left, d.square_().neg_().add_(0.75), right]


def deposit(
    planes: torch.Tensor,
    position: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    weight: torch.Tensor | None,
    kind: str,
) -> None:
    """Add particles to a stack of planes that is periodic across, but not along, the stack.

    Parameters
    ----------
    planes : Tensor, shape (P, N + 2, N + 2), float32
        Cells with a margin of two behind the last row and column, for what is to be wrapped around
        by `without_margin`.
    position : three Tensors, float32, any shape
        In cells from the centre of cell (0, 0, 0); they are overwritten. The first must leave the
        whole cloud inside the stack; the others may be anything above -N.
    weight : Tensor or None
        What each particle adds in all; None is 1.
    kind : {"tsc", "cic"}
    """
    n = planes.shape[1] - 2
    first0, weights0 = cloud(position[0], kind)
    first1, weights1 = cloud(position[1], kind)
    first2, weights2 = cloud(position[2], kind)
    cell = first0.long().mul_(n + 2).add_(_wrapped(first1, n)).mul_(n + 2)
    cell = cell.add_(_wrapped(first2, n)).reshape(-1)
    if weight is not None:
        weights0 = [w.mul_(weight) for w in weights0]
    flat = planes.view(-1)
    for (j, w1), (k, w2) in itertools.product(enumerate(weights1), enumerate(weights2)):
        across = w1 * w2
        for i, w0 in enumerate(weights0):
            # An offset of the view is cheaper than one of every index.
            offset = (i * (n + 2) + j) * (n + 2) + k
            flat[offset:].scatter_add_(0, cell, (w0 * across).view(-1))


def without_margin(planes: torch.Tensor) -> torch.Tensor:
    """The N x N cells of each plane, with the margin added where it belongs (in place)."""
    planes[:, :2] += planes[:, -2:]
    planes[:, :, :2] += planes[:, :, -2:]
    return planes[:, :-2, :-2]


def _wrapped(first: torch.Tensor, n: int) -> torch.Tensor:
    return first.long().remainder_(n)
