"""The published likelihood, in the published package's own environment.

    python likelihood.py H5 INPUTS.npz

Trains the published emulator by its recipe on the arrays of H5. INPUTS: points (n, p), a fixed
point (p,), and band powers and their errors (b,), in the bins of the suite. Prints a line of JSON:
with PyTorch's usual threads, and with one, the seconds by the clock and of the processor of one
evaluation, the mean over the points; and the values of repeated evaluations at the fixed point.
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
from emulators.worker import Published

REPEATED = 200
SEED = 42


class Likelihood:
    """Gaussian; the emulator's standard deviation is added to the errors in quadrature."""

    def __init__(self, published: Published, dl: np.ndarray, error: np.ndarray) -> None:
        self.published, self.dl, self.error = published, dl, error

    def __call__(self, theta: np.ndarray) -> float:
        mean, std, *_ = self.published._moments(theta)
        variance = self.error**2 + np.ravel(std) ** 2
        residual = self.dl - np.ravel(mean)
        return float(-0.5 * np.sum(residual**2 / variance + np.log(2 * np.pi * variance)))


def timed(likelihood: Likelihood, points: np.ndarray, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    for theta in points[:20]:
        likelihood(theta)
    start, used = perf_counter(), process_time()
    for theta in points:
        likelihood(theta)
    wall, cpu = perf_counter() - start, process_time() - used
    return {"threads": threads, "seconds": wall / len(points), "cpu": cpu / len(points)}


def main() -> None:
    h5, inputs = sys.argv[1:]
    with np.load(inputs) as given:
        points, point, dl, error = (given[name] for name in ("points", "point", "dl", "error"))
    published = Published(Path(h5))
    likelihood = Likelihood(published, dl, error)
    usual = torch.get_num_threads()
    torch.set_num_threads(1)  # for the training, which is not timed
    with contextlib.redirect_stdout(io.StringIO()):
        published.train(SEED, "evaluate_mc_metrics")
        timings = [timed(likelihood, points, threads) for threads in sorted({usual, 1})]
        values = [likelihood(point) for _ in range(REPEATED)]
    print(json.dumps({"timings": timings, "values": values}))


if __name__ == "__main__":
    main()
