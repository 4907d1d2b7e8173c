"""The light cone: which plane of the box is seen at which redshift, and by which pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import ConfigError
from .config import SimulationConfig, n_planes


def redshifts(config: SimulationConfig, distance: np.ndarray) -> np.ndarray:
    """Redshifts at ascending distances [Mpc/h] that planes of the light cone, or of matter, have.

    Raises ConfigError if one of them is not on the sky: the cells are too large, or too near.
    """
    try:
        return config.cosmology.redshift_at_distance(distance)
    except ConfigError:
        raise ConfigError(
            f"a light cone from z_min = {config.z_min:g} to z_max = {config.z_max:g} in cells of "
            f"{config.cell:g} Mpc/h would need matter from {distance[0]:.0f} to "
            f"{distance[-1]:.0f} Mpc/h: take smaller cells, or a larger z_min"
        ) from None


@dataclass(frozen=True)
class LightCone:
    """Planes of cells from z_min to z_max; plane l is plane l mod N of the box.

    Where the light cone is longer than the box, the box repeats. Each copy is shifted across the
    line of sight by a random number of cells: seen through the same structures again and again,
    the power would add up coherently.

    Attributes
    ----------
    near : float
        Distance of the near side of the first plane [Mpc/h].
    distance, z : ndarray, shape (n_planes,)
        Of the middle of each plane; [Mpc/h] and redshift.
    shifts : ndarray of int, shape (n_copies, 2)
        Of each copy of the box, in cells.
    """

    config: SimulationConfig
    near: float
    distance: np.ndarray
    z: np.ndarray
    shifts: np.ndarray

    @classmethod
    def of(cls, config: SimulationConfig, seed: int, axis: int = 0) -> LightCone:
        """The light cone of a realization; the seed also draws the shifts."""
        cosmology = config.cosmology
        near = float(cosmology.comoving_distance(config.z_min))
        count = n_planes(config)
        distance = near + (np.arange(count) + 0.5) * config.cell
        copies = -(-count // config.n_cells)
        # A fraction of the box, so that the shift is the same for any number of cells.
        generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, axis)))
        shifts = np.floor(generator.random((copies, 2)) * config.n_cells).astype(np.int64)
        shifts[0] = 0
        return cls(config, near, distance, redshifts(config, distance), shifts)

    @property
    def n_planes(self) -> int:
        """Number of planes."""
        return len(self.z)

    def planes_of(self, box_plane: int) -> range:
        """The planes of the light cone that show that plane of the box."""
        return range(box_plane, self.n_planes, self.config.n_cells)

    @cached_property
    def seen_cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of the cell that each row and column of pixels sees.

        Two arrays of whole numbers, of shape (n_planes, N). Rays diverge: pixel i looks at cell
        floor((i + 1/2) chi(z) / chi(z_max)).
        """
        config = self.config
        pixel = np.arange(config.n_cells)[None, :]
        if config.geometry == "rays":
            farthest = float(config.cosmology.comoving_distance(config.z_max))
            shrinking = self.distance[:, None] / farthest
            pixel = np.floor((pixel + 0.5) * shrinking).astype(np.int64)
        shift = self.shifts[np.arange(self.n_planes) // config.n_cells]
        rows, columns = (pixel + shift[:, axis, None] for axis in (0, 1))
        return rows % config.n_cells, columns % config.n_cells

    def as_seen(self, plane: int, values: np.ndarray) -> np.ndarray:
        """What the pixels see of values in the cells of a plane, both of shape (N, N)."""
        rows, columns = self.seen_cells
        return values.take(rows[plane], axis=0).take(columns[plane], axis=1)
