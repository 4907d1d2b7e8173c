"""The simulator, for use by hand: parameters in, maps and histories out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config import require_choice
from ..spectra import ClConfig, plan_for
from .cache import default_cache
from .config import OwnSeeds, SimulationConfig, preset
from .device import usable_device
from .initial_conditions import Displacement
from .matter import density, velocity
from .memory import MemoryEstimate, memory_estimate
from .realization import Realization, check_redshifts, open_realization
from .result import PUBLISHED_REDSHIFTS, Simulation
from .shared import Progress

__all__ = ["Simulations", "Simulator", "memory_estimate", "open_realization"]


@dataclass(frozen=True)
class Simulations:
    """One set of parameters, simulated for every realization and line of sight.

    Attributes
    ----------
    each : tuple of Simulation
        In the order of the realizations, and of the axes for each.
    """

    each: tuple[Simulation, ...]

    @property
    def maps(self) -> np.ndarray:
        """dT/T of each map, float32, shape (n_maps, N, N)."""
        return np.stack([one.ksz_map for one in self.each])

    @property
    def theta_max(self) -> float:
        """Side of the maps [rad]."""
        return self.each[0].theta_max

    @property
    def z(self) -> np.ndarray:
        """Redshifts of the histories, shape (n_z,)."""
        return self.each[0].z

    @property
    def x_m(self) -> np.ndarray:
        """Mass-weighted neutral fraction, the mean over realizations, shape (n_z,)."""
        return np.mean([one.x_m for one in self.each], axis=0)

    @property
    def x_v(self) -> np.ndarray:
        """Volume-weighted neutral fraction, the mean over realizations, shape (n_z,)."""
        return np.mean([one.x_v for one in self.each], axis=0)

    @property
    def tau(self) -> float:
        """Optical depth, the mean over realizations."""
        return float(np.mean([one.tau for one in self.each]))

    def dl(self, config: ClConfig = ClConfig()) -> tuple[np.ndarray, np.ndarray]:  # noqa: B008
        """Power spectrum of each map, by default as published spectra were estimated.

        Returns
        -------
        ell : ndarray, shape (b,)
        dl : ndarray, shape (n_maps, b)
            D_ell [uK^2].
        """
        first = self.each[0]
        plan = plan_for(len(first.ksz_map), first.theta_max, config)
        spectra = [plan.spectrum(one.ksz_map, unit=one.t_cmb * 1e6) for one in self.each]
        return spectra[0].ell, np.stack([spectrum.dl for spectrum in spectra])


class Simulator:
    """Simulates the kSZ effect of reionization.

    Preparing takes from a second to minutes and is done once for all simulations with the same
    initial conditions, on this machine: it is kept on disk.

    Parameters
    ----------
    config : str or SimulationConfig
        Name of a preset, or a configuration.
    cache : Path or None, optional
        Where to keep what simulations share; None keeps it in memory. By default
        `cache.default_cache()`: $REIONEMU_CACHE, or ~/.cache/reionemu.
    device : str
        "cpu", "cuda", ...; "auto" takes a GPU if there is one.
    threads : int, optional
        For preparing: by default as many as there are cores.
    progress : callable, optional
        Called with (what is going on, steps done, steps in all).
    **changes
        Fields of the configuration to change, as in ``Simulator("demo", realizations=(1, 2))``.

    Examples
    --------
    >>> simulator = Simulator("demo")
    >>> result = simulator.run(zmean_zre=8.0, alpha_zre=0.5, kb_zre=1.0, b0_zre=0.45)
    >>> result.maps.shape, result.tau
    """

    def __init__(
        self,
        config: str | SimulationConfig = "laptop",
        *,
        cache: Path | str | None = "auto",
        device: str = "auto",
        threads: int | None = None,
        progress: Progress | None = None,
        **changes: Any,
    ) -> None:
        chosen = preset(config) if isinstance(config, str) else config
        self.config = chosen.with_changes(**changes) if changes else chosen
        folder = default_cache() if cache == "auto" else cache
        self._cache = None if folder is None else Path(folder)
        self._device, self._threads = usable_device(device), threads
        self._progress = progress
        self._open: dict[tuple[int, int], Realization] = {}

    def __repr__(self) -> str:
        return f"Simulator({self.config})"

    @property
    def memory(self) -> MemoryEstimate:
        """What this takes; can be asked before anything is prepared."""
        return memory_estimate(self.config, self._threads)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the initial conditions; of `OwnSeeds`, that of row 0 of a design."""
        realizations = self.config.realizations
        if isinstance(realizations, OwnSeeds):
            return (realizations.seed_of(0),)
        return realizations

    def prepare(self) -> None:
        """Do now what `run` would otherwise do when it is first called."""
        for seed in self.seeds:
            for axis in self.config.axes:
                self.realization(seed, axis)

    def realization(self, seed: int, axis: int = 0) -> Realization:
        """What simulations with these initial conditions share, prepared."""
        if (seed, axis) not in self._open:
            self._open[seed, axis] = open_realization(
                self.config,
                seed,
                axis,
                cache=self._cache,
                device=self._device,
                threads=self._threads,
                progress=self._progress,
            )
        return self._open[seed, axis]

    def run(self, z: Sequence[float] = PUBLISHED_REDSHIFTS, **theta: float) -> Simulations:
        """Simulate, for every realization and axis of the configuration.

        Parameters
        ----------
        z : sequence of float
            Redshifts of the histories and 21 cm spectra.
        **theta
            zmean_zre, alpha_zre, kb_zre [h/Mpc] and b0_zre; see `reionemu.simulation.zreion`.

        Raises
        ------
        ConfigError, OutOfRangeError
            If a parameter is missing, unknown, or outside what was prepared for.
        """
        return Simulations(
            tuple(
                self.realization(seed, axis).run(theta, z)
                for seed in self.seeds
                for axis in self.config.axes
            )
        )

    def zreion(self, **theta: float) -> np.ndarray:
        """Redshift of reionization of every cell of the first realization, float32, (N, N, N)."""
        return self.realization(self.seeds[0], self.config.axes[0]).zreion(theta)

    def density(self, z: float) -> np.ndarray:
        """1 + delta of the first realization at redshift z, float32, shape (N, N, N)."""
        check_redshifts((z,))
        return density(self.config, self._displacement, z, self._threads or 1).cpu().numpy()

    def velocity(self, z: float, component: int) -> np.ndarray:
        """Peculiar velocity [km/s] at redshift z along an axis, float32, shape (N, N, N).

        Mass-weighted; component 0 is along the line of sight, the first of `config.axes`.

        Raises ConfigError for a redshift or a component that there is not.
        """
        check_redshifts((z,))
        require_choice("Simulator", "component", str(component), ("0", "1", "2"))
        found = velocity(self.config, self._displacement, z, component, self._threads or 1)
        return found.cpu().numpy()

    @property
    def _displacement(self) -> Displacement:
        """Made again each time: it is large, and only these fields need it."""
        return Displacement.of(
            self.config,
            self.seeds[0],
            self.config.axes[0],
            device=self._device,
            threads=self._threads or 1,
        )
