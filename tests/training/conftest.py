"""Batches and files to train on."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers in every run of a test."""
    torch.manual_seed(20240607)


def make_batches(sizes, n_in=4, n_out=5, seed=0):
    """A list of batches (x, y) of the given sizes."""
    generator = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randn(size, n_in, generator=generator),
            torch.randn(size, n_out, generator=generator),
        )
        for size in sizes
    ]


@pytest.fixture
def train_batches():
    """Three batches, the last one smaller."""
    return make_batches((8, 8, 3))


@pytest.fixture
def val_batches():
    """Two batches of different size."""
    return make_batches((5, 2), seed=1)


@pytest.fixture
def two_threads():
    """PyTorch on two threads, as many as it had afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def one_thread():
    """PyTorch on one thread, as many as it had afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def training_h5(tmp_path):
    """A file with 23 rows of /training that a network can learn."""
    rng = np.random.default_rng(8)
    X = rng.uniform([6, 0.1, 0.5, 0.4], [10, 0.9, 2.0, 0.8], (23, 4))
    Y = np.sin(X @ rng.normal(size=(4, 5)))
    path = tmp_path / "condensed.h5"
    with h5py.File(path, "w") as h5:
        h5["training/X"] = X.astype(np.float32)
        h5["training/Y"] = Y.astype(np.float32)
        h5["training/ell"] = np.linspace(1500.0, 9500.0, 5)
    return path
