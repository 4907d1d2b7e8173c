"""Options of the spectra stage."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from ..config import require_choice, require_finite, require_int
from ..errors import ConfigError

ESTIMATORS = ("flat-sky", "bandpower")
WINDOWS = ("hann", "none")


@dataclass(frozen=True)
class ClConfig:
    """How power spectra are estimated and stored.

    The options from `edges` on belong to the estimator "bandpower".

    Parameters
    ----------
    nbins : int
        Number of ell bins in the result. The drop-in estimator returns its own narrow bins if the
        map has no more than that above `ell_cut`.
    ell_cut : float
        Narrow bins centred below this multipole are left out.
    overwrite : bool
        Whether spectra already in a file are computed again.
    sims_group : str
        Name of the HDF5 group that holds the simulations.
    estimator : {"flat-sky", "bandpower"}
        The drop-in estimator (`reionemu.spectra.flat_sky_spectrum`), or band powers with window
        functions (`reionemu.spectra.bandpower`).
    edges : tuple of float, optional
        Edges of the bins, in place of `nbins` and `ell_cut`. Bins are closed on the left.
    window : {"hann", "none"}
        What the map is multiplied by. "none" is for a periodic map, and for no other.
    pixel_window : bool
        Whether to divide out the window of square pixels over which the map was averaged.
    noise_cl : float
        White noise in the map, C_ell [uK^2], which is subtracted.
    """

    nbins: int = 5
    ell_cut: float = 1000.0
    overwrite: bool = True
    sims_group: str = "sims"
    estimator: str = "flat-sky"
    edges: tuple[float, ...] | None = None
    window: str = "hann"
    pixel_window: bool = False
    noise_cl: float = 0.0

    def __post_init__(self) -> None:
        require_int("ClConfig", "nbins", self.nbins, minimum=1)
        require_finite("ClConfig", "ell_cut", self.ell_cut)
        require_choice("ClConfig", "estimator", self.estimator, ESTIMATORS)
        require_choice("ClConfig", "window", self.window, WINDOWS)
        require_finite("ClConfig", "noise_cl", self.noise_cl, minimum=0)
        if not isinstance(self.pixel_window, bool):
            raise ConfigError(
                f"ClConfig.pixel_window must be true or false, got {self.pixel_window!r}"
            )
        if self.edges is not None:
            object.__setattr__(self, "edges", _checked_edges(self.edges))
            self._refuse("nbins", "ell_cut", because="has no meaning when edges are given")
        if self.estimator == "flat-sky":
            names = ("edges", "window", "pixel_window", "noise_cl")
            self._refuse(*names, because='is an option of estimator "bandpower" alone')

    def _refuse(self, *names: str, because: str) -> None:
        """Raise ConfigError if one of these options is not at its default."""
        for name in names:
            default = type(self).__dataclass_fields__[name].default
            if getattr(self, name) != default:
                raise ConfigError(f"ClConfig.{name} {because}; leave it at {default!r}")


def _checked_edges(edges: tuple[float, ...]) -> tuple[float, ...]:
    """The edges as a tuple of floats, if they are some that bins can have."""
    if isinstance(edges, (str, bytes)) or not hasattr(edges, "__iter__"):
        raise ConfigError(f"ClConfig.edges must list multipoles, got {edges!r}")
    edges = tuple(edges)
    for edge in edges:
        require_finite("ClConfig", "edges", edge, minimum=0)
    numbers = tuple(float(edge) for edge in edges)
    if len(numbers) < 2 or any(low >= high for low, high in itertools.pairwise(numbers)):
        raise ConfigError(
            f"ClConfig.edges must list two or more multipoles, each above the one before; "
            f"got {edges!r}"
        )
    return numbers
