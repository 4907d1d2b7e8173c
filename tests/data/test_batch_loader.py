"""Batches sliced whole: the same ones, drawn with the same random numbers, as PyTorch's loader."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Subset, TensorDataset

from reionemu import DataLoaderConfig, make_dataloaders
from reionemu.data.dataloaders import BatchLoader, loaders_for


def subset(n: int, extra: int = 3) -> Subset:
    """n rows, in an order of their own, of a data set of n + extra."""
    generator = torch.Generator().manual_seed(n)
    total = n + extra
    tensors = torch.randn(total, 4, generator=generator), torch.randn(total, 2, generator=generator)
    rows = torch.randperm(total, generator=generator)[:n].tolist()
    return Subset(TensorDataset(*tensors), rows)


def same_batches(one, other, *, seed: int, epochs: int) -> bool:
    """Whether two loaders, each from the same seed, yield the same batches and random state."""
    runs = []
    for loader in (one, other):
        torch.manual_seed(seed)
        seen = []
        for _ in range(epochs):
            for x, y in loader:
                seen += [x, y, torch.rand(1), torch.get_rng_state()]
            seen.append(torch.get_rng_state())
        runs.append(seen)
    return len(runs[0]) == len(runs[1]) and all(map(torch.equal, *runs))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 45), st.booleans(), st.integers(0, 2**31))
def test_batches_and_random_state_are_those_of_a_plain_loader(n, batch_size, shuffle, seed):
    data = subset(n)
    ours = BatchLoader(data, batch_size=batch_size, shuffle=shuffle)
    plain = DataLoader(data, batch_size=batch_size, shuffle=shuffle)
    assert same_batches(ours, plain, seed=seed, epochs=3)
    assert len(ours) == len(plain)


def test_the_comparison_would_notice_another_order():
    data = subset(20)
    ours = BatchLoader(data, batch_size=5, shuffle=True)
    plain = DataLoader(data, batch_size=5, shuffle=False)
    assert not same_batches(ours, plain, seed=0, epochs=1)


def test_it_is_a_dataloader_in_every_attribute_that_users_read():
    data = subset(10)
    loader = BatchLoader(data, batch_size=4, shuffle=True)
    assert isinstance(loader, DataLoader)
    assert loader.dataset is data
    assert loader.batch_size == 4
    assert loader.num_workers == 0
    assert not loader.drop_last
    assert len(loader) == 3
    assert len(loader.dataset) == 10
    assert isinstance(loader.sampler, torch.utils.data.RandomSampler)


def test_epochs_differ_when_shuffled_and_agree_when_not():
    for shuffle in (True, False):
        loader = BatchLoader(subset(30), batch_size=30, shuffle=shuffle)
        (first, _), (second, _) = next(iter(loader)), next(iter(loader))
        assert torch.equal(first, second) is not shuffle
        assert torch.equal(first.sort(dim=0).values, second.sort(dim=0).values)


@pytest.mark.parametrize("shuffle", [True, False])
def test_changing_a_batch_does_not_change_the_data(shuffle):
    loader = BatchLoader(subset(10), batch_size=4, shuffle=shuffle)
    before = torch.cat([x for x, _ in loader]).sort(dim=0).values
    for x, y in loader:
        x.zero_()
        y.zero_()
    after = torch.cat([x for x, _ in loader]).sort(dim=0).values
    assert torch.equal(before, after)


def test_an_iteration_broken_off_leaves_no_trace():
    loader = BatchLoader(subset(10), batch_size=3, shuffle=False)
    whole = [x for x, _ in loader]
    next(iter(loader))
    assert all(map(torch.equal, whole, [x for x, _ in loader]))


def test_only_training_batches_are_shuffled_and_only_if_asked(training_h5):
    for shuffle in (True, False):
        config = DataLoaderConfig(shuffle_train=shuffle, batch_size=100)
        loaders, _, _ = make_dataloaders(training_h5, config=config)
        moved = {
            name: not torch.equal(next(iter(loader))[0], next(iter(loader))[0])
            for name, loader in loaders.items()
        }
        assert moved == {"train": shuffle, "val": False}


def test_loaders_hold_the_rows_of_their_part(training_h5, arrays):
    split = {"train": 0.6, "val": 0.3, "test": 0.1}
    config = DataLoaderConfig(seed=3, normalize_X=False, batch_size=8)
    loaders, norms, ell = make_dataloaders(training_h5, split=split, config=config)
    order = np.random.default_rng(3).permutation(53)
    assert list(loaders) == list(split)
    assert norms == {"X": None, "Y": None}
    assert [len(loader.dataset) for loader in loaders.values()] == [32, 16, 5]
    assert [len(loader) for loader in loaders.values()] == [4, 2, 1]
    assert loaders["test"].dataset.indices == order[48:].tolist()
    rows = torch.cat([x for x, _ in loaders["test"]]).numpy()
    np.testing.assert_array_equal(rows, arrays["X"][order[48:]])
    assert ell.dtype == np.float32
    np.testing.assert_allclose(ell, arrays["ell"])


def test_no_configuration_means_the_default_one(training_h5):
    default, _, _ = make_dataloaders(training_h5)
    explicit, _, _ = make_dataloaders(
        training_h5, split={"train": 0.8, "val": 0.2}, config=DataLoaderConfig()
    )
    assert default["train"].dataset.indices == explicit["train"].dataset.indices
    assert same_batches(default["train"], explicit["train"], seed=1, epochs=1)


def test_arrays_can_be_divided_without_a_file(arrays):
    parts = {"train": np.array([4, 2, 0]), "val": np.array([1])}
    config = DataLoaderConfig(shuffle_train=False, batch_size=2, normalize_X=False)
    loaders, _ = loaders_for(arrays["X"], arrays["Y"], parts, config)
    batches = [x.numpy() for x, _ in loaders["train"]]
    np.testing.assert_array_equal(batches[0], arrays["X"][[4, 2]])
    np.testing.assert_array_equal(batches[1], arrays["X"][[0]])
    np.testing.assert_array_equal(next(iter(loaders["val"]))[1].numpy(), arrays["Y"][[1]])
