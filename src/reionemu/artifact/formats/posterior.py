"""Samples of a posterior, and the band powers that it is of: posterior.safetensors, data.json.

Here they are arrays by name and a document about them; what they mean is known to `inference`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import RecordError, UnrecordableError
from .arrays import safetensors_arrays
from .jsonio import decode
from .migrations import known_version, migrate
from .sidecars import save_arrays, weights_document

MAX_PARAMETERS = 100
BANDS = ("x", "median", "low68", "high68", "low95", "high95")
_KINDS: dict[str, type] = {
    "sampler": str,
    "is_converged": bool,
    "criterion": str,
    "diagnostics": dict,
    "priors": dict,
    "facts": dict,
}
_OPTIONAL = ("history", "predictive")


@dataclass(frozen=True, eq=False)
class StoredPosterior:
    """A posterior as it is on disk.

    Attributes
    ----------
    options : dict
        See `documents.StoredPosterior`.
    arrays : dict of ndarray
        `samples` (c, n, d), `log_prob` (c, n), `weights` (c, n) if any, `low` and `high` (d,),
        `derived.<name>` (c, n), and bands of spectra and of the history.
    """

    options: dict[str, Any]
    arrays: dict[str, np.ndarray]


def save_posterior(folder: Path, posterior: StoredPosterior, filename: str) -> Path:
    """Write samples, after checking that they are what will be read again.

    Raises
    ------
    UnrecordableError (TypeError)
        If they are not.
    """
    document = {"version": known_version("posterior"), "posterior": posterior.options}
    try:
        _require_whole(posterior.options, posterior.arrays)
    except ValueError as error:
        raise UnrecordableError(f"{filename} cannot be written: {error}") from None
    return save_arrays(folder, posterior.arrays, document, filename)


def decode_posterior(content: bytes, where: str) -> StoredPosterior:
    """A posterior from the bytes of its file; `where` is what errors call it.

    Raises
    ------
    RecordError (ValueError)
        If it is not such a file, or its parts do not fit together.
    """
    arrays, metadata = safetensors_arrays(content, where)
    document = migrate("posterior", weights_document(metadata, where), f"{where} (metadata)")
    options = document.get("posterior")
    if not isinstance(options, dict):
        raise RecordError(f"{where}: its metadata do not say what is in it")
    try:
        _require_whole(options, arrays)
    except ValueError as error:
        raise RecordError(f"{where}: {str(error)[:500]}") from None
    return StoredPosterior(options, arrays)


def decode_band_powers(content: bytes, where: str) -> dict[str, Any]:
    """Band powers from the bytes of their file; RecordError if they are none."""
    document = decode(content, where)
    if not isinstance(document, dict):
        raise RecordError(f"{where} is not a JSON object")
    found = migrate("data", document, where).get("band_powers")
    if not isinstance(found, dict):
        raise RecordError(f"{where} holds no band powers")
    return found


def _require_whole(options: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError unless arrays have the shapes and values that samples have."""
    names, derived = _names(options, "names"), _names(options, "derived")
    if not names:
        raise ValueError("it names no parameters")
    for key, kind in _KINDS.items():
        if not isinstance(options.get(key), kind):
            raise ValueError(f"{key} is not there, or not of the type that it must be")
    for key in _OPTIONAL:
        if not isinstance(options.get(key, {}), dict):
            raise ValueError(f"{key} is no JSON object")
    for name, array in arrays.items():
        if array.dtype != np.float64 or not array.size:
            raise ValueError(f"{name!r:.60} is empty, or not made of float64")
    for name in ("samples", "log_prob", "low", "high", *(f"derived.{key}" for key in derived)):
        if name not in arrays:
            raise ValueError(f"the array {name!r:.80} is not there")
    shape = arrays["samples"].shape
    if len(shape) != 3 or shape[2] != len(names):
        raise ValueError(f"samples have shape {shape}; there are {len(names)} parameters")
    for name in ("log_prob", *(["weights"] if "weights" in arrays else [])):
        _require_shape(name, arrays[name], shape[:2])
    for name in derived:
        _require_shape(f"derived.{name}", arrays[f"derived.{name}"], shape[:2])
    for name in ("low", "high"):
        _require_shape(name, arrays[name], shape[2:])
    if not (arrays["low"] < arrays["high"]).all():
        raise ValueError("the support of a parameter is empty: low is not below high")
    for name in ("samples", "log_prob"):
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} are not all finite")
    if "weights" in arrays:
        _require_weights(arrays["weights"])
    _require_bands(arrays)


def _names(options: Mapping[str, Any], key: str) -> list[str]:
    names = options.get(key)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key} is not a list of names")
    if len(set(names)) != len(names) or len(names) > MAX_PARAMETERS:
        raise ValueError(f"{key} has a name twice, or more than {MAX_PARAMETERS}")
    return names


def _require_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name!r:.60} has shape {array.shape}, and not {shape}")


def _require_weights(weights: np.ndarray) -> None:
    if not (weights >= 0).all() or not np.isclose(weights.sum(), 1.0, rtol=1e-6):
        raise ValueError("weights must be >= 0 and have the sum 1")


def _require_bands(arrays: Mapping[str, np.ndarray]) -> None:
    """Bands, wherever there are some, are whole and of one length."""
    for name in arrays:
        prefix, dot, last = name.rpartition(".")
        if dot and last == "low95":
            parts = [arrays.get(f"{prefix}.{part}") for part in BANDS]
            if any(p is None or p.ndim != 1 or p.shape != arrays[name].shape for p in parts):
                raise ValueError(f"{prefix!r:.60} lacks a band, or they differ in length")
