"""The deterministic emulator."""

from __future__ import annotations

from .architecture import StackOptions
from .network import DenseStack


class FourParamEmulator(DenseStack):
    """A fully connected network from parameters to binned spectra.

    Parameters
    ----------
    input_dim, output_dim : int
        Number of parameters and of ell bins.
    hidden_dim, num_hidden_layers : int
    activation : {"relu", "gelu", "silu", "tanh", "sigmoid"}

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
    ) -> None:
        super().__init__(
            StackOptions(input_dim, output_dim, hidden_dim, num_hidden_layers, activation)
        )
