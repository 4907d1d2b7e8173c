"""An emulator of formulas, in a record on disk; and Cobaya kept quiet."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.special import ndtr

from reionemu.inference import EmceeOptions
from reionemu.parameters import PARAMETER_NAMES
from reionemu.pipeline import train_artifact

LOW, HIGH = np.array([7.0, 0.1, 0.1, 0.1]), np.array([9.0, 0.9, 2.0, 0.8])
ELL = np.array([1500.0, 3000.0, 4500.0, 6000.0])
REDSHIFTS = np.arange(5.0, 16.0, 0.5)


def write_training(path: Path, n: int = 60) -> Path:
    """Training arrays of n simulations, smooth in the parameters but for 1% of scatter."""
    rng = np.random.default_rng(0)
    unit = rng.random((n, 4))
    theta = LOW + unit * (HIGH - LOW)
    level = 0.4 * unit[:, :1] - 0.5 * unit[:, 1:2] + 0.3 * unit[:, 3:]
    y = level + (0.3 * unit[:, 2:3] - 0.2) * np.log(ELL / 3000) + 0.01 * rng.standard_normal((n, 4))
    width = (0.3 + 0.7 * unit[:, 1] + 0.5 * unit[:, 3])[:, None]
    with h5py.File(path, "w") as h5:
        group = h5.create_group("training")
        group["X"], group["Y"] = theta.astype(np.float32), y.astype(np.float32)
        group["ell"], group["z"] = ELL, REDSHIFTS
        group["x_hi"] = ndtr((REDSHIFTS - theta[:, :1]) / width)
        group["tau"] = 0.055 + 0.008 * (theta[:, 0] - 8) + 1e-5 * rng.standard_normal(n)
        text = h5py.string_dtype("utf-8")
        group.create_dataset("sim_ids", data=[f"sim{i}" for i in range(n)], dtype=text)
        group.create_dataset("param_names", data=PARAMETER_NAMES, dtype=text)
        group.attrs.update({"y_source": "dl_ksz", "y_transform": "ln", "eps": 1e-30})
        group.attrs.update({"realizations": "own", "map_area": 0.01})
    return path


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the record of an emulator with histories."""
    folder = tmp_path_factory.mktemp("emulator")
    return train_artifact(write_training(folder / "suite.h5"), "gp", folder).path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that is too short to be of use before each run, where proposals do not matter."""
    from reionemu.inference.cobaya import input as made

    monkeypatch.setattr(made, "_PILOT", EmceeOptions(steps=20))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Cobaya sets up the root logger, and the hook for exceptions: both are put back."""
    before, level, hook = list(logging.root.handlers), logging.root.level, sys.excepthook
    yield
    sys.excepthook = hook
    logging.root.handlers[:] = before
    logging.root.setLevel(level)
