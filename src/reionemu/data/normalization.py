"""Standardizing columns: zero mean, unit standard deviation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Normalizer:
    """Mean and (population) standard deviation of each column.

    Parameters
    ----------
    mean, std : ndarray, shape (p,)
    """

    mean: np.ndarray
    std: np.ndarray


def fit_standardizer(X: np.ndarray) -> Normalizer:
    """Mean and standard deviation of the columns of X, shape (n, p); a zero deviation becomes 1."""
    X = np.asarray(X)
    std = X.std(axis=0)
    return Normalizer(mean=X.mean(axis=0), std=np.where(std == 0, np.ones_like(std), std))


def transform_standardizer(X: np.ndarray, norm: Normalizer) -> np.ndarray:
    """(X - mean) / std, for X of shape (..., p)."""
    return (X - norm.mean) / norm.std


def inverse_transform_standardizer(X: np.ndarray, norm: Normalizer) -> np.ndarray:
    """X std + mean, for X of shape (..., p)."""
    return X * norm.std + norm.mean
