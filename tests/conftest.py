"""Synthetic raw simulations in the real layout, and the files that the stages make of them.

A suite is a folder of `sim<i>/` folders with an obs grids file and a pk arrays file each. Every
map is a Gaussian random field with a power-law spectrum whose amplitude and slope depend smoothly
on the four parameters, so an emulator has something to learn.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from reionemu.parameters import PARAMETER_NAMES
from reionemu.simio import add_cl_to_condensed_h5, build_and_write_training, condense_sim_root

SUITE_SIZE = 24
SUITE_PIXELS = 64
THETA = 0.0711  # rad, the side of every map
TCMB = 2.7255  # K
LOW = np.array([6.0, 0.1, 0.5, 0.4])  # zmean_zre, alpha_zre, kb_zre, b0_zre
HIGH = np.array([10.0, 0.8, 1.5, 0.8])
REDSHIFTS = np.concatenate([np.arange(5.0, 15.25, 0.5), np.arange(16.0, 20.5, 1.0)])


def gaussian_map(
    rng: np.random.Generator, pixels: int, amplitude: float, slope: float
) -> np.ndarray:
    """A Gaussian field [dT/T] with D_ell = `amplitude` (ell/3000)^(slope + 2) [uK^2]."""
    freq = np.fft.fftfreq(pixels, THETA / pixels)
    ell = 2 * np.pi * np.sqrt(freq[:, None] ** 2 + freq[None, : pixels // 2 + 1] ** 2)
    ell[0, 0] = np.inf
    power = 2 * np.pi * amplitude / 3000.0**2 * (ell / 3000.0) ** slope
    noise = np.fft.rfft2(rng.standard_normal((pixels, pixels)))
    return np.fft.irfft2(noise * np.sqrt(power) * pixels / THETA, s=(pixels, pixels)) / (TCMB * 1e6)


def write_raw_sim(
    folder: Path, params: np.ndarray, ksz_map: np.ndarray, *, theta: float = THETA
) -> None:
    """Write one raw simulation: an obs grids file and a pk arrays file."""
    folder.mkdir(parents=True)
    zmean, alpha = params[:2]
    with h5py.File(folder / "obs_grids.hdf5", "w") as h5:
        h5["data/ksz_map"] = ksz_map
        h5["header/Tcmb0"] = TCMB
        h5["header/theta_max_ksz"] = theta
    with h5py.File(folder / "pk_arrays.hdf5", "w") as h5:
        h5["data/pk_tt"] = np.full((len(REDSHIFTS), 8, 3), zmean, dtype=np.float32)
        h5["data/xmval_list"] = 0.5 * (1 + np.tanh((REDSHIFTS - zmean) * alpha))
        h5["data/zval_list"] = REDSHIFTS
        h5["header/tau"] = 0.0065 * zmean
        for name, value in zip(PARAMETER_NAMES, params, strict=True):
            h5[f"header/{name}"] = value


def _make_raw_suite(
    root: Path,
    n: int,
    pixels: int = SUITE_PIXELS,
    seed: int = 0,
    dtype: type = np.float64,
) -> Path:
    """Write `n` raw simulations `sim0`, `sim1`, ... under `root`, and return `root`."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        unit = rng.random(4)
        amplitude = np.exp(-1.0 + unit @ [1.0, 0.5, -0.4, 0.3])
        ksz_map = gaussian_map(rng, pixels, amplitude, slope=-2.2 - 0.4 * unit[1])
        write_raw_sim(Path(root) / f"sim{i}", LOW + unit * (HIGH - LOW), ksz_map.astype(dtype))
    return Path(root)


@pytest.fixture(scope="session")
def make_raw_suite() -> Callable[..., Path]:
    """The factory `make_raw_suite(root, n, pixels=64, seed=0, dtype=float64) -> root`."""
    return _make_raw_suite


@pytest.fixture(scope="session")
def _session_suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _make_raw_suite(tmp_path_factory.mktemp("suite") / "raw", SUITE_SIZE)


@pytest.fixture(scope="session")
def _session_h5(_session_suite: Path) -> Path:
    path = _session_suite.parent / "condensed.h5"
    condense_sim_root(_session_suite, path)
    add_cl_to_condensed_h5(path)
    build_and_write_training(path)
    return path


@pytest.fixture
def raw_suite(_session_suite: Path, tmp_path: Path) -> Path:
    """A folder with 24 raw simulations of 64 x 64 pixels, the test's own to damage."""
    return Path(shutil.copytree(_session_suite, tmp_path / "raw"))


@pytest.fixture
def condensed_h5(_session_h5: Path, tmp_path: Path) -> Path:
    """A condensed file of 24 simulations with /cl (5 bins) and /training, the test's own."""
    return Path(shutil.copyfile(_session_h5, tmp_path / "condensed.h5"))


@pytest.fixture(scope="session", autouse=True)
def _caches_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes in the user's cache folder."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("caches"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session")
def write_record() -> Callable[..., Path]:
    """`write_record(folder, info=..., configs=..., results=..., provenance=...)`: JSON files.

    What is given is added to documents that are just enough; None leaves a document out, and text
    or bytes are written as they are.
    """
    least: dict[str, dict[str, Any]] = {
        "info": {"schema_version": 1, "created_at": "2026-11-23T10:00:00+00:00"},
        "configs": {"schema_version": 1},
        "results": {"schema_version": 1, "status": "completed"},
        "provenance": {"schema_version": 1},
    }

    def write(folder: Path, **documents: Any) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, start in least.items():
            given = documents.get(name, {})
            if isinstance(given, dict):
                given = json.dumps({**start, **given})
            if given is not None:
                content = given if isinstance(given, bytes) else given.encode()
                (folder / f"{name}.json").write_bytes(content)
        return folder

    return write
