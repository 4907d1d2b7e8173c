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
from reionemu.artifact.experiment import Contents
from reionemu.artifact.formats.posterior import StoredPosterior
from reionemu.artifact.provenance import seal
from reionemu.artifact.write import save_record
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


BAND_POWERS = {
    "name": "two bands",
    "ell": [2000.0, 3000.0],
    "dl": [1.0, 1.25],
    "covariance": [[0.01, 0.001], [0.001, 0.0225]],
    "windows": None,
    "window_ell": None,
    "is_total": False,
    "realization": "sky",
    "map_area": None,
    "source": "invented",
}


def _posterior(weighted: bool = False) -> StoredPosterior:
    rng = np.random.default_rng(5)
    samples = rng.uniform(0.2, 0.8, (4, 50, 2))
    arrays = {
        "samples": samples,
        "log_prob": -0.5 * (samples**2).sum(axis=2),
        "low": np.zeros(2),
        "high": np.array([1.0, np.inf]),
        "derived.tau": 0.05 + 0.01 * samples[..., 0],
    }
    if weighted:
        arrays["weights"] = rng.dirichlet(np.ones(200)).reshape(4, 50)
    for i, band in enumerate(("x", "low95", "low68", "median", "high68", "high95")):
        arrays[f"history.{band}"] = np.linspace(5.0, 10.0, 6) if band == "x" else np.full(6, i)
    options = {
        "names": ["alpha_zre", "kb_zre"],
        "derived": ["tau"],
        "sampler": "nested" if weighted else "emcee",
        "is_converged": True,
        "criterion": "converged: 50 autocorrelation times asked for, 60 found",
        "diagnostics": {"acceptance": 0.5},
        "priors": {"alpha_zre": "uniform(0, 1)", "kb_zre": "normal(0.5, 0.1)"},
        "facts": {},
    }
    return StoredPosterior(options, {name: array.astype(float) for name, array in arrays.items()})


@pytest.fixture
def posterior() -> Callable[..., StoredPosterior]:
    """`posterior(weighted=False)`: 4 chains of 50 samples of 2 parameters, with tau and x_HI."""
    return _posterior


@pytest.fixture
def save_posterior(tmp_path: Path) -> Callable[..., Path]:
    """`save_posterior(name="posterior", stored=None)`: a record of the kind "inference"."""

    def save(name: str = "posterior", stored: StoredPosterior | None = None) -> Path:
        interval = {"mean": 0.5, "std": 0.1, "median": 0.5, "low68": 0.4, "high68": 0.6}
        interval |= {"low95": 0.25, "high95": 0.75, "at_edge": None}
        contents = Contents(
            kind="inference",
            steps=(
                {"step": "weights", "model": None, "optimizer": None, "training": None}
                | {"content_sha256": "1" * 64},
                {"step": "emulator", "name": "em", "path": "/data/em", "run": None, "seal": None},
                {"step": "data", "name": "two bands", "source": "", "content_sha256": "2" * 64},
            ),
        )
        contents.update(
            inference_config={
                "emulator": {"name": "em", "run": None, "seal": None},
                "data": {"name": "two bands", "sha256": "2" * 64, "source": "invented"},
                "sampler": {"name": "emcee", "walkers": 32},
                "seed": 3,
                "priors": {"kb_zre": "normal(0.5, 0.1)"},
                "tau": [0.0544, 0.0073],
                "late_time": None,
            },
            posterior=stored or _posterior(),
            band_powers=BAND_POWERS,
            results_summary={
                "parameters": {
                    "alpha_zre": {**interval, "at_edge": "low"},
                    "kb_zre": interval,
                    "tau": interval,
                },
                "priors": {"alpha_zre": "uniform(0, 1)", "kb_zre": "normal(0.5, 0.1)"},
                "is_converged": True,
                "criterion": "converged: 50 autocorrelation times asked for, 60 found",
            },
            metrics={"chi2": 1.5, "n_band_powers": 2, "p_value": 0.4},
        )
        return save_record(name, tmp_path / "artifacts", contents)

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
