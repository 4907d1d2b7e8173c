"""Measured or simulated band powers: what a likelihood compares with the emulator."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..config import check_keys
from ..errors import ConfigError, InferenceDataError
from .band_power_checks import SKY, Checks

ARRAYS = ("ell", "dl", "covariance", "windows", "window_ell")


@dataclass(frozen=True, eq=False, repr=False)
class BandPowers:
    """Band powers D_ell = ell (ell + 1) C_ell / (2 pi) of the kSZ effect, with their errors.

    Attributes
    ----------
    name : str
    ell : ndarray, shape (m,)
        Effective multipoles, ascending.
    dl : ndarray, shape (m,)
        [uK^2].
    covariance : ndarray, shape (m, m)
        Of the errors of `dl` [uK^4], which are taken as Gaussian.
    windows : ndarray, shape (m, w), or None
        Band-power windows: `dl` is, on average, `windows` times D_ell at `window_ell`. Each sums
        to 1. None: D_ell at `ell`.
    window_ell : ndarray, shape (w,), or None
        Multipoles of the windows, ascending.
    is_total : bool
        Whether they include the kSZ effect of the time after reionization, as measured ones do,
        and light cones that end there do not.
    realization : {"sky", "emulator"}
        "emulator" for a mock from the emulator's own suite, where that shares its realizations:
        their scatter is then in both.
    map_area : float or None
        Of a simulated map [sr], whose sample variance is not in `covariance` and is to be added;
        None for a measurement.
    source : str
        A citation, or what they were made of.

    Raises
    ------
    InferenceDataError (ValueError)
        Naming the field and the bin at fault, and what to do.
    """

    name: str
    ell: np.ndarray
    dl: np.ndarray
    covariance: np.ndarray
    windows: np.ndarray | None = None
    window_ell: np.ndarray | None = None
    is_total: bool = False
    realization: str = SKY
    map_area: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        check = Checks(self.name)
        check.facts(self.source, self.is_total, self.realization, self.map_area)
        if (self.windows is None) != (self.window_ell is None):
            raise check.error("windows and window_ell belong together: give both, or neither")
        arrays = {
            name: check.array(name, value)
            for name in ARRAYS
            if (value := getattr(self, name)) is not None
        }
        check.fit_together(arrays)
        arrays["covariance"] = (arrays["covariance"] + arrays["covariance"].T) / 2
        for name, array in arrays.items():
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.map_area is not None:
            object.__setattr__(self, "map_area", float(self.map_area))

    def __repr__(self) -> str:
        kind = "total kSZ" if self.is_total else "kSZ of reionization"
        if self.n == 1:
            found = f"D = {self.dl[0]:.3g} +- {self.std[0]:.3g} uK^2 at ell = {self.ell[0]:g}"
        else:
            found = f"{self.n} bins, ell = {self.ell[0]:g} to {self.ell[-1]:g}"
        return f"<BandPowers {self.name!r}: {kind}, {found}>"

    @property
    def n(self) -> int:
        """Number of bins."""
        return len(self.ell)

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of each band power [uK^2], shape (m,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def sha256(self) -> str:
        """A hash of all that a likelihood depends on: not of the name and the source."""
        digest = hashlib.sha256()
        digest.update(repr((self.is_total, self.realization, self.map_area)).encode())
        for name in ARRAYS:
            array = getattr(self, name)
            if array is not None:
                digest.update(f"{name} {array.shape}".encode() + array.astype("<f8").tobytes())
        return digest.hexdigest()

    def to_mapping(self) -> dict[str, Any]:
        """Its fields as JSON can hold them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in values.items()
        }

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> BandPowers:
        """The inverse of `to_mapping`; InferenceDataError if it is not such."""
        where = f"band powers {str(mapping.get('name'))[:80]!r}"
        try:
            check_keys(mapping, [field.name for field in fields(cls)], where)
        except ConfigError as error:
            raise InferenceDataError(str(error)) from None
        for name in ("name", "ell", "dl", "covariance"):
            if mapping.get(name) is None:
                raise InferenceDataError(f"{where}: {name} is missing")
        return cls(**mapping)
