"""What a simulation is made with: box, cells, cosmology, light cone, realizations; and presets."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ..config import check_keys, nearest, require_choice, require_finite, require_int
from ..errors import ConfigError
from .cosmology import Cosmology

GEOMETRIES = ("rays", "parallel")
DEPOSITS = ("tsc", "cic")
AXES = (0, 1, 2)
HELIUM = ("double", "single")
Z_HIGHEST = 60.0
"""Where histories end; nothing is simulated beyond."""

LOWEST_ZMEAN, HIGHEST_ZMEAN = 5.0, 30.0
"""Below, all is taken as ionized, and growth is no parabola; above, histories would be cut off."""


@dataclass(frozen=True)
class OwnSeeds:
    """Initial conditions of its own for each row of a design, as the published suite has them.

    Parameters
    ----------
    base : int
        Row i gets the seed drawn from (base, i): `seed_of`.
    """

    base: int = 0

    def __post_init__(self) -> None:
        require_int("OwnSeeds", "base", self.base, minimum=0)

    def seed_of(self, row: int) -> int:
        """Seed of row `row` of a design, a whole number below 2^63."""
        import numpy as np

        return int(np.random.SeedSequence([self.base, row]).generate_state(1, np.uint64)[0] >> 1)


@dataclass(frozen=True)
class SimulationConfig:
    """Everything a simulation depends on, but the four parameters of the reionization model.

    Parameters
    ----------
    box : float
        Side of the periodic box [Mpc/h].
    n_cells : int
        Cells, particles and map pixels along a side; even.
    cosmology : Cosmology
    z_min, z_max : float
        Ends of the light cone. The optical depth counts gas below z = 5 as ionized, a map does not.
    geometry : {"rays", "parallel"}
        "rays" diverge from the observer, so that the map subtends box / chi(z_max), as the
        published maps do; "parallel" are parallel to the line of sight (plane-parallel), and a map
        is periodic then.
    realizations : tuple of int, or OwnSeeds
        Seeds of the initial conditions: every row of a design is simulated once for each. With
        `OwnSeeds`, each row has one of its own.
    axes : tuple of int
        Axes of the box that serve as line of sight (0, 1, 2), each giving a map.
    zmean_range : (float, float)
        The range of zmean_zre that is prepared for.
    deposit : {"tsc", "cic"}
        How particles are shared among cells: triangular-shaped cloud, or cloud in cell.
    helium : {"double", "single"}
        "single": helium loses one electron together with hydrogen and keeps the other; "double":
        it loses the other one at z = 3, at once, as in the published optical depths. Maps know of
        it through e^-tau only.
    """

    box: float = 500.0
    n_cells: int = 256
    cosmology: Cosmology = field(default_factory=Cosmology)
    z_min: float = 6.0
    z_max: float = 15.0
    geometry: str = "rays"
    realizations: tuple[int, ...] | OwnSeeds = (0,)
    axes: tuple[int, ...] = (0,)
    zmean_range: tuple[float, float] = (7.0, 9.0)
    deposit: str = "tsc"
    helium: str = "double"

    def __post_init__(self) -> None:
        name = type(self).__name__
        require_finite(name, "box", self.box, minimum=0, exclusive=True)
        require_int(name, "n_cells", self.n_cells, minimum=16)
        if self.n_cells % 2:
            raise ConfigError(f"{name}.n_cells must be even, got {self.n_cells}")
        if not isinstance(self.cosmology, Cosmology):
            raise ConfigError(f"{name}.cosmology must be a Cosmology, got {self.cosmology!r}")
        require_finite(name, "z_min", self.z_min, minimum=0, exclusive=True)
        require_finite(name, "z_max", self.z_max, minimum=0, exclusive=True, below=Z_HIGHEST)
        if not self.z_min < self.z_max:
            raise ConfigError(
                f"{name}: z_min = {self.z_min:g} must be below z_max = {self.z_max:g}"
            )
        require_choice(name, "geometry", self.geometry, GEOMETRIES)
        require_choice(name, "deposit", self.deposit, DEPOSITS)
        require_choice(name, "helium", self.helium, HELIUM)
        _require_distinct(name, "axes", self.axes)
        if not set(self.axes) <= set(AXES):
            raise ConfigError(f"{name}.axes must be among 0, 1, 2, got {self.axes}")
        if not isinstance(self.realizations, OwnSeeds):
            _require_distinct(name, "realizations", self.realizations)
        if not (isinstance(self.zmean_range, tuple) and len(self.zmean_range) == 2):
            raise ConfigError(
                f"{name}.zmean_range must be two redshifts, such as (7.0, 9.0), got "
                f"{self.zmean_range!r}"
            )
        for value in self.zmean_range:
            require_finite(name, "zmean_range", value)
        if not LOWEST_ZMEAN <= self.zmean_range[0] <= self.zmean_range[1] <= HIGHEST_ZMEAN:
            raise ConfigError(
                f"{name}.zmean_range must ascend from {LOWEST_ZMEAN:g} or more to "
                f"{HIGHEST_ZMEAN:g} or less, got {self.zmean_range}"
            )

    @property
    def cell(self) -> float:
        """Side of a cell [Mpc/h]."""
        return self.box / self.n_cells

    @property
    def theta_max(self) -> float:
        """Side of the map [rad]: the angle that the box subtends at z_max."""
        return self.box / float(self.cosmology.comoving_distance(self.z_max))

    def with_changes(self, **changes: Any) -> SimulationConfig:
        """A copy with some fields changed.

        Raises ConfigError for a field that there is not, naming the nearest one.
        """
        check_keys(changes, [each.name for each in fields(self)], type(self).__name__)
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """The fields, nested, ready for JSON."""
        return asdict(self)


def _require_distinct(owner: str, name: str, values: Any) -> None:
    if not isinstance(values, tuple) or not values or len(set(values)) < len(values):
        raise ConfigError(f"{owner}.{name} must be a tuple of different numbers, got {values!r}")
    for value in values:
        require_int(owner, name, value, minimum=0)
        if value >= 2**63:
            raise ConfigError(f"{owner}.{name} must be below 2^63, got {value}")


PRESETS: dict[str, SimulationConfig] = {
    "demo": SimulationConfig(box=500.0, n_cells=128),
    "laptop": SimulationConfig(box=500.0, n_cells=256),
    "medium": SimulationConfig(box=750.0, n_cells=384),
    "large": SimulationConfig(box=1000.0, n_cells=512),
    "reference": SimulationConfig(box=2000.0, n_cells=1024),
}
"""Named configurations, up to the published box and cells.

The D_ell of one map scatters from seed to seed by 21 to 24% (demo), 17 to 22% (laptop), 11 to 15%
(medium), 10 to 13% (large) and, estimated, 4 to 6% (reference): `seed_scatter` has covariances.
"""


def preset(name: str, **changes: Any) -> SimulationConfig:
    """A named configuration, with some fields changed.

    Raises
    ------
    ConfigError
        If there is no preset of that name; the nearest one is named.
    """
    if name not in PRESETS:
        raise ConfigError(
            f"there is no preset {name!r}{nearest(name, PRESETS)}; presets: {', '.join(PRESETS)}"
        )
    return PRESETS[name].with_changes(**changes)


def n_planes(config: SimulationConfig) -> int:
    """Planes of cells along the light cone."""
    near, far = config.cosmology.comoving_distance([config.z_min, config.z_max])
    return math.ceil((far - near) / config.cell)
