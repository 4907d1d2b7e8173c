"""`run`: stages are done once, redone when their input or options change, and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import h5py
import pytest

import reionemu
from reionemu import pipeline

TOML = """
[run]
name = "first"
raw = "raw"
dataset = "data.h5"
[fit]
epochs = 4
seed = 1
"""


@pytest.fixture
def project(raw_suite, tmp_path):
    """A folder with raw/ and run.toml; returns a function that runs it and lists what was said."""
    toml = tmp_path / "run.toml"
    toml.write_text(TOML)

    def run(text=TOML, **options):
        toml.write_text(text)
        lines = []
        result = pipeline.run(pipeline.load_run_options(toml), say=lines.append, **options)
        return lines, result.artifact

    run.folder = tmp_path
    return run


def done(lines):
    """Stages that were really done."""
    return [line.split(":")[0] for line in lines if "up to date" not in line]


ALL = ["condense", "spectra", "training set", "training"]


def test_everything_once_and_then_nothing(project):
    lines, artifact = project()
    assert done(lines) == ALL
    stamp = (project.folder / "data.h5").stat().st_mtime_ns
    lines, again = project()
    assert done(lines) == []
    assert again.info == artifact.info
    assert (project.folder / "data.h5").stat().st_mtime_ns == stamp
    assert done(project(fresh=True)[0]) == ALL


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ("[spectra]\nnbins = 3\n", ALL[1:]),
        ('[training_set]\ny_transform = "log10"\n', ALL[2:]),
        ("[optimizer]\nlr = 0.01\n", ALL[3:]),
        ("[split]\ntrain = 0.8\nval = 0.2\n", ALL[3:]),
        ("[condense]\nrequire_obs_and_pk = false\n", ALL[:3]),
    ],
)
def test_changed_options_redo_what_follows_from_them(project, change, stages):
    project()
    lines, _ = project(TOML + change)
    assert done(lines) == stages
    assert len(lines) == len(ALL)


def test_changed_raw_files_redo_everything_that_changes(project):
    project()
    with h5py.File(project.folder / "raw" / "sim0" / "obs_grids.hdf5", "r+") as h5:
        h5["data/ksz_map"][...] *= 1.1
    assert done(project()[0]) == ALL


def test_a_stage_run_by_hand_is_noticed(project):
    project()
    reionemu.add_cl_to_condensed_h5(project.folder / "data.h5", config=reionemu.ClConfig(nbins=3))
    assert done(project()[0]) == ["spectra", "training set"]  # and then the arrays are as before


def test_skipped_simulations_are_told(project):
    (project.folder / "raw" / "sim4" / "pk_arrays.hdf5").unlink()
    options = pipeline.load_run_options(project.folder / "run.toml")
    result = pipeline.run(options)
    assert [sim.sim for sim in result.skipped] == ["sim4"]


@pytest.mark.slow
def test_killed_at_any_time_it_resumes(project, tmp_path):
    command = [sys.executable, "-m", "reionemu", "run", str(tmp_path / "run.toml"), "--json"]
    delay = 0.3
    for _ in range(12):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        delay += 0.2
    done_run = subprocess.run(command, capture_output=True, text=True, check=True)
    _, artifact = project()
    assert str(artifact.path) in done_run.stdout
    assert artifact.results["status"] == "completed"
    leftovers = [path.name for path in tmp_path.rglob("*.tmp")]
    assert leftovers == []
