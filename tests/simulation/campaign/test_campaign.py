"""A campaign makes what is missing, once, and says what it made with what."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import h5py
import numpy as np
import pytest

from reionemu.errors import AlreadyExistsError, ConfigError, UnreadableFileError
from reionemu.simio import condense_sim_root
from reionemu.simulation.campaign import campaign_status, run_campaign
from reionemu.simulation.campaign.plan import make_plan, parse_rows
from reionemu.simulation.config import OwnSeeds, SimulationConfig


def test_all_simulations_are_there_once_with_a_manifest_and_checksums(lab):
    result = lab.run(4)
    assert (result.total, result.made, result.already_there, result.failed) == (4, 4, 0, ())
    assert result.complete
    names = {path.name for path in result.raw.iterdir()} - {".campaign.json.lock"}
    assert names == {"SHA256SUMS", "campaign.json", "manifest.json", *(f"sim{i}" for i in range(4))}
    assert len(lab.done("run")) == 4
    assert len(lab.done("open")) == 1  # one process, one realization
    record = json.loads((result.raw / "sim2" / "record.json").read_text())
    assert record["parameters"] == dict(
        zip(("zmean_zre", "alpha_zre", "kb_zre", "b0_zre"), (7.02, 0.3, 1.0, 0.5), strict=True)
    )
    assert (record["seed"], record["axis"], record["row"], record["device"]) == (0, 0, 2, "cpu")
    assert record["seconds"] >= 0
    assert record["peak_memory_bytes"] > 10**6
    manifest = json.loads((result.raw / "manifest.json").read_text())
    assert manifest["simulations"]["sim2"] == record
    checked = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=result.raw, capture_output=True, text=True
    )
    assert checked.returncode == 0
    assert checked.stdout.count(": OK") == 8
    lines = (result.raw / "SHA256SUMS").read_text().splitlines()
    assert {name: digest for digest, name in map(str.split, lines)} == lab.sums()


def test_a_second_run_finds_everything(lab):
    lab.run(3)
    before = lab.sums()
    stamps = [path.stat().st_mtime_ns for path in sorted((lab.path / "raw").glob("sim*/*"))]
    result = lab.run(3)
    assert (result.made, result.already_there, result.complete) == (0, 3, True)
    assert lab.sums() == before
    assert stamps == [p.stat().st_mtime_ns for p in sorted((lab.path / "raw").glob("sim*/*"))]
    assert len(lab.done("run")) == 3


def test_the_same_bytes_however_it_is_shared_out(lab):
    config = lab.config.with_changes(realizations=(5, 2), axes=(0, 1))
    lab.run(3, "serial", config=config)
    assert lab.run(3, "workers", config=config, workers=2).complete
    lab.run(3, "parts", config=config, rows=parse_rows("2:"))
    assert lab.run(3, "parts", config=config, rows=parse_rows(":2")).complete
    assert lab.sums("serial") == lab.sums("workers") == lab.sums("parts")
    assert len(set(lab.sums("serial").values())) == 2 * 3 * 4  # no two files are the same


def test_a_worker_stays_with_a_realization(lab):
    config = lab.config.with_changes(realizations=(3, 1), axes=(2, 0))
    lab.run(3, config=config)
    assert lab.done("open") == ["open 3 0", "open 3 2", "open 1 0", "open 1 2"]
    names = {path.name for path in (lab.path / "raw").glob("sim*")}
    assert names == {
        f"sim{i}_s{seed}_a{axis}" for i in range(3) for seed in (3, 1) for axis in (2, 0)
    }


def test_rows_of_their_own_seeds_are_not_cached_and_are_called_by_their_row(lab):
    config = lab.config.with_changes(realizations=OwnSeeds(7))
    result = lab.run(3, config=config)
    seeds = [json.loads((result.raw / f"sim{i}/record.json").read_text())["seed"] for i in range(3)]
    assert seeds == [OwnSeeds(7).seed_of(i) for i in range(3)]
    assert len(lab.done("open")) == 3
    assert not (lab.path / "cache").exists()
    assert lab.run(3, config=config).already_there == 3


def test_the_raw_files_condense_to_what_was_simulated(lab):
    scatter = {"ell": [3000], "covariance": [[0.01]]}
    raw = lab.run(3, seed_scatter=scatter).raw
    stats = condense_sim_root(raw, lab.path / "suite.h5")
    assert (stats.written, stats.skipped_total) == (3, 0)
    with h5py.File(lab.path / "suite.h5") as h5:
        assert h5["sims/sim1/params/zmean_zre"][()] == 7.01
        x_m = h5["sims/sim1/output/xmval_list"][()]
        np.testing.assert_allclose(
            x_m, 0.5 * (1 + np.tanh(h5["sims/sim1/output/zval_list"][()] - 7.01))
        )
        assert h5["sims/sim1/output/ksz_map"].shape == (16, 16)
        campaign = json.loads(h5["campaign"].asstr()[()])
    assert campaign["seed_scatter"] == scatter
    assert campaign["config"]["box"] == 100.0
    assert campaign["rows"] == lab.design(3).tolist()


def test_another_configuration_is_refused_by_what_differs(lab):
    lab.run(2)
    before = lab.sums()
    for changes, named in (
        ({"box": 200.0}, "box is 100.0 there, 200.0 here"),
        ({"realizations": (0, 1)}, r"realizations is \[0\] there, \[0, 1\] here"),
        ({"realizations": OwnSeeds(0)}, r'realizations is \[0\] there, {"base": 0} here'),
    ):
        with pytest.raises(AlreadyExistsError, match=named):
            lab.run(2, config=lab.config.with_changes(**changes))
    assert lab.sums() == before


def test_another_design_is_refused_and_a_longer_one_is_gone_on_with(lab):
    lab.run(2)
    old = lab.sums()
    other = lab.design(2)
    other[1, 2] = 1.5
    with pytest.raises(AlreadyExistsError, match=r"row 1 is 7\.01, 0\.3, 1, 0\.5 there and 7\.01"):
        run_campaign(other, lab.path / "raw", lab.config)
    result = lab.run(4)
    assert (result.made, result.already_there, result.complete) == (2, 2, True)
    assert old.items() < lab.sums().items()
    assert lab.run(2).already_there == 2  # a part of the design takes nothing away
    assert campaign_status(result.raw).total == 4


def test_folders_that_no_campaign_made_are_refused(lab, raw_suite):
    with pytest.raises(AlreadyExistsError, match=r"holds simulations, such as sim0, but no camp"):
        lab.run(2, str(raw_suite))
    lab.run(1, "mine")
    shutil.copytree(raw_suite / "sim0", lab.path / "mine" / "sim1")
    with pytest.raises(UnreadableFileError, match=r"sim1 has no record\.json"):
        lab.run(2, "mine")


def test_damage_is_noticed_cheaply_or_thoroughly(lab):
    raw = lab.run(4).raw
    with open(raw / "sim1" / "obs_grids.hdf5", "r+b") as file:
        file.truncate(100)
    with open(raw / "sim2" / "pk_arrays.hdf5", "r+b") as file:
        file.seek(3000)
        byte = file.read(1)
        file.seek(3000)
        file.write(bytes([byte[0] ^ 1]))
    shutil.rmtree(raw / "sim3")
    status = campaign_status(raw)
    assert (status.total, status.there, status.missing) == (4, 2, ("sim3",))
    assert set(status.damaged) == {"sim1"}
    thorough = campaign_status(raw, verify=True)
    assert set(thorough.damaged) == {"sim1", "sim2"}
    assert "SHA-256" in thorough.damaged["sim2"]
    with pytest.raises(UnreadableFileError, match=r"sim1: obs_grids\.hdf5 has 100 bytes"):
        lab.run(4)


def test_one_that_fails_stops_no_other_and_is_made_later(lab):
    lab.trouble("fail-7.01")
    lab.trouble("nan-7.02")
    result = lab.run(4, workers=2)
    failures = {failure.name: failure.message for failure in result.failed}
    assert failures == {"sim1": "no such universe", "sim2": "FloatingPointError: it exploded"}
    assert (result.made, result.complete) == (2, False)
    assert not (result.raw / "manifest.json").exists()
    lab.no_trouble()
    result = lab.run(4)
    assert (result.made, result.already_there, result.failed, result.complete) == (2, 2, (), True)


def test_a_worker_that_dies_is_replaced_and_given_up_at_the_third_time(lab):
    for name in ("7.0-a", "7.02-a", "7.02-b", "7.02-c"):
        lab.trouble(f"kill-{name}")
    result = lab.run(4)
    assert result.made == 3
    (failure,) = result.failed
    assert failure.name == "sim2"
    assert re.match("3 processes that worked at it died, the last one by SIGKILL", failure.message)
    assert len(lab.done("run")) == 3
    result = lab.run(4)
    assert (result.made, result.already_there, result.complete) == (1, 3, True)


def test_progress_counts_what_was_there_and_what_is_made(lab):
    lab.run(2)
    steps, lines = [], []
    lab.run(5, progress=lambda *step: steps.append(step), say=lines.append)
    assert ("preparing", 1, 2) in steps
    assert [step[1:] for step in steps if step[0] == "simulating"] == [(3, 5), (4, 5), (5, 5)]
    assert lines[0] == "5 simulations, 2 of them there already"


def test_too_little_memory_is_refused_before_anything_is_written(lab, monkeypatch):
    monkeypatch.setenv("FAKE_MEMORY", str(10**15))
    with pytest.raises(ConfigError, match=r"not enough memory: 1 process may take 2e\+03 TB"):
        lab.run(2)
    assert not (lab.path / "raw").exists()
    assert lab.run(1, force=True).complete


def test_zmean_widens_the_range_by_the_whole_design():
    rows = np.tile([7.5, 0.3, 1.0, 0.5], (3, 1))
    config = SimulationConfig(zmean_range=(7.0, 9.0))
    assert make_plan(rows, config).config.zmean_range == (7.0, 9.0)
    rows[2, 0] = 10.2
    assert make_plan(rows, config).config.zmean_range == (7.0, 11.0)
    rows[0, 0] = 5.5
    assert make_plan(rows, config).config.zmean_range == (5.0, 11.0)


@pytest.mark.parametrize("text", ["", "3", "a:b", "1:2:3", "-1:4"])
def test_rows_that_are_none_are_refused(text):
    with pytest.raises(ConfigError, match="rows"):
        parse_rows(text)
