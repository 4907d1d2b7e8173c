"""Prints the numbers of the published runs and those of this simulator, side by side.

    python validation/run.py                                        # the best preset that fits
    python validation/run.py --preset demo --realizations 2 --fresh --results /tmp/quick

What was simulated before is read from validation/results; `--fresh` simulates again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from compare import REFERENCE, Results, first, table_a, table_b
from measure import RESULTS, results
from targets import published_scatter, target_table

from reionemu.files import human_size
from reionemu.machine import available_memory
from reionemu.simulation import PRESETS, memory_estimate


def best_preset() -> str:
    """The largest preset that the memory of this machine has room for."""
    room = available_memory()
    fitting = [
        name for name, config in PRESETS.items() if memory_estimate(config).shared_bytes < room
    ]
    return fitting[-1] if fitting else "demo"


def report(name: str, found: Results) -> str:
    """Tables A and B, and what was to be reached."""
    config, n = found["config"], len(found["realizations"])
    z_re = [one["z_re"]["A"] for one in found["realizations"]]
    published = REFERENCE["A"]["z_re"]
    spread = "; ".join(
        f"{key} {published[key]:g}, here {np.mean([one[key] for one in z_re]):.4g}"
        for key in ("mean", "std", "max", "min")
    )
    scatter = published_scatter(np.array(first(found)["ell"]))
    return "\n\n".join(
        [
            f"Preset {name}: box {config['box']:g} Mpc/h, {config['n_cells']}^3 cells, "
            f"{n} realizations; density and velocity of the first.\n"
            "In each pair of columns or numbers the published one comes first.",
            "**A**",
            table_a(name, found),
            f"z_re: {spread}.",
            "**B**",
            table_b(found, scatter),
            target_table(name, found),
        ]
    )


def main() -> None:
    """Parse options, simulate what is missing, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", choices=PRESETS, help="by default the best that fits")
    parser.add_argument("--realizations", type=int, help="by default those of the study")
    parser.add_argument("--fresh", action="store_true", help="simulate again")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of results")
    options = parser.parse_args()
    name = options.preset or best_preset()
    needed = memory_estimate(PRESETS[name]).shared_bytes
    print(f"{human_size(needed)} of memory are needed, {human_size(available_memory())} are free\n")
    options.results.mkdir(parents=True, exist_ok=True)
    found = results(name, fresh=options.fresh, n_seeds=options.realizations, folder=options.results)
    print(report(name, found))


if __name__ == "__main__":
    main()
