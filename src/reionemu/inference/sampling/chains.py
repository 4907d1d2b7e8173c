"""What a sampler gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DatasetError


@dataclass(frozen=True, eq=False)
class Chains:
    """Samples of a posterior density, and whether they suffice.

    Attributes
    ----------
    names : tuple of str
        The d parameters.
    samples : ndarray (c, n, d)
        n samples of each of c chains (walkers; 1 for nested sampling), without burn-in.
    log_prob : ndarray (c, n)
        ln(prior times likelihood), the prior normalized.
    weights : ndarray (c, n) or None
        Importance weights, which sum to 1; None if all samples count alike.
    sampler : str
        "emcee", "nuts" or "nested".
    is_converged : bool
    criterion : str
        One sentence: what was asked of the samples, and what was found.
    diagnostics : dict
        JSON-able; by parameter `autocorrelation_time` [steps], `ess`, `r_hat`; and those of
        `acceptance`, `stuck_walkers`, `n_steps`, `burn_in`, `thin`, `divergences`,
        `log_evidence`, `log_evidence_error`, `n_evaluations`, `seconds` that the sampler knows.

    Raises
    ------
    DatasetError
        If the arrays do not fit together, are empty, are not finite, or have weights that are
        negative or do not sum to 1.
    """

    names: tuple[str, ...]
    samples: NDArray[np.float64]
    log_prob: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    sampler: str
    is_converged: bool
    criterion: str
    diagnostics: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = np.shape(self.samples)
        if len(shape) != 3 or shape[2] != len(self.names) or 0 in shape:
            raise DatasetError(
                f"samples of {len(self.names)} parameters must have the shape (chains, samples, "
                f"{len(self.names)}), none of them 0; they have {shape}"
            )
        for name in ("log_prob", "weights"):
            values = getattr(self, name)
            if values is not None and np.shape(values) != shape[:2]:
                raise DatasetError(
                    f"{name} must have the shape {shape[:2]}, has {np.shape(values)}"
                )
        for name in ("samples", "log_prob", "weights"):
            values = getattr(self, name)
            if values is not None and not np.isfinite(values).all():
                raise DatasetError(f"the {name} of chains must be finite")
        if self.weights is not None and (
            self.weights.min() < 0 or not np.isclose(self.weights.sum(), 1.0)
        ):
            raise DatasetError("the weights of chains must be positive and sum to 1")
