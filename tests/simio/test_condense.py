"""Raw simulations to one condensed file: what is in it, and when it is replaced."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from reionemu import CondenseConfig, CondenseStats, condense_sim_root
from reionemu.parameters import PARAMETER_NAMES
from reionemu.simio.condense_h5 import condense_stamp
from reionemu.simio.raw import find_sims
from reionemu.simio.stamps import read_stamps

OUTPUT = {"ksz_map", "Tcmb0", "theta_max_ksz", "pk_tt", "xmval_list", "zval_list", "tau"}
RAW_HOME = {
    "ksz_map": ("obs_grids", "data"),
    "Tcmb0": ("obs_grids", "header"),
    "theta_max_ksz": ("obs_grids", "header"),
    "tau": ("pk_arrays", "header"),
    "pk_tt": ("pk_arrays", "data"),
    "xmval_list": ("pk_arrays", "data"),
    "zval_list": ("pk_arrays", "data"),
}


@pytest.fixture
def suite(make_raw_suite: Callable[..., Path], tmp_path: Path) -> Path:
    return make_raw_suite(tmp_path / "raw", 12, pixels=32)


def temporary_files(folder: Path) -> list[Path]:
    return list(folder.glob(".*.tmp"))


def test_every_value_is_carried_over_as_it_was(suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    stats = condense_sim_root(suite, out)
    assert stats == CondenseStats(12, 0, 0, 0)
    assert (stats.skipped_total, stats.skipped) == (0, ())
    with h5py.File(out) as h5:
        assert set(h5) == {"sims"}
        assert set(h5["sims"]) == {f"sim{i}" for i in range(12)}
        for name, sim in h5["sims"].items():
            assert set(sim) == {"params", "output"}
            assert set(sim["params"]) == set(PARAMETER_NAMES)
            assert set(sim["output"]) == OUTPUT
            for key, (stem, group) in RAW_HOME.items():
                with h5py.File(suite / name / f"{stem}.hdf5") as raw:
                    expected = raw[group][key]
                    assert sim["output"][key].dtype == expected.dtype
                    np.testing.assert_array_equal(sim["output"][key][()], expected[()])
            with h5py.File(suite / name / "pk_arrays.hdf5") as raw:
                for key in PARAMETER_NAMES:
                    assert sim["params"][key].shape == ()
                    assert sim["params"][key][()] == raw["header"][key][()]


def test_default_attributes(suite: Path, tmp_path: Path) -> None:
    condense_sim_root(suite, tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as h5:
        assert h5.attrs["source_root"] == str(suite)
        assert h5.attrs["description"] == "Condensed simulation outputs for kSZ 2LPT emulator."
        assert h5.attrs["version"] == 1


def test_attributes_can_be_given(suite: Path, tmp_path: Path) -> None:
    condense_sim_root(str(suite), str(tmp_path / "o.h5"), file_description="d é", version=7)
    with h5py.File(tmp_path / "o.h5") as h5:
        assert (h5.attrs["description"], h5.attrs["version"]) == ("d é", 7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4"])
def test_the_precision_of_maps_is_kept(
    make_raw_suite: Callable[..., Path], tmp_path: Path, dtype: object
) -> None:
    suite = make_raw_suite(tmp_path / "raw", 2, pixels=32, dtype=dtype)
    condense_sim_root(suite, tmp_path / "out.h5")
    with h5py.File(suite / "sim1/obs_grids.hdf5") as h5:
        expected = h5["data/ksz_map"][()]
    with h5py.File(tmp_path / "out.h5") as h5:
        found = h5["sims/sim1/output/ksz_map"][()]
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, expected)


def test_progress_is_told_after_each_simulation(suite: Path, tmp_path: Path) -> None:
    shutil.rmtree(suite / "sim3")
    (suite / "sim3").mkdir()
    calls: list[tuple[int, int]] = []
    condense_sim_root(
        suite,
        tmp_path / "out.h5",
        progress_callback=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(i, 12) for i in range(1, 13)]


def test_simulations_are_taken_in_order_of_name(suite: Path, tmp_path: Path) -> None:
    """The same simulations are skipped in `sorted()` order: sim10 before sim2."""
    for name in ("sim2", "sim10", "sim1"):
        (suite / name / "pk_arrays.hdf5").unlink()
    stats = condense_sim_root(suite, tmp_path / "out.h5")
    assert [s.sim for s in stats.skipped] == ["sim1", "sim10", "sim2"]


def test_only_folders_with_the_prefix_count(suite: Path, tmp_path: Path) -> None:
    shutil.move(suite / "sim4", suite / "run4")
    shutil.move(suite / "sim5", suite / "run5")
    (suite / "sim_notes.txt").write_text("not a folder")
    (suite / "simulation.h5").write_bytes(b"")
    assert condense_sim_root(suite, tmp_path / "sims.h5").written == 10
    assert condense_sim_root(suite, tmp_path / "runs.h5", sim_prefix="run").written == 2
    with h5py.File(tmp_path / "runs.h5") as h5:
        assert set(h5["sims"]) == {"run4", "run5"}


def test_files_are_known_by_content_not_by_name(suite: Path, tmp_path: Path) -> None:
    folder = suite / "sim0"
    (folder / "obs_grids.hdf5").rename(folder / "z.h5")
    (folder / "pk_arrays.hdf5").rename(folder / "a.h5")
    with h5py.File(folder / "extra.hdf5", "w") as h5:
        h5["data/other"] = np.zeros(3)
    (folder / "readme.txt").write_text("text")
    assert condense_sim_root(suite, tmp_path / "out.h5").written == 12
    with h5py.File(folder / "z.h5") as raw, h5py.File(tmp_path / "out.h5") as h5:
        np.testing.assert_array_equal(h5["sims/sim0/output/ksz_map"][()], raw["data/ksz_map"][()])


def test_one_file_can_hold_both_parts(suite: Path, tmp_path: Path) -> None:
    folder = suite / "sim0"
    with (
        h5py.File(folder / "obs_grids.hdf5", "a") as h5,
        h5py.File(folder / "pk_arrays.hdf5") as pk,
    ):
        for group in ("data", "header"):
            for name in pk[group]:
                pk.copy(f"{group}/{name}", h5[group])
    (folder / "pk_arrays.hdf5").unlink()
    assert condense_sim_root(suite, tmp_path / "out.h5").written == 12


def test_without_its_pk_file_a_simulation_can_be_kept(suite: Path, tmp_path: Path) -> None:
    (suite / "sim0/pk_arrays.hdf5").unlink()
    config = CondenseConfig(require_obs_and_pk=False)
    assert condense_sim_root(suite, tmp_path / "out.h5", config=config).written == 12
    with h5py.File(tmp_path / "out.h5") as h5:
        assert set(h5["sims/sim0/output"]) == {"ksz_map", "Tcmb0", "theta_max_ksz"}
        assert all(np.isnan(h5[f"sims/sim0/params/{name}"][()]) for name in PARAMETER_NAMES)


def test_no_root(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        condense_sim_root(tmp_path / "nowhere", tmp_path / "out.h5")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match="not a folder"):
        condense_sim_root(tmp_path / "file", tmp_path / "out.h5")


def test_no_matching_folder(suite: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"no folder box\* in .*raw"):
        condense_sim_root(suite, tmp_path / "out.h5", sim_prefix="box")
    assert not (tmp_path / "out.h5").exists()


def test_no_folder_to_write_in(suite: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"folder .*absent does not exist"):
        condense_sim_root(suite, tmp_path / "absent" / "out.h5")


def test_overwriting_can_be_forbidden(suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    out.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match=r"out\.h5 exists"):
        condense_sim_root(suite, out, config=CondenseConfig(overwrite=False))
    assert out.read_bytes() == b"precious"
    out.unlink()
    assert condense_sim_root(suite, out, config=CondenseConfig(overwrite=False)).written == 12


def test_the_old_file_stays_until_the_new_one_is_whole(suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    out.write_bytes(b"the old file")
    seen: list[bytes] = []
    condense_sim_root(suite, out, progress_callback=lambda *_: seen.append(out.read_bytes()))
    assert seen == [b"the old file"] * 12
    assert h5py.is_hdf5(out)


def test_an_interruption_leaves_the_old_file(suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    out.write_bytes(b"the old file")

    def interrupt(done: int, total: int) -> None:
        if done == 5:
            assert len(temporary_files(tmp_path)) == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        condense_sim_root(suite, out, progress_callback=interrupt)
    assert out.read_bytes() == b"the old file"
    assert temporary_files(tmp_path) == []
    assert condense_sim_root(suite, out).written == 12


def test_nothing_usable_leaves_the_old_file(raw_suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    condense_sim_root(raw_suite, out)
    before = out.read_bytes()
    for folder in raw_suite.iterdir():
        (folder / "obs_grids.hdf5").unlink()
    with pytest.raises(RuntimeError, match="none of the 24 simulations") as caught:
        condense_sim_root(raw_suite, out)
    assert caught.value.stats.skipped_missing_obs_pk == 24
    assert out.read_bytes() == before


def test_the_stamp_is_of_what_was_there_before_reading(raw_suite: Path, tmp_path: Path) -> None:
    """A file that is completed while others are read must not look as if it had been read."""
    torn = raw_suite / "sim0" / "obs_grids.hdf5"
    content = torn.read_bytes()
    torn.write_bytes(content[:100])
    out = tmp_path / "out.h5"

    def complete(done: int, total: int) -> None:
        torn.write_bytes(content)

    condense_sim_root(raw_suite, out, progress_callback=complete)
    with h5py.File(out) as h5:
        stamp = read_stamps(h5)["condense"]
    folders = find_sims(raw_suite, "sim")
    assert stamp != condense_stamp(folders, "sim", CondenseConfig())
