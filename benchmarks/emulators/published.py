"""The published package on the same arrays and split, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from run import peer_python, side_environment

from reionemu.data.arrays import TrainingSet

from .accuracy import Outcome, summary

WORKER = Path(__file__).with_name("worker.py")

VALIDATIONS = {"published": "evaluate_mc_metrics", "published-plain": "evaluate_metrics"}
"""How the published package validates while it trains: with dropout, or, as by default, without.

With dropout it stops later, errs less, and takes longer; its published times are like these."""


class Published:
    """The published package, waiting for work (see worker.py)."""

    def __init__(self, h5: Path) -> None:
        self._process = subprocess.Popen(
            [peer_python(), str(WORKER), str(h5)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=side_environment("peer"),
        )

    def ask(self, do: str, **options: Any) -> dict[str, Any]:
        """Send a request, and wait for the answer."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps({"do": do, **options}), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"the published package failed: {do}")
        return json.loads(answer)

    def median_run(
        self, data: TrainingSet, rows: np.ndarray, validation: str, seeds: range
    ) -> dict[str, Any]:
        """Errors and times of the recipe with several seeds: those of the median error."""
        found = []
        for seed in seeds:
            trained = self.ask("train", seed=seed, evaluation=VALIDATIONS[validation])
            found.append(summary(self.outcome(data, rows)) | trained)
        middle = sorted(found, key=lambda one: one["mean"])[len(found) // 2]
        return middle | {"seconds": median(one["seconds"] for one in found)}

    def outcome(self, data: TrainingSet, expected: np.ndarray) -> Outcome:
        """Its predictions of the test rows, which must be those of our split."""
        with tempfile.TemporaryDirectory(prefix="reionemu-bench-") as folder:
            path = Path(folder) / "predictions.npz"
            self.ask("predict", out=str(path))
            with np.load(path) as found:
                rows, mean, std = (found[name] for name in ("rows", "mean", "std"))
        if set(rows) != set(expected):
            raise SystemExit("the published package divided the rows in another way")
        theta, truth = data.X[rows].astype(np.float64), np.exp(data.Y[rows].astype(np.float64))
        return Outcome(theta, truth, mean.astype(np.float64), std.astype(np.float64))

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
