"""The published package, in its own environment: answers lines of JSON on standard input.

    python worker.py H5

{"do": "train", "seed": S, "evaluation": E}  trains by its published recipe; answers seconds, epochs
{"do": "predict", "out": PATH}  moments of the test rows to an .npz file; answers seconds
{"do": "time", "calls": N}  answers seconds, and those of the processor, of one prediction of one
                            point: the mean of N calls
{"do": "many", "points": N}  answers seconds of one prediction of N points

The split has a seed of its own, the seed of the recipe; S is that of weights and dropout. E is how
it validates: "evaluate_metrics", without dropout, as by default, or "evaluate_mc_metrics".
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch

import reionemu

SPLIT = {"train": 0.7, "val": 0.1, "test": 0.2}
SPLIT_SEED = 42
DRAWS = 201


class Published:
    """Its emulator, and what is asked of it."""

    def __init__(self, h5: Path) -> None:
        self.h5 = h5
        self.X = reionemu.load_training_arrays(h5)[0]

    def train(self, seed: int, evaluation: str) -> dict[str, Any]:
        """4-20-20-5, ReLU, dropout 0.1; AdamW; at most 1000 epochs, patience 150."""
        config = reionemu.DataLoaderConfig(batch_size=32, seed=SPLIT_SEED)
        loaders, normalizers, _ = reionemu.make_dataloaders(self.h5, split=SPLIT, config=config)
        torch.manual_seed(seed)
        n_bins = loaders["train"].dataset[0][1].shape[0]
        self.model = reionemu.MCDropoutEmulator(output_dim=n_bins)
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=1e-5)
        fit_config = reionemu.FitConfig(epochs=1000, early_stopping_patience=150, seed=seed)
        start = perf_counter()
        history = reionemu.fit(
            self.model,
            loaders["train"],
            loaders["val"],
            optimizer,
            torch.nn.MSELoss(),
            fit_config,
            evaluation=evaluation,
        )
        seconds = perf_counter() - start
        self.normalizer = normalizers["X"]
        self.test = np.asarray(loaders["test"].dataset.indices)
        return {"seconds": seconds, "epochs": len(history["train_loss"])}

    def predict(self, out: str) -> dict[str, Any]:
        torch.manual_seed(0)
        start = perf_counter()
        mean, std, *_ = self._moments(self.X[self.test])
        seconds = perf_counter() - start
        np.savez(out, rows=self.test, mean=mean, std=std)
        return {"seconds": seconds}

    def time(self, calls: int) -> dict[str, Any]:
        point = self.X[self.test[0]]
        start, used = perf_counter(), process_time()
        for _ in range(calls):
            self._moments(point)
        wall, cpu = perf_counter() - start, process_time() - used
        return {"seconds": wall / calls, "cpu": cpu / calls}

    def many(self, points: int) -> dict[str, Any]:
        theta = np.resize(self.X, (points, self.X.shape[1]))
        start = perf_counter()
        self._moments(theta)
        return {"seconds": perf_counter() - start}

    def _moments(self, theta: np.ndarray) -> tuple[np.ndarray, ...]:
        X = self.normalizer
        return reionemu.predict_mc(theta, self.model, X.mean, X.std, n_mc_samples=DRAWS)


def main() -> None:
    published = Published(Path(sys.argv[1]))
    for line in sys.stdin:
        request = json.loads(line)
        with contextlib.redirect_stdout(io.StringIO()):
            answer = getattr(published, request.pop("do"))(**request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
