"""Which rows belong to training, validation and test; and to each fold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reionemu.data.splits import DEFAULT_SPLIT, fold_indices, split_indices
from reionemu.errors import ConfigError, DatasetError

fractions = st.lists(st.integers(1, 20), min_size=1, max_size=5).map(
    lambda weights: [w / sum(weights) for w in weights]
)


def named(parts: list[float]) -> dict[str, float]:
    """Fractions under names, "train" among them."""
    names = ["val", "train", "test", "extra", "more"] if len(parts) > 1 else ["train"]
    return dict(zip(names, parts, strict=False))


def expected_sizes(n: int, split: dict[str, float]) -> list[int]:
    """Rounded shares as long as there are rows, the rest for the last part."""
    sizes, left = [], n
    for fraction in list(split.values())[:-1]:
        sizes.append(min(round(fraction * n), left))
        left -= sizes[-1]
    return [*sizes, left]


def test_the_default_is_four_fifths():
    assert dict(DEFAULT_SPLIT) == {"train": 0.8, "val": 0.2}


@pytest.mark.parametrize("seed", [0, 42, 2**40])
def test_parts_are_slices_of_one_seeded_permutation(seed):
    order = np.random.default_rng(seed).permutation(101)
    parts = split_indices(101, {"val": 0.2, "train": 0.7, "test": 0.1}, seed)
    assert list(parts) == ["val", "train", "test"]
    np.testing.assert_array_equal(parts["val"], order[:20])
    np.testing.assert_array_equal(parts["train"], order[20:91])
    np.testing.assert_array_equal(parts["test"], order[91:])


@pytest.mark.parametrize(
    ("n", "split", "sizes"),
    [
        (10, {"train": 0.8, "val": 0.2}, [8, 2]),
        (11, {"train": 0.8, "val": 0.2}, [9, 2]),
        (5, {"train": 0.5, "val": 0.5}, [2, 3]),  # 2.5 rounds to the even number
        (7, {"train": 0.5, "val": 0.5}, [4, 3]),  # and so does 3.5
        (10, {"train": 1 / 3, "val": 1 / 3, "test": 1 / 3}, [3, 3, 4]),
        (7, {"train": 1.0}, [7]),
    ],
)
def test_sizes_are_rounded_and_the_last_part_takes_the_rest(n, split, sizes):
    assert [len(part) for part in split_indices(n, split, 1).values()] == sizes


@given(st.integers(1, 300), fractions, st.integers(0, 2**32))
def test_parts_are_a_partition_of_the_rows(n, parts, seed):
    split = named(parts)
    sizes = expected_sizes(n, split)
    if 0 in sizes:
        with pytest.raises(DatasetError, match="no sample"):
            split_indices(n, split, seed)
        return
    indices = split_indices(n, split, seed)
    assert [len(part) for part in indices.values()] == sizes
    assert sorted(np.concatenate(list(indices.values())).tolist()) == list(range(n))


@pytest.mark.parametrize(
    ("n", "split", "empty"),
    [
        (3, {"train": 0.9, "val": 0.1}, "val"),
        (3, {"train": 0.1, "val": 0.9}, "train"),
        (10, {"train": 1.0, "val": 0.0}, "val"),
        (10, {"val": 0.0, "train": 1.0}, "val"),
        (0, {"train": 1.0}, "train"),
        (3, {"train": 0.5, "val": 0.5, "test": 0.0}, "test"),
    ],
)
def test_a_part_without_rows_is_an_error_that_names_it(n, split, empty):
    with pytest.raises(DatasetError, match=f"gives '{empty}' no sample"):
        split_indices(n, split, 1)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"val": 1.0}, "must contain 'train'"),
        ({}, "must contain 'train'; it has nothing"),
        ({"train": 0.8, "val": 0.3}, "must sum to 1; got 1.1"),
        ({"train": 0.5}, "must sum to 1; got 0.5"),
        ({"train": 1.5, "val": -0.5}, "split.val must be >= 0"),
        ({"train": float("nan"), "val": 0.5}, "split.train"),
        ({"train": "most", "val": 0.5}, "split.train must be a number"),
    ],
)
def test_what_is_no_split_is_refused(split, message):
    with pytest.raises(ConfigError, match=message):
        split_indices(10, split, 1)


def test_a_split_error_is_a_value_error_whichever_it_is():
    for n, split in ((1, {"train": 0.5, "val": 0.5}), (10, {"train": 0.5})):
        with pytest.raises(ValueError):
            split_indices(n, split, 1)


@given(st.integers(2, 8), st.integers(0, 60), st.integers(0, 2**32))
def test_folds_are_the_parts_of_one_permutation(k, more, seed):
    n = k + more
    expected = np.array_split(np.random.default_rng(seed).permutation(n), k)
    folds = fold_indices(n, k, seed)
    assert len(folds) == k
    for (train, validation), part in zip(folds, expected, strict=True):
        np.testing.assert_array_equal(validation, part)
        assert sorted([*train, *validation]) == list(range(n))


def test_training_rows_of_a_fold_keep_the_order_of_the_permutation():
    order = np.random.default_rng(3).permutation(9)
    (_, _), (train, validation), (_, _) = fold_indices(9, 3, 3)
    np.testing.assert_array_equal(validation, order[3:6])
    np.testing.assert_array_equal(train, [*order[:3], *order[6:]])


def test_more_folds_than_rows_is_an_error():
    with pytest.raises(ConfigError, match="5 folds need at least 5 samples; there are 4"):
        fold_indices(4, 5, 0)
