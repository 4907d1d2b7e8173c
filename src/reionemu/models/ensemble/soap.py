"""The optimizer SOAP: Adam in the eigenbasis of Shampoo's preconditioner.

Vyas et al. 2024 (arXiv:2409.11321). Spectra are smooth functions to be fitted to a
part in a thousand; Adam needs several times as many steps for that.
"""

from __future__ import annotations

import torch

BETA_1, BETA_2 = 0.95, 0.95
"""Memory of the gradient, and of its square and covariances."""

EPSILON = 1e-5

REFRESH = 10
"""Steps between two looks at the eigenbases."""


class Soap:
    """One step at a time, for stacks of matrices: each of a stack is on its own.

    Parameters
    ----------
    stacks : list of Tensor, shape (m, n_in, n_out)
        What is changed in place.
    """

    def __init__(self, stacks: list[torch.Tensor]) -> None:
        self._states = [_State(stack) for stack in stacks]
        self._step = 0

    def step(self, gradients: list[torch.Tensor], rate: float) -> None:
        """Change each stack by its gradient."""
        self._step += 1
        refresh = self._step % REFRESH == 1
        corrections = 1 - BETA_1**self._step, 1 - BETA_2**self._step
        for state, gradient in zip(self._states, gradients, strict=True):
            state.update(gradient, refresh)
            state.stack.sub_(state.direction(*corrections), alpha=rate)


class _State:
    """A stack, moments of its gradients, and the bases in which the second ones are kept."""

    def __init__(self, stack: torch.Tensor) -> None:
        m, n_in, n_out = stack.shape
        self.stack = stack
        self._first, self._second = torch.zeros_like(stack), torch.zeros_like(stack)
        self._left, self._right = stack.new_zeros(m, n_in, n_in), stack.new_zeros(m, n_out, n_out)
        self._left_basis = torch.eye(n_in, dtype=stack.dtype, device=stack.device).expand(m, -1, -1)
        self._right_basis = torch.eye(n_out, dtype=stack.dtype, device=stack.device)
        self._right_basis = self._right_basis.expand(m, -1, -1)

    def update(self, gradient: torch.Tensor, refresh: bool) -> None:
        """Learn from a gradient."""
        self._left.lerp_(gradient @ gradient.mT, 1 - BETA_2)
        self._right.lerp_(gradient.mT @ gradient, 1 - BETA_2)
        if refresh:  # one step of orthogonal iteration: the bases change slowly
            self._left_basis = torch.linalg.qr(self._left @ self._left_basis)[0]
            self._right_basis = torch.linalg.qr(self._right @ self._right_basis)[0]
        self._first.lerp_(gradient, 1 - BETA_1)
        rotated = self._rotated(gradient)
        self._second.lerp_(rotated * rotated, 1 - BETA_2)

    def direction(self, correction_1: float, correction_2: float) -> torch.Tensor:
        """Where to go from, in the original basis."""
        root = (self._second / correction_2).sqrt_().add_(EPSILON)
        scaled = self._rotated(self._first) / correction_1 / root
        return self._left_basis @ scaled @ self._right_basis.mT

    def _rotated(self, matrices: torch.Tensor) -> torch.Tensor:
        return self._left_basis.mT @ matrices @ self._right_basis
