"""Standardizing columns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reionemu import DataLoaderConfig, Normalizer, make_dataloaders
from reionemu.data.normalization import (
    fit_standardizer,
    inverse_transform_standardizer,
    transform_standardizer,
)

tables = hnp.arrays(
    np.float64, st.tuples(st.integers(2, 8), st.integers(1, 4)), elements=st.floats(-1e3, 1e3)
)


def test_the_deviation_is_that_of_the_population():
    norm = fit_standardizer(np.array([[1.0, 5.0], [3.0, 5.0], [8.0, 5.0]]))
    assert isinstance(norm, Normalizer)
    np.testing.assert_allclose(norm.mean, [4.0, 5.0])
    np.testing.assert_allclose(norm.std, [math.sqrt((9 + 1 + 16) / 3), 1.0])


def test_a_constant_column_is_shifted_and_not_scaled():
    X = np.array([[2.0], [2.0]], dtype=np.float32)
    norm = fit_standardizer(X)
    assert norm.std.tolist() == [1.0]
    assert transform_standardizer(X, norm).tolist() == [[0.0], [0.0]]


@given(tables)
def test_transforming_gives_unit_columns_and_back(X):
    norm = fit_standardizer(X)
    Z = transform_standardizer(X, norm)
    np.testing.assert_allclose(inverse_transform_standardizer(Z, norm), X, atol=1e-9)
    wide = X.std(axis=0) > 1e-3
    np.testing.assert_allclose(Z.mean(axis=0)[wide], 0, atol=1e-8)
    np.testing.assert_allclose(Z.std(axis=0)[wide], 1, atol=1e-8)


def test_float32_stays_float32(arrays):
    norm = fit_standardizer(arrays["X"])
    assert norm.mean.dtype == norm.std.dtype == np.float32
    assert transform_standardizer(arrays["X"], norm).dtype == np.float32
    assert inverse_transform_standardizer(arrays["X"], norm).dtype == np.float32


@pytest.mark.parametrize(("on_x", "on_y"), [(True, True), (True, False), (False, True)])
def test_loaders_are_standardized_by_the_training_rows_alone(training_h5, arrays, on_x, on_y):
    config = DataLoaderConfig(seed=7, shuffle_train=False, normalize_X=on_x, normalize_Y=on_y)
    loaders, norms, _ = make_dataloaders(training_h5, config=config)
    order = np.random.default_rng(7).permutation(len(arrays["X"]))
    train, val = order[:42], order[42:]
    for axis, on, position in (("X", on_x, 0), ("Y", on_y, 1)):
        got = {
            name: np.concatenate([batch[position].numpy() for batch in loader])
            for name, loader in loaders.items()
        }
        raw = arrays[axis]
        assert got["train"].dtype == np.float32
        if not on:
            assert norms[axis] is None
            np.testing.assert_array_equal(got["val"], raw[val])
            continue
        mean = raw[train].astype(np.float64).mean(axis=0)
        std = raw[train].astype(np.float64).std(axis=0)
        np.testing.assert_allclose(norms[axis].mean, mean, rtol=1e-5)
        np.testing.assert_allclose(norms[axis].std, std, rtol=1e-5)
        assert norms[axis].mean.dtype == np.float32
        np.testing.assert_allclose(got["train"], (raw[train] - mean) / std, atol=1e-5)
        np.testing.assert_allclose(got["val"], (raw[val] - mean) / std, atol=1e-5)
