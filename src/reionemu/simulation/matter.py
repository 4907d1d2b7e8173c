"""Matter on the grid: density and velocity at one redshift, and momentum on the light cone."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from ..threads import in_order
from .config import SimulationConfig
from .cosmology import Cosmology
from .deposit import deposit, without_margin
from .fourier import SLAB, in_slabs
from .initial_conditions import Displacement, Step
from .light_cone import LightCone, redshifts

PARTICLES_AT_ONCE = 2**18

START = 0.5
"""Where a particle starts, in cells from the centre of a cell: on its corner, along each axis.

On the centres, displacements by a wave of a few cells would hardly change the density: its rms at
z = 16 would be 5 per cent below that of the published runs, which this meets to 0.2 per cent.
"""


def growth(cosmology: Cosmology, z: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The growth factors D1(z) and D2(z), which multiply psi1 and psi2."""
    return cosmology.growth_factor(z), cosmology.growth_factor_2(z)


def velocity_growth(config: SimulationConfig, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What psi1 and psi2, in cells, are multiplied by to give peculiar velocities [km/s].

    v = a dx/dt = H/(1+z) (D1 f1 psi1 + D2 f2 psi2).
    """
    c = config.cosmology
    first, second = growth(c, z)
    unit = config.cell / c.h * c.hubble(z) / (1 + z)
    return unit * first * c.growth_rate(z), unit * second * c.growth_rate_2(z)


def density(
    config: SimulationConfig,
    displacement: Displacement,
    z: float,
    threads: int = 1,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mass density in units of its mean, 1 + delta, float32, shape (N, N, N); in `out` if given."""
    return _snapshot(config, displacement, z, None, threads, out)


def velocity(
    config: SimulationConfig,
    displacement: Displacement,
    z: float,
    component: int,
    threads: int = 1,
) -> torch.Tensor:
    """Mass-weighted peculiar velocity [km/s] along one axis, float32, shape (N, N, N).

    A cell that no particle touches has the velocity 0.
    """
    mass = _snapshot(config, displacement, z, None, threads)
    momentum = _snapshot(config, displacement, z, component, threads)
    return momentum.div_(mass.clamp_(min=1e-6))


def momentum_light_cone(
    config: SimulationConfig,
    cone: LightCone,
    displacement: Displacement,
    threads: int = 1,
    step: Step = lambda: None,
) -> torch.Tensor:
    """(1 + delta) v along the line of sight [km/s] in each plane, float32, (n_planes, N, N).

    Each plane of particles is displaced by the growth at the distance where it starts, so the
    light cone is made in one deposit, without snapshots. Velocities are those along the axis.
    """
    n = config.n_cells
    nearest = growth(config.cosmology, config.z_min)
    pad = _halo(displacement, (float(nearest[0]), float(nearest[1])))
    start = np.arange(-pad, cone.n_planes + pad)
    distance = cone.near + (start + 0.5 + START) * config.cell
    z = redshifts(config, distance)
    displaced, moving = growth(config.cosmology, z), velocity_growth(config, z)
    planes = torch.zeros((cone.n_planes, n, n), device=displacement.first.device)
    slabs = _deposited(displacement, start, displaced, moving, 0, pad, config.deposit, threads)
    for first, slab in slabs:
        low, high = max(first, 0), min(first + len(slab), cone.n_planes)
        if low < high:
            planes[low:high] += slab[low - first : high - first]
        step()
    return planes


def light_cone_slabs(config: SimulationConfig, cone: LightCone, displacement: Displacement) -> int:
    """How often `momentum_light_cone` reports a step."""
    nearest = growth(config.cosmology, config.z_min)
    pad = _halo(displacement, (float(nearest[0]), float(nearest[1])))
    return math.ceil((cone.n_planes + 2 * pad) / SLAB)


def _snapshot(
    config: SimulationConfig,
    displacement: Displacement,
    z: float,
    component: int | None,
    threads: int,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mass, or momentum along a component, of all particles at one redshift."""
    n = config.n_cells
    everywhere = np.full(n, float(z))
    displaced = growth(config.cosmology, everywhere)
    moving = None if component is None else velocity_growth(config, everywhere)
    pad = _halo(displacement, (float(displaced[0][0]), float(displaced[1][0])))
    field = torch.empty((n, n, n), device=displacement.first.device) if out is None else out
    field.zero_()
    for first, slab in _deposited(
        displacement, np.arange(n), displaced, moving, component or 0, pad, config.deposit, threads
    ):
        for i, plane in enumerate(slab, start=first):
            field[i % n] += plane
    return field


def _halo(displacement: Displacement, growth_factors: tuple[float, float]) -> int:
    """Planes beyond a slab that its particles can reach, clouds included."""
    return math.ceil(displacement.reach(growth_factors)) + 2


Growth = tuple[np.ndarray, np.ndarray]


def _deposited(
    displacement: Displacement,
    start: np.ndarray,
    displaced: Growth,
    moving: Growth | None,
    component: int,
    pad: int,
    kind: str,
    threads: int,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Deposit planes of particles, slab by slab.

    Parameters
    ----------
    start : ndarray of int, shape (P,)
        Consecutive planes where particles start; plane i holds those of plane i mod N of the box.
    displaced, moving : pairs of ndarray, shape (P,)
        For each plane, what multiplies psi1 and psi2 to give the displacement, and the weight
        (None: each particle weighs 1).
    component : int
        The component of psi1 and psi2 that gives the weight.

    Yields
    ------
    first : int
        The plane that `slab` begins with.
    slab : Tensor, shape (n, N, N)
    """
    device, n = displacement.first.device, displacement.first.shape[1]
    at_once = max(1, PARTICLES_AT_ONCE // n**2)
    cells = torch.arange(n, device=device, dtype=torch.float32) + START

    def one_slab(which: slice) -> tuple[int, torch.Tensor]:
        first = int(start[which.start]) - pad
        count = which.stop - which.start
        stack = torch.zeros((count + 2 * pad, n + 2, n + 2), device=device)
        for some in in_slabs(count, at_once):
            rows = slice(which.start + some.start, which.start + some.stop)
            planes = torch.from_numpy(start[rows] % n).to(device)
            psi1 = displacement.first[:, planes].float()
            psi2 = displacement.second[:, planes].float()
            position = _combined(psi1, psi2, displaced, rows)
            weight = None
            if moving is not None:
                both = slice(component, component + 1)
                weight = _combined(psi1[both], psi2[both], moving, rows)[0]
            along = torch.from_numpy(start[rows] - first + START).to(device, torch.float32)
            position[0] += along[:, None, None]
            position[1] += cells[:, None]
            position[2] += cells
            deposit(stack, (position[0], position[1], position[2]), weight, kind)
        return first, without_margin(stack)

    return in_order(one_slab, in_slabs(len(start)), threads)


def _combined(psi1: torch.Tensor, psi2: torch.Tensor, factors: Growth, rows: slice) -> torch.Tensor:
    """factors[0] psi1 + factors[1] psi2, with a factor for each plane."""
    one, two = (
        torch.from_numpy(factor[rows]).to(psi1.device, torch.float32)[:, None, None]
        for factor in factors
    )
    return torch.addcmul(one * psi1, two, psi2)
