"""Reading /training, with its description, and checking it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ..errors import DatasetError, MissingGroupError
from ..simio.hdf5 import open_h5, read_strings, require_group


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Everything in /training of one file.

    Attributes
    ----------
    X : ndarray of float32, shape (n, p)
    Y : ndarray of float32, shape (n, b)
        The target as stored: transformed.
    ell : ndarray of float64, shape (b,)
    sim_ids : tuple of str
    param_names : tuple of str
    y_source, y_transform, eps
        How Y was made (see `BuildXYConfig`); None where the file does not say.
    """

    X: np.ndarray
    Y: np.ndarray
    ell: np.ndarray
    sim_ids: tuple[str, ...]
    param_names: tuple[str, ...]
    y_source: str | None
    y_transform: str | None
    eps: float | None

    def content_sha256(self) -> str:
        """A hash of X, Y and ell: their shapes and little-endian values, and nothing else."""
        digest = hashlib.sha256()
        for array, dtype in ((self.X, "<f4"), (self.Y, "<f4"), (self.ell, "<f8")):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array, dtype=dtype).tobytes())
        return digest.hexdigest()


def load_training_set(h5_path: Path) -> TrainingSet:
    """Read /training of a file and check that it can be trained on.

    Raises
    ------
    MissingGroupError (KeyError)
        If /training, or X, Y or ell in it, is not there.
    DatasetError (ValueError)
        If shapes do not fit together, there is no row, or a value is not finite.
    """
    h5_path = Path(h5_path).expanduser()
    with open_h5(h5_path) as h5:
        group = require_group(h5, "training")
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused below
            X, Y = (_read(group, name).astype(np.float32) for name in ("X", "Y"))
        ell = _read(group, "ell").astype(np.float64)
        attrs = dict(group.attrs)
        sim_ids = read_strings(group["sim_ids"]) if "sim_ids" in group else []
        names = read_strings(group["param_names"]) if "param_names" in group else []
    _check(h5_path, X, Y, ell)
    return TrainingSet(
        X=X,
        Y=Y,
        ell=ell,
        sim_ids=tuple(sim_ids),
        param_names=tuple(names),
        y_source=_text(attrs.get("y_source")),
        y_transform=_text(attrs.get("y_transform")),
        eps=float(attrs["eps"]) if "eps" in attrs else None,
    )


def load_training_arrays(h5_path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read and check the training arrays of a file.

    Returns
    -------
    X : ndarray of float32, shape (n, p)
    Y : ndarray of float32, shape (n, b)
    ell : ndarray of float32, shape (b,)

    Raises
    ------
    MissingGroupError (KeyError), DatasetError (ValueError)
        See `load_training_set`.
    """
    data = load_training_set(h5_path)
    return data.X, data.Y, data.ell.astype(np.float32)


def _read(group: h5py.Group, name: str) -> np.ndarray:
    dataset = group.get(name)
    if not isinstance(dataset, h5py.Dataset):
        raise MissingGroupError(
            f"{group.file.filename}: there is no array /training/{name}. "
            "Run the training-set stage (build_and_write_training)"
        )
    if dataset.dtype.kind not in "fiu":
        raise DatasetError(
            f"{group.file.filename}: /training/{name} holds {dataset.dtype}, not numbers"
        )
    return np.asarray(dataset[()])


def _check(path: Path, X: np.ndarray, Y: np.ndarray, ell: np.ndarray) -> None:
    if X.ndim != 2 or Y.ndim != 2 or ell.ndim != 1 or len(X) != len(Y) or Y.shape[1] != len(ell):
        raise DatasetError(
            f"{path}: the shapes of /training do not fit together: X {X.shape}, Y {Y.shape}, "
            f"ell {ell.shape}; expected (n, p), (n, b), (b,)"
        )
    if len(X) == 0:
        raise DatasetError(f"{path}: /training has no rows")
    for name, array in (("X", X), ("Y", Y), ("ell", ell)):
        if not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise DatasetError(f"{path}: /training/{name} is not finite in row {row}")


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value.decode() if isinstance(value, bytes) else str(value)
