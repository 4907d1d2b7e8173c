"""Which estimator a configuration asks for."""

from __future__ import annotations

from .bandpower_plan import BandpowerPlan
from .config import ClConfig
from .flat_sky import FlatSkyPlan

Plan = FlatSkyPlan | BandpowerPlan

_PLANS: dict[str, type[Plan]] = {"flat-sky": FlatSkyPlan, "bandpower": BandpowerPlan}


def plan_for(n_pixels: int, theta: float, config: ClConfig) -> Plan:
    """The estimator of `config` for maps of n_pixels x n_pixels and side theta [rad].

    Its `spectrum(temperature, unit=1.0)` estimates the spectrum of a map, `unit` being what one
    unit of the map is [uK].
    """
    return _PLANS[config.estimator](n_pixels, theta, config)
