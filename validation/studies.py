"""What is simulated to validate the simulator: points, and configurations with their seeds."""

from __future__ import annotations

from dataclasses import dataclass

from reionemu.simulation import PRESETS, SimulationConfig
from reionemu.simulation.matter import START

POINTS: dict[str, dict[str, float]] = {
    "A": {"zmean_zre": 7.5, "alpha_zre": 0.3, "kb_zre": 1.0, "b0_zre": 0.593119810201661},
    "B": {
        "zmean_zre": 8.88764818819783,
        "alpha_zre": 0.4329503243946754,
        "kb_zre": 0.1020456045037486,
        "b0_zre": 0.24680639792154205,
    },
    "centre": {"zmean_zre": 8.0, "alpha_zre": 0.5, "kb_zre": 1.05, "b0_zre": 0.45},
    "corner": {"zmean_zre": 7.25, "alpha_zre": 0.8, "kb_zre": 1.7, "b0_zre": 0.7},
}
"""A and B are runs of the published code; the others the centre of the published space of
parameters, and a place near a corner of it."""

TABLE_A_REDSHIFTS = (7.5, 5.5, 16.0, 10.0, 6.5, 12.0, 8.5, 9.0, 7.0, 6.0, 8.0, 9.5, 11.0, 14.0)
"""Those of table A, the most telling first."""


@dataclass(frozen=True)
class Study:
    """Simulations of all points in one configuration.

    Attributes
    ----------
    config : SimulationConfig
    n_seeds : int
        Seeds 0, 1, ... of the initial conditions.
    shifts : bool
        Whether copies of the box along the light cone are shifted across it, as they should be.
    start : float
        Where particles start, in cells from the centres of cells; the simulator has them on the
        corners.
    pivot : float
        Where in the map rays are parallel to the line of sight along which velocities are taken,
        in units of its side; the simulator has that at a corner, 0.
    fields : tuple of float
        Redshifts at which density and velocity are measured on the whole grid.
    field_seeds : int
        For how many of the seeds.
    """

    config: SimulationConfig
    n_seeds: int
    shifts: bool = True
    start: float = START
    pivot: float = 0.0
    fields: tuple[float, ...] = ()
    field_seeds: int = 1


_laptop = PRESETS["laptop"]
_at_500 = _laptop.with_changes

STUDIES: dict[str, Study] = {
    "demo": Study(PRESETS["demo"], 16, fields=TABLE_A_REDSHIFTS),
    "laptop": Study(_laptop, 12, fields=(7.5,), field_seeds=4),
    "large": Study(PRESETS["large"], 8, fields=TABLE_A_REDSHIFTS),
    "box_2000": Study(SimulationConfig(box=2000.0, n_cells=512), 8, fields=(7.5,)),
    "box_1000": Study(SimulationConfig(box=1000.0, n_cells=256), 8, fields=(7.5,)),
    "medium": Study(PRESETS["medium"], 8),
    "reference": Study(PRESETS["reference"], 8, fields=TABLE_A_REDSHIFTS),
    "box_250": Study(SimulationConfig(box=250.0, n_cells=128), 16, fields=(7.5,), field_seeds=8),
    "cells_384": Study(_at_500(n_cells=384), 2),
    "cells_512": Study(_at_500(n_cells=512), 1),
    "z_min_5": Study(_at_500(z_min=5.0), 4),
    "z_min_5.5": Study(_at_500(z_min=5.5), 4),
    "z_max_12": Study(_at_500(z_max=12.0), 4),
    "z_max_18": Study(_at_500(z_max=18.0), 4),
    "parallel": Study(_at_500(geometry="parallel"), 4),
    "cic": Study(_at_500(deposit="cic"), 4),
    "no_shifts": Study(_laptop, 4, shifts=False),
    "parallel_no_shifts": Study(_at_500(geometry="parallel"), 4, shifts=False),
    "centres": Study(_laptop, 4, start=0.0),
    "pivot_500": Study(_laptop, 4, pivot=0.5),
    "pivot_1000": Study(PRESETS["large"], 4, pivot=0.5),
    "pivot_2000": Study(SimulationConfig(box=2000.0, n_cells=512), 4, pivot=0.5),
}
"""By name; seeds are shared, so that studies of one box see the same structures."""
