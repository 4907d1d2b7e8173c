"""Killed processes, several at once, full disks, and files that are not what they should be."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter

import pytest

from reionemu.errors import MissingFileError, UnreadableFileError
from reionemu.simulation.campaign import campaign_status

SLOW = pytest.mark.slow


def finish(process) -> dict:
    """What a program that ran a campaign says of it."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{pid}/stat") as file:
        return file.read().split()[2] == "Z"


def wait_until(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_overlapping_programs_share_the_work_and_do_nothing_twice(lab, monkeypatch):
    monkeypatch.setenv("FAKE_SECONDS", "0.02")
    lab.run(12, "serial")
    serial = Counter(lab.done("run"))
    parts = ("0:6", ":", "5:10")
    found = [finish(p) for p in [lab.start(12, rows=rows) for rows in parts]]
    assert sum(result["made"] for result in found) == 12
    assert [result["total"] for result in found] == [6, 12, 5]
    assert all(not result["failed"] for result in found)
    assert any(result["complete"] for result in found)
    assert lab.sums() == lab.sums("serial")
    assert Counter(lab.done("run")) == Counter(dict.fromkeys(serial, 2))  # once in each folder


@SLOW
def test_killed_at_random_moments_and_started_again_it_becomes_the_same(lab, monkeypatch):
    monkeypatch.setenv("FAKE_SECONDS", "0.03")
    lab.run(16, "serial")
    rng, kills = random.Random(3), 0
    parts = ("0:8", "4:16", ":", "2:12")
    for _ in range(3):
        programs = [lab.start(16, rows=rows) for rows in parts]
        time.sleep(rng.uniform(0.5, 0.9))
        for pid in (p.pid for p in programs if p.poll() is None):
            os.kill(pid, signal.SIGKILL)
            kills += 1
        for program in programs:
            program.communicate()
        for name, digest in lab.sums().items():
            assert lab.sums("serial")[name] == digest  # whatever is there is whole
    assert kills >= 4
    assert finish(lab.start(16))["complete"]
    assert lab.sums() == lab.sums("serial")
    assert campaign_status(lab.path / "raw", verify=True).there == 16
    assert not (lab.path / "raw" / ".working").exists()


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(n, marks=SLOW) for n in (signal.SIGINT, signal.SIGKILL))],
)
def test_stopped_it_leaves_no_process_and_goes_on_later(lab, monkeypatch, number):
    monkeypatch.setenv("FAKE_SECONDS", "0.4")
    program = lab.start(6, workers=2)
    wait_until(lambda: len(lab.sums()) >= 2)
    program.send_signal(number)
    _, err = program.communicate(timeout=20)
    assert program.returncode != 0
    if number != signal.SIGKILL:
        assert "KeyboardInterrupt" in err
    wait_until(lambda: all(is_gone(int(pid)) for pid in lab.processes()), 5)
    assert 0 < len(lab.sums()) < 12
    monkeypatch.setenv("FAKE_SECONDS", "0")
    assert lab.run(6).complete
    lab.run(6, "other")
    assert lab.sums() == lab.sums("other")


def test_a_full_disk_stops_the_campaign_and_leaves_no_part_of_a_simulation(lab):
    program = lab.start(3, limit=3000)
    _, err = program.communicate(timeout=60)
    assert program.returncode == 1
    assert "NotEnoughSpaceError: sim0: no room left to write" in err
    assert list((lab.path / "raw").glob("sim*")) == []
    assert list((lab.path / "raw" / ".working").glob("*.tmp")) == []
    assert finish(lab.start(3))["complete"]


HOSTILE = [
    b"",
    b"\x00\xff\xfe",
    b"[" * 100_000,
    b"[1, 2]",
    b'{"schema_version": 99}',
    b'{"schema_version": 1, "config": {"box": -1}, "rows": [], "parameters": []}',
    b'{"schema_version": 1, "config": 3, "rows": [], "parameters": []}',
]


@pytest.mark.parametrize("content", HOSTILE)
def test_a_campaign_file_that_is_none_is_an_error_that_names_it(lab, content):
    raw = lab.path / "raw"
    raw.mkdir()
    (raw / "campaign.json").write_bytes(content)
    for call in (lambda: lab.run(2), lambda: campaign_status(raw)):
        with pytest.raises(UnreadableFileError, match=r"campaign\.json"):
            call()


def test_rows_of_a_campaign_file_that_do_not_fit_are_an_error(lab):
    path = lab.run(2).raw / "campaign.json"
    document = json.loads(path.read_text())
    for rows in ([[1.0]], "none", [[1, 2, 3, "x"]], {}):
        path.write_text(json.dumps({**document, "rows": rows}))
        with pytest.raises(UnreadableFileError, match=r"campaign\.json"):
            campaign_status(path.parent)


def test_a_record_that_is_none_makes_a_simulation_damaged(lab):
    raw = lab.run(2).raw
    path = raw / "sim1" / "record.json"
    good = json.loads(path.read_bytes())
    bad = [{**good, "files": {"obs_grids.hdf5": 3}}, {**good, "files": 3}, {**good, "seconds": "x"}]
    for content in (b"", b"{}", b"[" * 9999, b"[]", *(json.dumps(b).encode() for b in bad)):
        path.write_bytes(content)
        status = campaign_status(raw)
        assert (status.there, list(status.damaged)) == (1, ["sim1"])


def test_a_folder_without_a_campaign_has_no_status(tmp_path):
    with pytest.raises(MissingFileError, match=r"has no campaign\.json"):
        campaign_status(tmp_path)


def test_without_locks_two_programs_do_the_same_and_come_to_the_same(lab, monkeypatch):
    lab.run(3, "serial")
    (lab.path / "sitecustomize.py").write_text(
        "import errno, fcntl\n"
        "def flock(*_): raise OSError(errno.ENOSYS, 'Function not implemented')\n"
        "fcntl.flock = flock\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(lab.path))
    monkeypatch.setenv("FAKE_SECONDS", "0.5")
    found = [finish(program) for program in [lab.start(3), lab.start(3)]]
    assert sum(result["made"] for result in found) == 3
    assert [result["failed"] for result in found] == [[], []]
    assert len(lab.done("run")) > 2 * 3  # there were none indeed
    assert lab.sums() == lab.sums("serial")
