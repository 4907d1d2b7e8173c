"""Writing a simulation as one folder of the raw layout, all or nothing, always the same bytes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import DatasetError, NotEnoughSpaceError
from ..files import name_file, remove_abandoned, sync_directory, sync_file, temporary_name
from ..parameters import PARAMETER_NAMES
from .config import SimulationConfig
from .result import Simulation

OBS_GRIDS, PK_ARRAYS, RECORD = "obs_grids.hdf5", "pk_arrays.hdf5", "record.json"
DATA_FILES = (OBS_GRIDS, PK_ARRAYS)

_UNITS = dict(zip(PARAMETER_NAMES, ("redshift", "", "h/Mpc", ""), strict=True))

Tree = dict[str, tuple[Any, str]]
"""Path in an HDF5 file -> (value, what it means)."""


def write_simulation(
    simulation: Simulation,
    config: SimulationConfig,
    folder: Path,
    *,
    record: Mapping[str, Any] | None = None,
    workplace: Path | None = None,
) -> bool:
    """Write one simulation as a folder, which appears complete or not at all.

        folder/
          obs_grids.hdf5
            data/ksz_map             (N, N) [dT/T]
            header/Tcmb0             [K]
            header/theta_max_ksz     [rad]
            header/{seed, axis, box [Mpc/h], n_cells, z_min, z_max}
          pk_arrays.hdf5
            data/pk_tt               (n_z, n_k, 3): k [h/Mpc], P(k) of the 21 cm brightness
                                     temperature [mK^2 (Mpc/h)^3], number of modes
            data/xmval_list          (n_z,) mass-weighted neutral fraction
            data/xvval_list          (n_z,) volume-weighted neutral fraction
            data/zval_list           (n_z,) redshifts, ascending
            header/{zmean_zre, alpha_zre, kb_zre [h/Mpc], b0_zre, tau, seed, axis}
          record.json                `record`, and the SHA-256 and size of both files

    The bytes of the two HDF5 files depend on the simulation alone: no times, no names of machines.

    Parameters
    ----------
    simulation : Simulation
    config : SimulationConfig
        What it was made with.
    folder : Path
        Its parent exists.
    record : mapping, optional
        What record.json says besides, ready for JSON.
    workplace : Path, optional
        Where the folder is filled before it is moved: an existing folder of the same file system;
        by default, hidden, beside `folder`.

    Returns
    -------
    bool
        False if `folder` was there by the time this one was complete; it is left as it is.

    Raises
    ------
    DatasetError
        If a value is not finite.
    NotEnoughSpaceError
        If the disk is full.
    """
    contents = {OBS_GRIDS: _obs_grids(simulation, config), PK_ARRAYS: _pk_arrays(simulation)}
    for name, tree in contents.items():
        for path, (value, _) in tree.items():
            if not np.isfinite(value).all():
                raise DatasetError(f"{folder.name}: {path} of {name} is not finite")
    files = {name: _hdf5(tree) for name, tree in contents.items()}
    facts = {name: file_facts(content) for name, content in files.items()}
    document = {**(record or {}), "files": facts}
    files[RECORD] = to_json(document)
    return _place(files, folder, workplace or folder.parent)


def file_facts(content: bytes) -> dict[str, Any]:
    """What is recorded of a file."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}


def to_json(document: Mapping[str, Any]) -> bytes:
    """A document as the bytes of a file: strict JSON, sorted."""
    return (json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _obs_grids(simulation: Simulation, config: SimulationConfig) -> Tree:
    return {
        "data/ksz_map": (simulation.ksz_map, "patchy kSZ effect, dT/T"),
        "header/Tcmb0": (simulation.t_cmb, "temperature of the CMB [K]"),
        "header/theta_max_ksz": (simulation.theta_max, "side of the map [rad]"),
        "header/box": (config.box, "side of the periodic box [Mpc/h]"),
        "header/n_cells": (config.n_cells, "cells along a side of the box"),
        "header/z_min": (config.z_min, "near end of the light cone"),
        "header/z_max": (config.z_max, "far end of the light cone"),
        **_realization(simulation),
    }


def _pk_arrays(simulation: Simulation) -> Tree:
    parameters = {
        f"header/{name}": (simulation.parameters[name], f"parameter of the model [{unit}]")
        for name, unit in _UNITS.items()
    }
    return {
        "data/pk_tt": (
            simulation.power_21cm,
            "k [h/Mpc], P(k) of 21 cm brightness [mK^2 (Mpc/h)^3], number of modes",
        ),
        "data/xmval_list": (simulation.x_m, "mass-weighted neutral fraction of hydrogen"),
        "data/xvval_list": (simulation.x_v, "volume-weighted neutral fraction of hydrogen"),
        "data/zval_list": (simulation.z, "redshifts"),
        "header/tau": (simulation.tau, "optical depth to Thomson scattering"),
        **parameters,
        **_realization(simulation),
    }


def _realization(simulation: Simulation) -> Tree:
    return {
        "header/seed": (np.uint64(simulation.seed), "seed of the initial conditions"),
        "header/axis": (simulation.axis, "axis of the box along the line of sight"),
    }


def _hdf5(tree: Tree) -> bytes:
    """An HDF5 file, built in memory: a full disk then fails in an orderly write of bytes."""
    with h5py.File("raw", "w", driver="core", backing_store=False, libver="earliest") as h5:
        for path, (value, meaning) in tree.items():
            dataset = h5.create_dataset(path, data=value, track_times=False)
            dataset.attrs["meaning"] = np.bytes_(meaning)
        h5.flush()
        return h5.id.get_file_image()


def _place(files: Mapping[str, bytes], folder: Path, workplace: Path) -> bool:
    """Fill a temporary folder and move it to its name; False if the name is taken."""
    building = workplace / folder.name
    remove_abandoned(building)
    temporary = temporary_name(building)
    try:
        temporary.mkdir()
        for name, content in files.items():
            (temporary / name).write_bytes(content)
            sync_file(temporary / name)
        sync_directory(temporary)
        os.rename(temporary, folder)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        code = error.errno if isinstance(error, OSError) else None
        if code in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NotEnoughSpaceError(
                f"no room left to write {folder}; nothing of it was kept. Free some space and run "
                "the same command again"
            ) from None
        name_file(error, folder)
        raise
    sync_directory(folder.parent)
    return True
