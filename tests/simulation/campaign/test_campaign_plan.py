"""What a campaign consists of and takes; machines; job arrays."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu import machine
from reionemu.errors import ConfigError
from reionemu.simulation.campaign.plan import make_plan, parse_rows
from reionemu.simulation.campaign.resources import Needs, choose_workers
from reionemu.simulation.campaign.slurm import array_script
from reionemu.simulation.config import OwnSeeds, SimulationConfig

NEEDS = Needs(preparing=3000, worker=1000, mapped=400, cache=1, simulation=1)

seeds = st.one_of(
    st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True).map(tuple),
    st.integers(0, 99).map(OwnSeeds),
)
axes = st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True).map(tuple)


@settings(max_examples=40, deadline=None)
@given(seeds, axes, st.integers(1, 7), st.integers(1, 7))
def test_parts_of_the_rows_are_the_whole_and_no_name_is_there_twice(seeds, axes, n, each):
    rows = np.tile([8.0, 0.3, 1.0, 0.5], (n, 1))
    plan = make_plan(rows, SimulationConfig(realizations=seeds, axes=axes))
    tasks = plan.tasks()
    assert len({task.name for task in tasks}) == len(tasks) == len(plan)
    assert len(plan) == n * len(axes) * (1 if isinstance(seeds, OwnSeeds) else len(seeds))
    parts = [t for start in range(0, n, each) for t in plan.tasks(slice(start, start + each))]
    assert sorted(t.name for t in parts) == sorted(t.name for t in tasks)
    if len(plan) == n:
        assert {task.name for task in tasks} == {f"sim{i}" for i in range(n)}
    pairs = [(task.seed, task.axis) for task in tasks]
    if not isinstance(seeds, OwnSeeds):  # each realization is opened once
        assert sum(a != b for a, b in itertools.pairwise(pairs)) == len(set(pairs)) - 1


def test_columns_of_a_design_go_by_their_names():
    class Design:
        names = ("b0_zre", "zmean_zre", "kb_zre", "alpha_zre")
        rows = np.array([[0.5, 8.0, 1.0, 0.3]])

    (task,) = make_plan(Design(), SimulationConfig()).tasks()
    assert task.parameters == {"zmean_zre": 8.0, "alpha_zre": 0.3, "kb_zre": 1.0, "b0_zre": 0.5}


@pytest.mark.parametrize("design", [np.zeros((0, 4)), np.zeros((2, 3)), [[8, 0.3, 1, np.nan]]])
def test_designs_that_are_none_are_refused(design):
    with pytest.raises(ConfigError):
        make_plan(design, SimulationConfig())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0:3", [0, 1, 2]), ("3:", [3, 4]), (":", [0, 1, 2, 3, 4]), ("4:99", [4]), ("7:9", [])],
)
def test_rows_are_as_python_has_them(text, expected):
    assert list(range(5))[parse_rows(text)] == expected


@pytest.mark.parametrize(
    ("available", "cores", "tasks", "expected"),
    [(3000, 8, 100, 1), (3600, 8, 100, 2), (10**6, 8, 100, 8), (10**6, 8, 3, 3)],
)
def test_as_many_workers_as_memory_cores_and_tasks_allow(
    monkeypatch, available, cores, tasks, expected
):
    from reionemu.simulation.campaign import resources

    monkeypatch.setattr(resources, "available_memory", lambda: available)
    monkeypatch.setattr(resources, "usable_cores", lambda: cores)
    assert choose_workers(None, NEEDS, tasks) == expected
    assert NEEDS.memory(expected) <= available
    assert choose_workers(None, NEEDS, tasks, device="cuda") == 1
    with pytest.raises(ConfigError, match="not enough memory: 1000000 processes"):
        choose_workers(10**6, NEEDS, 10**6)
    assert choose_workers(9, NEEDS, 100, force=True) == 9


def test_memory_is_that_of_the_machine_or_what_a_batch_system_leaves(monkeypatch):
    monkeypatch.setattr(machine, "_limits", lambda name: iter(()))
    text = Path("/proc/meminfo").read_text()
    total, available = (
        int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) * 1024
        for name in ("MemTotal", "MemAvailable")
    )
    assert machine.available_memory() == pytest.approx(available, abs=0.2 * total)
    limits = {
        "memory.max": ["max", "3000000"],
        "memory.current": ["2500000", "2900000"],
        "memory.stat": ["anon 5\ninactive_file 400000\n"],
    }
    monkeypatch.setattr(machine, "_limits", lambda name: iter(limits[name]))
    assert machine.available_memory() == 500_000


@pytest.mark.parametrize(("limit", "cores"), [("max 100000", None), ("50000 100000", 1)])
def test_cores_are_those_of_the_machine_or_what_is_granted(monkeypatch, limit, cores):
    monkeypatch.setattr(machine, "_limits", lambda name: iter([limit]))
    assert machine.usable_cores() == (cores or len(os.sched_getaffinity(0)))


def test_limits_are_read_from_the_own_group_upwards(monkeypatch, tmp_path):
    own = Path("/proc/self/cgroup").read_text().partition("0::")[2].splitlines()[0].strip("/")
    folder = tmp_path / own
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    (folder / "memory.max").write_text("123\n")
    if folder != tmp_path:
        (tmp_path / "memory.max").write_text("456\n")
    assert list(machine._limits("memory.max")) == ["123", "456"][: 1 + (folder != tmp_path)]


@pytest.mark.parametrize(("rows", "jobs"), [(1000, 10), (7, 3), (3, 10), (10, 1), (11, 4)])
def test_an_array_covers_each_row_once(rows, jobs):
    script = array_script(["echo", "a b"], rows, jobs=jobs, cores=2, memory=2**30, time="90")
    last = int(re.search(r"--array=0-(\d+)", script)[1])
    assert last < jobs
    assert "#SBATCH --mem=1024M" in script
    covered = []
    for task in range(last + 1):
        environment = {**os.environ, "SLURM_ARRAY_TASK_ID": str(task)}
        done = subprocess.run(
            ["bash"], input=script, text=True, capture_output=True, env=environment, check=True
        )
        words = shlex.split(done.stdout)
        assert words[:4] == ["a", "b", "--workers", "2"]
        chosen = list(range(rows))[parse_rows(words[-1])]
        assert chosen  # no job is idle
        covered += chosen
    assert covered == list(range(rows))
