"""The same script run under this package and under the published one, over the same raw files.

The published package lives in an environment of its own, whose interpreter is named by
REIONEMU_PEER_PYTHON (default: `.peer-venv/bin/python`, which `make peer-venv` makes).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TIMEOUT = 300

HEADER = ("zmean_zre", "alpha_zre", "kb_zre", "b0_zre")
ELL_CUT = 500.0
N_GOOD = 24
MAPS_PER_SIZE = 6
MAPS = {
    "n32": (32, 0.02),
    "n33": (33, 0.05),
    "n62": (62, 0.1),
    "n64": (64, 0.4),
    "n100": (100, 0.08),
}
"""Pixels on a side, and side in radians of the smallest map, of each suite for spectra alone."""


@dataclass(frozen=True)
class Run:
    """What one run of the user's script left."""

    folder: Path
    numbers: dict[str, np.ndarray]
    documents: dict[str, Any]

    def named(self, *prefixes: str) -> list[str]:
        """Names of the numbers that begin with one of these."""
        return sorted(name for name in self.numbers if name.startswith(prefixes))

    def texts(self, *prefixes: str) -> dict[str, Any]:
        """The documents whose names begin with one of these."""
        return {k: v for k, v in self.documents.items() if k.startswith(prefixes)}


def peer_python() -> Path:
    named = os.environ.get("REIONEMU_PEER_PYTHON") or ".peer-venv/bin/python"
    return ROOT / named  # which leaves an absolute path as it is


@pytest.fixture(scope="session")
def interpreters() -> dict[str, str]:
    """The two interpreters by the name of the side, or a skip."""
    python = peer_python()
    if not python.exists():
        pytest.skip(
            f"the published package is not installed: there is no {python} "
            "(make it with `make peer-venv`, or set REIONEMU_PEER_PYTHON)"
        )
    return {"ours": sys.executable, "peer": str(python)}


@pytest.fixture(scope="session")
def run_both(interpreters: dict[str, str]) -> Callable[[str, dict[str, list[Path]]], None]:
    """Run a script of this folder under both interpreters at the same time."""

    def run(script: str, arguments: dict[str, list[Path]]) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        without_path = {k: v for k, v in environment.items() if k != "PYTHONPATH"}
        processes = {
            side: subprocess.Popen(
                [python, str(HERE / script), *map(str, arguments[side])],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment if side == "ours" else without_path,
            )
            for side, python in interpreters.items()
        }
        for side, process in processes.items():
            output, _ = process.communicate(timeout=TIMEOUT)
            assert process.returncode == 0, f"{script} failed under {side}:\n{output[-4000:]}"

    return run


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw suites: `main`, damaged simulations among it, and `spectra/*`."""
    root = tmp_path_factory.mktemp("raw")
    write_suites(root, np.random.default_rng(20))
    return root


@pytest.fixture(scope="session")
def both(
    run_both: Callable, raw: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, Run]:
    """The user's script under this package and under the published one."""
    folders = {side: tmp_path_factory.mktemp("runs") / side for side in ("ours", "peer")}
    run_both("user_script.py", {side: [raw, folder] for side, folder in folders.items()})
    return read_run(folders["ours"]), read_run(folders["peer"])


@pytest.fixture(scope="session")
def ours(both: tuple[Run, Run]) -> Run:
    return both[0]


@pytest.fixture(scope="session")
def peer(both: tuple[Run, Run]) -> Run:
    return both[1]


@pytest.fixture(scope="session")
def exchanged(
    run_both: Callable, ours: Run, peer: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, Run]:
    """Each package given the files that the other made."""
    root = tmp_path_factory.mktemp("exchange")
    arguments = {
        "ours": [ours.folder, peer.folder, root / "ours"],
        "peer": [peer.folder, ours.folder, root / "peer"],
    }
    run_both("exchange_script.py", arguments)
    return read_run(root / "ours"), read_run(root / "peer")


@pytest.fixture(scope="session")
def n_good() -> int:
    """How many simulations of the main suite have nothing wrong with them."""
    return N_GOOD


def write_suites(root: Path, rng: np.random.Generator) -> None:
    """Raw suites: `main`, damaged simulations among it, and `spectra/*`."""
    for number in range(N_GOOD):
        write_sim(root / f"main/sim{number}", rng, dtype="f4" if number % 3 == 0 else "f8")
    damage(root / "main", rng)
    for name, (n_pixels, theta) in MAPS.items():
        for number in range(MAPS_PER_SIZE):
            folder, side = root / f"spectra/{name}/sim{number}", theta * (1 + 0.03 * number)
            write_sim(folder, rng, n_pixels, side, dtype="f4" if number % 3 == 2 else "f8")


def read_run(folder: Path) -> Run:
    with np.load(folder / "numbers.npz") as archive:
        numbers = dict(archive.items())
    return Run(folder, numbers, json.loads((folder / "documents.json").read_text()))


def write_sim(
    folder: Path,
    rng: np.random.Generator,
    n_pixels: int = 64,
    theta: float = 0.05,
    dtype: str = "f8",
) -> Path:
    """One raw simulation: a random map whose power follows the parameters."""
    folder.mkdir(parents=True)
    params = dict(zip(HEADER, rng.uniform([6, 0.1, 0.2, 0.3], [10, 0.9, 1.5, 0.9]), strict=True))
    amplitude = 1e-6 * params["zmean_zre"] * (1 + params["b0_zre"])
    sky = amplitude * rng.standard_normal((n_pixels, n_pixels)).cumsum(axis=0)
    with h5py.File(folder / "obs_grids.hdf5", "w") as h5:
        h5["data/ksz_map"] = sky.astype(dtype)
        h5["header/Tcmb0"] = 2.7255
        h5["header/theta_max_ksz"] = np.array([theta])
    with h5py.File(folder / "pk_arrays.h5", "w") as h5:
        h5["data/pk_tt"] = rng.random((26, 8, 3))
        h5["data/xmval_list"] = np.linspace(0, 1, 26)
        h5["data/zval_list"] = np.linspace(5, 20, 26)
        h5["header/tau"] = np.array([rng.uniform(0.04, 0.08)])
        for name, value in params.items():
            h5[f"header/{name}"] = value
    return folder


def damage(suite: Path, rng: np.random.Generator) -> None:
    """Simulations among the others that cannot all be used."""

    def sim(name: str, **options: Any) -> tuple[Path, Path]:
        folder = write_sim(suite / f"sim_{name}", rng, **options)
        return folder / "obs_grids.hdf5", folder / "pk_arrays.h5"

    sim("no_obs")[0].unlink()
    sim("no_pk")[1].unlink()
    for file in sim("empty_folder"):
        file.unlink()
    torn = sim("torn_obs")[0]
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    sim("zero_bytes")[1].write_bytes(b"")
    sim("garbage")[1].write_bytes(bytes(range(256)) * 64)
    with h5py.File(sim("empty_map")[0], "r+") as h5:
        del h5["data/ksz_map"]
        h5["data/ksz_map"] = np.zeros((0, 0))
    sim("other_size", n_pixels=48)
    with h5py.File(sim("nan_parameter")[1], "r+") as h5:
        h5["header/alpha_zre"][...] = np.nan
    with h5py.File(sim("no_parameter")[1], "r+") as h5:
        del h5["header/kb_zre"]
    with h5py.File(sim("no_tau")[1], "r+") as h5:
        del h5["header/tau"]
    (suite / "sim_is_a_file").write_text("not a folder")
    (suite / "other").mkdir()
