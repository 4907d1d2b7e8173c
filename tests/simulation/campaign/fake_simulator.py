"""Stands in for the simulator: any map, always the same for the same task, and trouble on demand.

Environment variables say what is wanted: FAKE_LOG, a file that gets a line for everything that is
done; FAKE_SECONDS, how long a simulation takes; FAKE_TROUBLE, a folder in which a file `kill-<row's
zmean>-<i>` makes the process that finds it kill itself, and `fail-<zmean>` a simulation fail.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from reionemu.errors import ConfigError
from reionemu.simulation.config import SimulationConfig
from reionemu.simulation.result import PUBLISHED_REDSHIFTS, Simulation


def memory_estimate(config, threads):
    size = int(os.environ.get("FAKE_MEMORY", 10**6))
    return SimpleNamespace(
        shared_bytes=2 * size, run_bytes=size, mapped_bytes=size // 4, cache_bytes=1000
    )


def open_realization(config, seed, axis, *, cache, device, threads, progress):
    _log(f"open {seed} {axis}")
    if progress:
        progress("preparing", 1, 2)
    return Realization(config, seed, axis)


@dataclass(frozen=True)
class Realization:
    config: SimulationConfig
    seed: int
    axis: int

    def run(self, theta) -> Simulation:
        zmean = theta["zmean_zre"]
        _trouble(zmean)
        print("what a library says does not disturb")
        time.sleep(float(os.environ.get("FAKE_SECONDS", 0)))
        n = self.config.n_cells
        text = f"{self.config} {self.seed} {self.axis} {sorted(theta.items())}"
        digest = hashlib.sha256(text.encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        z = np.array(PUBLISHED_REDSHIFTS)
        x_m = 0.5 * (1 + np.tanh(z - zmean))
        _log(f"run {zmean} {self.seed} {self.axis}")
        return Simulation(
            parameters=dict(theta),
            seed=self.seed,
            axis=self.axis,
            ksz_map=1e-6 * rng.standard_normal((n, n)).astype(np.float32),
            theta_max=0.07,
            t_cmb=2.7255,
            z=z,
            x_m=x_m,
            x_v=x_m**2,
            tau=0.0065 * zmean,
            power_21cm=rng.random((len(z), n // 2, 3)),
        )


def _log(line: str) -> None:
    if path := os.environ.get("FAKE_LOG"):
        with open(path, "a") as file:  # short lines are appended whole
            file.write(f"{os.getpid()} {line}\n")


def _trouble(zmean: float) -> None:
    folder = Path(os.environ.get("FAKE_TROUBLE", "/nowhere"))
    for path in folder.glob(f"kill-{zmean}-*"):
        path.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    if (folder / f"fail-{zmean}").exists():
        raise ConfigError("no such universe")
    if (folder / f"nan-{zmean}").exists():
        raise FloatingPointError("it exploded")
