"""Spectra added to a condensed file: their values, what is left alone, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from reionemu import ClConfig, add_cl_to_condensed_h5, condense_sim_root
from reionemu.errors import MapError, MissingGroupError, UnreadableFileError
from reionemu.spectra import flat_sky_spectrum

NAMES = {"ell", "cl_ksz", "dl_ksz", "dcl"}


@pytest.fixture(scope="module")
def condensed_bytes(
    make_raw_suite: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> bytes:
    """A condensed file of 12 simulations, without spectra."""
    folder = tmp_path_factory.mktemp("condensed")
    condense_sim_root(make_raw_suite(folder / "raw", 12, pixels=64), folder / "out.h5")
    return (folder / "out.h5").read_bytes()


@pytest.fixture
def no_cl(condensed_bytes: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "no_cl.h5"
    path.write_bytes(condensed_bytes)
    return path


def identity(path: Path) -> tuple[bytes, int, int]:
    """What tells whether a file was replaced, even by an equal one."""
    return path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns


def spoil(path: Path, sim: str, value: object, name: str = "ksz_map") -> None:
    with h5py.File(path, "a") as h5:
        output = h5[f"sims/{sim}/output"]
        del output[name]
        if value is not None:
            output[name] = value


@pytest.mark.parametrize("options", [{}, {"nbins": 3, "ell_cut": 500}, {"nbins": 1000}])
def test_each_simulation_gets_the_spectrum_of_its_map(no_cl: Path, options: dict) -> None:
    config = ClConfig(**options)
    assert add_cl_to_condensed_h5(no_cl, config=config) == 12
    with h5py.File(no_cl) as h5:
        for sim in h5["sims"].values():
            output, cl = sim["output"], sim["cl"]
            temperature = output["ksz_map"][()] * output["Tcmb0"][()] * 1e6
            expected = flat_sky_spectrum(temperature, output["theta_max_ksz"][()], config)
            assert set(cl) == NAMES
            assert all(cl[name].dtype == np.float64 for name in NAMES)
            np.testing.assert_array_equal(cl["ell"][()], expected.ell)
            np.testing.assert_allclose(cl["cl_ksz"][()], expected.cl, rtol=1e-12)
            np.testing.assert_allclose(cl["dl_ksz"][()], expected.dl, rtol=1e-12)
            np.testing.assert_allclose(cl["dcl"][()], expected.dcl, rtol=1e-12)


def test_nothing_else_in_the_file_changes(no_cl: Path, condensed_bytes: bytes) -> None:
    add_cl_to_condensed_h5(no_cl)
    before = no_cl.with_name("before.h5")
    before.write_bytes(condensed_bytes)
    with h5py.File(before) as old, h5py.File(no_cl) as new:
        for key in ("source_root", "description", "version"):
            assert new.attrs[key] == old.attrs[key]
        kept: list[str] = []
        old["sims"].visititems(lambda name, _: kept.append(name))
        datasets = [name for name in kept if isinstance(old["sims"][name], h5py.Dataset)]
        assert len(datasets) == 12 * 11
        for name in datasets:
            np.testing.assert_array_equal(new["sims"][name][()], old["sims"][name][()])


def test_progress_is_told_after_each_simulation(no_cl: Path) -> None:
    calls: list[tuple[int, ...]] = []
    add_cl_to_condensed_h5(no_cl, progress_callback=lambda *call: calls.append(call))
    assert calls == [(i, 12) for i in range(1, 13)]


def test_overwriting_replaces_spectra_made_with_other_bins(no_cl: Path) -> None:
    add_cl_to_condensed_h5(no_cl, config=ClConfig(nbins=7))
    assert add_cl_to_condensed_h5(no_cl) == 12
    with h5py.File(no_cl) as h5:
        assert {sim["cl/ell"].shape for sim in h5["sims"].values()} == {(5,)}


def test_without_overwrite_a_finished_file_is_not_touched(no_cl: Path) -> None:
    add_cl_to_condensed_h5(no_cl)
    before = identity(no_cl)
    config = ClConfig(nbins=3, overwrite=False)
    assert add_cl_to_condensed_h5(no_cl, config=config) == 0
    assert identity(no_cl) == before


def test_without_overwrite_only_what_lacks_is_made(no_cl: Path) -> None:
    add_cl_to_condensed_h5(no_cl)
    with h5py.File(no_cl, "a") as h5:
        for sim in ("sim1", "sim10", "sim7"):
            del h5[f"sims/{sim}/cl"]
        h5["sims/sim2/cl/cl_ksz"][...] = -1.0
    calls: list[tuple[int, ...]] = []
    updated = add_cl_to_condensed_h5(
        no_cl,
        config=ClConfig(overwrite=False),
        progress_callback=lambda *call: calls.append(call),
    )
    assert updated == 3
    assert calls == [(10, 12), (11, 12), (12, 12)]
    with h5py.File(no_cl) as h5:
        assert all("cl" in sim for sim in h5["sims"].values())
        assert np.all(h5["sims/sim2/cl/cl_ksz"][()] == -1.0)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ksz_map", np.full((64, 64), np.nan), "4096 pixels"),
        ("ksz_map", np.ones((64, 63)), "square"),
        ("ksz_map", np.ones(64), "2-D"),
        ("ksz_map", np.ones((0, 0)), "empty"),
        ("ksz_map", np.ones((4, 4)), "too small"),
        ("ksz_map", np.ones((16, 16)), "ell_cut = 1000 leaves nothing"),
        ("ksz_map", None, "no output/ksz_map"),
        ("theta_max_ksz", None, "positive angle"),
        ("theta_max_ksz", -0.1, "positive angle"),
        ("theta_max_ksz", [0.1, 0.2], "one number"),
        ("Tcmb0", None, "positive temperature"),
        ("Tcmb0", 0.0, "positive temperature"),
        ("Tcmb0", "warm", "one number"),
    ],
)
def test_a_bad_map_names_its_simulation_and_changes_nothing(
    no_cl: Path, name: str, value: object, words: str
) -> None:
    spoil(no_cl, "sim4", value, name)
    before = identity(no_cl)
    with pytest.raises(MapError, match=rf"sim 'sim4'.*{words}") as caught:
        add_cl_to_condensed_h5(no_cl)
    assert isinstance(caught.value, ValueError)
    assert identity(no_cl) == before
    assert list(no_cl.parent.glob(".*.tmp")) == []


def test_a_simulation_without_output_is_named(no_cl: Path) -> None:
    with h5py.File(no_cl, "a") as h5:
        del h5["sims/sim11/output"]
    with pytest.raises(ValueError, match="sim 'sim11': it has no output/ksz_map"):
        add_cl_to_condensed_h5(no_cl)


@pytest.mark.parametrize("intruder", [np.zeros(3), h5py.SoftLink("/nowhere")])
def test_what_is_no_simulation_is_named(no_cl: Path, intruder: object) -> None:
    with h5py.File(no_cl, "a") as h5:
        h5["sims/stray"] = intruder
    before = identity(no_cl)
    with pytest.raises(MapError, match="sim 'stray': it has no output/ksz_map"):
        add_cl_to_condensed_h5(no_cl)
    assert identity(no_cl) == before


def test_a_huge_claim_is_refused_unread(no_cl: Path) -> None:
    with h5py.File(no_cl, "a") as h5:
        del h5["sims/sim3/output/ksz_map"]
        h5.create_dataset("sims/sim3/output/ksz_map", (10**7, 10**7), "f8", chunks=(64, 64))
    with pytest.raises(MapError, match=r"sim 'sim3': .* claims the shape \(10000000, 10000000\)"):
        add_cl_to_condensed_h5(no_cl)


def test_an_error_in_the_callback_changes_nothing(no_cl: Path) -> None:
    before = identity(no_cl)

    def interrupt(done: int, total: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_cl_to_condensed_h5(no_cl, progress_callback=interrupt)
    assert identity(no_cl) == before
    assert add_cl_to_condensed_h5(no_cl) == 12


def test_without_its_group_the_path_is_named(no_cl: Path) -> None:
    with pytest.raises(MissingGroupError, match=r"no_cl\.h5: there is no group /boxes") as caught:
        add_cl_to_condensed_h5(no_cl, config=ClConfig(sims_group="boxes"))
    assert isinstance(caught.value, KeyError)


def test_simulations_can_be_in_another_group(no_cl: Path) -> None:
    with h5py.File(no_cl, "a") as h5:
        h5.move("sims", "boxes")
    assert add_cl_to_condensed_h5(no_cl, config=ClConfig(sims_group="boxes")) == 12


def test_files_that_are_not_there_or_not_hdf5(no_cl: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.h5 does not exist"):
        add_cl_to_condensed_h5(tmp_path / "absent.h5")
    whole = no_cl.read_bytes()
    for content, words in [
        (b"", "the file is empty"),
        (b"text" * 1000, "not an HDF5 file"),
        (whole[: len(whole) // 2], "truncated"),
    ]:
        no_cl.write_bytes(content)
        with pytest.raises(UnreadableFileError, match=rf"no_cl\.h5: .*{words}"):
            add_cl_to_condensed_h5(no_cl)
        assert no_cl.read_bytes() == content
    with pytest.raises(OSError, match="is a folder"):
        add_cl_to_condensed_h5(tmp_path)
