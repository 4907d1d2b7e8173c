"""What is measured: ranks, coverage, a case that is known exactly, and samplers side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from calibration import N_RANKS, Task, run
from emulators import unseen_rows
from ranks import coverage, uniformity

N_DRAWN, N_OBSERVED = 300, 100
N_BINS = 20
ERROR = 0.05
CASES = {
    "700 simulations, errors of 5%": ("usual", 0.05),
    "50 simulations, errors of 5%": ("few", 0.05),
    "700 simulations, errors of 0.5%": ("usual", 0.005),
    "50 simulations, errors of 1%": ("few", 0.01),
}
"""Whose posteriors of unseen simulations are looked at: the emulator, and errors of the data."""

Results = dict[str, Any]


def steps(error: float) -> int:
    """Of each walker: more where the posterior is thinner."""
    return 500 if error > 0.02 else 1000


def simulation_based(artifact: Path, n: int, processes: int) -> Results:
    """Simulation-based calibration, of data drawn from the prior and the emulator."""
    found = run([Task(i, artifact, ERROR, steps(ERROR)) for i in range(n)], processes)
    ranks = _gathered(found, "ranks")
    return {
        "n": n,
        "p": {name: uniformity(values, N_RANKS, N_BINS) for name, values in ranks.items()},
        "coverage": _coverage(found, "quantiles"),
        **_effort(found),
    }


def observed(
    artifact: Path, usual: Path, h5: Path, error: float, n: int, processes: int
) -> Results:
    """Coverage of simulations that neither emulator has seen, noise added."""
    rows = unseen_rows(h5)[:n]
    tasks = [
        Task(i, artifact, error, steps(error), observed=usual, row=int(row))
        for i, row in enumerate(rows)
    ]
    found = run(tasks, processes)
    return {
        "n": len(rows),
        "with": _coverage(found, "quantiles"),
        "without": _coverage(found, "without"),
        "kept": float(min(one["kept"] for one in found)),
        **_effort(found),
    }


def _gathered(found: list[Results], key: str) -> dict[str, np.ndarray]:
    return {name: np.array([one[key][name] for one in found]) for name in found[0][key]}


def _coverage(found: list[Results], key: str) -> dict[str, dict[str, float]]:
    return {name: coverage(values) for name, values in _gathered(found, key).items()}


def _effort(found: list[Results]) -> Results:
    return {"ess": [float(f([one["ess"] for one in found])) for f in (np.min, np.median)]}
