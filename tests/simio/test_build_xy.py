"""Training arrays from a condensed file with spectra, and how they are stored."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reionemu import BuildStats, BuildXYConfig, build_and_write_training, build_training_arrays
from reionemu.errors import ConfigError, MissingGroupError
from reionemu.parameters import PARAMETER_NAMES
from reionemu.targets import Target

N = 24
NAMES = sorted(f"sim{i}" for i in range(N))


def column(path: Path, name: str) -> np.ndarray:
    """One dataset of every simulation, stacked in lexicographic order of their names."""
    with h5py.File(path) as h5:
        return np.array([h5[f"sims/{sim}/{name}"][()] for sim in NAMES])


@pytest.mark.parametrize("y_source", ["dl_ksz", "cl_ksz"])
@pytest.mark.parametrize(
    ("y_transform", "formula"),
    [
        ("ln", lambda y, eps: np.log(np.maximum(y, 0) + eps)),
        ("log10", lambda y, eps: np.log10(np.maximum(y, 0) + eps)),
        ("none", lambda y, eps: y),
    ],
)
@pytest.mark.parametrize("eps", [1e-30, 0.5])
def test_arrays_follow_the_formula(
    condensed_h5: Path, y_source: str, y_transform: str, formula: object, eps: float
) -> None:
    with h5py.File(condensed_h5, "a") as h5:
        h5[f"sims/sim7/cl/{y_source}"][2] = -3.0  # noise can do that to a difference of spectra
    config = BuildXYConfig(y_source=y_source, y_transform=y_transform, eps=eps)
    X, Y, ell, sim_ids, param_names, stats = build_training_arrays(condensed_h5, config=config)
    expected = formula(column(condensed_h5, f"cl/{y_source}"), eps)
    assert (X.dtype, Y.dtype, ell.dtype) == (np.float32, np.float32, np.float64)
    np.testing.assert_array_equal(Y, expected.astype(np.float32))
    np.testing.assert_array_equal(ell, column(condensed_h5, "cl/ell")[0])
    assert list(sim_ids) == NAMES
    assert tuple(param_names) == PARAMETER_NAMES
    for j, name in enumerate(PARAMETER_NAMES):
        np.testing.assert_array_equal(
            X[:, j], column(condensed_h5, f"params/{name}").astype(np.float32)
        )
    assert stats == BuildStats(N, N, 0, 0, 0, 0)


def test_names_are_in_lexicographic_not_numeric_order(condensed_h5: Path) -> None:
    sim_ids = build_training_arrays(condensed_h5)[3]
    assert list(sim_ids[:4]) == ["sim0", "sim1", "sim10", "sim11"]


@given(
    y=st.floats(-1e6, 1e6),
    eps=st.floats(1e-30, 1e3),
    y_transform=st.sampled_from(["ln", "log10", "none"]),
)
def test_the_transform_is_finite_and_grows_with_y(y: float, eps: float, y_transform: str) -> None:
    low, high = Target("dl_ksz", y_transform, eps).apply(np.array([y, y + 1.0]))
    assert np.isfinite(low)
    assert low <= high


@pytest.mark.parametrize(
    ("value", "options"),
    [
        (0.0, {"eps": 0.0}),
        (-1.0, {"eps": 0, "y_transform": "log10"}),
        (1e39, {"y_transform": "none"}),
    ],
)
def test_a_target_that_would_not_be_finite_is_left_out(
    condensed_h5: Path, value: float, options: dict
) -> None:
    with h5py.File(condensed_h5, "a") as h5:
        h5["sims/sim6/cl/dl_ksz"][1] = value
    _, Y, _, sim_ids, _, stats = build_training_arrays(
        condensed_h5, config=BuildXYConfig(**options)
    )
    assert np.isfinite(Y).all()
    assert stats.skipped_non_finite == 1
    assert "sim6" not in sim_ids
    assert stats.skipped[0].reason == "dl_ksz is not finite once transformed"


@pytest.mark.parametrize(
    ("path", "value", "count"),
    [
        ("sims/sim6", 3.0, "missing_params"),
        ("sims/sim6/params", 3.0, "missing_params"),
        ("sims/sim6/cl", 3.0, "missing_cl"),
        ("sims/sim6/cl/dl_ksz", np.ones(5, complex), "non_finite"),
        ("sims/sim6/cl/dl_ksz", "power", "non_finite"),
        ("sims/sim6/cl/dl_ksz", np.ones(4), "inconsistent_ell"),
        ("sims/sim6/cl/ell", np.arange(5.0), "inconsistent_ell"),
        ("sims/sim6/params/kb_zre", [1.0, 2.0], "non_finite"),
        ("sims/sim6/params/kb_zre", "large", "non_finite"),
    ],
)
def test_things_of_the_wrong_kind_are_skipped_and_counted(
    condensed_h5: Path, path: str, value: object, count: str
) -> None:
    with h5py.File(condensed_h5, "a") as h5:
        del h5[path]
        h5[path] = value
    stats = build_training_arrays(condensed_h5)[-1]
    assert (stats.processed, getattr(stats, f"skipped_{count}")) == (N - 1, 1)
    assert (stats.skipped[0].sim, stats.skipped[0].category) == ("sim6", count)


def test_parameters_can_be_chosen_and_reordered(condensed_h5: Path) -> None:
    names = ("b0_zre", "zmean_zre")
    X, *_, param_names, _ = build_training_arrays(
        condensed_h5, config=BuildXYConfig(param_names=list(names))
    )
    assert tuple(param_names) == names
    np.testing.assert_array_equal(X[:, 0], column(condensed_h5, "params/b0_zre").astype(np.float32))
    assert X.shape == (N, 2)


def test_groups_can_be_called_otherwise(condensed_h5: Path) -> None:
    expected = build_training_arrays(condensed_h5)
    with h5py.File(condensed_h5, "a") as h5:
        for sim in h5["sims"].values():
            sim.move("params", "theta")
            sim.move("cl", "spectra")
        h5.move("sims", "boxes")
    config = BuildXYConfig(sims_group="boxes", params_group="theta", cl_group="spectra")
    found = build_training_arrays(condensed_h5, config=config)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_stored_arrays_are_the_built_ones(condensed_h5: Path) -> None:
    with h5py.File(condensed_h5, "a") as h5:
        h5["sims/sim3/cl/cl_ksz"][0] = np.inf
        del h5["sims/sim4/cl"]
    config = BuildXYConfig(y_source="cl_ksz", y_transform="log10", eps=1e-20)
    X, Y, ell, sim_ids, _, _ = build_training_arrays(condensed_h5, config=config)
    assert build_and_write_training(condensed_h5, config=config) == N - 2
    with h5py.File(condensed_h5) as h5:
        group = h5["training"]
        beside = {"tau", "z", "x_hi"}
        assert set(group) == {"X", "Y", "ell", "sim_ids", "param_names", *beside}
        for name, expected in (("X", X), ("Y", Y), ("ell", ell)):
            assert group[name].dtype == expected.dtype
            np.testing.assert_array_equal(group[name][()], expected)
        assert group["sim_ids"].asstr()[()].tolist() == sim_ids.tolist()
        assert tuple(group["param_names"].asstr()[()]) == PARAMETER_NAMES
        assert dict(group.attrs) == {
            "y_source": "cl_ksz",
            "y_transform": "log10",
            "eps": 1e-20,
            "number_of_samples": N - 2,
            "number_of_parameters": 4,
            "ell_bin_count": 5,
            "build_total_sims": N,
            "build_processed": N - 2,
            "build_skipped_missing_params": 0,
            "build_skipped_missing_cl": 1,
            "build_skipped_inconsistent_ell": 0,
            "build_skipped_non_finite": 1,
            "map_area": 0.0711**2,
        }


def test_names_beyond_ascii_survive(condensed_h5: Path) -> None:
    with h5py.File(condensed_h5, "a") as h5:
        h5.move("sims/sim0", "sims/simé")
    build_and_write_training(condensed_h5)
    with h5py.File(condensed_h5) as h5:
        assert h5["training/sim_ids"].asstr()[-1] == "simé"


def test_arrays_are_replaced_only_with_leave(condensed_h5: Path) -> None:
    before = condensed_h5.read_bytes()
    config = BuildXYConfig(y_transform="none")
    with pytest.raises(FileExistsError, match=r"condensed\.h5 already holds /training"):
        build_and_write_training(condensed_h5, config=config, overwrite=False)
    assert condensed_h5.read_bytes() == before
    assert build_and_write_training(condensed_h5, config=config) == N
    with h5py.File(condensed_h5, "a") as h5:
        assert h5["training"].attrs["y_transform"] == "none"
        del h5["training"]
    assert build_and_write_training(condensed_h5, overwrite=False) == N


def test_building_without_writing_changes_nothing(condensed_h5: Path) -> None:
    before = condensed_h5.read_bytes()
    build_training_arrays(condensed_h5, config=BuildXYConfig(y_transform="none"))
    assert condensed_h5.read_bytes() == before


def test_nothing_usable_leaves_the_file_alone(condensed_h5: Path) -> None:
    before = condensed_h5.read_bytes()
    config = BuildXYConfig(param_names=("zmean_zre", "h0"))
    with pytest.raises(RuntimeError, match=f"skipped_missing_params {N}") as caught:
        build_and_write_training(condensed_h5, config=config)
    assert caught.value.stats.skipped[0].reason == "params/h0 is not there"
    assert condensed_h5.read_bytes() == before


def test_no_group_and_no_file(condensed_h5: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingGroupError, match="no group /boxes"):
        build_training_arrays(condensed_h5, config=BuildXYConfig(sims_group="boxes"))
    with pytest.raises(FileNotFoundError, match=r"absent\.h5 does not exist"):
        build_and_write_training(tmp_path / "absent.h5")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"y_source": "dcl"}, r"y_source.*'dcl'"),
        ({"y_transform": "log"}, r"y_transform.*'log'.*log10"),
        ({"eps": -1.0}, "eps.*>= 0.*-1.0"),
        ({"eps": np.nan}, "eps.*nan"),
        ({"param_names": ()}, "param_names"),
        ({"param_names": "zmean_zre"}, "param_names.*'zmean_zre'"),
    ],
)
def test_bad_options_are_refused_when_made(options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        BuildXYConfig(**options)
