"""Training arrays of a universe that is quick to make: formulas in place of simulations."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.special import ndtr

from reionemu.models.width import LinearTheory
from reionemu.parameters import PARAMETER_NAMES

LOW, HIGH = np.array([7.0, 0.1, 0.1, 0.1]), np.array([9.0, 0.9, 2.0, 0.8])
ELL = np.array([2000.0, 4000.0, 6000.0])
REDSHIFTS = np.arange(5.0, 16.0, 0.5)


def ln_spectrum(theta: np.ndarray) -> np.ndarray:
    """A smooth ln D_ell of what matters, shape (n, 3)."""
    zmean, first, second, ln_width = LinearTheory().coordinates(theta).T
    level = 0.2 * (zmean - 8) + 0.3 * ln_width - 0.2 * ln_width**2
    return level[:, None] + np.stack([0.3 * first, 0.5 * second, 0.2 * first * second], axis=-1)


def make_training(
    path: Path, n: int = 80, *, scatter: float = 0.002, seed: int = 0, **attrs: object
) -> Path:
    """A file with /training of n simulations whose spectra scatter by `scatter`."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(LOW, HIGH, (n, 4))
    y = ln_spectrum(theta) + scatter * rng.standard_normal((n, 3))
    width = np.exp(LinearTheory().coordinates(theta)[:, 3])
    x_hi = ndtr((REDSHIFTS - theta[:, :1]) / width[:, None])
    with h5py.File(path, "w") as h5:
        group = h5.create_group("training")
        group["X"], group["Y"] = theta.astype(np.float32), y.astype(np.float32)
        group["ell"], group["z"], group["x_hi"] = ELL, REDSHIFTS, x_hi
        group["tau"] = 0.055 + 0.008 * (theta[:, 0] - 8) + 1e-6 * rng.standard_normal(n)
        text = h5py.string_dtype("utf-8")
        group.create_dataset("sim_ids", data=[f"sim{i}" for i in range(n)], dtype=text)
        group.create_dataset("param_names", data=PARAMETER_NAMES, dtype=text)
        group.attrs.update({"y_source": "dl_ksz", "y_transform": "ln", "eps": 1e-30, **attrs})
    return path


@pytest.fixture
def training_file():
    """`make_training`."""
    return make_training


@pytest.fixture
def training_h5(tmp_path):
    """80 simulations that share a realization."""
    return make_training(tmp_path / "suite.h5", realizations="shared", map_area=0.01)
