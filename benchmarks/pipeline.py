"""Raw simulations to training arrays, with either package: seconds a stage and peak memory.

python pipeline.py RAW OUT.h5        one JSON document on standard output
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
from pathlib import Path
from time import perf_counter

from reionemu import add_cl_to_condensed_h5, build_and_write_training, condense_sim_root


def peak_rss() -> int:
    """The most memory this process has had at once, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # of this program alone; ru_maxrss can be that of the one that started it
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return 1024 * int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def main() -> None:
    raw, out = Path(sys.argv[1]), Path(sys.argv[2])
    before = peak_rss()
    seconds, counts = {}, {}
    stages = {
        "condense": lambda: condense_sim_root(raw, out).written,
        "spectra": lambda: add_cl_to_condensed_h5(out),
        "training set": lambda: build_and_write_training(out),
    }
    for name, stage in stages.items():
        start = perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            counts[name] = stage()
        seconds[name] = perf_counter() - start
    print(json.dumps({"seconds": seconds, "counts": counts, "memory": peak_rss() - before}))


if __name__ == "__main__":
    main()
