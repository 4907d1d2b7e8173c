"""Gaussian initial conditions, and how they displace matter to second order.

Lagrangian perturbation theory: a particle that starts at q is at time t at

    x = q + D1(t) psi1(q) + D2(t) psi2(q),
    psi1_k = i k delta_k / k^2,        psi2_k = -i k S_k / k^2,
    S = sum_{i<j} (phi_ii phi_jj - phi_ij^2),        phi_ij,k = k_i k_j delta_k / k^2,

with delta the linear density contrast today (Bouchet et al. 1995, A&A 296, 575; Scoccimarro 1998,
MNRAS 299, 1097).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..threads import for_each
from .config import SimulationConfig
from .fourier import (
    Shells,
    to_modes,
    to_real,
    wave_numbers,
    wavenumber_table,
)

Step = Callable[[], object]

STEPS = 13
"""How often `Displacement.of` reports a step."""


@dataclass(frozen=True)
class Displacement:
    """Displacements at z = 0 of the particles, one of each cell.

    Attributes
    ----------
    first, second : Tensor, shape (3, N, N, N), float16
        psi1 and psi2 in units of cells; component 0 is along the line of sight, as is the first
        axis of cells. With D(z) < 0.2, half precision places a particle to 0.001 cells.
    """

    first: torch.Tensor
    second: torch.Tensor

    @classmethod
    def of(
        cls,
        config: SimulationConfig,
        seed: int,
        axis: int = 0,
        *,
        device: torch.device | str = "cpu",
        threads: int = 1,
        step: Step = lambda: None,
    ) -> Displacement:
        """Displacements from the initial conditions of that seed, seen along that axis."""
        n = config.n_cells
        modes = linear_modes(config, seed, axis, device=device, threads=threads)
        step()
        work = torch.empty_like(modes)
        source = _second_order_source(modes, work, threads, step)
        first = torch.empty((3, n, n, n), dtype=torch.float16, device=device)
        for component in range(3):
            _gradient(modes, work, component, first, threads)
            step()
        # 2LPT is the peak of memory: the modes of S are made again rather than kept.
        del work
        second = torch.empty_like(first)
        for component in range(3):
            to_modes(source, modes, threads)
            _gradient(modes, modes, component, second, threads)
            step()
        return cls(first, second.neg_())

    def reach(self, growth: tuple[float, float]) -> float:
        """A bound on the displacement along the line of sight for growth (D1, D2), in cells."""
        first, second = (float(psi[0].abs().max()) for psi in (self.first, self.second))
        return abs(growth[0]) * first + abs(growth[1]) * second


def linear_modes(
    config: SimulationConfig,
    seed: int,
    axis: int = 0,
    *,
    device: torch.device | str = "cpu",
    threads: int = 1,
) -> torch.Tensor:
    """Modes of the linear density contrast at z = 0, complex64, shape (N, N, N/2 + 1).

    Phases, and amplitudes in units of sqrt(P(k)), depend on the seed and on n alone, not on the
    number of cells: more cells add smaller scales to the same structures.
    """
    n = config.n_cells
    k = wavenumber_table(n, config.box)
    amplitude = np.zeros(len(k), dtype=np.float32)
    amplitude[1:] = np.sqrt(config.cosmology.linear_power(k[1:]) / config.box**3) * n**3
    table = torch.from_numpy(amplitude).to(device)
    shells = Shells(n, device)
    modes = torch.from_numpy(white_noise(n, seed, axis)).to(device)

    def colour(i: int) -> None:
        modes[i] *= shells.plane(table, i)

    for_each(colour, range(n), threads)
    return modes


def white_noise(n: int, seed: int, axis: int = 0) -> np.ndarray:
    """Complex normal numbers of unit variance for `modes`, with the symmetry of a real field.

    Row (n0, n1) is a stream of its own of the counter-based generator Philox (Salmon et al. 2011),
    read along n2 and turned into normal numbers by the formula of Box and Muller. Modes at the
    Nyquist frequency are zero. `axis` 1 or 2 changes places with axis 0.
    """
    noise = np.zeros((n, n, n // 2 + 1), dtype=np.complex64)
    generator = np.random.Philox(key=np.random.SeedSequence(seed).generate_state(2, np.uint64))
    state = generator.state
    waves = wave_numbers(n)
    inner = np.flatnonzero(np.abs(waves) < n // 2)
    bits = np.empty((len(inner), n // 2), dtype=np.uint64)
    for i in inner:
        for row, j in enumerate(inner):
            state["state"]["counter"][:] = (0, waves[i] + 2**32, waves[j] + 2**32, 0)
            generator.state = state
            bits[row] = generator.random_raw(n // 2)
        radius = np.sqrt(-np.log(((bits >> np.uint64(32)) + 0.5) / 2**32))
        angle = (2 * np.pi / 2**32) * (bits & np.uint64(2**32 - 1))
        noise[i, inner, : n // 2] = radius * np.exp(1j * angle)
    _pair_conjugates(noise)
    return _seen_along(noise, axis)


def _pair_conjugates(noise: np.ndarray) -> None:
    """Make one of the modes n and -n in the plane n2 = 0 the conjugate of the other."""
    plane = noise[:, :, 0]
    waves = wave_numbers(len(plane))
    mirrored = np.conj(plane[np.ix_(-waves, -waves)])
    given = (waves[:, None] > 0) | ((waves[:, None] == 0) & (waves > 0))
    plane[...] = np.where(given, plane, mirrored)
    plane[0, 0] = 0


def _seen_along(noise: np.ndarray, axis: int) -> np.ndarray:
    """The modes of the same field with axis 0 and `axis` interchanged."""
    if axis == 0:
        return noise
    if axis == 1:
        return np.ascontiguousarray(noise.transpose(1, 0, 2))
    half = len(noise) // 2
    swapped = np.zeros_like(noise)
    swapped[:half, :, :half] = noise[:half, :, :half].transpose(2, 1, 0)
    waves = wave_numbers(len(noise))
    mirrored = noise[np.ix_(-np.arange(half), -waves, np.arange(1, half))]
    swapped[:-half:-1, :, :half] = np.conj(mirrored).transpose(2, 1, 0)
    return swapped


def _second_order_source(
    modes: torch.Tensor, work: torch.Tensor, threads: int, step: Step
) -> torch.Tensor:
    """The field S of the module's docstring, float16, shape (N, N, N)."""
    n = len(modes)
    source = torch.zeros((n, n, n), dtype=torch.float16, device=modes.device)
    trace = torch.zeros_like(source)

    def diagonal(planes: slice, field: torch.Tensor) -> None:
        source[planes] += field * trace[planes]
        trace[planes] += field

    def mixed(planes: slice, field: torch.Tensor) -> None:
        source[planes] -= field.square_()

    pairs = [(i, i) for i in range(3)] + list(itertools.combinations(range(3), 2))
    for i, j in pairs:
        _filtered(modes, work, (i, j), 1.0, threads)
        to_real(work, diagonal if i == j else mixed, threads)
        step()
    return source


def _gradient(
    modes: torch.Tensor, work: torch.Tensor, component: int, out: torch.Tensor, threads: int
) -> None:
    """A component of i k / k^2 times `modes`, in real space and in cells, into out[component].

    `work` is used up; it may be `modes`.
    """
    cells = len(modes) / (2 * np.pi)
    _filtered(modes, work, (component,), 1j * cells, threads)
    to_real(work, out[component].__setitem__, threads)


def _filtered(
    modes: torch.Tensor,
    work: torch.Tensor,
    components: tuple[int, ...],
    factor: complex,
    threads: int,
) -> None:
    """`modes` times factor prod(n_i) / n^2, i in `components`, into `work`.

    A derivative has no Nyquist frequency.
    """
    n = len(modes)
    waves = torch.from_numpy(wave_numbers(n)).to(modes.device, torch.float32)
    waves[n // 2] = 0
    rows, columns = waves[:, None], waves[: n // 2 + 1]
    shells = Shells(n, modes.device)

    def fill(i: int) -> None:
        numbers = (waves[i], rows, columns)
        product = math.prod(numbers[c] for c in components)
        square = (shells.along[i] + shells.across).clamp_(min=1)
        torch.mul(modes[i], product * (factor / square), out=work[i])

    for_each(fill, range(n), threads)
