"""What emulators see of parameters: smooth coordinates, scaled to the box, and derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..config import require_choice
from ..errors import ConfigError, DatasetError, RecordError
from ..parameters import PARAMETER_NAMES
from .width import LinearTheory

COORDINATES = ("physical", "plain")
LOGARITHMIC = ("kb_zre", "b0_zre")
"""Parameters, positive ones, whose logarithm is the natural coordinate."""


@dataclass(frozen=True)
class Inputs:
    """From parameters to coordinates in which spectra are smooth, -1 to 1 over the box.

    "plain" coordinates are the parameters, of kb and b0 the logarithms. "physical" ones are zmean,
    the width of the redshift-of-reionization field, and from which scales it comes (see `width`);
    they need all four parameters.

    Parameters
    ----------
    names : tuple of str
        The p parameters, in order.
    coordinates : {"physical", "plain"}
    low, high : tuple of float
        What of each coordinate is mapped to -1 and 1.
    cosmology : LinearTheory
        Of the physical coordinates.
    """

    names: tuple[str, ...]
    coordinates: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    cosmology: LinearTheory = field(default_factory=LinearTheory)

    @classmethod
    def over(
        cls,
        theta: np.ndarray,
        names: tuple[str, ...],
        coordinates: str | None = None,
        cosmology: LinearTheory | None = None,
    ) -> Inputs:
        """Coordinates scaled to the range of some points, shape (n, p).

        Parameters
        ----------
        coordinates : {"physical", "plain"}, optional
            By default physical, where `names` allows.

        Raises
        ------
        ConfigError
            For physical coordinates of other parameters than the four.
        DatasetError
            If there are no points, one is not finite, a parameter that must be positive is not, or
            one is the same everywhere.
        """
        physical = names == PARAMETER_NAMES
        coordinates = coordinates or ("physical" if physical else "plain")
        require_choice("inputs", "coordinates", coordinates, COORDINATES)
        if coordinates == "physical" and not physical:
            raise ConfigError(
                f"physical coordinates need the parameters {', '.join(PARAMETER_NAMES)}, in this "
                f"order; there are {', '.join(names)}. Choose coordinates='plain'"
            )
        check_points(theta, names)
        for name, column in zip(names, theta.T, strict=True):
            if np.ptp(column) == 0:
                raise DatasetError(
                    f"{name} is {column[0]:g} in every row: nothing can be learned about it. "
                    "Leave it out of the parameters of the training set"
                )
        unit = (0.0,) * len(names)
        raw = cls(names, coordinates, unit, unit, cosmology or LinearTheory())._raw(theta)
        low, high = raw.min(axis=0), raw.max(axis=0)
        return cls(names, coordinates, tuple(low), tuple(high), cosmology or LinearTheory())

    @property
    def dimension(self) -> int:
        """Number of coordinates: that of parameters."""
        return len(self.names)

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        """Coordinates, shape (n, p), of points, shape (n, p)."""
        middle, half = self._scale
        return (self._raw(theta) - middle) / half

    @cached_property
    def _scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Middle, and half the width, of the range of each coordinate."""
        low, high = np.array(self.low), np.array(self.high)
        return (low + high) / 2, (high - low) / 2

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Derivatives of coordinates (second axis) by parameters (third), shape (n, p, p)."""
        if self.coordinates == "physical":
            jacobian = self.cosmology.coordinates_jacobian(theta)
        else:
            slopes = [
                1 / theta[:, i] if name in LOGARITHMIC else np.ones(len(theta))
                for i, name in enumerate(self.names)
            ]
            jacobian = np.stack(slopes, axis=-1)[:, None, :] * np.eye(len(self.names))
        return jacobian / self._scale[1][:, None]

    def _raw(self, theta: np.ndarray) -> np.ndarray:
        if self.coordinates == "physical":
            return self.cosmology.coordinates(theta)
        columns = [
            np.log(theta[:, i]) if name in LOGARITHMIC else theta[:, i]
            for i, name in enumerate(self.names)
        ]
        return np.stack(columns, axis=-1)

    def to_mapping(self) -> dict[str, Any]:
        """As it is recorded."""
        return {
            "names": list(self.names),
            "coordinates": self.coordinates,
            "low": list(map(float, self.low)),
            "high": list(map(float, self.high)),
            "cosmology": asdict(self.cosmology),
        }

    @classmethod
    def from_mapping(cls, record: Mapping[str, Any]) -> Inputs:
        """From its record.

        Raises
        ------
        RecordError
            If it is not one.
        """
        try:
            names = tuple(str(name) for name in record["names"])
            low, high = (tuple(float(x) for x in record[key]) for key in ("low", "high"))
            coordinates = record["coordinates"]
            cosmology = LinearTheory.from_mapping(record["cosmology"])
            require_choice("inputs", "coordinates", coordinates, COORDINATES)
            fits = len(low) == len(high) == len(names)
            fits = fits and all(0 < b - a < np.inf for a, b in zip(low, high, strict=True))
            if not fits or (coordinates == "physical" and names != PARAMETER_NAMES):
                raise ValueError("ranges, names and coordinates do not fit together")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RecordError(f"the recorded inputs of the model are not usable: {error}") from None
        return cls(names, coordinates, low, high, cosmology)


def check_points(theta: np.ndarray, names: tuple[str, ...]) -> None:
    """Raise DatasetError unless theta, shape (n, p), are values that these parameters can have."""
    if theta.ndim != 2 or theta.shape[1] != len(names) or not names:
        raise DatasetError(
            f"parameters have shape {theta.shape}: a row is needed for each simulation, with a "
            f"column for each parameter ({', '.join(names) or 'of which there are none'})"
        )
    if not len(theta):
        raise DatasetError("there are no simulations to learn from")
    finite_rows("parameters", theta)
    for name, column in zip(names, theta.T, strict=True):
        row = int(np.argmin(column))
        if name in LOGARITHMIC and column[row] <= 0:
            raise DatasetError(f"{name} must be positive; in row {row} it is {column[row]:g}")


def finite_rows(name: str, table: np.ndarray) -> None:
    """Raise DatasetError, naming the first row that is not finite, if there is one."""
    rows = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if len(rows):
        raise DatasetError(
            f"{name} of {len(rows)} simulation(s) are not finite, the first in row {rows[0]}: "
            "leave them out of the training set"
        )
