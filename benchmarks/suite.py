"""A suite of the published size, raw files to training arrays: time and memory of both packages.

    python benchmarks/suite.py [--sims 1000] [--pixels 1024] [--folder DIR] [--peer-sims K] [--json]

Writes synthetic raw simulations (9 GB by default, and as much again for each copy of the condensed
file: 30 GB free will do), runs the three stages in a fresh process under each package, and removes
everything. Memory is the peak above what the process had when its imports were done.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from inputs import write_raw_suite
from run import HERE, peer_python, side_environment

STAGES = ("condense", "spectra", "training set")
COPIES = 3.2
"""Room needed, in sizes of the raw suite: itself, the condensed file, and a copy being changed."""


def run_pipeline(side: str, python: str, raw: Path, out: Path) -> dict[str, Any]:
    """The stages in a fresh process, with nothing of earlier work still on its way to the disk."""
    os.sync()
    command = [python, str(HERE / "pipeline.py"), str(raw), str(out)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=side_environment(side)
    )
    out.unlink()
    return json.loads(done.stdout)


def first_sims(raw: Path, n: int) -> Path:
    """A suite of the first n simulations of another, by links."""
    subset = raw.with_name(f"raw_{n}")
    subset.mkdir()
    for number in range(n):
        (subset / f"sim{number}").symlink_to(raw / f"sim{number}", target_is_directory=True)
    return subset


def measure(folder: Path, n_sims: int, n_pixels: int, n_peer: int) -> dict[str, Any]:
    raw = folder / "raw"
    needed = COPIES * n_sims * (8 * n_pixels**2 + 8 * 26 * 3 * n_pixels)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SystemExit(f"{folder} has {free / 1e9:.1f} GB free; {needed / 1e9:.1f} are needed")
    start = perf_counter()
    size = write_raw_suite(raw, n_sims, n_pixels)
    print(f"... wrote {size / 1e9:.2f} GB in {perf_counter() - start:.0f} s", file=sys.stderr)
    ours = run_pipeline("ours", sys.executable, raw, folder / "condensed.h5")
    print("... ours is done", file=sys.stderr)
    peer_raw = raw if n_peer == n_sims else first_sims(raw, n_peer)
    theirs = run_pipeline("peer", peer_python(), peer_raw, folder / "condensed.h5")
    for name in STAGES:
        theirs["seconds"][name] *= n_sims / n_peer
    return {
        "sims": n_sims,
        "pixels": n_pixels,
        "bytes": size,
        "peer_sims": n_peer,
        "ours": ours,
        "theirs": theirs,
    }


def table(result: dict[str, Any]) -> str:
    ours, theirs = result["ours"], result["theirs"]
    lines = [
        f"{result['sims']} simulations of {result['pixels']} x {result['pixels']} pixels, "
        f"{result['bytes'] / 1e9:.2f} GB; {os.cpu_count()} cores",
        f"{'':14}{'ours':>10}{'theirs':>10}{'ratio':>8}",
    ]
    columns = [{**side["seconds"], "all": sum(side["seconds"].values())} for side in (ours, theirs)]
    for name in (*STAGES, "all"):
        a, b = (column[name] for column in columns)
        lines.append(f"{name:14}{f'{a:.1f} s':>10}{f'{b:.1f} s':>10}{b / a:>8.2f}")
    a, b = (side["memory"] / 1e6 for side in (ours, theirs))
    lines.append(f"{'peak memory':14}{f'{a:.0f} MB':>10}{f'{b:.0f} MB':>10}")
    if result["peer_sims"] != result["sims"]:
        lines.append(f"theirs: scaled from {result['peer_sims']} simulations")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sims", type=int, default=1000)
    parser.add_argument("--pixels", type=int, default=1024)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--peer-sims", type=int, metavar="K", help="theirs on K only, scaled up")
    parser.add_argument("--json", action="store_true", help="results as JSON")
    options = parser.parse_args()
    peer_python()
    with tempfile.TemporaryDirectory(prefix="reionemu-suite-", dir=options.folder) as folder:
        n_peer = min(options.peer_sims or options.sims, options.sims)
        result = measure(Path(folder), options.sims, options.pixels, n_peer)
    print(json.dumps(result, indent=2) if options.json else table(result))


if __name__ == "__main__":
    main()
