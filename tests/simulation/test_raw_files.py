"""One simulation on disk: complete or absent, and always the same bytes."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from reionemu.errors import DatasetError, NotEnoughSpaceError
from reionemu.simio.raw import read_sim
from reionemu.simulation import raw_files
from reionemu.simulation.config import SimulationConfig
from reionemu.simulation.raw_files import write_simulation
from reionemu.simulation.result import Simulation

CONFIG = SimulationConfig(box=100.0, n_cells=16)
PARAMETERS = {"zmean_zre": 8.1, "alpha_zre": 0.3, "kb_zre": 1.2, "b0_zre": 0.5}
OTHER_PROCESS = (
    f"import sys; from pathlib import Path; sys.path.insert(0, {os.path.dirname(__file__)!r});"
    "import test_raw_files as t;"
)


def simulation(**changes) -> Simulation:
    rng = np.random.default_rng(1)
    z = np.arange(5.0, 15.0)
    made = Simulation(
        parameters=PARAMETERS,
        seed=2**63 - 1,
        axis=2,
        ksz_map=1e-6 * rng.standard_normal((16, 16)).astype(np.float32),
        theta_max=0.07,
        t_cmb=2.7255,
        z=z,
        x_m=np.linspace(0, 1, len(z)),
        x_v=np.linspace(0, 1, len(z)) ** 0.5,
        tau=0.055,
        power_21cm=rng.random((len(z), 8, 3)),
    )
    return dataclasses.replace(made, **changes)


def test_what_is_written_is_read_back(tmp_path):
    made = simulation()
    assert write_simulation(made, CONFIG, tmp_path / "sim0", record={"seconds": 1.5})
    read = read_sim(tmp_path / "sim0")
    assert read.params == PARAMETERS
    np.testing.assert_array_equal(read.output["ksz_map"], made.ksz_map)
    np.testing.assert_array_equal(read.output["xmval_list"], made.x_m)
    np.testing.assert_array_equal(read.output["zval_list"], made.z)
    np.testing.assert_array_equal(read.output["pk_tt"], made.power_21cm)
    scalars = {name: read.output[name] for name in ("Tcmb0", "theta_max_ksz", "tau")}
    assert scalars == {"Tcmb0": 2.7255, "theta_max_ksz": 0.07, "tau": 0.055}
    with h5py.File(tmp_path / "sim0" / "obs_grids.hdf5") as h5:
        header = {name: item[()] for name, item in h5["header"].items()}
    extra = {"seed": 2**63 - 1, "axis": 2, "box": 100.0, "n_cells": 16, "z_min": 6.0, "z_max": 15.0}
    assert header == {"Tcmb0": 2.7255, "theta_max_ksz": 0.07, **extra}
    with h5py.File(tmp_path / "sim0" / "pk_arrays.hdf5") as h5:
        np.testing.assert_array_equal(h5["data/xvval_list"], made.x_v)
        assert b"mass-weighted neutral" in h5["data/xmval_list"].attrs["meaning"]
    record = json.loads((tmp_path / "sim0" / "record.json").read_text())
    assert record["seconds"] == 1.5
    sizes = {name: (tmp_path / "sim0" / name).stat().st_size for name in record["files"]}
    assert sizes == {name: facts["size_bytes"] for name, facts in record["files"].items()}


def test_the_bytes_do_not_depend_on_time_or_process(tmp_path):
    write_simulation(simulation(), CONFIG, tmp_path / "sim0")
    time.sleep(1.1)  # HDF5 keeps whole seconds, if any
    code = (
        OTHER_PROCESS
        + f"t.write_simulation(t.simulation(), t.CONFIG, Path({str(tmp_path / 'sim1')!r}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "TZ": "Asia/Tokyo"})
    for name in ("obs_grids.hdf5", "pk_arrays.hdf5"):
        one, other = ((tmp_path / sim / name).read_bytes() for sim in ("sim0", "sim1"))
        assert one == other


@pytest.mark.parametrize("field", ["ksz_map", "x_m", "tau", "power_21cm"])
def test_what_is_not_finite_is_refused(tmp_path, field):
    value = np.array(getattr(simulation(), field))
    value.flat[-1] = np.nan
    with pytest.raises(DatasetError, match=r"sim0: data|sim0: header"):
        write_simulation(simulation(**{field: value}), CONFIG, tmp_path / "sim0")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path):
    write_simulation(simulation(), CONFIG, tmp_path / "sim0", record={"who": "first"})
    assert not write_simulation(simulation(), CONFIG, tmp_path / "sim0", record={"who": "second"})
    assert json.loads((tmp_path / "sim0" / "record.json").read_text())["who"] == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["sim0"]


@pytest.mark.parametrize("name", raw_files.DATA_FILES)
def test_an_error_while_writing_leaves_nothing(tmp_path, monkeypatch, name):
    def full(path):
        if path.name == name:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(raw_files, "sync_file", full)
    with pytest.raises(NotEnoughSpaceError, match="sim0"):
        write_simulation(simulation(), CONFIG, tmp_path / "sim0")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    code = (
        OTHER_PROCESS + "t.raw_files.os.rename = lambda *_: t.os._exit(9);"
        f"t.write_simulation(t.simulation(), t.CONFIG, Path({str(tmp_path / 'sim0')!r}))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".sim0.")
    assert write_simulation(simulation(), CONFIG, tmp_path / "sim0")
    assert [path.name for path in tmp_path.iterdir()] == ["sim0"]
