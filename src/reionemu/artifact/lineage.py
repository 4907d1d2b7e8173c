"""Where what is in a record comes from: raw simulations -> ... -> split -> weights -> posterior."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data.splits import split_indices
from ..errors import ConfigError
from ..files import sha256_of
from .dataset import emulator_box

MAX_HASHED_BYTES = 512 * 10**6
Split = Mapping[str, Any]
"""Fractions by name, as `make_dataloaders` takes them, or rows by name."""


def dataset_source(h5_path: Path) -> dict[str, Any]:
    """What an HDF5 file says of how it was made.

    Returns
    -------
    dict
        "source_root" (None if not stated), "stages": options by stage, as `stamps` has them, and
        "sha256" of the file (None for one larger than 512 MB, which would take seconds).
    """
    from ..simio.hdf5 import open_h5
    from ..simio.stamps import read_stamps

    path = Path(h5_path).expanduser()

    with open_h5(h5_path) as h5:
        root = h5.attrs.get("source_root")
        stages = read_stamps(h5)
    root = root.decode("utf-8", "replace") if isinstance(root, bytes) else root
    small = path.stat().st_size <= MAX_HASHED_BYTES
    return {
        "sha256": sha256_of(path) if small else None,
        "source_root": root if isinstance(root, str) else None,
        "stages": {name: options for name, options in stages.items() if isinstance(options, dict)},
    }


def lineage(
    *,
    dataset: Mapping[str, Any] | None,
    source: Mapping[str, Any] | None,
    configs: Mapping[str, Any],
    split: Mapping[str, Any] | None,
    weights: Mapping[str, np.ndarray] | None,
    posterior: Mapping[str, np.ndarray] | None = None,
) -> list[dict[str, Any]]:
    """The steps that led to weights or samples, in order, as provenance.json lists them.

    Parameters
    ----------
    dataset : mapping, optional
        Such as `dataset_summary` returns.
    source : mapping, optional
        Such as `dataset_source` returns.
    configs : mapping
        Arguments of `save_configs`; what they do not say of the data is taken from the file.
    split : mapping, optional
        Such as `split_record` returns.
    weights, posterior : mapping of str to ndarray, optional
    """
    steps: list[dict[str, Any]] = []
    if dataset is not None:
        steps += _data_steps(dataset, source or {}, configs)
    if split is not None:
        steps.append({"step": "split", **split})
    if weights is not None:
        steps.append(
            {
                "step": "weights",
                "model": configs.get("model_config"),
                "optimizer": configs.get("optimizer_config"),
                "training": configs.get("fit_config"),
                "content_sha256": weights_sha256(weights),
            }
        )
    if posterior is not None:
        steps.append({"step": "posterior", "content_sha256": weights_sha256(posterior)})
    return steps


def split_record(split: Split | None, n: int | None, seed: int | None) -> dict[str, Any] | None:
    """What provenance.json says of a split, or None if it is not known.

    Parameters
    ----------
    split : mapping, optional
        Fractions by name, or rows by name (sequences of whole numbers).
    n : int or None
        Number of rows; needed for fractions.
    seed : int or None
        Of the permutation; needed for fractions.

    Raises
    ------
    ConfigError (ValueError)
        If it is neither, or is not a split of n rows.
    """
    if split is None:
        return None
    if not isinstance(split, Mapping):
        raise ConfigError(f"split must be a mapping of parts by name, not {split!r:.60}")
    if split and not any(_is_number(part) for part in split.values()):
        indices = {name: _rows(name, rows, n) for name, rows in split.items()}
        return {"fractions": None, "seed": seed, "indices": indices}
    if not split or not all(_is_number(part) for part in split.values()):
        raise ConfigError("split must have a fraction, or a list of rows, for each part")
    if n is None or seed is None:
        raise ConfigError(
            "to record which rows a split by fractions chose, dataset_path and dataloader_config "
            "(for the seed) are needed; or give the rows themselves"
        )
    parts = split_indices(n, split, seed)
    indices = {name: rows.tolist() for name, rows in parts.items()}
    return {"fractions": dict(split), "seed": seed, "indices": indices}


def training_box(h5_path: Path, split: Mapping[str, Any] | None) -> dict[str, list[float]] | None:
    """Where an emulator trained on rows of a file may be asked, if names and rows are known."""
    from ..data.arrays import load_training_set

    data = load_training_set(h5_path)
    rows = (split or {}).get("indices", {}).get("train")
    if not rows or not data.param_names:
        return None
    return emulator_box(data, np.asarray(rows)).to_mapping()


def weights_sha256(weights: Mapping[str, np.ndarray]) -> str:
    """A hash of weights: for each, by name, its name, type, shape and little-endian values."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.asarray(weights[name])
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(little).tobytes())
    return digest.hexdigest()


def _data_steps(
    dataset: Mapping[str, Any], source: Mapping[str, Any], configs: Mapping[str, Any]
) -> list[dict[str, Any]]:
    stages = source.get("stages") or {}

    def config(stage: str, argument: str) -> Any:
        given = configs.get(argument)
        return given if given is not None else stages.get(stage)

    condensed = config("condense", "condense_config")
    steps: list[dict[str, Any]] = []
    if source.get("source_root"):
        inventory = (stages.get("condense") or {}).get("raw_inventory")
        steps.append({"step": "raw", "path": source["source_root"], "inventory_sha256": inventory})
    steps.append(
        {
            "step": "condensed",
            **dataset["fingerprint"],
            "sha256": source.get("sha256"),
            "config": condensed,
        }
    )
    spectra = config("spectra", "cl_config")
    if spectra is not None:
        steps.append({"step": "spectra", "config": spectra})
    if "content_sha256" in dataset:
        facts = ("content_sha256", "n_samples", "n_parameters", "n_targets")
        steps.append(
            {
                "step": "training_set",
                "config": config("training_set", "build_config"),
                **{name: dataset[name] for name in facts},
            }
        )
    return steps


def _is_number(part: Any) -> bool:
    return isinstance(part, (int, float, np.integer, np.floating))


def _rows(name: str, rows: Any, n: int | None) -> list[int]:
    """Rows of a part of a split as a list, if they are rows of n."""
    try:
        array = np.asarray(rows)
    except ValueError:  # lists of different lengths
        array = np.empty((0, 0))
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise ConfigError(f"split: the rows of {name!r} must be a list of whole numbers")
    outside = (array < 0) | (array >= (n if n is not None else np.inf))
    if outside.any():
        raise ConfigError(
            f"split: {name!r} has the row {array[outside][0]}; the rows of the dataset are 0 to "
            f"{'...' if n is None else n - 1}"
        )
    return array.tolist()
