"""Files with hand-made training arrays."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

N_ROWS = 53


def training_arrays(n: int = N_ROWS) -> dict[str, np.ndarray]:
    """X, Y and ell as the training-set stage would write them."""
    rng = np.random.default_rng(5)
    return {
        "X": rng.normal([8.0, 0.5, 1.0, 0.6], [1.0, 0.2, 0.3, 0.05], (n, 4)).astype(np.float32),
        "Y": rng.normal(1.0, 0.3, (n, 5)).astype(np.float32),
        "ell": np.linspace(1500.0, 9500.0, 5),
    }


@pytest.fixture
def arrays():
    """Training arrays, fresh for each test."""
    return training_arrays()


@pytest.fixture
def write_training(tmp_path):
    """A function that writes arrays (and attributes) into /training of a new file."""

    def write(arrays, attrs=None, group="training"):
        path = tmp_path / "condensed.h5"
        with h5py.File(path, "w") as h5:
            for name, array in arrays.items():
                h5[f"{group}/{name}"] = array
            if attrs:
                h5[group].attrs.update(attrs)
        return path

    return write


@pytest.fixture
def training_h5(write_training, arrays):
    """A file with a usable /training."""
    return write_training(arrays)
