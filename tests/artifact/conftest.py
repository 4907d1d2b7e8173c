"""Models with known weights, and artifacts made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import reionemu
from reionemu.artifact.provenance import seal
from reionemu.parameters import PARAMETER_NAMES

LOW, HIGH = np.array([6.5, 0.1, 0.3, 0.2]), np.array([9.5, 0.9, 1.5, 0.9])
ELL = np.array([1500.0, 2500.0, 3500.0, 4500.0, 5500.0])
EPS = 1e-3


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _write_dataset(path: Path, *, y_transform: str = "ln", y_source: str = "dl_ksz") -> Path:
    """A file with /training of 24 rows, of invented spectra."""
    X = (LOW + (HIGH - LOW) * np.random.default_rng(7).random((24, 4))).astype(np.float32)
    y = X[:, 3:] * (ELL / 3000.0) ** -0.2 * (X[:, :1] / 8.0) ** 2
    forward = {"ln": np.log, "log10": np.log10, "none": lambda values: values - EPS}
    with h5py.File(path, "w") as h5:
        group = h5.create_group("training")
        group["X"], group["Y"], group["ell"] = X, forward[y_transform](y + EPS), ELL
        group["param_names"], group["sim_ids"] = (
            list(PARAMETER_NAMES),
            [f"sim{i}" for i in range(24)],
        )
        group.attrs.update({"y_source": y_source, "y_transform": y_transform, "eps": EPS})
    return path


@pytest.fixture
def write_dataset() -> Callable[..., Path]:
    """`write_dataset(path, y_transform="ln", y_source="dl_ksz")`: 24 rows, ELL and EPS as above."""
    return _write_dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A file with /training, targets ln(D_ell + 1e-3)."""
    return _write_dataset(tmp_path / "data.h5")


@pytest.fixture
def theta() -> np.ndarray:
    """Seven points well inside the training box, shape (7, 4)."""
    return LOW + (HIGH - LOW) * np.random.default_rng(11).uniform(0.2, 0.8, (7, 4))


@pytest.fixture
def four_param() -> torch.nn.Module:
    """A FourParamEmulator with random weights."""
    torch.manual_seed(1)
    return reionemu.FourParamEmulator(hidden_dim=6, activation="tanh")


@pytest.fixture
def mc_dropout() -> torch.nn.Module:
    """An MCDropoutEmulator with random weights."""
    torch.manual_seed(2)
    return reionemu.MCDropoutEmulator(hidden_dim=6, activation="gelu", dropout_rate=0.25)


@pytest.fixture
def save(dataset: Path, tmp_path: Path) -> Callable[..., Path]:
    """`save(model, **overrides)`: save an artifact with all that a normal run records."""

    def save(model: torch.nn.Module, name: str = "run", **overrides: object) -> Path:
        config = reionemu.DataLoaderConfig(batch_size=8)
        _, normalizers, _ = reionemu.make_dataloaders(dataset, config=config)
        arguments = {
            "dataset_path": dataset,
            "dataloader_config": config,
            "normalizers": normalizers,
            "checkpoint": model.state_dict(),
            **overrides,
        }
        return reionemu.save_artifact(name, tmp_path / "artifacts", **arguments)

    return save


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, bytes]]:
    """`snapshot(folder)`: every file below it and its content, empty folders included."""

    def snapshot(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
            for path in sorted(folder.rglob("*"))
        }

    return snapshot


@pytest.fixture
def reseal() -> Callable[..., None]:
    """`reseal(folder, edit=None)`: provenance.json again, with checksums of the files as they are.

    `edit(document)` may change the document before it is sealed. What is then wrong with the
    record cannot be told by its checksums.
    """

    def reseal(folder: Path, edit: Callable[[dict], object] = lambda document: None) -> None:
        path = folder / "provenance.json"
        document = reionemu.read_json(path)
        document["files"] = {
            item.name: {
                "sha256": hashlib.sha256(item.read_bytes()).hexdigest(),
                "size_bytes": item.stat().st_size,
            }
            for item in folder.iterdir()
            if item != path
        }
        edit(document)
        path.write_bytes(seal(document))

    return reseal
