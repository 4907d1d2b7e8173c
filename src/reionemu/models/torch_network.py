"""A PyTorch module as a network to predict with."""

from __future__ import annotations

from typing import Any

import numpy as np


class TorchNetwork:
    """A PyTorch module as a `Network`: for models that `DenseNetwork` does not cover."""

    def __init__(self, model: Any) -> None:
        from .network import DROPOUT

        self.model = model.eval()
        self.stochastic = any(isinstance(m, DROPOUT) and m.p > 0 for m in model.modules())

    def draws(self, x: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
        """See `Network`. Masks are drawn anew for each row, from the seed."""
        import torch

        from .mc_dropout_emulator import mc_draws

        inputs = torch.as_tensor(x, dtype=torch.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            outputs = mc_draws(self.model, inputs, n_draws if self.stochastic else 1)
        return outputs.numpy().astype(np.float64)
