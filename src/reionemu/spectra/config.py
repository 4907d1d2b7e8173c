"""Options of the spectra stage."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import require_finite, require_int


@dataclass(frozen=True)
class ClConfig:
    """How power spectra are estimated and stored.

    Parameters
    ----------
    nbins : int
        Number of ell bins in the result. If the map has no more than that above `ell_cut`, its own
        narrow bins are returned.
    ell_cut : float
        Narrow bins centred below this multipole are left out.
    overwrite : bool
        Whether spectra already in a file are computed again.
    sims_group : str
        Name of the HDF5 group that holds the simulations.
    """

    nbins: int = 5
    ell_cut: float = 1000.0
    overwrite: bool = True
    sims_group: str = "sims"

    def __post_init__(self) -> None:
        require_int("ClConfig", "nbins", self.nbins, minimum=1)
        require_finite("ClConfig", "ell_cut", self.ell_cut)
