"""Batches of training arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

from ..config import require_int
from .arrays import load_training_arrays
from .normalization import Normalizer, fit_standardizer, transform_standardizer
from .splits import DEFAULT_SPLIT, split_indices


@dataclass
class DataLoaderConfig:
    """How training arrays are split into batches.

    Parameters
    ----------
    batch_size : int
    seed : int
        Of the permutation by which rows are divided.
    shuffle_train : bool
        Whether training batches are drawn anew each epoch.
    normalize_X, normalize_Y : bool
        Whether inputs and targets are standardized with the mean and deviation of the training
        rows.
    """

    batch_size: int = 32
    seed: int = 42
    shuffle_train: bool = True
    normalize_X: bool = True
    normalize_Y: bool = False

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Raise ConfigError if a value is not possible."""
        require_int("DataLoaderConfig", "batch_size", self.batch_size, minimum=1)
        require_int("DataLoaderConfig", "seed", self.seed, minimum=0)


class BatchLoader(DataLoader):
    """A DataLoader over rows of two tensors that slices whole batches.

    It yields the batches that a plain DataLoader over the same dataset would, in the same order,
    and draws the same numbers from the same generators, without fetching row by row.

    Parameters
    ----------
    dataset : Subset of TensorDataset
    batch_size : int
    shuffle : bool
    """

    def __init__(self, dataset: Subset, *, batch_size: int, shuffle: bool) -> None:
        super().__init__(dataset, batch_size=batch_size, shuffle=shuffle)
        rows = torch.as_tensor(np.asarray(dataset.indices), dtype=torch.long)
        self._x, self._y = (tensor[rows] for tensor in dataset.dataset.tensors)  # type: ignore[attr-defined]
        self._shuffle = shuffle

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # A DataLoader draws a seed for its workers each time it is iterated, even with none.
        torch.empty((), dtype=torch.int64).random_(generator=self.generator)
        x, y = self._x, self._y
        if self._shuffle:
            order = torch.tensor(list(self.sampler))
            x, y = x[order], y[order]
        else:
            x, y = x.clone(), y.clone()  # a batch is the caller's, to change as they like
        assert self.batch_size is not None
        return zip(x.split(self.batch_size), y.split(self.batch_size), strict=True)


def make_dataloaders(
    h5_path: Path,
    *,
    split: Mapping[str, float] = DEFAULT_SPLIT,
    config: DataLoaderConfig = DataLoaderConfig(),  # noqa: B008 - never changed
) -> tuple[dict[str, BatchLoader], dict[str, Normalizer | None], np.ndarray]:
    """Split the training arrays of a file at random and make a loader for each part.

    Parameters
    ----------
    h5_path : Path
        File with /training.
    split : mapping of str to float
        Fractions by name, summing to 1; see `reionemu.data.splits.split_indices`.
    config : DataLoaderConfig, optional

    Returns
    -------
    loaders : dict of DataLoader
        One for each name in `split`, of batches (x, y) of float32 tensors.
    normalizers : dict
        "X" and "Y": the Normalizer that was applied, or None. Fitted on the training rows.
    ell : ndarray of float32, shape (b,)

    Raises
    ------
    ConfigError, DatasetError (ValueError), MissingGroupError (KeyError), FileNotFoundError
        If the fractions are no split, a part is empty, or the file is not usable.
    """
    config.validate()
    X, Y, ell = load_training_arrays(h5_path)
    parts = split_indices(len(X), split, config.seed)
    loaders, normalizers = loaders_for(X, Y, parts, config)
    return loaders, normalizers, ell


def loaders_for(
    X: np.ndarray, Y: np.ndarray, parts: Mapping[str, np.ndarray], config: DataLoaderConfig
) -> tuple[dict[str, BatchLoader], dict[str, Normalizer | None]]:
    """Normalize arrays by their training rows and make a loader for each part.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    Y : ndarray, shape (n, b)
    parts : mapping of str to ndarray of int
        Rows of each part; "train" is fitted to, and shuffled if `config` says so.
    config : DataLoaderConfig
    """
    train = parts["train"]
    normalizers = {
        "X": fit_standardizer(X[train]) if config.normalize_X else None,
        "Y": fit_standardizer(Y[train]) if config.normalize_Y else None,
    }
    tensors = TensorDataset(
        *(_as_tensor(array, normalizers[name]) for name, array in (("X", X), ("Y", Y)))
    )
    loaders = {
        name: BatchLoader(
            Subset(tensors, rows.tolist()),
            batch_size=config.batch_size,
            shuffle=name == "train" and config.shuffle_train,
        )
        for name, rows in parts.items()
    }
    return loaders, normalizers


def _as_tensor(array: np.ndarray, normalizer: Normalizer | None) -> torch.Tensor:
    if normalizer is not None:
        array = transform_standardizer(array, normalizer)
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
