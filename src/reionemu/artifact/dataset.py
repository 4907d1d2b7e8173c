"""What an artifact records of the HDF5 file it was made from."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
        ({name: [lowest, highest]}).

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
    }
