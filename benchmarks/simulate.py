"""The cost of a simulation in units of one bare inverse real FFT of its size.

    python benchmarks/simulate.py [--cells 128,256,512] [--repetitions N] [--keep FOLDER]

Everything is measured on one core and one thread. For each size, a process prepares the initial
conditions in a cache, and another one simulates from it: simulations and bare transforms take
turns, so that whatever else the machine does falls on both. The bare transform is
`scipy.fft.irfftn` or `torch.fft.irfftn` from complex64 to float32, whichever is the faster (by
the least time of all turns). A ratio is of what was measured in one turn; the median over turns is
shown, and the ratio of the least times. Beside stand the memory that `memory_estimate` announces
and the peak of the process, and what the published code took, scaled as N^3 log N.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from scipy import fft as scipy_fft

from reionemu.simulation.config import SimulationConfig
from reionemu.simulation.memory import memory_estimate
from reionemu.simulation.realization import open_realization

THETA = {"zmean_zre": 8.0, "alpha_zre": 0.5, "kb_zre": 1.05, "b0_zre": 0.45}
"""The middle of the published parameter space."""

CELL = 2000 / 1024
"""The cells of the published simulations [Mpc/h]."""

PUBLISHED_CORE_SECONDS, PUBLISHED_CELLS = 380.0 * 128, 1024


def published_core_seconds(n: int) -> float:
    """What a simulation of the published code would take at n^3 cells, if it went as an FFT."""
    work = (n**3 * np.log(n)) / (PUBLISHED_CELLS**3 * np.log(PUBLISHED_CELLS))
    return PUBLISHED_CORE_SECONDS * float(work)


def seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def peak_bytes() -> int:
    """Not ru_maxrss, which begins with that of the process that started this one."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def prepare(n: int, cache: Path) -> dict[str, Any]:
    """Prepare a realization; seconds and peak memory."""
    config = SimulationConfig(box=n * CELL, n_cells=n)
    config.cosmology.linear_power(0.1)  # CAMB, once for any number of realizations
    wall = seconds(lambda: open_realization(config, 0, cache=cache, threads=1))
    return {"prepare_s": wall, "prepare_peak": peak_bytes()}


def simulate(n: int, cache: Path, repetitions: int) -> dict[str, Any]:
    """Simulate and transform in turn; seconds of each, and the peak memory of simulating."""
    torch.set_num_threads(1)
    config = SimulationConfig(box=n * CELL, n_cells=n)
    realization = open_realization(config, 0, cache=cache, threads=1)
    modes = np.empty((n, n, n // 2 + 1), np.complex64)
    cases: dict[str, Callable[[], object]] = {
        "all": lambda: realization.run(THETA),
        "no_21cm": lambda: realization.run(THETA, z=()),
        "scipy": lambda: scipy_fft.irfftn(modes),
        "torch": lambda: torch.fft.irfftn(torch.from_numpy(modes)),
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(2):
        cases["all"]()
    peak = peak_bytes()
    modes[...] = realization.shared.modes[0]
    cases["scipy"](), cases["torch"]()
    for _ in range(repetitions):
        for name, work in cases.items():
            times[name].append(seconds(work))
    return {"times": times, "run_peak": peak}


def in_its_own_process(what: str, n: int, cache: Path, repetitions: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, "--do", what, str(n), str(cache), str(repetitions)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return json.loads(done.stdout)


def measure(n: int, cache: Path, repetitions: int) -> dict[str, Any]:
    """One size: a row of the table."""
    print(f"... {n}^3", file=sys.stderr, flush=True)
    found = in_its_own_process("prepare", n, cache, repetitions)
    found.update(in_its_own_process("simulate", n, cache, repetitions))
    times = found.pop("times")
    bare = min(("scipy", "torch"), key=lambda name: min(times[name]))
    estimate = memory_estimate(SimulationConfig(box=n * CELL, n_cells=n), threads=1)
    row = {"n": n, "bare": bare, "bare_s": median(times[bare]), **found}
    for name in ("all", "no_21cm"):
        turns = [a / b for a, b in zip(times[name], times[bare], strict=True)]
        row[f"{name}_s"] = median(times[name])
        row[f"{name}_ratio"] = median(turns)
        row[f"{name}_least"] = min(times[name]) / min(times[bare])
    row["prepare_announced"] = estimate.shared_bytes
    row["run_announced"] = estimate.run_bytes
    row["published"] = published_core_seconds(n) / row["all_s"]
    return row


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "cells   bare FFT         simulation, ratio      without 21 cm, ratio   prepare   "
        "memory [GB]: preparing  simulating",
        f"{'':25}{'s':>7}  median  least   {'s':>8}  median  least         s"
        f"{'announced  peak':>24}  announced  peak",
    ]
    for r in rows:
        lines.append(
            f"{r['n']:4}^3  {r['bare_s']:7.3f} s {r['bare']:5}  {r['all_s']:7.3f}  "
            f"{r['all_ratio']:6.2f} {r['all_least']:6.2f}   {r['no_21cm_s']:8.3f}  "
            f"{r['no_21cm_ratio']:6.2f} {r['no_21cm_least']:6.2f}  {r['prepare_s']:8.1f}"
            f"{r['prepare_announced'] / 1e9:18.2f} {r['prepare_peak'] / 1e9:5.2f}  "
            f"{r['run_announced'] / 1e9:9.2f} {r['run_peak'] / 1e9:5.2f}"
        )
    for r in rows:
        lines.append(
            f"{r['n']}^3: {r['all_s']:.2f} core-seconds a simulation; the published code, scaled, "
            f"{published_core_seconds(r['n']):.0f}: {r['published']:.0f} times as many"
        )
    return "\n".join(lines)


def main() -> None:
    if sys.argv[1:2] == ["--do"]:
        what, n, cache, repetitions = sys.argv[2:]
        arguments = (int(n), Path(cache))
        found = prepare(*arguments) if what == "prepare" else simulate(*arguments, int(repetitions))
        print(json.dumps(found))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cells", default="128,256,512", metavar="N,N,...")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="a cache to keep and reuse")
    parser.add_argument("--json", action="store_true", help="results as JSON")
    options = parser.parse_args()
    sizes = [int(n) for n in options.cells.split(",")]
    with tempfile.TemporaryDirectory(prefix="reionemu-bench-") as folder:
        rows = [measure(n, options.keep or Path(folder), options.repetitions) for n in sizes]
    print(json.dumps(rows, indent=2) if options.json else table(rows))


if __name__ == "__main__":
    main()
