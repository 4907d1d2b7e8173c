"""How much a spectrum varies from seed to seed: measured for each preset, and kept.

A map is made by a few large velocity modes, so its D_ell is that of one realization: at fixed
parameters it scatters by many per cent. Suites of shared seeds do not show this scatter, but a
measured sky has it. It is a property of the size of the map, known beforehand.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from .config import SimulationConfig

FIELDS = ("box", "n_cells", "geometry", "z_min", "z_max")
"""What a configuration must have in common with a preset for its scatter to be known."""


def seed_scatter(config: SimulationConfig) -> dict[str, Any] | None:
    """Scatter of the default spectrum of one map over realizations of its initial conditions.

    For the mean over R independent realizations, divide the covariance by R. It was measured with
    the default cosmology and deposit, on which it depends little.

    Parameters
    ----------
    config : SimulationConfig

    Returns
    -------
    dict or None
        None unless the configuration has the box, cells, geometry and range of redshifts of a
        preset. Otherwise ready for JSON:

        preset : name
        ell : list of float, length b
        covariance : b lists of b floats, of ln D_ell, the mean over the points
        n_realizations : int
        points : dict by name of the point in the space of parameters, each with `parameters`,
            `mean_dl` [uK^2], `fractional_std` and `covariance`
        measured_with : configuration that was simulated
        note : str, what is not as it seems
        spectrum : options of the estimator
    """
    wanted = {name: getattr(config, name) for name in FIELDS}
    table = json.loads(_text())  # a copy for each caller
    for name, entry in table["presets"].items():
        if {field: entry["config"][field] for field in FIELDS} == wanted:
            return {"preset": name, "spectrum": table["spectrum"], **entry["scatter"]}
    return None


@lru_cache(maxsize=1)
def _text() -> str:
    return Path(__file__).with_name("seed_scatter.json").read_text(encoding="utf-8")
