"""Data that can be asked for by name in the input of a run."""

from __future__ import annotations

from pathlib import Path

from ...config import require_choice
from ...errors import ConfigError
from ..band_powers import BandPowers
from ..data_files import read_band_powers
from ..measurements import MEASUREMENTS


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
