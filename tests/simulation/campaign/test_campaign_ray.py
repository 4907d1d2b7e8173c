"""A campaign on Ray comes to the same, though workers and nodes die; and without Ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from reionemu.errors import ConfigError


@pytest.mark.slow
def test_a_worker_and_a_node_die_and_nothing_is_missing_or_there_twice(lab):
    lab.run(30, "serial")
    serial = Counter(lab.done("run"))
    script = Path(__file__).with_name("ray_campaign.py")
    done = subprocess.run(
        [sys.executable, script, lab.path, "30"],
        env={**os.environ, "FAKE_SECONDS": "0.5", "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["events"] == ["worker killed", "node removed"]
    assert (found["failed"], found["complete"]) == ([], True)
    assert found["made"] + found["there"] == found["done"] == 30
    assert lab.sums() == lab.sums("serial")
    again = Counter(lab.done("run")) - serial
    assert sum(again.values()) <= 30 + 2  # what was killed right after it was made, at most
    assert all(count >= 1 for count in (again[line] for line in serial))


def test_without_ray_the_error_says_how_to_get_it(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'reionemu\[tune\]'"):
        lab.run(2, ray="local")
    assert list((lab.path / "raw").glob("sim*")) == []


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere.invalid:6379", "127.0.0.1:99999"])
def test_a_cluster_that_is_not_there_is_an_error_at_once(lab, address):
    with pytest.raises(ConfigError, match=f"cannot connect to a Ray cluster at '{address}'"):
        lab.run(2, ray=address)
