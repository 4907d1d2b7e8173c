"""`reionemu simulate`: options, what it prints, scripts for Slurm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reionemu.simulation.campaign import run
from reionemu.simulation.campaign.ledger import read_campaign
from reionemu.simulation.config import OwnSeeds

FAKE = Path(__file__).parents[1] / "simulation" / "campaign"
SMALL = ("--preset", "demo", "--cells", 16, "--workers", 1)


@pytest.fixture
def place(monkeypatch, tmp_path):
    """A folder with a design file of six rows, and the fake simulator instead of the real one."""
    monkeypatch.syspath_prepend(str(FAKE))
    monkeypatch.setattr(run, "SIMULATOR", "fake_simulator")
    monkeypatch.setenv("FAKE_TROUBLE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    rows = np.tile([0.3, 7.0, 0.5, 1.0], (6, 1))
    rows[:, 1] += np.arange(6) / 100
    np.savetxt("params.txt", rows, header="alpha_zre zmean_zre b0_zre kb_zre", fmt="%.17g")
    return tmp_path


def simulate(reionemu, place, *arguments):
    return reionemu(
        "simulate", "params.txt", "-o", "raw", *SMALL, "--cache", place / "cache", *arguments
    )


def test_a_design_is_simulated_and_gone_on_with(reionemu, place):
    done = simulate(reionemu, place, "--rows", "1:3")
    assert (done.code, done.out) == (0, "raw: 2 made, 0 were there, 0 failed\n")
    assert "2 simulations, 0 of them there already" in done.err
    assert sorted(path.name for path in Path("raw").glob("sim*")) == ["sim1", "sim2"]
    done = simulate(reionemu, place, "--json")
    found = json.loads(done.out)
    assert (found["made"], found["already_there"], found["complete"]) == (4, 2, True)
    assert "now: reionemu condense raw raw.h5" not in done.out
    assert reionemu("condense", "raw", "suite.h5").out == "suite.h5: 6 simulations, 0 left out\n"
    plan, document = read_campaign(Path("raw"))
    np.testing.assert_allclose(plan.theta[4], [7.04, 0.3, 1.0, 0.5])
    assert document["design"]["file"] == "params.txt"


def test_options_make_the_configuration(reionemu, place):
    done = simulate(
        reionemu,
        place,
        *("--box", 80, "--realizations", "3,1", "--axes", "0,2", "--z-min", 5.5, "--z-max", 14),
        *("--geometry", "parallel", "--set", "cosmology.h=0.7", "--set", "deposit=cic"),
    )
    assert done.code == 0, done.err
    config = read_campaign(Path("raw"))[0].config
    assert (config.box, config.n_cells, config.z_min, config.z_max) == (80, 16, 5.5, 14)
    assert (config.realizations, config.axes, config.geometry) == ((3, 1), (0, 2), "parallel")
    assert (config.cosmology.h, config.deposit) == (0.7, "cic")
    assert len(list(Path("raw").glob("sim*"))) == 24


def test_each_row_may_have_its_own_seed(reionemu, place):
    assert simulate(reionemu, place, "--own-seeds", 5).code == 0
    assert read_campaign(Path("raw"))[0].config.realizations == OwnSeeds(5)


def test_one_point_needs_no_file(reionemu, place):
    point = ("--zmean", 8, "--alpha", 0.5, "--kb", 1, "--b0", 0.45)
    done = reionemu("simulate", *point, "-o", "one", *SMALL, "--cache", "cache")
    assert done.out == "one: 1 made, 0 were there, 0 failed\n"
    assert "sim0 has no spectrum: ell_cut = 1000 leaves nothing" in done.err
    np.testing.assert_array_equal(read_campaign(Path("one"))[0].theta, [[8, 0.5, 1, 0.45]])


def test_one_point_prints_its_spectrum(reionemu, place):
    point = ("--zmean", 8, "--alpha", 0.5, "--kb", 1, "--b0", 0.45, "--cache", "cache")
    small = ("--preset", "demo", "--cells", 32, "--box", 125)
    done = reionemu("simulate", *point, "-o", "one", *small, "--json")
    (found,) = json.loads(done.out)["spectra"].values()
    table = reionemu("simulate", *point, "-o", "one", *small).out
    assert "1 were there" in table
    assert f"tau = {found['tau']:.4f}" in table
    for ell, dl in zip(found["ell"], found["dl"], strict=True):
        assert f" {ell:.0f} " in table
        assert f" {dl:.4f}" in table


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--preset", "lapdog"), "did you mean 'laptop'?"),
        (("--cells", 15), "n_cells must be"),
        (("--geometry", "ray"), "did you mean 'rays'?"),
        (("--axes", "0,3"), "axes"),
        (("--realizations", "a"), "--realizations a: expected whole numbers"),
        (("--realizations", "1,1"), "realizations"),
        (("--realizations", "1", "--own-seeds", "2"), "exclude each other"),
        (("--set", "deposti=cic"), "did you mean 'deposit'?"),
        (("--set", "cosmology.hh=1"), "did you mean 'h'?"),
        (("--set", "cosmology"), "expected KEY=VALUE"),
        (("--rows", "3"), "expected A:B"),
        (("--zmean", "8"), "not both"),
        (("--workers", "0"), "workers must be"),
        (("--slurm-script", "--slurm-time", "soon"), "slurm.time"),
        (("--slurm-script", "--slurm-jobs", "0"), "slurm.jobs"),
    ],
)
def test_bad_options_are_one_line_and_change_nothing(reionemu, place, options, message):
    done = simulate(reionemu, place, *options)
    assert done.code == 1
    assert message in done.err
    assert done.err.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.err
    assert not Path("raw/campaign.json").exists()


def test_an_unknown_design_file_is_one_line(reionemu, place):
    done = reionemu("simulate", "nowhere.txt", "-o", "raw")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "nowhere.txt does not exist" in done.err


def test_failures_are_listed_and_end_in_exit_status_1(reionemu, place):
    (place / "fail-7.02").touch()
    done = simulate(reionemu, place)
    assert done.code == 1
    assert done.out == "raw: 5 made, 0 were there, 1 failed\n"
    assert "sim2 failed: no such universe" in done.err


def test_status_and_verify_look_only(reionemu, place):
    simulate(reionemu, place, "--rows", ":4")
    done = reionemu("simulate", "-o", "raw", "--status")
    assert done.code == 0
    assert done.out.startswith("raw: 4 of 6 simulations, 2 missing, 0 damaged")
    found = json.loads(reionemu("simulate", "-o", "raw", "--status", "--json").out)
    assert (found["there"], found["missing"]) == (4, ["sim4", "sim5"])
    simulate(reionemu, place)
    assert reionemu("simulate", "-o", "raw", "--verify").code == 0
    content = bytearray(Path("raw/sim3/obs_grids.hdf5").read_bytes())
    content[-1] ^= 1
    Path("raw/sim3/obs_grids.hdf5").write_bytes(content)
    assert reionemu("simulate", "-o", "raw", "--status").code == 0
    done = reionemu("simulate", "-o", "raw", "--verify")
    assert done.code == 1
    assert "sim3: obs_grids.hdf5 does not have the SHA-256" in done.err


def test_the_slurm_script_covers_all_rows_once_and_runs(reionemu, place):
    options = ("--slurm-script", "--slurm-jobs", 4, "--slurm-time", "2-00:00:00", "--axes", "1")
    done = simulate(reionemu, place, *options)
    assert done.code == 0
    script = done.out
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    lines = script.splitlines()
    assert lines[0] == "#!/bin/bash"
    assert "#SBATCH --array=0-2" in lines  # 2 rows a job
    assert "#SBATCH --cpus-per-task=1" in lines
    assert "#SBATCH --time=2-00:00:00" in lines
    assert "--slurm" not in lines[-1]
    assert f"{place}/params.txt" in lines[-1]
    assert not Path("raw").exists()
    program = place / "program.py"  # the command, with the fake simulator
    program.write_text(
        f"import sys; sys.path.insert(0, {str(FAKE)!r})\n"
        "from reionemu.simulation.campaign import run\n"
        "run.SIMULATOR = 'fake_simulator'\n"
        "from reionemu.cli import main\n"
        "main()\n"
    )
    runnable = script.replace(f"{sys.executable} -m reionemu", f"{sys.executable} {program}")
    assert runnable != script
    (place / "elsewhere").mkdir()
    for task in range(3):
        job = {**os.environ, "SLURM_ARRAY_TASK_ID": str(task)}
        done = subprocess.run(
            ["bash"],
            input=runnable,
            text=True,
            env=job,
            cwd=place / "elsewhere",
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{place}/raw: 2 made, 0 were there, 0 failed\n"
    assert reionemu("simulate", "-o", "raw", "--status").out.startswith("raw: 6 of 6")
