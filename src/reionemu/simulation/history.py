"""The history of reionization: neutral fractions from a field of redshifts, and optical depth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..config import require_choice
from ..errors import ConfigError
from .config import HELIUM
from .cosmology import SPEED_OF_LIGHT, Cosmology

BINS_PER_REDSHIFT = 128
"""A power of two, so that finding the bin of a redshift rounds nothing, in float32 neither."""

Z_TOP = 60
"""Redshift at which a neutral history ends."""

Z_IONIZED = 5.0
"""Redshift below which hydrogen counts as fully ionized in the optical depth."""

Z_HELIUM = 3.0
"""Redshift at which helium loses its second electron, if it does."""


@dataclass(frozen=True)
class NeutralHistory:
    """Neutral fractions of hydrogen.

    Attributes
    ----------
    z : ndarray, shape (n,)
        Redshifts, ascending.
    x_v, x_m : ndarray, shape (n,)
        Volume- and mass-weighted neutral fraction.
    """

    z: np.ndarray
    x_v: np.ndarray
    x_m: np.ndarray

    def at(self, z: ArrayLike) -> NeutralHistory:
        """The history at other redshifts, by linear interpolation; beyond its ends, their value."""
        z = np.asarray(z, float)
        return NeutralHistory(z, np.interp(z, self.z, self.x_v), np.interp(z, self.z, self.x_m))

    def optical_depth(
        self, cosmology: Cosmology, helium: str = "single"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Optical depth to Thomson scattering between us and z: arrays of z and of tau(z).

        From z = 5, below which hydrogen is taken to be ionized whatever the history says; see
        `optical_depth`.
        """
        late = self.z >= Z_IONIZED
        z = self.z[late]
        return z, optical_depth(z, 1 - self.x_m[late], cosmology, helium)


def neutral_history(z_re: Any, weights: Any = None) -> NeutralHistory:
    """Neutral fractions that follow from a field of redshifts of reionization.

    A cell is neutral at z > z_re. The fractions are exact at the multiples of 1/128 from 0 to 60
    at which they are given. Cells with z_re < 0, which are never ionized, count as neutral there
    too, down to the lowest redshift above 0; z_re > 60 counts as 60.

    Parameters
    ----------
    z_re : tensor or ndarray
        Redshift of reionization of cells, or of a fair sample of them, of any shape.
    weights : tensor or ndarray, optional
        Mass of the same cells, such as 1 + delta; without it all have the same.

    Returns
    -------
    NeutralHistory
        At z = 0, 1/128, ..., 60.
    """
    z_re = torch.as_tensor(z_re).reshape(-1)
    top = Z_TOP * BINS_PER_REDSHIFT
    # int32 is four times as fast to make as int64, and bincount takes it as gladly.
    bins = (z_re * BINS_PER_REDSHIFT).clamp_(0, top).int()
    volume = x_mass = _fraction_below(torch.bincount(bins, minlength=top + 1))
    if weights is not None:
        # float32 sums of millions of numbers in one bin are off by 1e-3.
        mass = torch.as_tensor(weights).reshape(-1).double()
        x_mass = _fraction_below(torch.bincount(bins, mass, minlength=top + 1))
    return NeutralHistory(np.arange(top + 1) / BINS_PER_REDSHIFT, volume, x_mass)


def _fraction_below(histogram: torch.Tensor) -> np.ndarray:
    """Fraction of a histogram that lies below the lower edge of each bin."""
    counts = histogram.double().cpu().numpy()
    below = np.cumsum(counts)
    return (below - counts) / below[-1]


def optical_depth(
    z: ArrayLike, ionized: ArrayLike, cosmology: Cosmology, helium: str = "single"
) -> np.ndarray:
    """Optical depth to Thomson scattering between us and redshift z, along a mean line of sight.

    tau(z) = c sigma_T int_0^z n_e(z') dz' / ((1 + z') H(z')), with n_e = n_H x (1 + n_He / n_H):
    helium loses its first electron together with hydrogen. Below the lowest z given, both are
    ionized.

    Parameters
    ----------
    z : array_like, shape (n,)
        Redshifts, ascending, not below 3.
    ionized : array_like, shape (n,)
        Mass-weighted ionized fraction of hydrogen; between the redshifts it is taken as linear.
    cosmology : Cosmology
    helium : {"single", "double"}
        "double": helium loses its second electron at z = 3, at once.

    Returns
    -------
    ndarray, shape (n,)
        The last one is the optical depth to the end of the history.

    Raises
    ------
    ConfigError
        If the arrays are not such, or helium is neither.
    """
    require_choice("optical_depth", "helium", helium, HELIUM)
    z, ionized = np.asarray(z, float), np.asarray(ionized, float)
    if z.ndim != 1 or z.shape != ionized.shape or not z.size:
        raise ConfigError(
            f"optical_depth needs z and ionized of one shape (n,), got {z.shape}, {ionized.shape}"
        )
    if not (z[0] >= Z_HELIUM and np.all(np.diff(z) > 0)):
        raise ConfigError(
            f"optical_depth needs ascending redshifts from {Z_HELIUM:g} up, got {z[0]:g} to "
            f"{z[-1]:g}"
        )
    rate = ionized * _depth_per_redshift(z, cosmology)
    steps = np.diff(z) * (rate[1:] + rate[:-1]) / 2
    tau = ionized_optical_depth(float(z[0]), cosmology) + np.concatenate([[0.0], np.cumsum(steps)])
    if helium == "double":
        extra = cosmology.helium_per_hydrogen / (1 + cosmology.helium_per_hydrogen)
        tau += extra * ionized_optical_depth(Z_HELIUM, cosmology)
    return tau


@lru_cache(maxsize=64)
def ionized_optical_depth(z: float, cosmology: Cosmology) -> float:
    """Optical depth to z of a universe with ionized hydrogen and singly ionized helium."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    rate = _depth_per_redshift(z * (nodes + 1) / 2, cosmology)
    return float(np.sum(weights * rate) * z / 2)


def _depth_per_redshift(z: np.ndarray, cosmology: Cosmology) -> np.ndarray:
    """d tau/dz of that universe: opacity times d chi/dz."""
    return cosmology.opacity(z) * SPEED_OF_LIGHT * cosmology.h / cosmology.hubble(z)
