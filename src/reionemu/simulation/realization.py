"""Simulating: from four parameters to a map, with everything else at hand.

Planes of the box are made a few at a time, used, and forgotten: g, the filtered density, never
exists whole. A gas cell of the light cone at z is ionized if z < z_re = zmean + (1 + zmean) b0 g,
that is if g > (z - zmean) / ((1 + zmean) b0), and then adds its momentum to the map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from ..errors import ConfigError
from ..machine import usable_cores
from .brightness import Brightness, coarse_cells, low_modes
from .cache import load_or_compute
from .config import SimulationConfig
from .fourier import Shells, inverse_along
from .history import NeutralHistory, neutral_history
from .ksz import KszSum
from .light_cone import LightCone
from .model import check_parameters, ionized_above, reionization_redshift
from .result import PUBLISHED_REDSHIFTS, Simulation
from .shared import Progress, Shared, compute, nodes, stride
from .zreion import bias_table, growth_weights

PLANES_AT_ONCE = 8
"""Planes of the box in memory at a time; a multiple of every `stride`."""


def open_realization(
    config: SimulationConfig,
    seed: int,
    axis: int = 0,
    *,
    cache: Path | None = None,
    check: bool = True,
    device: torch.device | str = "cpu",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Realization:
    """Prepare to simulate with the initial conditions of a seed, seen along an axis.

    Parameters
    ----------
    config : SimulationConfig
    seed, axis : int
    cache : Path, optional
        Folder where what simulations share is kept on disk; by default it is kept in memory.
    check : bool
        Compare the checksums of what is found there.
    device : torch.device or str
    threads : int, optional
        How many slabs are prepared at a time; by default as many as there are cores. This changes
        no number.
    progress : callable, optional
        Called with (what is going on, steps done, steps in all).
    """
    device, threads = torch.device(device), threads or usable_cores()
    if cache is None:
        shared = compute(config, seed, axis, device=device, threads=threads, progress=progress)
    else:
        shared = load_or_compute(
            cache,
            config,
            seed,
            axis,
            check=check,
            device=device,
            threads=threads,
            progress=progress,
        )
    return Realization(config, seed, axis, shared, device)


def check_redshifts(z: Sequence[float]) -> np.ndarray:
    """Redshifts as an array; ConfigError unless they are numbers from 0 up, in one dimension."""
    try:
        array = np.array(z, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(())
    if array.ndim != 1 or not np.all(array >= 0) or not np.all(np.isfinite(array)):
        raise ConfigError(f"z must be a sequence of redshifts, such as (6.0, 8.0), not {z!r}")
    return array


@dataclass(frozen=True)
class Realization:
    """One set of initial conditions, seen along one axis, ready to be reionized."""

    config: SimulationConfig
    seed: int
    axis: int
    shared: Shared
    device: torch.device

    def run(
        self, theta: Mapping[str, float], z: Sequence[float] = PUBLISHED_REDSHIFTS
    ) -> Simulation:
        """Simulate.

        Parameters
        ----------
        theta : mapping
            zmean_zre, alpha_zre, kb_zre [h/Mpc] and b0_zre.
        z : sequence of float
            Redshifts of the histories and of the 21 cm spectra.

        Raises
        ------
        ConfigError, OutOfRangeError
            See `check_parameters`.
        """
        theta, config = check_parameters(theta, self.config), self.config
        redshifts = check_redshifts(z)
        level = ionized_above(theta, self._cone.z)
        light = KszSum(self._cone, self.shared.momentum, level, self.device)
        samples: list[torch.Tensor] = []
        every = stride(config.n_cells)

        def use(first: int, planes: torch.Tensor) -> None:
            samples.append(planes[::every, ::every, ::every].clone())
            light.add(first, planes)

        g_coarse = self._filter(theta)
        self._planes(use)
        g = torch.cat(samples)
        history = self._history(theta, g)
        depth_z, depth = history.optical_depth(config.cosmology, config.helium)
        at = history.at(redshifts)
        missing = max(float(g.var() - g_coarse.var()), 0.0) ** 0.5 if every > 1 else 0.0
        level = ionized_above(theta, redshifts)
        return Simulation(
            parameters=theta,
            seed=self.seed,
            axis=self.axis,
            ksz_map=light.map(depth_z, depth),
            theta_max=config.theta_max,
            t_cmb=config.cosmology.t_cmb,
            z=redshifts,
            x_m=at.x_m,
            x_v=at.x_v,
            tau=float(depth[-1]),
            power_21cm=self._brightness.spectra(redshifts, at.x_v, g_coarse, missing, level),
        )

    def zreion(self, theta: Mapping[str, float]) -> np.ndarray:
        """The redshift of reionization of every cell, float32, shape (N, N, N)."""
        theta = check_parameters(theta, self.config)
        n = self.config.n_cells
        field = np.empty((n, n, n), dtype=np.float32)
        self._filter(theta)

        def store(first: int, planes: torch.Tensor) -> None:
            field[first : first + len(planes)] = reionization_redshift(theta, planes).cpu().numpy()

        self._planes(store)
        return field

    @cached_property
    def _cone(self) -> LightCone:
        return LightCone.of(self.config, self.seed, self.axis)

    @cached_property
    def _brightness(self) -> Brightness:
        return Brightness.of(self.config, self.shared, self.device)

    @cached_property
    def _work(self) -> torch.Tensor:
        """Where modes are transformed; kept, as new memory costs more than the arithmetic."""
        n = self.config.n_cells
        return torch.zeros((n, n, n // 2 + 1), dtype=torch.complex64, device=self.device)

    @cached_property
    def _modes(self) -> list[torch.Tensor]:
        """delta_k W(k R) / W_cic(k) at each of the redshifts `nodes`."""
        return [torch.from_numpy(node).to(self.device) for node in self.shared.modes]

    @cached_property
    def _shells(self) -> Shells:
        return Shells(self.config.n_cells, self.device)

    def _nearby(self, zmean: float) -> tuple[list[int], np.ndarray]:
        """Which of the kept redshifts give the density at zmean, and with what weights."""
        growth = self.config.cosmology.growth_factor(np.array([*nodes(self.config), zmean]))
        return growth_weights(growth[:-1], float(growth[-1]))

    def _filter(self, theta: dict[str, float]) -> torch.Tensor:
        """Put the modes of g in `_work`; return g on the coarse grid."""
        chosen, weights = self._nearby(theta["zmean_zre"])
        bias = bias_table(self.config, theta["alpha_zre"], theta["kb_zre"])
        table = torch.from_numpy(bias).to(self.device)
        modes = [torch.view_as_real(self._modes[i]) for i in chosen]
        out = torch.view_as_real(self._work)
        for i in range(self.config.n_cells):
            torch.mul(modes[0][i], weights[0], out=out[i])
            for mode, weight in zip(modes[1:], weights[1:], strict=True):
                out[i].add_(mode[i], alpha=weight)
            self._work[i].mul_(self._shells.plane(table, i))
        size = coarse_cells(self.config.n_cells)
        return torch.fft.irfftn(low_modes(self._work, size), s=(size, size, size))

    def _planes(self, use: Callable[[int, torch.Tensor], None]) -> None:
        """Call `use` with (first plane, g in it and the next ones); `_work` is used up."""
        n = self.config.n_cells
        inverse_along(self._work, 0)
        buffer = torch.empty((PLANES_AT_ONCE, n, n), device=self.device)
        for first in range(0, n, PLANES_AT_ONCE):
            some = self._work[first : first + PLANES_AT_ONCE]
            use(first, torch.fft.irfft2(some, s=(n, n), out=buffer[: len(some)]))

    def _history(self, theta: dict[str, float], g: torch.Tensor) -> NeutralHistory:
        """Neutral fractions, from g in every `stride`-th cell."""
        chosen, weights = self._nearby(theta["zmean_zre"])
        mass = sum(
            w * torch.from_numpy(self.shared.samples[i])
            for i, w in zip(chosen, weights, strict=True)
        )
        return neutral_history(reionization_redshift(theta, g), mass.to(self.device) + 1)
