"""What linear theory expects of velocities in a periodic box, and of one realization of it.

    sigma_v^2 = (f D H / (1 + z))^2  sum_n  P(k) / V  k_i^2 / k^4,       k = 2 pi n / L

summed over the modes that the grid has: none longer than the box, none shorter than two cells.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from reionemu.simulation import SimulationConfig
from reionemu.simulation.fourier import wave_numbers, wavenumber_table
from reionemu.simulation.initial_conditions import white_noise

LOW = 64
"""Modes with |n_i| < LOW/2 are given their amplitude in a realization; the others their mean."""


def velocity_rms(config: SimulationConfig, z: float) -> float:
    """Expected rms of a component of peculiar velocity [km/s] on the grid."""
    return _per_displacement(config, z) * float(np.sqrt(_shell_power(config).sum() / 3))


def velocity_scatter(config: SimulationConfig) -> float:
    """Fractional standard deviation, over realizations, of that rms of one component."""
    n0, n1, n2 = _low_modes()
    power = _power(config, n0**2 + n1**2 + n2**2) * n0**2
    return float(np.sqrt(2 * (power**2).sum()) / (2 * _shell_power(config).sum() / 3))


def realized_velocity_rms(config: SimulationConfig, z: float, seed: int) -> np.ndarray:
    """Rms of each component [km/s] with the large-scale modes of one realization, shape (3,)."""
    noise = np.abs(white_noise(LOW, seed)) ** 2
    numbers = _low_modes()
    excess = (noise - 1) * _power(config, sum(n**2 for n in numbers))
    excess[:, :, 1:] *= 2  # for the modes with n2 < 0
    inside = np.abs(np.array(numbers)).max(axis=0) < LOW // 2
    squares = [_shell_power(config).sum() / 3 + (excess * n**2)[inside].sum() for n in numbers]
    return _per_displacement(config, z) * np.sqrt(squares)


def _per_displacement(config: SimulationConfig, z: float) -> float:
    """Velocity [km/s] per displacement at z = 0 [Mpc/h]."""
    c = config.cosmology
    return float(c.hubble(z) / c.h / (1 + z) * c.growth_factor(z) * c.growth_rate(z))


def _low_modes() -> tuple[np.ndarray, ...]:
    waves = wave_numbers(LOW)
    return tuple(np.meshgrid(waves, waves, np.arange(LOW // 2 + 1), indexing="ij"))


def _power(config: SimulationConfig, square: np.ndarray) -> np.ndarray:
    """P(k) / V / (k^2 n^2) of modes of n^2 = `square`; 0 of the mode 0 [(Mpc/h)^2]."""
    k = 2 * np.pi / config.box * np.sqrt(np.maximum(square, 1))
    power = config.cosmology.linear_power(k) / config.box**3 / k**2 / np.maximum(square, 1)
    return np.where(square > 0, power, 0.0)


@lru_cache(maxsize=16)
def _shell_power(config: SimulationConfig) -> np.ndarray:
    """P(k) / V / k^2, times the number of modes, for every n^2 of the grid [(Mpc/h)^2]."""
    n = config.n_cells
    count = _modes_per_shell(n)
    k = wavenumber_table(n, config.box)[1:]
    return config.cosmology.linear_power(k) / config.box**3 / k**2 * count[1:]


@lru_cache(maxsize=4)
def _modes_per_shell(n: int) -> np.ndarray:
    """How many modes below the Nyquist frequency have each n0^2 + n1^2 + n2^2."""
    squares = np.arange(-n // 2 + 1, n // 2) ** 2
    size = 3 * (n // 2) ** 2 + 1
    across = np.bincount((squares[:, None] + squares).ravel(), minlength=size)
    found = np.zeros(size)
    for square in squares:
        found[square:] += across[: size - square]
    return found
