"""Running `stage_runner.py`, and files for it to work on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reionemu import add_cl_to_condensed_h5, build_and_write_training, condense_sim_root

RUNNER = Path(__file__).with_name("stage_runner.py")


class Workplace(NamedTuple):
    """A file that a stage is to replace, a pristine copy of it, and raw simulations."""

    target: Path
    old: Path
    raw: Path


@pytest.fixture(scope="session")
def _session_files(
    make_raw_suite: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("faults")
    old, raw = folder / "old.h5", make_raw_suite(folder / "raw", 8, seed=99)
    condense_sim_root(make_raw_suite(folder / "others", 6), old)
    add_cl_to_condensed_h5(old)
    build_and_write_training(old)
    return old, raw


@pytest.fixture
def workplace(_session_files: tuple[Path, Path], tmp_path: Path) -> Workplace:
    """The old file has 6 simulations, spectra and training arrays; the raw suite 8 others."""
    old, raw = _session_files
    (tmp_path / "work").mkdir()
    target = tmp_path / "work" / "data.h5"
    target.write_bytes(old.read_bytes())
    return Workplace(target, old, raw)


@pytest.fixture(scope="session")
def run_stages() -> Callable[..., Any]:
    """`run_stages(command, place, **arguments)`: what the runner reports; it must say no more."""

    def run(command: str, target: Path, raw: Path, **arguments: Any) -> Any:
        packed = json.dumps({"target": str(target), "raw": str(raw), **arguments})
        done = subprocess.run(
            [sys.executable, "-W", "error", RUNNER, command, packed],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr[-2000:]
        return json.loads(done.stdout)

    return run
