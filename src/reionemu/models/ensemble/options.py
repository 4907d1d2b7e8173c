"""What can be chosen of an ensemble."""

from __future__ import annotations

from dataclasses import dataclass

from ...config import require_choice, require_finite, require_int

ACTIVATIONS = ("tanh", "silu")
"""Smooth ones: the gradient of a prediction is to be continuous."""


@dataclass(frozen=True)
class EnsembleOptions:
    """Members of an ensemble, and their training.

    Parameters
    ----------
    n_folds : int
        Parts of the training set, each of which some members do not see.
    members_per_fold : int
        How many do not see a part: at least two, whose difference tells how sure they are.
    hidden_dim, num_hidden_layers : int
        Of each member.
    activation : {"tanh", "silu"}
    prior_scale : float
        Weights are expected to have a standard deviation of prior_scale / sqrt(n_in), where n_in
        is the number of inputs of the layer: smaller is smoother. What it weighs against is the
        noise, which is measured in training, so that it holds for quiet and for noisy suites.
    epochs : int
        Steps of the optimizer, each over all rows.
    learning_rate : float
        Its largest value: it rises over the first twentieth and falls to zero.
    """

    n_folds: int = 6
    members_per_fold: int = 2
    hidden_dim: int = 32
    num_hidden_layers: int = 2
    activation: str = "tanh"
    prior_scale: float = 1.0
    epochs: int = 1000
    learning_rate: float = 0.02

    def __post_init__(self) -> None:
        for name in ("n_folds", "members_per_fold"):
            require_int("ensemble", name, getattr(self, name), minimum=2)
        for name in ("hidden_dim", "num_hidden_layers", "epochs"):
            require_int("ensemble", name, getattr(self, name), minimum=1)
        for name in ("prior_scale", "learning_rate"):
            require_finite("ensemble", name, getattr(self, name), minimum=0, exclusive=True)
        require_choice("ensemble", "activation", self.activation, ACTIVATIONS)

    @property
    def n_members(self) -> int:
        """Number of networks."""
        return self.n_folds * self.members_per_fold

    @property
    def least_points(self) -> int:
        """How many different points in parameter space training needs: four a fold."""
        return 4 * self.n_folds
