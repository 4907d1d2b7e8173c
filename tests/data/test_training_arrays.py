"""Reading /training, and what of it is refused."""

from __future__ import annotations

import hashlib

import h5py
import numpy as np
import pytest

from reionemu import load_training_arrays
from reionemu.data import load_training_set
from reionemu.errors import DatasetError, MissingFileError, MissingGroupError, UnreadableFileError


def test_arrays_come_back_as_float32(training_h5, arrays):
    X, Y, ell = load_training_arrays(training_h5)
    assert X.dtype == Y.dtype == ell.dtype == np.float32
    np.testing.assert_array_equal(X, arrays["X"])
    np.testing.assert_array_equal(Y, arrays["Y"])
    np.testing.assert_array_equal(ell, arrays["ell"].astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, ">f8"])
def test_any_kind_of_number_will_do(write_training, arrays, dtype):
    stored = {name: array.astype(dtype) for name, array in arrays.items()}
    X, _, ell = load_training_arrays(write_training(stored))
    np.testing.assert_array_equal(X, stored["X"].astype(np.float32))
    assert X.dtype == ell.dtype == np.float32


def test_a_path_may_be_a_string(training_h5, arrays):
    assert load_training_arrays(str(training_h5))[0].shape == arrays["X"].shape


def test_the_description_is_read_where_there_is_one(write_training, arrays):
    arrays["sim_ids"] = np.array([f"sim{i}" for i in range(53)], dtype=object)
    arrays["param_names"] = np.array([b"a", b"b", b"c", b"d"])
    attrs = {"y_source": "dl_ksz", "y_transform": "log10", "eps": 1e-30}
    data = load_training_set(write_training(arrays, attrs))
    assert data.param_names == ("a", "b", "c", "d")
    assert data.sim_ids[:2] == ("sim0", "sim1")
    assert (data.y_source, data.y_transform, data.eps) == ("dl_ksz", "log10", 1e-30)
    assert data.ell.dtype == np.float64


def test_what_the_file_does_not_say_is_none(training_h5):
    data = load_training_set(training_h5)
    assert (data.y_source, data.y_transform, data.eps) == (None, None, None)
    assert data.param_names == data.sim_ids == ()


def test_the_content_hash_is_of_shapes_and_little_endian_values(write_training, arrays):
    digest = hashlib.sha256()
    for name, dtype in (("X", "<f4"), ("Y", "<f4"), ("ell", "<f8")):
        digest.update(str(arrays[name].shape).encode() + arrays[name].astype(dtype).tobytes())
    assert load_training_set(write_training(arrays)).content_sha256() == digest.hexdigest()
    big_endian = {name: array.astype(">f8") for name, array in arrays.items()}
    assert load_training_set(write_training(big_endian)).content_sha256() == digest.hexdigest()
    arrays["Y"][3, 2] += 1e-3
    assert load_training_set(write_training(arrays)).content_sha256() != digest.hexdigest()


def test_a_missing_file_is_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.h5") as caught:
        load_training_arrays(tmp_path / "none.h5")
    assert isinstance(caught.value, MissingFileError)


def test_a_file_of_another_format_is_named(tmp_path):
    path = tmp_path / "text.h5"
    path.write_text("not HDF5")
    with pytest.raises(UnreadableFileError, match=r"text\.h5"):
        load_training_arrays(path)


def test_a_file_without_the_group_is_a_key_error(write_training, arrays):
    path = write_training(arrays, group="elsewhere")
    with pytest.raises(KeyError, match="training"):
        load_training_arrays(path)


@pytest.mark.parametrize("name", ["X", "Y", "ell"])
def test_a_missing_array_is_named(write_training, arrays, name):
    del arrays[name]
    with pytest.raises(MissingGroupError, match=rf"condensed\.h5.*no array /training/{name}"):
        load_training_arrays(write_training(arrays))


def test_a_group_in_the_place_of_an_array_is_refused(write_training, arrays):
    path = write_training(arrays)
    with h5py.File(path, "a") as h5:
        del h5["training/Y"]
        h5.create_group("training/Y")
    with pytest.raises(MissingGroupError, match="/training/Y"):
        load_training_arrays(path)


@pytest.mark.parametrize(
    ("changes", "shapes"),
    [
        ({"X": np.ones(53)}, r"X \(53,\)"),
        ({"Y": np.ones((52, 5))}, r"Y \(52, 5\)"),
        ({"Y": np.ones((53, 4))}, r"Y \(53, 4\)"),
        ({"ell": np.ones((5, 1))}, r"ell \(5, 1\)"),
        ({"ell": np.float64(3.0)}, r"ell \(\)"),
    ],
)
def test_shapes_that_do_not_fit_are_shown(write_training, arrays, changes, shapes):
    with pytest.raises(DatasetError, match=shapes):
        load_training_arrays(write_training({**arrays, **changes}))


def test_no_rows_is_an_error(write_training, arrays):
    empty = {**arrays, "X": np.ones((0, 4)), "Y": np.ones((0, 5))}
    with pytest.raises(DatasetError, match="no rows"):
        load_training_arrays(write_training(empty))


@pytest.mark.parametrize("name", ["X", "Y", "ell"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_located(write_training, arrays, name, value):
    arrays[name][3] = value
    with pytest.raises(DatasetError, match=f"/training/{name} is not finite in row 3"):
        load_training_arrays(write_training(arrays))


def test_a_value_too_large_for_float32_is_located(write_training, arrays):
    arrays["Y"] = arrays["Y"].astype(np.float64)
    arrays["Y"][7, 1] = 1e300
    with pytest.raises(DatasetError, match="/training/Y is not finite in row 7"):
        load_training_arrays(write_training(arrays))


@pytest.mark.parametrize(
    "column",
    [np.array([[b"a"] * 4] * 53), np.ones((53, 4), dtype=complex), np.ones((53, 4), dtype=bool)],
    ids=["text", "complex", "bool"],
)
def test_what_is_not_numbers_is_refused(write_training, arrays, column):
    with pytest.raises(DatasetError, match=r"/training/X holds .*, not numbers"):
        load_training_arrays(write_training({**arrays, "X": column}))


def test_objects_are_refused(write_training, arrays):
    arrays["X"] = np.array([["1.0"] * 4] * 53, dtype=object)
    with pytest.raises(DatasetError, match="/training/X holds object"):
        load_training_arrays(write_training(arrays))
