"""Our models, trained by the call that `reionemu train` makes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from reionemu.artifact import Artifact
from reionemu.data.arrays import TrainingSet, load_training_set
from reionemu.data.splits import split_indices
from reionemu.models.emulator import Emulator
from reionemu.pipeline import train_artifact
from reionemu.pipeline.options import MODELS, TrainingOptions
from reionemu.pipeline.surrogates import fit_surrogate

from .accuracy import Outcome, summary

SEED = 42
STANDARD = {"train": 0.7, "val": 0.1, "test": 0.2}
FEW = {"train": 0.1, "val": 0.1, "test": 0.8}
"""A hundred of a thousand to train on. The permutation is the same, so the standard test rows are
the last of these."""


def train(
    h5: Path,
    folder: Path,
    name: str,
    model: str = "gp",
    seed: int = SEED,
    split: Mapping[str, float] = STANDARD,
) -> tuple[Artifact, float]:
    """A trained and saved emulator, and the seconds that took, its assessment included."""
    options = replace(
        TrainingOptions().seeded(seed), model=MODELS[model](name=model), split=dict(split)
    )
    start = perf_counter()
    artifact = train_artifact(h5, name, folder, options)
    return artifact, perf_counter() - start


def fit_alone(h5: Path, name: str) -> float:
    """Seconds that fitting a surrogate takes, without all that goes with it."""
    data = load_training_set(h5)
    rows = split_indices(len(data.X), STANDARD, SEED)["train"]
    start = perf_counter()
    fit_surrogate(data, rows, MODELS[name](name=name), SEED)
    return perf_counter() - start


def unbounded(artifact: Artifact) -> Emulator:
    """Its emulator, also of test points that lie just outside the box of the training points."""
    return artifact.emulator(bounds="unbounded")


def unseen_rows(data: TrainingSet, seed: int = SEED) -> np.ndarray:
    """Rows of the standard split that are not trained on."""
    return split_indices(len(data.X), STANDARD, seed)["test"]


def outcome(emulator: Emulator, data: TrainingSet, rows: np.ndarray) -> Outcome:
    """Predictions of some rows of a suite that shares a realization."""
    theta = data.X[rows].astype(np.float64)
    found = emulator.predict(theta)
    assert found.std is not None
    truth = emulator.target.invert(data.Y[rows].astype(np.float64))
    return Outcome(theta, truth, found.mean, found.std)


def histories(emulator: Emulator, data: TrainingSet, rows: np.ndarray) -> dict[str, Any]:
    """Errors of tau (relative) and x_HI (absolute), and coverage of tau."""
    assert data.tau is not None
    assert data.x_hi is not None
    found = emulator.predict_history(data.X[rows].astype(np.float64), data.z)
    tau = np.abs(found.tau / data.tau[rows] - 1)
    x_hi = np.abs(found.x_hi - data.x_hi[rows])
    return {
        "tau_p95": float(np.quantile(tau, 0.95)),
        "tau_worst": float(tau.max()),
        "x_hi_p99": float(np.quantile(x_hi, 0.99)),
        "x_hi_worst": float(x_hi.max()),
    }


def other_splits(
    h5: Path, seeds: range, split: Mapping[str, float] = STANDARD
) -> tuple[dict[str, Any], Outcome]:
    """The default model with other seeds of the split: mean and scatter, and all predictions."""
    data = load_training_set(h5)
    outcomes, seconds = [], []
    with tempfile.TemporaryDirectory(prefix="reionemu-bench-") as folder:
        for seed in seeds:
            artifact, took = train(h5, Path(folder), f"s{seed}", seed=seed, split=split)
            outcomes.append(outcome(unbounded(artifact), data, unseen_rows(data, seed)))
            seconds.append(took)
    found = [summary(one) for one in outcomes]
    spread = {
        key: {
            "mean": np.mean([one[key] for one in found], axis=0).tolist(),
            "std": np.std([one[key] for one in found], axis=0, ddof=1).tolist(),
        }
        for key in found[0]
    }
    return {"seeds": list(seeds), "seconds": seconds, **spread}, Outcome.joined(outcomes)
