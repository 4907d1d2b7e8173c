"""Optical depths and neutral histories beside the training arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from reionemu import BuildXYConfig, build_and_write_training, build_training_arrays
from reionemu.parameters import PARAMETER_NAMES
from reionemu.simio.build_xy import write_training_set

N = 24
NAMES = sorted(f"sim{i}" for i in range(N))
HISTORY = ("z", "x_hi")


def outputs(path: Path, key: str) -> np.ndarray:
    with h5py.File(path) as h5:
        return np.array([h5[f"sims/{name}/output/{key}"][()] for name in NAMES])


def replace_output(path: Path, sim: str, key: str, value: Any) -> None:
    """Another value, or none, in the place of one that is there."""
    with h5py.File(path, "a") as h5:
        del h5[f"sims/{sim}/output/{key}"]
        if value is not None:
            h5[f"sims/{sim}/output/{key}"] = value


def training(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as h5:
        return {name: dataset[()] for name, dataset in h5["training"].items()}


def build(path: Path, **options: Any) -> tuple[str, ...]:
    """Write the arrays, and tell what is missing."""
    return write_training_set(path, BuildXYConfig(**options), overwrite=True).missing


def test_rows_are_those_of_the_simulations(condensed_h5: Path) -> None:
    assert build(condensed_h5) == ()
    found = training(condensed_h5)
    np.testing.assert_array_equal(found["tau"], outputs(condensed_h5, "tau"))
    np.testing.assert_array_equal(found["z"], outputs(condensed_h5, "zval_list")[0])
    np.testing.assert_array_equal(found["x_hi"], outputs(condensed_h5, "xmval_list"))
    assert {found[name].dtype for name in ("tau", *HISTORY)} == {np.dtype(np.float64)}


def test_only_simulations_in_the_rows_count(condensed_h5: Path) -> None:
    with h5py.File(condensed_h5, "a") as h5:
        del h5["sims/sim4/cl"], h5["sims/sim4/output/tau"]
    assert build(condensed_h5) == ()
    expected = np.delete(outputs(condensed_h5, "zval_list"), 0, axis=0)
    assert training(condensed_h5)["x_hi"].shape == expected.shape


def test_means_over_realizations(condensed_h5: Path) -> None:
    with h5py.File(condensed_h5, "a") as h5:
        for name in PARAMETER_NAMES:
            for other in ("sim3", "sim7"):
                h5[f"sims/{other}/params/{name}"][()] = h5[f"sims/sim1/params/{name}"][()]
    assert build(condensed_h5, realizations="mean") == ()
    found = training(condensed_h5)
    row = found["sim_ids"].tolist().index(b"sim1")
    members = [NAMES.index(name) for name in ("sim1", "sim3", "sim7")]
    tau, x_hi = (outputs(condensed_h5, key)[members] for key in ("tau", "xmval_list"))
    assert found["tau"].shape == (N - 2,)
    assert found["tau"][row] == pytest.approx(tau.sum() / 3, rel=1e-14)
    np.testing.assert_allclose(found["x_hi"][row], x_hi.sum(axis=0) / 3, rtol=1e-14)


def test_descending_redshifts_are_sorted_with_their_fractions(condensed_h5: Path) -> None:
    expected = training(condensed_h5)
    for sim in ("sim0", "sim5"):
        for key in ("zval_list", "xmval_list"):
            value = outputs(condensed_h5, key)[NAMES.index(sim)]
            replace_output(condensed_h5, sim, key, value[::-1])
    assert build(condensed_h5) == ()
    for name in HISTORY:
        np.testing.assert_array_equal(training(condensed_h5)[name], expected[name])


def test_rounding_is_forgiven(condensed_h5: Path) -> None:
    z, x = (outputs(condensed_h5, key)[0] for key in ("zval_list", "xmval_list"))
    replace_output(condensed_h5, "sim8", "zval_list", z + 9e-7)
    x[0], x[-1] = -9e-7, 1 + 9e-7
    replace_output(condensed_h5, "sim8", "xmval_list", x)
    assert build(condensed_h5) == ()
    found = training(condensed_h5)
    assert found["x_hi"][NAMES.index("sim8"), [0, -1]].tolist() == [0.0, 1.0]
    np.testing.assert_array_equal(found["z"], z)


Z = np.concatenate([np.arange(5.0, 15.25, 0.5), np.arange(16.0, 20.5, 1.0)])
HALF = np.full(26, 0.5)


def changed(array: np.ndarray, index: int, value: float) -> np.ndarray:
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("key", "value", "absent", "words"),
    [
        ("tau", None, ("tau",), "sim7 has no finite, positive output/tau"),
        ("tau", np.nan, ("tau",), "sim7 has no finite, positive output/tau"),
        ("tau", -0.05, ("tau",), "sim7 has no finite, positive output/tau"),
        ("tau", [0.05, 0.06], ("tau",), "sims/sim7/output/tau should be one number"),
        ("tau", "small", ("tau",), "sims/sim7/output/tau should be one number"),
        ("xmval_list", None, HISTORY, "sim7 has no list of finite numbers output/xmval_list"),
        ("xmval_list", 0.5, HISTORY, "sim7 has no list of finite numbers"),
        ("xmval_list", "half", HISTORY, "sim7 has no list of finite numbers"),
        ("xmval_list", h5py.Empty("f8"), HISTORY, "sim7 has no list of finite numbers"),
        ("xmval_list", np.zeros(0), HISTORY, "sim7 has no list of finite numbers"),
        ("xmval_list", np.full((26, 1), 0.5), HISTORY, "sim7 has no list of finite numbers"),
        ("xmval_list", changed(HALF, 3, np.nan), HISTORY, "sim7 has no list of finite numbers"),
        ("xmval_list", HALF[1:], HISTORY, "sim7 has 26 redshifts and 25 neutral fractions"),
        ("xmval_list", changed(HALF, 3, 1.1), HISTORY, "sim7 has neutral fractions from 0.5 to 1."),
        ("xmval_list", changed(HALF, 3, -0.1), HISTORY, "sim7 has neutral fractions from -0.1"),
        ("zval_list", changed(Z, 2, 6.01), HISTORY, "sim7 has its history at other redshifts"),
        ("zval_list", changed(Z, 2, 5.5), HISTORY, "sim7 has a redshift twice"),
    ],
)
def test_what_one_simulation_lacks_is_left_out_and_nothing_else(
    condensed_h5: Path, key: str, value: Any, absent: tuple[str, ...], words: str
) -> None:
    before = training(condensed_h5)
    replace_output(condensed_h5, "sim7", key, value)
    (line,) = build(condensed_h5)
    assert words in line
    assert line.startswith("tau " if absent == ("tau",) else "the neutral history ")
    after = training(condensed_h5)
    assert before.keys() - after.keys() == set(absent)
    for name, array in after.items():
        np.testing.assert_array_equal(array, before[name])


def test_without_any_output_the_arrays_are_the_same(condensed_h5: Path) -> None:
    before = build_training_arrays(condensed_h5)
    with h5py.File(condensed_h5, "a") as h5:
        del h5["sims/sim2/output"]
    assert [line[:8] for line in build(condensed_h5)] == ["tau is l", "the neut"]
    after = build_training_arrays(condensed_h5)
    assert len(after) == 6
    assert build_and_write_training(condensed_h5) == N
    for one, other in zip(before[:5], after[:5], strict=True):
        np.testing.assert_array_equal(one, other)
    with h5py.File(condensed_h5) as h5:
        assert "map_area" not in h5["training"].attrs
