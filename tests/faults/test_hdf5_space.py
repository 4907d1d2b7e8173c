"""A stage that finds no room says so, survives, and leaves the old file and nothing else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

STAGES = ["condense", "spectra", "training"]
KB = 1024

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB in memory."""
    folder = tmp_path / "small_disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(folder)]
    try:
        made = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("may not mount a file system here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def assert_refused(end: dict) -> None:
    """The stage ended with a clear error, the process in good order, the file as it was."""
    assert end["kinds"][0] == "NotEnoughSpaceError", end
    assert "OSError" in end["kinds"]
    assert "data.h5" in end["message"]
    assert "Free some space" in end["message"]
    assert (end["status"], end["unchanged"], end["left"]) == (0, True, []), end


@pytest.mark.parametrize("stage", STAGES)
def test_a_limit_to_the_size_of_files(stage: str, workplace: tuple, run_stages: Callable) -> None:
    """At whichever write the limit strikes; HDF5 by itself crashes there."""
    target, old, raw = workplace
    largest = 300 * KB if stage == "condense" else old.stat().st_size
    limits = [0, 1, 700, 2 * KB, *range(5000, largest, largest // 16), largest - 1]
    found = run_stages("limit", target, raw, stage=stage, old=str(old), limits=limits)
    assert len(found) >= 20
    for end in found:
        assert_refused(end)


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk(stage: str, workplace: tuple, small_disk: Path, run_stages: Callable) -> None:
    """From no room at all up to enough: refused, then done, and never anything between."""
    _, old, raw = workplace
    largest = 1500 * KB if stage == "condense" else old.stat().st_size + 2000 * KB
    rooms = list(range(0, largest, 128 * KB))
    target = small_disk / "data.h5"
    found = run_stages("full", target, raw, stage=stage, old=str(old), rooms=rooms)
    refused = [bool(end["kinds"]) for end in found]
    assert refused == sorted(refused, reverse=True)
    assert 3 < sum(refused) < len(rooms)
    for end in found:
        if end["kinds"]:
            assert_refused(end)
        else:
            assert (end["status"], end["unchanged"], end["left"]) == (0, False, [])


def test_a_disk_that_another_program_fills_meanwhile(
    workplace: tuple,
    small_disk: Path,
    make_raw_suite: Callable[..., Path],
    run_stages: Callable,
    tmp_path: Path,
) -> None:
    """Maps of 0.5 MB that no longer fit are refused; spectra fit in the room claimed at first."""
    _, old, _ = workplace
    large = make_raw_suite(tmp_path / "large", 8, pixels=256)
    arguments = {"target": small_disk / "data.h5", "raw": large, "old": str(old), "rooms": [-1]}
    (end,) = run_stages("full", stage="condense", **arguments)
    assert_refused(end)
    (end,) = run_stages("full", stage="spectra", **arguments)
    assert (end["kinds"], end["unchanged"], end["left"]) == ([], False, [])
