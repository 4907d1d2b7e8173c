"""A few predictions kept in the record, by which a reader can tell that it computes the same."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ...models.emulator import Emulator
    from ..read import Artifact

N_POINTS, N_DRAWS, SEED = 5, 32, 0
MAX_SIZE = 1000
RTOL = 1e-6
"""Of networks evaluated in float64; PyTorch's float32 is given TORCH_RTOL."""
TORCH_RTOL = 1e-4
MAX_VALUES, MAX_DRAWS = 1000, 1000
"""The most that is replayed, whatever a record asks for."""


def make_self_test(artifact: Artifact) -> dict[str, Any] | None:
    """Predictions at points inside the training box, or None if the record cannot predict."""
    with contextlib.suppress(Exception), undisturbed():  # a model of the user's may raise anything
        emulator = artifact.emulator()
        return _predictions(emulator, _points(emulator))
    return None


def replay(emulator: Emulator, test: Mapping[str, Any]) -> float:
    """The largest relative difference between recorded predictions and those made now.

    Raises
    ------
    KeyError, TypeError, ValueError
        If `test` is not what `make_self_test` makes.
    """
    theta = np.asarray(test["theta"], np.float64)
    if theta.size > MAX_VALUES or test["n_draws"] > MAX_DRAWS:
        raise ValueError(f"it asks for {len(theta)} predictions of {test['n_draws']} draws each")
    now = _predictions(emulator, theta, test["n_draws"], test["seed"])
    return max(_difference(now[key], test[key]) for key in ("mean", "std"))


def tolerance(emulator: Emulator) -> float:
    """How far predictions made on another machine may be from those recorded."""
    from ...models.torch_network import TorchNetwork

    network = getattr(emulator.spectrum, "network", None)
    return TORCH_RTOL if isinstance(network, TorchNetwork) else RTOL


def _predictions(
    emulator: Emulator, theta: np.ndarray, n_draws: int = N_DRAWS, seed: int = SEED
) -> dict[str, Any]:
    got = emulator.predict(theta, n_draws=n_draws, seed=seed, out_of_range="nan")
    return {
        "theta": theta.tolist(),
        "mean": got.mean.tolist(),
        "std": None if got.std is None else got.std.tolist(),
        "n_draws": n_draws,
        "seed": seed,
    }


def _points(emulator: Emulator) -> np.ndarray:
    """Points spread over the inner 80 per cent of the box, shape (N_POINTS, p)."""
    p = len(emulator.parameter_names)
    if emulator.box is None:
        return np.zeros((N_POINTS, p))
    fraction = np.random.default_rng(SEED).uniform(0.1, 0.9, (N_POINTS, p))
    low, high = np.asarray(emulator.box.low), np.asarray(emulator.box.high)
    return low + fraction * (high - low)


def _difference(got: Any, recorded: Any) -> float:
    """Largest relative difference; infinite if one has numbers where the other has none."""
    if (got is None) != (recorded is None):
        return np.inf
    if got is None:
        return 0.0
    a, b = np.asarray(got, np.float64), np.asarray(recorded, np.float64)
    finite = np.isfinite(b)
    if a.shape != b.shape or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return np.inf
    scale = np.abs(b[finite]).max(initial=0.0) or 1.0
    difference = np.abs(a[finite] - b[finite]).max(initial=0.0) / scale
    return float(difference) if np.isfinite(difference) else np.inf


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Predict without touching PyTorch's random numbers, and without repeating warnings."""
    torch = sys.modules.get("torch")
    fork = torch.random.fork_rng(devices=[]) if torch is not None else contextlib.nullcontext()
    with warnings.catch_warnings(), fork:
        warnings.simplefilter("ignore")
        yield
