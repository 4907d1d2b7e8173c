"""The stages hold a few maps in memory, however many there are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

MAP_BYTES = 256 * 256 * 8

SCRIPT = """
import os, resource, sys
import h5py, numpy, scipy.fft
from reionemu.simio import add_cl_to_condensed_h5, build_and_write_training, condense_sim_root
from reionemu.spectra import flat_sky_spectrum
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # what is in memory goes with cores
flat_sky_spectrum(numpy.ones((256, 256)), 0.07)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
condense_sim_root(sys.argv[1], sys.argv[2])
add_cl_to_condensed_h5(sys.argv[2])
build_and_write_training(sys.argv[2])
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs sched_setaffinity")
def test_peak_memory_does_not_grow_with_the_number_of_simulations(
    make_raw_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """100 more maps of 0.5 MB take less than ten maps' worth more."""
    grown = {}
    for n in (20, 120):
        suite = make_raw_suite(tmp_path / f"raw{n}", n, pixels=256)
        out = tmp_path / f"{n}.h5"
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT, suite, out], capture_output=True, text=True, check=True
        )
        grown[n] = int(run.stdout)
    assert grown[120] - grown[20] < 10 * MAP_BYTES
    assert grown[120] < 60 * MAP_BYTES
