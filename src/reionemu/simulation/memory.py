"""How much memory and disk a simulation takes, before it is started."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..machine import usable_cores
from .config import SimulationConfig, n_planes
from .fourier import SLAB
from .ksz import planes_per_depth
from .shared import shapes

INTERPRETER = 380e6
"""What Python, PyTorch, SciPy and CAMB take by themselves [bytes]."""

HALO = 7
"""Planes on either side of a slab that its particles reach at z = 6, about."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes, to some 20 per cent.

    Attributes
    ----------
    shared_bytes : int
        Peak of the process that prepares a realization, files that it maps included.
    run_bytes : int
        Peak of each process that simulates, files that it maps included; several processes on
        one machine hold those files once.
    mapped_bytes : int
        The files that are mapped: part of either of the above.
    cache_bytes : int
        Room on disk for one realization seen along one axis: the same as `mapped_bytes`.
    """

    shared_bytes: int
    run_bytes: int
    mapped_bytes: int
    cache_bytes: int


def memory_estimate(config: SimulationConfig, threads: int | None = None) -> MemoryEstimate:
    """Memory that preparing and simulating take.

    Parameters
    ----------
    config : SimulationConfig
    threads : int, optional
        Slabs that are prepared at a time; by default as many as there are cores.
    """
    n, planes = config.n_cells, n_planes(config)
    cells, plane = n**3, n**2
    sizes = {
        name: int(np.prod(shape)) * np.dtype(kind).itemsize
        for name, (shape, kind) in shapes(config, planes).items()
    }
    mapped = sum(sizes.values())
    slabs = (threads or usable_cores()) + 1
    slab = (SLAB + 2 * HALO) * plane * 4 * 2
    # Displacements (12 bytes a cell) with modes (4), or with a density in their place; then with
    # the momentum, in float32.
    before = 16 * cells + slabs * slab + sizes["modes"]
    after = 12 * cells + 4 * planes * plane + slabs * slab + mapped
    groups = -(-planes // planes_per_depth(config.cell))
    running = 4 * cells + 4 * groups * plane + mapped
    return MemoryEstimate(
        shared_bytes=int(INTERPRETER + max(before, after)),
        run_bytes=int(INTERPRETER + running),
        mapped_bytes=mapped,
        cache_bytes=mapped,
    )
