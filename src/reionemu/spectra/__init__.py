"""Angular power spectra of flat-sky maps: arrays in, arrays out, no files.

flat_sky            the drop-in estimator: C_ell in wide bins, numbers as published
bandpowers          D_ell averaged within bins, with window functions, errors, covariance
bandpower_plan      what these need to know of a size of map
plans               which of the two a configuration asks for
modes               Fourier modes, their bins, and how a window mixes them
workspace           arrays that transforms write to
"""

from .bandpower_plan import BandpowerPlan, Bandpowers
from .bandpowers import bandpower, bandpower_covariance, cross_bandpower
from .bin_tables import Binning
from .config import ClConfig
from .flat_sky import FlatSkyPlan, Spectrum, check_map, flat_sky_spectrum
from .plans import Plan, plan_for

__all__ = [
    "BandpowerPlan",
    "Bandpowers",
    "Binning",
    "ClConfig",
    "FlatSkyPlan",
    "Plan",
    "Spectrum",
    "bandpower",
    "bandpower_covariance",
    "check_map",
    "cross_bandpower",
    "flat_sky_spectrum",
    "plan_for",
]
