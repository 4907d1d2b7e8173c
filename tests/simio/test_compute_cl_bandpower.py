"""Band powers added to a condensed file, with their bins and the covariance of realizations."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from reionemu import ClConfig, add_cl_to_condensed_h5, build_training_arrays, condense_sim_root
from reionemu.errors import MapError
from reionemu.parameters import PARAMETER_NAMES
from reionemu.simio.realizations import equal_groups
from reionemu.simio.stamps import read_stamps
from reionemu.spectra import bandpower, bandpower_covariance

CONFIG = ClConfig(estimator="bandpower", nbins=3)
BINS = {"edges", "modes", "window_ell", "windows"}
N = 12
REALIZATIONS = 4  # sim0, sim1, sim10, sim11; sim2 ... sim5; sim6 ... sim9


@pytest.fixture(scope="module")
def condensed_bytes(
    make_raw_suite: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> bytes:
    """Twelve simulations without spectra: three models of four realizations."""
    path = tmp_path_factory.mktemp("condensed") / "out.h5"
    condense_sim_root(make_raw_suite(path.parent / "raw", N, pixels=64), path)
    with h5py.File(path, "a") as h5:
        sims = h5["sims"]
        for i, name in enumerate(sorted(sims)):
            for parameter in PARAMETER_NAMES:
                value = sims[f"{sorted(sims)[i - i % REALIZATIONS]}/params/{parameter}"][()]
                sims[f"{name}/params/{parameter}"][()] = value
    return path.read_bytes()


@pytest.fixture
def path(condensed_bytes: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "suite.h5"
    path.write_bytes(condensed_bytes)
    return path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"edges": (500, 1200, 2700)},
        {"window": "none", "nbins": 7},
        {"pixel_window": True, "noise_cl": 1e-7},
    ],
)
def test_each_simulation_gets_the_band_powers_of_its_map(path: Path, options: dict) -> None:
    config = ClConfig(estimator="bandpower", **options)
    assert add_cl_to_condensed_h5(path, config=config) == N
    with h5py.File(path) as h5:
        for sim in h5["sims"].values():
            output, cl = sim["output"], sim["cl"]
            temperature = output["ksz_map"][()] * output["Tcmb0"][()] * 1e6
            expected = bandpower(temperature, output["theta_max_ksz"][()], config)
            assert set(cl) == {"ell", "cl_ksz", "dl_ksz", "dcl"} | BINS
            assert cl.attrs["estimator"] == "bandpower"
            for name, value in (("cl_ksz", expected.cl), ("dl_ksz", expected.dl)):
                np.testing.assert_allclose(cl[name][()], value, rtol=1e-9)
            np.testing.assert_allclose(cl["dcl"][()], expected.dcl, rtol=1e-9)
            np.testing.assert_array_equal(cl["ell"][()], expected.ell)
            for name in BINS:
                np.testing.assert_array_equal(cl[name][()], getattr(expected.binning, name))


def test_maps_of_one_size_share_the_storage_of_their_bins(path: Path) -> None:
    add_cl_to_condensed_h5(path, config=CONFIG)
    with h5py.File(path) as h5:
        for name in BINS:
            assert all(sim["cl"][name] == h5["bandpower"][name] for sim in h5["sims"].values())


def test_realizations_of_a_model_give_its_covariance(path: Path) -> None:
    add_cl_to_condensed_h5(path, config=CONFIG)
    with h5py.File(path) as h5:
        names = sorted(h5["sims"])
        dl = np.array([h5[f"sims/{name}/cl/dl_ksz"][()] for name in names])
        models = dl.reshape(3, REALIZATIONS, 3)
        found = {name: value[()] for name, value in h5["bandpower/covariance"].items()}
        assert list(h5["bandpower/covariance"].attrs["param_names"]) == list(PARAMETER_NAMES)
        for i in range(3):
            params = h5[f"sims/{names[REALIZATIONS * i]}/params"]
            expected = [params[name][()] for name in PARAMETER_NAMES]
            np.testing.assert_array_equal(found["params"][i], expected)
    np.testing.assert_array_equal(found["realizations"], [REALIZATIONS] * 3)
    np.testing.assert_allclose(found["dl_mean"], models.mean(axis=1))
    for i, model in enumerate(models):
        np.testing.assert_allclose(found["dl"][i], np.cov(model, rowvar=False))
        np.testing.assert_allclose(found["ln_dl"][i], np.cov(np.log(model), rowvar=False))
        np.testing.assert_allclose(found["ln_dl"][i], bandpower_covariance(np.log(model))[0])
    np.testing.assert_allclose(found["pooled_ln_dl"], found["ln_dl"].mean(axis=0))


def test_models_weigh_by_their_degrees_of_freedom(path: Path) -> None:
    """Three models of 3, 4 and 4 maps, and one of a single map, which tells nothing."""
    with h5py.File(path, "a") as h5:
        h5["sims/sim0/params/kb_zre"][()] *= 1.5
    add_cl_to_condensed_h5(path, config=CONFIG)
    with h5py.File(path) as h5:
        group = h5["bandpower/covariance"]
        np.testing.assert_array_equal(group["realizations"], [3, 4, 4])
        expected = np.average(group["ln_dl"], axis=0, weights=[2, 3, 3])
        np.testing.assert_allclose(group["pooled_ln_dl"], expected)


def test_a_band_power_that_is_not_positive_has_no_logarithm(path: Path) -> None:
    """Of the map without power, less its noise; the other models are not spoiled by it."""
    with h5py.File(path, "a") as h5:
        h5["sims/sim3/output/ksz_map"][...] = 0.0
    add_cl_to_condensed_h5(path, config=ClConfig(estimator="bandpower", nbins=3, noise_cl=1e-12))
    with h5py.File(path) as h5:
        assert np.all(h5["sims/sim3/cl/dl_ksz"][()] < 0)
        group = h5["bandpower/covariance"]
        finite = np.isfinite(group["ln_dl"][()]).all(axis=(1, 2))
        assert finite.tolist() == [True, False, True]
        np.testing.assert_allclose(group["pooled_ln_dl"], group["ln_dl"][()][finite].mean(axis=0))
        assert np.isfinite(group["dl"]).all()


def test_without_realizations_there_is_no_covariance(condensed_h5: Path) -> None:
    add_cl_to_condensed_h5(condensed_h5, config=CONFIG)
    with h5py.File(condensed_h5) as h5:
        assert set(h5["bandpower"]) == BINS | {"ell"}


def test_maps_of_another_size_have_bins_of_their_own(path: Path) -> None:
    with h5py.File(path, "a") as h5:
        h5["sims/sim7/output/theta_max_ksz"][()] *= 1.1
    config = ClConfig(estimator="bandpower", edges=(1000, 1800, 2500))
    assert add_cl_to_condensed_h5(path, config=config) == N
    with h5py.File(path) as h5:
        assert "bandpower" not in h5
        first, other = h5["sims/sim0/cl"], h5["sims/sim7/cl"]
        assert first["windows"] == h5["sims/sim11/cl/windows"]
        assert first["windows"] != other["windows"]
        np.testing.assert_array_equal(first["edges"], other["edges"])
        assert other["modes"][0] > first["modes"][0]


@pytest.mark.parametrize("value", [[1.0, 2.0], "large", None])
def test_parameters_that_are_no_numbers_are_of_no_model(path: Path, value: object) -> None:
    with h5py.File(path, "a") as h5:
        for name in ("sim0", "sim1"):
            del h5[f"sims/{name}/params/kb_zre"]
            if value is not None:
                h5[f"sims/{name}/params/kb_zre"] = value
    add_cl_to_condensed_h5(path, config=CONFIG)
    with h5py.File(path) as h5:
        np.testing.assert_array_equal(h5["bandpower/covariance/realizations"], [2, 4, 4])


def test_the_drop_in_estimator_leaves_nothing_of_band_powers(path: Path) -> None:
    add_cl_to_condensed_h5(path)
    plain = path.with_name("plain.h5")
    plain.write_bytes(path.read_bytes())
    add_cl_to_condensed_h5(path, config=CONFIG)
    add_cl_to_condensed_h5(path)
    with h5py.File(path) as h5, h5py.File(plain) as expected:
        assert set(h5) == {"sims"}
        for name, sim in h5["sims"].items():
            assert set(sim["cl"]) == {"ell", "cl_ksz", "dl_ksz", "dcl"}
            assert dict(sim["cl"].attrs) == {}
            for key, value in expected[f"sims/{name}/cl"].items():
                np.testing.assert_array_equal(sim["cl"][key][()], value[()])
        assert read_stamps(h5) == read_stamps(expected)


def test_only_what_lacks_is_made_and_then_belongs_to_the_rest(path: Path) -> None:
    add_cl_to_condensed_h5(path, config=CONFIG)
    with h5py.File(path, "a") as h5:
        before = h5["bandpower/covariance/ln_dl"][()]
        del h5["sims/sim5/cl"]
    again = ClConfig(estimator="bandpower", nbins=3, overwrite=False)
    assert add_cl_to_condensed_h5(path, config=again) == 1
    with h5py.File(path) as h5:
        np.testing.assert_array_equal(h5["bandpower/covariance/ln_dl"][()], before)
        assert "spectra" in read_stamps(h5)


def test_a_mixture_has_no_covariance(path: Path) -> None:
    add_cl_to_condensed_h5(path, config=CONFIG)
    with h5py.File(path, "a") as h5:
        del h5["sims/sim5/cl"]
    other = ClConfig(estimator="bandpower", nbins=3, noise_cl=1e-9, overwrite=False)
    assert add_cl_to_condensed_h5(path, config=other) == 1
    with h5py.File(path) as h5:
        assert "bandpower" not in h5
        assert "spectra" not in read_stamps(h5)


def test_bins_that_a_map_cannot_have_name_the_simulation(path: Path) -> None:
    before = path.read_bytes()
    config = ClConfig(estimator="bandpower", edges=(1000, 9000))
    with pytest.raises(MapError, match=r"sim 'sim0': the bins reach to ell = 9000"):
        add_cl_to_condensed_h5(path, config=config)
    assert path.read_bytes() == before


def test_training_arrays_are_made_of_band_powers(path: Path) -> None:
    add_cl_to_condensed_h5(path, config=CONFIG)
    _, Y, ell, sim_ids, _, _ = build_training_arrays(path)
    with h5py.File(path) as h5:
        dl = [h5[f"sims/{name}/cl/dl_ksz"][()] for name in sim_ids]
        np.testing.assert_array_equal(ell, h5["bandpower/ell"][()])
    np.testing.assert_allclose(Y, np.log(dl), rtol=1e-6)


def test_stamps_name_only_options_that_were_chosen(path: Path) -> None:
    """So that files stamped before there was a choice are still up to date."""
    old = {"nbins": 3, "ell_cut": 1000.0, "sims_group": "sims"}
    for config, chosen in (
        (ClConfig(nbins=3), {}),
        (CONFIG, {"estimator": "bandpower"}),
    ):
        add_cl_to_condensed_h5(path, config=config)
        with h5py.File(path) as h5:
            assert read_stamps(h5)["spectra"] == old | chosen
    edges = ClConfig(estimator="bandpower", edges=(1000, 2000), window="none")
    add_cl_to_condensed_h5(path, config=edges)
    with h5py.File(path) as h5:
        assert read_stamps(h5)["spectra"] == {
            "nbins": 5,
            "ell_cut": 1000.0,
            "sims_group": "sims",
            "estimator": "bandpower",
            "edges": [1000.0, 2000.0],
            "window": "none",
        }


LIMITED = """
import resource, sys
from pathlib import Path
from reionemu import ClConfig, add_cl_to_condensed_h5
path = Path(sys.argv[1])
before, hard = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in range(len(before) - 4096, 10 * len(before), 2**15):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        add_cl_to_condensed_h5(path, config=ClConfig(estimator="bandpower", nbins=20))
        print("there was room")
        break
    except OSError as error:
        assert type(error).__name__ == "NotEnoughSpaceError", repr(error)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.glob(".*.tmp")] == []
    print("refused")
"""


def test_no_room_for_bins_is_an_error_and_changes_nothing(path: Path) -> None:
    """Under limits to the size of a file, from too little for the old one to enough."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIMITED, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    *refused, last = done.stdout.splitlines()
    assert set(refused) == {"refused"}
    assert len(refused) > 16  # the old file, and half a megabyte claimed beyond it
    assert last == "there was room"
    with h5py.File(path) as h5:
        assert all(sim["cl/windows"].shape[0] == 20 for sim in h5["sims"].values())


def test_equal_keys_make_a_group() -> None:
    nan = float("nan")
    assert equal_groups([(1.0, 2.0), (3.0, 2.0), (1.0, 2.0)]) == [[0, 2], [1]]
    assert equal_groups([(nan, 1.0), (float("nan"), 1.0)]) == [[0], [1]]
    assert equal_groups([]) == []
