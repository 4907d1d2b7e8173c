"""What kind of simulations an emulator comes from, and so what its mean is the mean of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import require_choice, require_finite, require_int
from ..errors import RecordError
from .recorded import LARGE, numbers

OWN, SHARED = "own", "shared"
REALIZATIONS = (OWN, SHARED)


@dataclass(frozen=True, eq=False)
class Suite:
    """A suite of simulations, as far as it matters to what is learned from it.

    Attributes
    ----------
    realizations : {"own", "shared"}
        "own": each simulation has a realization of its own, so that they scatter around the mean.
        "shared": all have the same one or several, whose amplitude the emulator then has.
    n_realizations : int
        How many are averaged in each row, of a suite that shares them.
    map_area : float or None
        Solid angle of one map [sr].
    ln_covariance : ndarray, shape (b, b), or None
        Covariance of ln D_ell of single maps around the mean of realizations, if known.
    degrees_of_freedom : int
        Of that covariance; 0 if it is not known.
    """

    realizations: str
    n_realizations: int = 1
    map_area: float | None = None
    ln_covariance: np.ndarray | None = None
    degrees_of_freedom: int = 0

    def __post_init__(self) -> None:
        require_choice("suite", "realizations", self.realizations, REALIZATIONS)
        require_int("suite", "n_realizations", self.n_realizations, minimum=1)
        require_int("suite", "degrees_of_freedom", self.degrees_of_freedom, minimum=0)
        if self.map_area is not None:
            require_finite("suite", "map_area", self.map_area, minimum=0, exclusive=True)

    def options(self) -> dict[str, Any]:
        """What is recorded beside the arrays."""
        return {
            "realizations": self.realizations,
            "n_realizations": self.n_realizations,
            "map_area": self.map_area,
            "degrees_of_freedom": self.degrees_of_freedom,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """What is recorded as arrays."""
        return {} if self.ln_covariance is None else {"ln_covariance": self.ln_covariance}

    @classmethod
    def from_record(cls, options: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Suite:
        """The inverse of `options` and `arrays`; RecordError if they are not such."""
        try:
            covariance = arrays.get("ln_covariance")
            if covariance is not None:
                b = len(covariance)
                covariance = numbers("ln_covariance", covariance, (b, b), high=LARGE)
                if not np.allclose(covariance, covariance.T) or (np.diag(covariance) < 0).any():
                    raise ValueError("ln_covariance is no covariance")
            return cls(
                options["realizations"],
                options["n_realizations"],
                options["map_area"],
                covariance,
                options.get("degrees_of_freedom", 0),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RecordError(f"what is recorded of the suite is not usable: {error}") from None
