"""The redshift-of-reionization field: density, filtered and scaled.

    z_re(x) = zmean + (1 + zmean) b0 g(x),
    g_k = delta_k(zmean) (1 + k/kb)^-alpha W(k R) / W_cic(k)

with W the Fourier transform of a sphere of R = 1 Mpc/h, W_cic the window of a cell, and k in h/Mpc
(Battaglia, Trac, Cen & Loeb 2013, ApJ 776, 81). zmean and b0 enter linearly; only alpha and kb, and
the growth up to zmean, shape g.
"""

from __future__ import annotations

import numpy as np
import torch

from ..errors import ConfigError
from .config import SimulationConfig
from .fourier import Shells, wave_numbers, wavenumber_table

LARGEST_BIAS = 1e6

SMOOTHING_RADIUS = 1.0
"""R, the radius of the sphere over which density is smoothed [Mpc/h]."""


def sphere_window(x: np.ndarray) -> np.ndarray:
    """3 (sin x - x cos x) / x^3, and its series near 0, where that cancels."""
    small = np.abs(x) < 1e-2
    safe = np.where(small, 1.0, x)
    exact = 3 * (np.sin(safe) - safe * np.cos(safe)) / safe**3
    return np.where(small, 1 - x**2 / 10, exact)


def cell_window(n: int) -> np.ndarray:
    """Fourier transform of cloud-in-cell assignment along one axis, sinc^2(k cell / 2), (N,)."""
    return np.sinc(wave_numbers(n) / n) ** 2


class Smoothing:
    """W(k R) / W_cic(k), plane by plane of `modes`."""

    def __init__(self, config: SimulationConfig, device: torch.device | str = "cpu") -> None:
        n = config.n_cells
        window = sphere_window(wavenumber_table(n, config.box) * SMOOTHING_RADIUS)
        self._sphere = torch.from_numpy(window.astype(np.float32)).to(device)
        self._shells = Shells(n, device)
        cell = torch.from_numpy(1 / cell_window(n)).to(device, torch.float32)
        self._per_cell = cell
        self._per_cell_across = cell[:, None] * cell[: n // 2 + 1]

    def plane(self, i: int) -> torch.Tensor:
        """The factor of plane i, float32, shape (N, N/2 + 1)."""
        sphere = self._shells.plane(self._sphere, i)
        return sphere * self._per_cell_across * self._per_cell[i]


def bias_table(config: SimulationConfig, alpha: float, kb: float) -> np.ndarray:
    """(1 + k/kb)^-alpha for every n0^2 + n1^2 + n2^2, float32; the mean of g is left out.

    Raises ConfigError if that is beyond what float32 can work with.
    """
    with np.errstate(over="ignore"):
        table = (1 + wavenumber_table(config.n_cells, config.box) / kb) ** -alpha
    table[0] = 0
    if not np.max(table) < LARGEST_BIAS:
        raise ConfigError(
            f"alpha_zre = {alpha:g} with kb_zre = {kb:g} makes small scales more than "
            f"{LARGEST_BIAS:g} times as biased as large ones; alpha_zre is positive as a rule"
        )
    return table.astype(np.float32)


def growth_weights(nodes: np.ndarray, wanted: float) -> tuple[list[int], np.ndarray]:
    """The three of the growth factors `nodes` nearest to `wanted`, and their Lagrange weights.

    The density of 2LPT is a power series in D whose third term is small, so a parabola through
    three redshifts gives delta_k in between.
    """
    chosen = sorted(np.argsort(np.abs(nodes - wanted), kind="stable")[:3].tolist())
    weights = [
        np.prod([(wanted - nodes[j]) / (nodes[i] - nodes[j]) for j in chosen if j != i])
        for i in chosen
    ]
    return chosen, np.array(weights)
