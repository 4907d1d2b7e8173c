"""The four parameters of the model, and what zmean and b0 do, which enter linearly.

    z_re = zmean + (1 + zmean) b0 g

(Battaglia, Trac, Cen & Loeb 2013, ApJ 776, 81); alpha and kb shape g, see `zreion`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import check_keys
from ..errors import ConfigError, OutOfRangeError
from ..parameters import PARAMETER_NAMES
from .config import SimulationConfig

if TYPE_CHECKING:
    import torch


def check_parameters(theta: Mapping[str, float], config: SimulationConfig) -> dict[str, float]:
    """The four parameters as floats, in order.

    Raises
    ------
    ConfigError
        If one is missing, unknown, or cannot be: kb and b0 must be positive.
    OutOfRangeError
        If zmean_zre is not in `config.zmean_range`.
    """
    check_keys(theta, PARAMETER_NAMES, "parameters of the simulation")
    missing = [name for name in PARAMETER_NAMES if name not in theta]
    if missing:
        raise ConfigError(f"parameters of the simulation: {', '.join(missing)} not given")
    values = {name: _number(name, theta[name]) for name in PARAMETER_NAMES}
    for name, value in values.items():
        positive = name in ("kb_zre", "b0_zre")
        if not np.isfinite(value) or (positive and value <= 0):
            raise ConfigError(f"{name} must be {'positive' if positive else 'finite'}, not {value}")
    low, high = config.zmean_range
    if not low <= values["zmean_zre"] <= high:
        raise OutOfRangeError(
            f"zmean_zre = {values['zmean_zre']:g} is outside {low:g} to {high:g}, for which "
            "densities are prepared; simulate with another zmean_range",
            parameter="zmean_zre",
            value=values["zmean_zre"],
            low=low,
            high=high,
        )
    return values


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} must be a number, not {value!r}") from None


def ionized_above(theta: Mapping[str, float], z: np.ndarray) -> np.ndarray:
    """The g above which a cell is ionized at z; at most 1e30, which float32 holds."""
    zmean = theta["zmean_zre"]
    with np.errstate(over="ignore"):
        return np.clip((z - zmean) / ((1 + zmean) * theta["b0_zre"]), -1e30, 1e30)


def reionization_redshift(theta: Mapping[str, float], g: torch.Tensor) -> torch.Tensor:
    """z_re = zmean + (1 + zmean) b0 g."""
    zmean = theta["zmean_zre"]
    return zmean + (1 + zmean) * theta["b0_zre"] * g
