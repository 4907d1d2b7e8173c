"""What all simulations with the same initial conditions share: computed once.

modes      (n_nodes, N, N, N/2 + 1) complex64   delta_k W(k R) / W_cic(k) at redshifts `nodes`
samples    (n_nodes, m, m, m) float32           delta in every `stride`-th cell at `nodes`
momentum   (n_planes, N, N) float16             (1 + delta) v (1 + z)^2 / 100 [km/s] that the
                                                pixels see in each plane of the light cone
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..threads import for_each
from .config import SimulationConfig
from .fourier import as_real, one_torch_thread, to_modes
from .initial_conditions import STEPS, Displacement
from .ksz import proper_density
from .light_cone import LightCone
from .matter import density, light_cone_slabs, momentum_light_cone
from .zreion import Smoothing

Allocate = Callable[[str, tuple[int, ...], Any], np.ndarray]
Progress = Callable[[str, int, int], object]

NAMES = ("modes", "samples", "momentum")


@dataclass(frozen=True)
class Shared:
    """The arrays described above, in memory or mapped from files."""

    modes: np.ndarray
    samples: np.ndarray
    momentum: np.ndarray


def nodes(config: SimulationConfig) -> tuple[float, ...]:
    """Redshifts, at most 1 apart, at which densities are kept: three or more, over zmean_range."""
    low, high = config.zmean_range
    low = math.floor(low)
    high = max(math.ceil(high), low + 1)
    return tuple(np.linspace(low, high, max(3, high - low + 1)).tolist())


def stride(n_cells: int) -> int:
    """Every how many cells (1, 2 or 4) z_re is sampled for histories: 64^3 or more, if possible."""
    return 1 if n_cells < 128 else 2 if n_cells < 256 else 4


def shapes(config: SimulationConfig, n_planes: int) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Shape and type of each array."""
    n, count = config.n_cells, len(nodes(config))
    m = -(-n // stride(n))
    return {
        "modes": ((count, n, n, n // 2 + 1), np.complex64),
        "samples": ((count, m, m, m), np.float32),
        "momentum": ((n_planes, n, n), np.float16),
    }


def in_memory(name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An `Allocate` that keeps arrays in memory."""
    return np.empty(shape, dtype)


def compute(
    config: SimulationConfig,
    seed: int,
    axis: int,
    *,
    allocate: Allocate = in_memory,
    device: torch.device | str = "cpu",
    threads: int = 1,
    progress: Progress | None = None,
) -> Shared:
    """Compute what simulations with these initial conditions share.

    Parameters
    ----------
    config : SimulationConfig
    seed, axis : int
        Initial conditions, and axis of the box along the line of sight.
    allocate : callable
        Called with (name, shape, dtype) for each array to fill, which may be a file.
    device : torch.device or str
    threads : int
        Slabs that are worked on at a time; results do not depend on it.
    progress : callable, optional
        Called with (what is going on, steps done, steps in all).
    """
    cone = LightCone.of(config, seed, axis)
    arrays = Shared(**{k: allocate(k, *kind) for k, kind in shapes(config, cone.n_planes).items()})
    steps = _Steps(STEPS + 2 * len(nodes(config)), progress)
    with one_torch_thread():
        displacement = Displacement.of(
            config, seed, axis, device=device, threads=threads, step=steps
        )
        steps.total += light_cone_slabs(config, cone, displacement)
        _densities(config, displacement, arrays, threads, steps)
        planes = momentum_light_cone(config, cone, displacement, threads, steps)
        del displacement

        per_length = proper_density(cone.z)

        def store(plane: int) -> None:
            seen = cone.as_seen(plane, planes[plane].cpu().numpy())
            arrays.momentum[plane] = seen * per_length[plane]

        for_each(store, range(cone.n_planes), threads)
    return arrays


def _densities(
    config: SimulationConfig,
    displacement: Displacement,
    arrays: Shared,
    threads: int,
    step: Callable[[], None],
) -> None:
    """Fill `modes` and `samples`."""
    n, device = config.n_cells, displacement.first.device
    smoothing = Smoothing(config, device)
    every = slice(None, None, stride(n))
    work = torch.empty((n, n, n // 2 + 1), dtype=torch.complex64, device=device)
    field = as_real(work)
    for node, z in enumerate(nodes(config)):
        density(config, displacement, z, threads, out=field)
        step()
        arrays.samples[node] = field[every, every, every].sub(1).cpu().numpy()
        to_modes(field, work, threads)

        def store(i: int, node: int = node) -> None:
            arrays.modes[node, i] = (work[i] * smoothing.plane(i)).cpu().numpy()

        for_each(store, range(n), threads)
        step()


class _Steps:
    """Counts steps and reports them."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.done, self.total, self._progress = 0, total, progress

    def __call__(self) -> None:
        self.done += 1
        if self._progress:
            self._progress("preparing initial conditions", self.done, self.total)
