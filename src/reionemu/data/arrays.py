"""Reading /training, with its description, and checking it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ..errors import DatasetError, MissingGroupError
from ..simio.hdf5 import open_h5, read_strings, require_group
from .beside import numbers, read_beside


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
    tau : ndarray of float64, shape (n,), or None
        Optical depth to reionization. None, here and below, where the file does not say.
    z : ndarray of float64, shape (k,), or None
        Redshifts, ascending.
    x_hi : ndarray of float64, shape (n, k), or None
        Mass-weighted neutral fraction at each.
    realizations : {"own", "shared"} or None
        "own" if no two rows have a map of the same initial conditions and line of sight, "shared"
        if all have the same ones.
    n_realizations : ndarray of int, shape (n,), or None
        How many maps each row is the mean of; None if each is a row.
    ln_covariance : ndarray of float64, shape (b, b), or None
        How ln D_ell of a single map scatters about the mean of its row.
    ln_covariance_dof : int
        Degrees of freedom of that; 0 if there is none.
    design_low, design_high : ndarray of float64, shape (p,), or None
        Bounds of the design.
    map_area : float or None
        Area of every map [sr].
    """

    X: np.ndarray
    Y: np.ndarray
    ell: np.ndarray
    sim_ids: tuple[str, ...]
    param_names: tuple[str, ...]
    y_source: str | None
    y_transform: str | None
    eps: float | None
    tau: np.ndarray | None = None
    z: np.ndarray | None = None
    x_hi: np.ndarray | None = None
    realizations: str | None = None
    n_realizations: np.ndarray | None = None
    ln_covariance: np.ndarray | None = None
    ln_covariance_dof: int = 0
    design_low: np.ndarray | None = None
    design_high: np.ndarray | None = None
    map_area: float | None = None

    def content_sha256(self) -> str:
        """A hash of X, Y and ell: their shapes and little-endian values, and nothing else."""
        digest = hashlib.sha256()
        for array, dtype in ((self.X, "<f4"), (self.Y, "<f4"), (self.ell, "<f8")):
            digest.update(_content(array, dtype))
        return digest.hexdigest()

    def history_sha256(self) -> str | None:
        """A hash of tau, z and x_hi, as far as they are there, with their names; or None."""
        digest = hashlib.sha256()
        there = {"tau": self.tau, "z": self.z, "x_hi": self.x_hi}
        for name, array in there.items():
            if array is not None:
                digest.update(name.encode() + _content(array, "<f8"))
        return None if self.tau is None and self.x_hi is None else digest.hexdigest()


def load_training_set(h5_path: Path) -> TrainingSet:
    """Read /training of a file and check that it can be trained on.

    Raises
    ------
    MissingGroupError (KeyError)
        If /training, or X, Y or ell in it, is not there.
    DatasetError (ValueError)
        If shapes do not fit together, there is no row, or a value is not finite or cannot be.
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
        beside = read_beside(group, len(X), X.shape[1], Y.shape[1])
    return TrainingSet(
        X=X,
        Y=Y,
        ell=ell,
        sim_ids=tuple(sim_ids),
        param_names=tuple(names),
        y_source=_text(attrs.get("y_source")),
        y_transform=_text(attrs.get("y_transform")),
        eps=float(attrs["eps"]) if "eps" in attrs else None,
        **beside,
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
    return numbers(dataset)


def _content(array: np.ndarray, dtype: str) -> bytes:
    return repr(array.shape).encode() + np.ascontiguousarray(array, dtype=dtype).tobytes()


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
