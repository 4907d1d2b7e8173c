"""What is measured on: raw simulations, spectra-ready files, training arrays. Layouts only."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

NAMES = ("zmean_zre", "alpha_zre", "kb_zre", "b0_zre")
LOW, HIGH = np.array([6.0, 0.1, 0.2, 0.3]), np.array([10.0, 0.9, 1.5, 0.9])
THETA = 0.0524
"""Side of every map: 3 degrees [rad]."""


def write_raw_suite(folder: Path, n_sims: int, n_pixels: int, seed: int = 0) -> int:
    """Raw simulations in the layout and of the sizes that are published; their bytes in all.

    One random map serves all of them, shifted and scaled: what it holds costs nothing to anybody.
    """
    rng = np.random.default_rng(seed)
    sky = 1e-6 * rng.standard_normal((n_pixels, n_pixels)).cumsum(axis=0)
    pk_tt = rng.random((26, n_pixels, 3))
    size = 0
    for number in range(n_sims):
        sim = folder / f"sim{number}"
        sim.mkdir(parents=True)
        params = rng.uniform(LOW, HIGH)
        shifted = np.roll(sky, rng.integers(n_pixels), axis=1)
        with h5py.File(sim / "obs_grids.hdf5", "w") as h5:
            h5["data/ksz_map"] = params[0] * params[3] * shifted
            h5["header/Tcmb0"], h5["header/theta_max_ksz"] = 2.7255, THETA
        with h5py.File(sim / "pk_arrays.hdf5", "w") as h5:
            h5["data/pk_tt"] = pk_tt
            h5["data/xmval_list"], h5["data/zval_list"] = np.linspace(0, 1, 26), np.arange(26.0)
            h5["header/tau"] = 0.06
            for name, value in zip(NAMES, params, strict=True):
                h5[f"header/{name}"] = value
        size += sum(file.stat().st_size for file in sim.iterdir())
    return size


def write_training_file(path: Path, n_samples: int = 1000, seed: int = 0) -> None:
    """A file with /training alone: a smooth spectrum of four parameters in five bins."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(LOW, HIGH, (n_samples, 4))
    unit = (X - LOW) / (HIGH - LOW)
    ell = np.linspace(1500.0, 9500.0, 5)
    Y = unit @ rng.standard_normal((4, 5)) + np.sin(3 * unit[:, :1] * unit[:, 1:2]) - 0.3
    with h5py.File(path, "w") as h5:
        group = h5.create_group("training")
        group["X"], group["Y"] = X.astype(np.float32), Y.astype(np.float32)
        group["ell"] = ell
        text = h5py.string_dtype("utf-8")
        group.create_dataset("sim_ids", data=[f"sim{i}" for i in range(n_samples)], dtype=text)
        group.create_dataset("param_names", data=list(NAMES), dtype=text)
        group.attrs["y_source"], group.attrs["y_transform"] = "dl_ksz", "ln"
        group.attrs["eps"] = 1e-30
