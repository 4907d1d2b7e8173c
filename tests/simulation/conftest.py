"""Realizations that tests share, and what is compared with: plain NumPy, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from reionemu.simulation import initial_conditions
from reionemu.simulation.config import SimulationConfig
from reionemu.simulation.initial_conditions import Displacement
from reionemu.simulation.realization import Realization, open_realization

Wave = tuple[tuple[int, int, int], float]
"""The whole numbers n of a wave, and its amplitude."""


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def theta() -> dict[str, float]:
    """Simulation B of the published suite."""
    return {
        "zmean_zre": 8.88764818819783,
        "alpha_zre": 0.4329503243946754,
        "kb_zre": 0.1020456045437486,
        "b0_zre": 0.24680639792154205,
    }


@pytest.fixture(scope="session")
def small() -> Realization:
    """32^3 cells of 4 Mpc/h; the light cone shows 11 copies of the box."""
    return open_realization(SimulationConfig(box=128.0, n_cells=32), 1, threads=1)


@pytest.fixture(scope="session")
def demo() -> Realization:
    """The preset "demo", seed 0."""
    return open_realization(SimulationConfig(n_cells=128), 0, threads=2)


def _cosine_modes(n: int, waves: list[Wave]) -> torch.Tensor:
    """Modes of sum a cos(2 pi n.x / N), x in cells."""
    x = np.indices((n, n, n)) * (2 * np.pi / n)
    field = sum(a * np.cos(np.tensordot(numbers, x, 1)) for numbers, a in waves)
    return torch.from_numpy(np.fft.rfftn(field).astype(np.complex64))


@pytest.fixture
def displaced_by(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Displacement]:
    """`displaced_by(config, waves)`: displacements from plane waves of the linear density."""

    def make(config: SimulationConfig, waves: list[Wave]) -> Displacement:
        with monkeypatch.context() as patch:
            modes = _cosine_modes(config.n_cells, waves)
            patch.setattr(initial_conditions, "linear_modes", lambda *a, **k: modes)
            return Displacement.of(config, 0)

    return make


def _plain_deposit(
    cells: np.ndarray, position: np.ndarray, weight: np.ndarray, kind: str
) -> np.ndarray:
    """Add particles at `position`, (3, P) in cells, to `cells`, (M, N, N).

    The first axis is not periodic: what leaves it is lost.
    """
    shape, width = np.array(cells.shape), {"cic": 1.0, "tsc": 1.5}[kind]
    nearest = np.floor(position + 0.5).astype(int)
    for offset in np.ndindex(5, 5, 5):
        cell = nearest + np.array(offset)[:, None] - 2
        d = np.abs(position - cell)
        if kind == "cic":
            w = np.clip(1 - d, 0, None)
        else:
            w = np.where(d < 0.5, 0.75 - d**2, 0.5 * np.clip(1.5 - d, 0, None) ** 2)
        w = np.where(d < width, w, 0).prod(0) * weight
        inside = (cell[0] >= 0) & (cell[0] < shape[0])
        cell[1:] %= shape[1:, None]
        np.add.at(cells, tuple(cell[:, inside]), w[inside])
    return cells


@pytest.fixture(scope="session")
def plain_deposit() -> Callable[..., np.ndarray]:
    """`plain_deposit(cells, position, weight, kind)`: the clouds of Hockney & Eastwood, 5-2."""
    return _plain_deposit


def _spectrum(field: np.ndarray, box: float) -> tuple[np.ndarray, np.ndarray]:
    """k and P(k) of a field, in bins one fundamental mode wide, centred on its multiples."""
    n = len(field)
    modes = np.fft.fftn(np.asarray(field, float))
    waves = np.fft.fftfreq(n, 1 / n)
    radius = np.sqrt(sum(np.meshgrid(*[waves**2] * 3, indexing="ij")))
    bins = np.rint(radius).astype(int).ravel()
    count = np.bincount(bins)
    power = np.bincount(bins, np.abs(modes.ravel()) ** 2) / count * box**3 / n**6
    k = np.bincount(bins, radius.ravel()) / count * 2 * np.pi / box
    return k[1 : n // 2], power[1 : n // 2]


@pytest.fixture(scope="session")
def spectrum() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """`spectrum(field, box)`: k [h/Mpc] and P(k) [(Mpc/h)^3], spherically averaged."""
    return _spectrum


def _flat_dl(map_: np.ndarray, theta_max: float, edges: np.ndarray) -> np.ndarray:
    """D_ell of a periodic map, averaged in bins of ell."""
    n = len(map_)
    freq = np.fft.fftfreq(n, theta_max / n) * 2 * np.pi
    ell = np.hypot(*np.meshgrid(freq, freq)).ravel()
    power = np.abs(np.fft.fft2(np.asarray(map_, float)).ravel()) ** 2 * theta_max**2 / n**4
    d = ell * (ell + 1) * power / (2 * np.pi)
    which = np.digitize(ell, edges)
    return np.array([d[which == i].mean() for i in range(1, len(edges))])


@pytest.fixture(scope="session")
def flat_dl() -> Callable[..., np.ndarray]:
    """`flat_dl(map, theta_max, edges)`: D_ell without a window, in the map's units squared."""
    return _flat_dl
