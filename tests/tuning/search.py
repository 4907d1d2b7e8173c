"""A small search, run by the tests in a process of its own: Ray warns of many things."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import ray
import torch
from ray import tune

from reionemu import run_tune_four_param

METRICS = (
    "epoch",
    "train_loss",
    "val_loss",
    "val_rmse",
    "val_relative_error",
    "best_val_loss",
    "best_epoch",
)

SPACE = {
    "hidden_dim": 8,
    "num_hidden_layers": 1,
    "activation": "tanh",
    "optimizer": "adam",
    "lr": tune.grid_search([0.01, 1e30]),
    "weight_decay": 0.0,
    "batch_size": 16,
    "epochs": 3,
    "seed": 1,
    "normalize_X": True,
    "normalize_Y": True,
    "device": "nowhere",
}


def arrays() -> dict[str, np.ndarray]:
    """Something a network can learn, with inputs far from zero."""
    rng = np.random.default_rng(0)
    X = rng.normal(10.0, 3.0, (60, 4))
    Y = X @ rng.normal(size=(4, 2)) + 100.0
    return {"X_train": X[:45], "Y_train": Y[:45], "X_val": X[45:], "Y_val": Y[45:]}


def describe(result) -> dict:
    """What the tests want to know of one trial, as JSON can hold it."""
    facts = {
        "lr": result.config["lr"],
        "device": result.config["device"],
        "error": str(result.error) if result.error else None,
        "metrics": {name: (result.metrics or {}).get(name) for name in METRICS},
        "checkpoints": len(result.best_checkpoints),
    }
    if result.checkpoint is None:
        return facts
    with result.checkpoint.as_directory() as folder:
        facts["files"] = sorted(path.name for path in Path(folder).iterdir())
        state = torch.load(Path(folder) / "model.pt", weights_only=True)
        metadata = torch.load(Path(folder) / "metadata.pt", weights_only=False)
    facts["shapes"] = {name: list(value.shape) for name, value in state.items()}
    facts["weights"] = {name: value.tolist() for name, value in state.items()}
    facts["metadata"] = sorted(metadata)
    facts["best"] = [metadata["best_val_loss"], metadata["best_epoch"]]
    facts["config"] = metadata["config"]
    facts["norms"] = {
        axis: [norm.mean.tolist(), norm.std.tolist()] for axis, norm in metadata["norms"].items()
    }
    return facts


def main(storage: str, answer: str) -> None:
    """Search, and write what was found to a file."""
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        grid = run_tune_four_param(
            **arrays(),
            param_space=SPACE,
            num_samples=1,
            max_concurrent_trials=1,
            device="cpu",
            storage_path=storage,
            experiment_name="small",
        )
        found = {
            "type": type(grid).__name__,
            "trials": [describe(result) for result in grid],
            "data": {name: array.tolist() for name, array in arrays().items()},
            "best": grid.get_best_result().config["lr"],
            "folder": sorted(path.name for path in Path(storage).iterdir()),
        }
    finally:
        ray.shutdown()
    Path(answer).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
