"""Marginal densities, by GetDist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from ..inference.exports import quiet_getdist

if TYPE_CHECKING:
    from ..inference.posterior import Posterior

FEWEST = 10


def density_of(samples: Any, name: str) -> Any:
    """`getdist.densities.Density1D` of one parameter: `P` at `x`, 1 at most."""
    with quiet_getdist():
        return samples.get1DDensity(name)


def require_spread(posterior: Posterior, name: str) -> None:
    """Raise ConfigError if the samples of a parameter are too few for a density."""
    values = posterior.column(name).ravel()[posterior.weights_flat > 0]
    count = len(np.unique(values))
    if count < FEWEST:
        raise ConfigError(
            f"the samples of {name} have {count} different value{'s' * (count > 1)}, too few for a "
            f"density: at least {FEWEST} are needed. Sample longer"
        )
