"""Runs a campaign of the fake simulator as a program: PATH N NAME ROWS OPTIONS(JSON)."""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path

from conftest import Lab

from reionemu.simulation.campaign import run
from reionemu.simulation.campaign.plan import parse_rows


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell may have turned off
    path, n, name, rows, packed = sys.argv[1:]
    options = json.loads(packed)
    if limit := options.pop("limit", None):  # bytes of a file, for this process and its workers
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    run.SIMULATOR = "fake_simulator"
    result = run.run_campaign(
        Lab.design(int(n)),
        Path(path) / name,
        Lab.config,
        rows=parse_rows(rows),
        cache=Path(path) / "cache",
        **options,
    )
    failed = [failure.name for failure in result.failed]
    counts = {"made": result.made, "there": result.already_there, "total": result.total}
    print(json.dumps({**counts, "failed": failed, "complete": result.complete}))


main()
