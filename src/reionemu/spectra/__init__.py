"""Angular power spectra of flat-sky maps: arrays in, arrays out, no files."""

from .config import ClConfig
from .flat_sky import FlatSkyPlan, Spectrum, check_map, flat_sky_spectrum

__all__ = ["ClConfig", "FlatSkyPlan", "Spectrum", "check_map", "flat_sky_spectrum"]
