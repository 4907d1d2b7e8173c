"""Memory that is announced against memory that is taken, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reionemu.simulation.cache import cache_bytes
from reionemu.simulation.config import PRESETS, SimulationConfig
from reionemu.simulation.memory import memory_estimate

SCRIPT = """
import sys
from pathlib import Path
import torch
from reionemu.simulation.config import SimulationConfig
from reionemu.simulation.realization import open_realization

torch.set_num_threads(1)
n, cache, runs = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
config = SimulationConfig(box=n * 500 / 256, n_cells=n)
realization = open_realization(config, 0, cache=cache, threads=2)
for _ in range(runs):
    realization.run({"zmean_zre": 8.3, "alpha_zre": 0.5, "kb_zre": 0.5, "b0_zre": 0.4})
# Not ru_maxrss: it begins with that of the process that started this one.
status = Path("/proc/self/status").read_text()
print(1024 * int(status.partition("VmHWM:")[2].split()[0]))
"""


def peak_of(n: int, cache: Path, runs: int) -> int:
    """Peak of a process that prepares, or finds what has been prepared, and simulates [bytes]."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(n), str(cache), str(runs)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout)


@pytest.mark.parametrize(
    "n", [128, *(pytest.param(n, marks=pytest.mark.slow) for n in (64, 256, 512))]
)
def test_memory_is_what_was_announced(n, tmp_path):
    estimate = memory_estimate(SimulationConfig(box=n * 500 / 256, n_cells=n), threads=2)
    preparing, running = (peak_of(n, tmp_path, runs) for runs in (0, 2))
    assert estimate.shared_bytes == pytest.approx(preparing, rel=0.2)
    assert estimate.run_bytes == pytest.approx(running, rel=0.2)
    assert preparing < 7e9


def test_memory_grows_with_cells_threads_and_light_cone():
    config = PRESETS["medium"]
    usual = memory_estimate(config, threads=2)
    assert memory_estimate(config, threads=8).shared_bytes > usual.shared_bytes
    longer = memory_estimate(config.with_changes(z_max=20.0), threads=2)
    assert longer.run_bytes > usual.run_bytes
    wider = memory_estimate(config.with_changes(zmean_range=(6.0, 10.0)), threads=2)
    assert wider.run_bytes - usual.run_bytes > 2 * 4 * config.n_cells**3
    sizes = [memory_estimate(one, 2).shared_bytes for one in PRESETS.values()]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_mapped_is_the_cache(name):
    estimate = memory_estimate(PRESETS[name])
    assert estimate.mapped_bytes == estimate.cache_bytes == cache_bytes(PRESETS[name])
    assert min(estimate.shared_bytes, estimate.run_bytes) > estimate.mapped_bytes


def test_the_large_preset_fits_in_7_gigabytes():
    estimate = memory_estimate(PRESETS["large"], threads=2)
    assert max(estimate.shared_bytes, estimate.run_bytes) < 7e9
