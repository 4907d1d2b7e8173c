"""What an artifact records of the HDF5 file it was made from."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MissingFileError
from ..parameters import ParameterBox

if TYPE_CHECKING:
    from ..data.arrays import TrainingSet


def file_fingerprint(path: Path) -> dict[str, Any]:
    """Path, size and time of last change of a file.

    Returns
    -------
    dict
        "path" (absolute), "file_size_bytes", "modified_at" (ISO 8601, UTC).

    Raises
    ------
    FileNotFoundError
    """
    path = Path(path).expanduser().resolve()
    try:
        status = path.stat()
    except FileNotFoundError:
        raise MissingFileError(f"{path} does not exist") from None
    modified = datetime.fromtimestamp(status.st_mtime, tz=timezone.utc)
    return {
        "path": str(path),
        "file_size_bytes": status.st_size,
        "modified_at": modified.isoformat(),
    }


def dataset_summary(h5_path: Path) -> dict[str, Any]:
    """Describe the training arrays of an HDF5 file, which is only read.

    Returns
    -------
    dict
        "path" and "fingerprint"; and if the file holds /training: "n_samples", "n_parameters",
        "n_targets", "param_names", "ell", "y_source", "y_transform", "eps", "content_sha256" (of
        the arrays themselves, see `TrainingSet.content_sha256`) and "parameter_ranges"
        ({name: [lowest, highest]}); and of the suite, None where the file does not say:
        "realizations", "n_realizations" (of each row, if all have as many), "map_area" [sr],
        "design_ranges" ({name: [low, high]}), "has_tau", "z" and "history_sha256" (see
        `TrainingSet`).

    Raises
    ------
    FileNotFoundError, UnreadableFileError (OSError), DatasetError (ValueError)
        If the file, or /training in it, cannot be read.
    """
    from ..data.arrays import load_training_set
    from ..simio.hdf5 import open_h5

    fingerprint = file_fingerprint(h5_path)
    summary = {"path": fingerprint["path"], "fingerprint": fingerprint}
    with open_h5(h5_path) as h5:
        if "training" not in h5:
            return summary
    return {**summary, **describe(load_training_set(h5_path))}


def describe(data: TrainingSet) -> dict[str, Any]:
    """What `dataset_summary` says of training arrays."""
    names = data.param_names
    ranges = ParameterBox.around(names, data.X).to_mapping() if names else None
    return {
        "n_samples": data.X.shape[0],
        "n_parameters": data.X.shape[1],
        "n_targets": data.Y.shape[1],
        "param_names": list(data.param_names),
        "ell": data.ell.tolist(),
        "y_source": data.y_source,
        "y_transform": data.y_transform,
        "eps": data.eps,
        "content_sha256": data.content_sha256(),
        "parameter_ranges": ranges,
        **_describe_suite(data),
    }


def _describe_suite(data: TrainingSet) -> dict[str, Any]:
    counts = set() if data.n_realizations is None else set(data.n_realizations.tolist())
    design = None
    if data.param_names and data.design_low is not None and data.design_high is not None:
        bounds = zip(data.design_low.tolist(), data.design_high.tolist(), strict=True)
        design = dict(zip(data.param_names, map(list, bounds), strict=True))
    return {
        "realizations": data.realizations,
        "n_realizations": counts.pop() if len(counts) == 1 else None,
        "map_area": data.map_area,
        "design_ranges": design,
        "has_tau": data.tau is not None,
        "z": None if data.z is None else data.z.tolist(),
        "history_sha256": data.history_sha256(),
    }


def emulator_box(data: TrainingSet, rows: np.ndarray) -> ParameterBox:
    """Where an emulator trained on some rows may be asked.

    The box of the design, as far as the rows fill it; else that of the rows. The outermost of n
    points is about 1/n of a side away from the wall.
    """
    own = ParameterBox.around(data.param_names, data.X[rows])
    if data.design_low is None or data.design_high is None:
        return own
    low, high = np.asarray(own.low), np.asarray(own.high)
    slack = (5 / len(rows)) * (data.design_high - data.design_low)
    low = np.where(low <= data.design_low + slack, np.minimum(low, data.design_low), low)
    high = np.where(high >= data.design_high - slack, np.maximum(high, data.design_high), high)
    return ParameterBox(data.param_names, tuple(low.tolist()), tuple(high.tolist()))
