"""Times beside the published package, and derivatives beside finite differences."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch

from reionemu.errors import ReionemuWarning
from reionemu.models.emulator import Emulator

from .published import Published

MANY = 10_000
CALLS = {"ours": 300, "theirs": 20}
STEP = 1e-4
"""Of finite differences, in sides of the box."""


def predictions(emulator: Emulator, published: Published, repeats: int) -> dict[str, Any]:
    """Seconds of one prediction, with error bars, of one point and of many; turns alternate."""
    assert emulator.box is not None
    low, high = np.array(emulator.box.low), np.array(emulator.box.high)
    points = low + (high - low) * np.random.default_rng(1).random((MANY, len(low)))
    point = (low + high) / 2
    turns = []
    for _ in range(repeats):
        theirs = published.ask("time", calls=CALLS["theirs"])
        turns.append((_time(lambda: emulator.predict(point), CALLS["ours"]), theirs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReionemuWarning)  # of points in sparse corners
        many = [_time(lambda: emulator.predict(points), 1)["seconds"] for _ in range(repeats)]
    ratios = {
        key: [theirs[key] / ours[key] for ours, theirs in turns] for key in ("seconds", "cpu")
    }
    return {
        "ours": median(ours["seconds"] for ours, _ in turns),
        "theirs": median(theirs["seconds"] for _, theirs in turns),
        "ratio": median(ratios["seconds"]),
        "range": [min(ratios["seconds"]), max(ratios["seconds"])],
        "cpu_ratio": median(ratios["cpu"]),
        "many_ours": median(many),
        "many_theirs": published.ask("many", points=MANY)["seconds"],
    }


def _time(work: Callable[[], object], calls: int) -> dict[str, float]:
    """Seconds of one call, by the clock and of the processor."""
    start, used = perf_counter(), process_time()
    for _ in range(calls):
        work()
    wall, cpu = perf_counter() - start, process_time() - used
    return {"seconds": wall / calls, "cpu": cpu / calls}


def gradient_difference(emulator: Emulator, theta: np.ndarray) -> float:
    """Largest difference of closed-form and central finite differences, shape (n, p) of points.

    Relative to the largest derivative of the same bin by the same parameter.
    """
    closed = emulator.gradient(theta)
    steps = STEP * np.ptp(theta, axis=0)
    numeric = np.stack(
        [
            (emulator.predict(theta + step).mean - emulator.predict(theta - step).mean)
            / (2 * step.sum())
            for step in np.diag(steps)
        ],
        axis=-1,
    )
    return float((np.abs(closed - numeric).max(axis=0) / np.abs(closed).max(axis=0)).max())


def torch_difference(emulator: Emulator, theta: np.ndarray) -> float:
    """The same for the derivatives that PyTorch takes, against closed form."""
    closed = emulator.gradient(theta)
    points = torch.tensor(theta, requires_grad=True)
    spectra = emulator.torch()(points)
    columns = [
        torch.autograd.grad(spectra[:, i].sum(), points, retain_graph=True)[0].numpy()
        for i in range(spectra.shape[1])
    ]
    difference = np.abs(np.stack(columns, axis=1) - closed).max(axis=0)
    return float((difference / np.abs(closed).max(axis=0)).max())


def kfold(quick: bool) -> list[dict[str, Any]]:
    """The ratios of benchmarks/kfold.py."""
    script = Path(__file__).parents[1] / "kfold.py"
    words = [sys.executable, str(script), "--json", "--repetitions", "2" if quick else "5"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
