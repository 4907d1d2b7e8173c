"""What stands in /training beside X, Y and ell, and what of it is refused."""

from __future__ import annotations

import hashlib

import h5py
import numpy as np
import pytest

from reionemu.data import load_training_set
from reionemu.errors import DatasetError

N = 53


@pytest.fixture
def beside():
    """Arrays as the training-set stage writes them."""
    rng = np.random.default_rng(2)
    factor = rng.normal(size=(5, 5))
    return {
        "tau": rng.uniform(0.05, 0.07, N),
        "z": np.array([5.0, 7.5, 20.0]),
        "x_hi": rng.uniform(0, 1, (N, 3)),
        "realizations_averaged": np.arange(1, N + 1),
        "dl_covariance": factor @ factor.T,
        "design_low": np.zeros(4),
        "design_high": np.array([10.0, 1.0, 2.0, 1.0]),
    }


@pytest.fixture
def write(write_training, arrays, beside):
    """`write(attrs=..., dof=7, **arrays to change)`: a file with all of it; None leaves one out."""

    def write(attrs=None, dof=7, **changes):
        given = {**arrays, **beside, **changes}
        there = {name: array for name, array in given.items() if array is not None}
        attrs = {"realizations": "shared", "map_area": 0.005, **(attrs or {})}
        path = write_training(there, attrs)
        if dof is not None and "dl_covariance" in there:
            with h5py.File(path, "a") as h5:
                h5["training/dl_covariance"].attrs["degrees_of_freedom"] = dof
        return path

    return write


def test_all_of_it_is_read(write, beside):
    data = load_training_set(write())
    np.testing.assert_array_equal(data.ln_covariance, beside["dl_covariance"])
    np.testing.assert_array_equal(data.n_realizations, beside["realizations_averaged"])
    for name in ("tau", "z", "x_hi", "design_low", "design_high"):
        np.testing.assert_array_equal(getattr(data, name), beside[name])
        assert getattr(data, name).dtype == np.float64
    assert data.n_realizations.dtype == np.int64
    assert (data.realizations, data.map_area, data.ln_covariance_dof) == ("shared", 0.005, 7)


def test_what_the_file_does_not_have_is_none(training_h5):
    data = load_training_set(training_h5)
    assert data.tau is data.z is data.x_hi is data.realizations is data.n_realizations is None
    assert data.ln_covariance is data.design_low is data.design_high is data.map_area is None
    assert data.ln_covariance_dof == 0
    assert data.history_sha256() is None


def test_one_without_the_other_is_read(write, beside):
    data = load_training_set(write(z=None, x_hi=None))
    assert data.x_hi is None
    np.testing.assert_array_equal(data.tau, beside["tau"])
    data = load_training_set(write(tau=None))
    assert data.tau is None
    np.testing.assert_array_equal(data.x_hi, beside["x_hi"])


def test_the_history_hash_is_of_names_shapes_and_values(write, beside):
    digest = hashlib.sha256()
    for name in ("tau", "z", "x_hi"):
        digest.update((name + str(beside[name].shape)).encode())
        digest.update(beside[name].astype("<f8").tobytes())
    whole = load_training_set(write())
    assert whole.history_sha256() == digest.hexdigest()
    assert load_training_set(write(tau=beside["tau"].astype(">f8"))).history_sha256() == (
        digest.hexdigest()
    )
    others = [load_training_set(write(tau=None)), load_training_set(write(z=None, x_hi=None))]
    assert len({whole.history_sha256(), *(data.history_sha256() for data in others)}) == 3
    assert {data.content_sha256() for data in others} == {whole.content_sha256()}


def set_at(array, index, value):
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("tau", lambda a: a[1:], r"has shape \(52,\); expected \(53,\)"),
        ("tau", lambda a: set_at(a, 4, np.nan), "is nan in row 4"),
        ("tau", lambda a: set_at(a, 4, 0), "is 0 in row 4"),
        ("tau", lambda a: a.astype(bytes), "not numbers"),
        ("tau", lambda a: h5py.Empty("f8"), "not numbers"),
        ("z", lambda a: a[::-1], "redshifts that ascend"),
        ("z", lambda a: set_at(a, 1, 5), "redshifts that ascend"),
        ("z", lambda a: set_at(a, 2, np.inf), "is inf in row 2"),
        ("z", lambda a: np.float64(5), r"has shape \(\)"),
        ("z", lambda a: None, "is not there, but /training/x_hi is"),
        ("x_hi", lambda a: None, "is not there, but /training/z is"),
        ("x_hi", lambda a: a[:, 1:], r"has shape \(53, 2\); expected \(53, 3\)"),
        ("x_hi", lambda a: set_at(a, (8, 1), 1.01), "is 1.01 in row 8"),
        ("x_hi", lambda a: set_at(a, (8, 1), -0.01), "is -0.01 in row 8"),
        ("realizations_averaged", lambda a: set_at(a, 3, 0), "is 0 in row 3"),
        ("realizations_averaged", lambda a: a + 0.5, "whole numbers"),
        ("realizations_averaged", lambda a: a[:-1], r"has shape \(52,\)"),
        ("dl_covariance", lambda a: a[:4, :4], r"has shape \(4, 4\); expected \(5, 5\)"),
        ("dl_covariance", lambda a: set_at(a, (1, 2), 9), "is not symmetric"),
        ("dl_covariance", lambda a: a - 3 * np.eye(5), "negative eigenvalue"),
        ("dl_covariance", lambda a: set_at(a, (2, 2), np.nan), "is nan in row 2"),
        ("design_low", lambda a: None, "is not there, but /training/design_high is"),
        ("design_low", lambda a: a + 1, "must be below design_high"),
        ("design_high", lambda a: a[:3], r"has shape \(3,\); expected \(4,\)"),
    ],
)
def test_what_cannot_be_is_refused_by_name(write, beside, name, change, words):
    path = write(**{name: change(beside[name])})
    with pytest.raises(DatasetError, match=rf"condensed\.h5: /training/{name} .*{words}"):
        load_training_set(path)


def test_a_group_in_the_place_of_an_array_is_refused(write):
    path = write(tau=None)
    with h5py.File(path, "a") as h5:
        h5.create_group("training/tau")
    with pytest.raises(DatasetError, match="/training/tau is not an array"):
        load_training_set(path)


@pytest.mark.parametrize("dof", [None, 0, 2.5, "many", [1, 2]])
def test_a_covariance_needs_its_degrees_of_freedom(write, dof):
    with pytest.raises(DatasetError, match="dl_covariance needs the attribute degrees_of_freedom"):
        load_training_set(write(dof=dof))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("realizations", "mine"),
        ("realizations", 3),
        ("realizations", ["own"]),
        ("map_area", 0.0),
        ("map_area", np.nan),
        ("map_area", "large"),
        ("map_area", [1.0]),
    ],
)
def test_attributes_that_cannot_be_are_refused(write, name, value):
    with pytest.raises(DatasetError, match=rf"condensed\.h5: /training .*{name}"):
        load_training_set(write(attrs={name: value}))
