"""Measures whether posteriors hold what they should, and writes docs/inference-validation.md.

    python validation/inference/run.py --dataset suite.h5
    python validation/inference/run.py --dataset suite.h5 --quick --page /tmp/page.md

Two emulators are trained on the suite first, or taken from `--artifacts`, if they are there. The
suite is to have 1000 simulations of preset `medium` that share a realization.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from agreement import agreement
from emulators import trained, unseen_rows
from gaussian_limit import gaussian_limit
from page import tables, write
from studies import CASES, N_DRAWN, N_OBSERVED, observed, simulation_based

PAGE = Path(__file__).parents[2] / "docs" / "inference-validation.md"
TARGET_ESS = 100_000


def measured(h5: Path, artifacts: Path, processes: int, quick: bool) -> dict[str, Any]:
    """All that the page shows."""
    paths = trained(h5, artifacts)
    usual, share = paths["usual"], 10 if quick else 1
    results: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "suite": f"emulators of 700 and 50 simulations of {h5.name}"
        + (", few repeats (--quick)" if quick else ""),
        "limit": gaussian_limit(TARGET_ESS // share),
        "agreement": agreement(usual, int(unseen_rows(h5)[0])),
        "calibration": simulation_based(usual, N_DRAWN // share, processes),
        "observed": {},
    }
    for case, (name, error) in CASES.items():
        print(case, flush=True)
        results["observed"][case] = observed(
            paths[name], usual, h5, error, N_OBSERVED // share, processes
        )
    return results


def main() -> None:
    """Parse options, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", type=Path, required=True, help="training arrays of a suite")
    parser.add_argument("--artifacts", type=Path, help="folder of the emulators, kept")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="a tenth of the posteriors")
    parser.add_argument("--json", type=Path, help="where to keep the numbers too")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page with the tables")
    options = parser.parse_args()
    folder = options.artifacts or Path(tempfile.mkdtemp(prefix="reionemu-validation-"))
    try:
        results = measured(options.dataset, folder, options.processes, options.quick)
    finally:
        if options.artifacts is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(tables(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    write(options.page, results)


if __name__ == "__main__":
    main()
