"""Raw simulations that are missing, torn, or wrong: which count they are in, and why."""

from __future__ import annotations

import os
import re
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from reionemu import (
    BuildStats,
    add_cl_to_condensed_h5,
    build_training_arrays,
    condense_sim_root,
)
from reionemu.errors import NoUsableSimulationsError

OBS, PK = "obs_grids.hdf5", "pk_arrays.hdf5"
Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def pristine(make_raw_suite: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_raw_suite(tmp_path_factory.mktemp("pristine") / "raw", 3, pixels=32)


@pytest.fixture
def suite(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "raw"))


def put(file: str, name: str, value: object) -> Damage:
    """Replace one dataset of a raw file."""

    def damage(folder: Path) -> None:
        with h5py.File(folder / file, "a") as h5:
            del h5[name]
            h5[name] = value

    return damage


def drop(file: str, name: str) -> Damage:
    """Remove one object from a raw file."""

    def damage(folder: Path) -> None:
        with h5py.File(folder / file, "a") as h5:
            del h5[name]

    return damage


def overwrite(file: str, content: bytes) -> Damage:
    return lambda folder: (folder / file).write_bytes(content) and None


def remove(*names: str) -> Damage:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def tear(file: str) -> Damage:
    """Cut a file to two thirds, as an interrupted copy does."""
    return lambda folder: os.truncate(folder / file, (folder / file).stat().st_size * 2 // 3)


def nan_pixel(folder: Path) -> None:
    with h5py.File(folder / OBS, "a") as h5:
        h5["data/ksz_map"][4, 7] = np.nan


def make_group(folder: Path) -> None:
    with h5py.File(folder / OBS, "a") as h5:
        del h5["data/ksz_map"]
        h5.create_group("data/ksz_map")


def claim_huge(folder: Path) -> None:
    with h5py.File(folder / OBS, "a") as h5:
        del h5["data/ksz_map"]
        h5.create_dataset("data/ksz_map", (2**16, 2**15), "f8", chunks=(64, 64))


def spoil_checksum(folder: Path) -> None:
    with h5py.File(folder / OBS, "a") as h5:
        data = h5["data/ksz_map"][()]
        del h5["data/ksz_map"]
        dataset = h5.create_dataset("data/ksz_map", data=data, chunks=(32, 32), fletcher32=True)
        h5.flush()
        offset = dataset.id.get_chunk_info(0).byte_offset
    with open(folder / OBS, "r+b") as raw:
        raw.seek(offset + 100)
        raw.write(b"\xff\x00\xff\x00")


def empty_dataspace(folder: Path) -> None:
    put(OBS, "data/ksz_map", h5py.Empty("f8"))(folder)


def only_a_dangling_link(folder: Path) -> None:
    (folder / OBS).unlink()
    (folder / OBS).symlink_to(folder / "moved_away.hdf5")


def only_a_folder_of_that_name(folder: Path) -> None:
    (folder / OBS).unlink()
    (folder / OBS).mkdir()


MISSING, READ, INVALID = "missing_obs_pk", "read_error", "validation_error"

SKIPPED = {
    "no obs file": (remove(OBS), MISSING, "no obs grids file$"),
    "no pk file": (remove(PK), MISSING, "no pk arrays file$"),
    "no files": (remove(OBS, PK), MISSING, "no obs grids file and no pk arrays file$"),
    "torn obs file": (tear(OBS), MISSING, "no obs grids file; obs_grids.hdf5: .*truncated"),
    "torn pk file": (tear(PK), MISSING, "no pk arrays file; pk_arrays.hdf5: .*truncated"),
    "zero bytes": (overwrite(OBS, b""), MISSING, "obs_grids.hdf5: the file is empty"),
    "garbage": (overwrite(PK, b"garbage" * 999), MISSING, "pk_arrays.hdf5: .*not an HDF5 file"),
    "dangling link": (only_a_dangling_link, MISSING, "obs_grids.hdf5: .*link"),
    "folder for a file": (only_a_folder_of_that_name, MISSING, "obs_grids.hdf5: "),
    "no map": (drop(OBS, "data/ksz_map"), MISSING, "no obs grids file$"),
    "no pk_tt": (
        drop(PK, "data/pk_tt"),
        MISSING,
        "no pk arrays file; pk_arrays.hdf5 lacks data/pk_tt$",
    ),
    "no obs header": (drop(OBS, "header"), READ, "header"),
    "no pk header": (drop(PK, "header"), READ, "header"),
    "two temperatures": (put(OBS, "header/Tcmb0", [2.7, 2.8]), READ, r"Tcmb0.*one number.*\(2,\)"),
    "two parameters": (put(PK, "header/kb_zre", [1.0, 2.0]), READ, r"kb_zre.*one number.*\(2,\)"),
    "parameter in words": (put(PK, "header/tau", "high"), READ, "tau.*one number"),
    "no parameters in it": (put(PK, "header/tau", np.zeros(0)), READ, r"tau.*shape \(0,\)"),
    "map is a group": (make_group, READ, "ksz_map is not a dataset"),
    "huge claim": (claim_huge, READ, r"ksz_map claims the shape \(65536, 32768\)"),
    "bad checksum": (spoil_checksum, READ, "[Rr]ead data"),
    "null dataspace": (empty_dataspace, READ, "ksz_map claims the shape None"),
    "empty map": (put(OBS, "data/ksz_map", np.zeros((0, 0))), INVALID, "map is empty"),
    "NaN pixel": (nan_pixel, INVALID, "1 pixel.* not finite"),
    "not square": (put(OBS, "data/ksz_map", np.ones((32, 31))), INVALID, r"square.*\(32, 31\)"),
    "three axes": (put(OBS, "data/ksz_map", np.ones((4, 4, 4))), INVALID, "2-D.*3 dimensions"),
    "scalar map": (put(OBS, "data/ksz_map", 1.0), INVALID, "2-D.*0 dimensions"),
    "complex map": (put(OBS, "data/ksz_map", np.ones((32, 32), complex)), INVALID, "real numbers"),
    "no side": (drop(OBS, "header/theta_max_ksz"), INVALID, "side of the map.*nan"),
    "negative side": (put(OBS, "header/theta_max_ksz", -1.0), INVALID, "side of the map.*-1.0"),
    "no temperature": (drop(OBS, "header/Tcmb0"), INVALID, "Tcmb0.*positive temperature.*nan"),
    "zero temperature": (put(OBS, "header/Tcmb0", 0.0), INVALID, "Tcmb0.*positive temperature"),
}


@pytest.mark.parametrize("case", SKIPPED)
def test_a_damaged_simulation_is_counted_named_and_explained(
    suite: Path, tmp_path: Path, case: str
) -> None:
    damage, category, words = SKIPPED[case]
    damage(suite / "sim1")
    stats = condense_sim_root(suite, tmp_path / "out.h5")
    assert (stats.written, stats.skipped_total) == (2, 1)
    assert getattr(stats, f"skipped_{category}") == 1
    (skipped,) = stats.skipped
    assert (skipped.sim, skipped.category) == ("sim1", category)
    assert skipped.sim == "sim1"
    assert re.search(words, skipped.reason)
    with h5py.File(tmp_path / "out.h5") as h5:
        assert set(h5["sims"]) == {"sim0", "sim2"}


ACCEPTED = {
    "length-1 side": put(OBS, "header/theta_max_ksz", [0.0711]),
    "length-1 parameter": put(PK, "header/kb_zre", [1.25]),
    "1 x 1 parameter": put(PK, "header/kb_zre", [[1.25]]),
    "whole-number map": put(OBS, "data/ksz_map", np.arange(1024).reshape(32, 32)),
    "extra file": overwrite("extra.h5", b"not HDF5"),
    "empty extra file": overwrite("another.hdf5", b" "),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_oddities_that_are_no_damage(suite: Path, tmp_path: Path, case: str) -> None:
    ACCEPTED[case](suite / "sim1")
    stats = condense_sim_root(suite, tmp_path / "out.h5")
    assert (stats.written, stats.skipped) == (3, ())
    with h5py.File(tmp_path / "out.h5") as h5:
        assert h5["sims/sim1/output/theta_max_ksz"].shape == ()
        assert h5["sims/sim1/output/theta_max_ksz"][()] == 0.0711
        if "parameter" in case:
            assert h5["sims/sim1/params/kb_zre"][()] == 1.25
            assert h5["sims/sim1/params/kb_zre"].shape == ()


def test_a_huge_claim_is_refused_unread(suite: Path, tmp_path: Path) -> None:
    claim_huge(suite / "sim1")
    tracemalloc.start()
    try:
        condense_sim_root(suite, tmp_path / "out.h5")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20e6  # the claim is of 17 GB


def test_all_kinds_at_once_add_up(make_raw_suite: Callable[..., Path], tmp_path: Path) -> None:
    suite = make_raw_suite(tmp_path / "raw", len(SKIPPED) + 2, pixels=32)
    for i, (damage, _, _) in enumerate(SKIPPED.values()):
        damage(suite / f"sim{i}")
    stats = condense_sim_root(suite, tmp_path / "out.h5")
    categories = [category for _, category, _ in SKIPPED.values()]
    assert stats.written == 2
    assert stats.skipped_missing_obs_pk == categories.count(MISSING)
    assert stats.skipped_read_error == categories.count(READ)
    assert stats.skipped_validation_error == categories.count(INVALID)
    assert stats.skipped_total == len(SKIPPED) == len(stats.skipped)


def test_damage_that_only_later_stages_can_see(
    make_raw_suite: Callable[..., Path], tmp_path: Path
) -> None:
    suite, out = make_raw_suite(tmp_path / "raw", 9, pixels=64), tmp_path / "out.h5"
    put(OBS, "data/ksz_map", np.random.default_rng(0).normal(size=(128, 128)))(suite / "sim1")
    put(PK, "header/kb_zre", np.nan)(suite / "sim2")
    drop(PK, "header/b0_zre")(suite / "sim3")
    put(PK, "header/alpha_zre", np.inf)(suite / "sim4")
    assert condense_sim_root(suite, out).written == 9
    assert add_cl_to_condensed_h5(out) == 9
    with h5py.File(out, "a") as h5:
        del h5["sims/sim5/cl"]
        del h5["sims/sim6/params/zmean_zre"]
        h5["sims/sim7/cl/dl_ksz"][2] = np.nan
    X, Y, ell, sim_ids, _, stats = build_training_arrays(out)
    assert stats == BuildStats(
        total_sims=9,
        processed=2,
        skipped_missing_params=1,
        skipped_missing_cl=1,
        skipped_inconsistent_ell=1,
        skipped_non_finite=4,
    )
    assert stats.skipped_total == 7
    assert sim_ids.tolist() == ["sim0", "sim8"]
    assert (X.shape, Y.shape, ell.shape) == ((2, 4), (2, 5), (5,))
    reasons = {s.sim: (s.category, s.reason) for s in stats.skipped}
    assert reasons["sim1"][0] == "inconsistent_ell"
    assert "sim0" in reasons["sim1"][1]
    assert reasons["sim2"] == ("non_finite", "kb_zre is not finite")
    assert reasons["sim3"] == ("non_finite", "b0_zre is not finite")
    assert reasons["sim4"] == ("non_finite", "alpha_zre is not finite")
    assert reasons["sim5"] == ("missing_cl", "cl/dl_ksz is not there")
    assert reasons["sim6"] == ("missing_params", "params/zmean_zre is not there")
    assert reasons["sim7"] == ("non_finite", "dl_ksz is not finite")


def test_nothing_usable_carries_the_counts(suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    condense_sim_root(suite, out)
    with pytest.raises(RuntimeError, match=r"skipped_missing_cl 3.*spectra stage") as caught:
        build_training_arrays(out)
    assert isinstance(caught.value, NoUsableSimulationsError)
    assert caught.value.stats == BuildStats(3, 0, 0, 3, 0, 0)


def test_a_suite_of_which_nothing_can_be_used_says_so(suite: Path, tmp_path: Path) -> None:
    for i in range(3):
        tear(OBS)(suite / f"sim{i}")
    stats = condense_sim_root(suite, tmp_path / "out.h5")
    assert (stats.written, stats.skipped_missing_obs_pk) == (0, 3)
    with h5py.File(tmp_path / "out.h5") as h5:
        assert list(h5["sims"]) == []
