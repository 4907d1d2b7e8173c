"""What can be asked for by name in the input of a run: data, and the constraint on tau."""

from __future__ import annotations

from pathlib import Path

from ...config import nearest, require_choice, require_finite
from ...errors import ConfigError
from ..band_powers import BandPowers
from ..data_files import read_band_powers
from ..measurements import MEASUREMENTS, TAU_CONSTRAINTS

TauConstraint = str | list[float] | tuple[float, float] | None


def observed(data: str | Path | None, measurement: str | None) -> BandPowers:
    """Band powers from a file, or published ones by their name.

    Raises
    ------
    ConfigError
        Unless one of both is given; and as `read_band_powers` does.
    """
    if (data is None) == (measurement is None):
        raise ConfigError("give either data, a file of band powers, or the name of a measurement")
    if data is not None:
        return read_band_powers(data)
    require_choice("cobaya", "measurement", measurement, MEASUREMENTS)
    return MEASUREMENTS[str(measurement)]()


def tau_constraint(tau: TauConstraint) -> tuple[float, float] | None:
    """Mean and standard deviation of an optical depth, given themselves or by name.

    Raises
    ------
    ConfigError
        For an unknown name, or if they are not two numbers, the second above zero.
    """
    if tau is None:
        return None
    if isinstance(tau, str):
        if tau not in TAU_CONSTRAINTS:
            raise ConfigError(
                f"tau: no constraint is called {tau!r}{nearest(tau, TAU_CONSTRAINTS)}; expected "
                f"{', '.join(TAU_CONSTRAINTS)}, or a mean and a standard deviation"
            )
        return TAU_CONSTRAINTS[tau]
    if not isinstance(tau, list | tuple) or len(tau) != 2:
        raise ConfigError(f"tau must be a mean and a standard deviation, got {tau!r}")
    mean, std = tau
    require_finite("tau", "mean", mean)
    require_finite("tau", "standard deviation", std, minimum=0, exclusive=True)
    return float(mean), float(std)
