"""What stands in /training beside the arrays X, Y and ell, read and checked."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from ..errors import DatasetError
from ..simio.histories import TOLERANCE

KINDS = ("own", "shared")


def read_beside(group: h5py.Group, n: int, p: int, b: int) -> dict[str, Any]:
    """The fields of a `TrainingSet` that a file need not have, by name; those that it has.

    Parameters
    ----------
    group : h5py.Group
        /training.
    n, p, b : int
        Rows, parameters and bins of X and Y.

    Raises
    ------
    DatasetError
        Naming the file and the array, for shapes that do not fit those of X and Y, values that
        are not finite or cannot be, or one of two arrays that belong together.
    """
    fields = {
        **_histories(group, n),
        **_design(group, p),
        **_ln_covariance(group, b),
        "n_realizations": _n_realizations(group, n),
        "realizations": _kind(group),
        "map_area": _map_area(group),
    }
    return {name: value for name, value in fields.items() if value is not None}


def numbers(dataset: h5py.Dataset) -> np.ndarray:
    """The values of a dataset, or DatasetError if they are not numbers."""
    if dataset.dtype.kind not in "fiu" or dataset.shape is None:
        raise _wrong(dataset.parent, _name(dataset), f"holds {dataset.dtype}, not numbers")
    return np.asarray(dataset[()])


def _histories(group: h5py.Group, n: int) -> dict[str, Any]:
    fields = {"tau": _array(group, "tau", (n,), np.finfo(float).tiny)}
    z = _array(group, "z", (None,))
    x_hi = _array(group, "x_hi", (n, None if z is None else len(z)), -TOLERANCE, 1 + TOLERANCE)
    _require_both(group, z=z, x_hi=x_hi)
    if z is not None and not (len(z) and (np.diff(z) > 0).all()):
        raise _wrong(group, "z", "must be redshifts that ascend, one at least")
    return {**fields, "z": z, "x_hi": x_hi}


def _design(group: h5py.Group, p: int) -> dict[str, Any]:
    low, high = (_array(group, name, (p,)) for name in ("design_low", "design_high"))
    _require_both(group, design_low=low, design_high=high)
    if low is not None and high is not None and not (low < high).all():
        raise _wrong(group, "design_low", "must be below design_high")
    return {"design_low": low, "design_high": high}


def _ln_covariance(group: h5py.Group, b: int) -> dict[str, Any]:
    name = "dl_covariance"
    covariance = _array(group, name, (b, b))
    if covariance is None:
        return {}
    rounding = 1e-9 * np.abs(covariance).max()
    if np.abs(covariance - covariance.T).max() > rounding:
        raise _wrong(group, name, "is not symmetric, and so no covariance")
    if np.linalg.eigvalsh(covariance).min() < -rounding:
        raise _wrong(group, name, "has a negative eigenvalue, and so is no covariance")
    freedom = _attribute(group[name], "degrees_of_freedom", "iu")
    if freedom is None or freedom < 1:
        raise _wrong(group, name, "needs the attribute degrees_of_freedom, a whole number >= 1")
    return {"ln_covariance": covariance, "ln_covariance_dof": int(freedom)}


def _n_realizations(group: h5py.Group, n: int) -> np.ndarray | None:
    name = "realizations_averaged"
    averaged = _array(group, name, (n,), 1, 2**53)
    if averaged is None:
        return None
    if (averaged % 1).any():
        raise _wrong(group, name, "must be whole numbers")
    return averaged.astype(np.int64)


def _kind(group: h5py.Group) -> str | None:
    kind = group.attrs.get("realizations")
    if kind is not None and not (isinstance(kind, str) and kind in KINDS):
        raise _wrong(group, "", f"has the attribute realizations = {kind!r}, not {KINDS}")
    return kind


def _map_area(group: h5py.Group) -> float | None:
    if "map_area" not in group.attrs:
        return None
    area = _attribute(group, "map_area", "fiu")
    if area is None or not (np.isfinite(area) and area > 0):
        raise _wrong(group, "", "has an attribute map_area that is no positive number [sr]")
    return float(area)


def _attribute(item: h5py.Group | h5py.Dataset, name: str, kinds: str) -> Any:
    """A scalar attribute of one of these types; None for anything else."""
    value = item.attrs.get(name)
    return value if isinstance(value, np.generic) and value.dtype.kind in kinds else None


def _array(
    group: h5py.Group,
    name: str,
    shape: tuple[int | None, ...],
    low: float = -np.inf,
    high: float = np.inf,
) -> np.ndarray | None:
    """A float64 array of this shape (None: any length), finite, from `low` to `high`."""
    dataset = group.get(name)
    if dataset is None:
        return None
    if not isinstance(dataset, h5py.Dataset):
        raise _wrong(group, name, "is not an array")
    array = numbers(dataset)
    if len(array.shape) != len(shape) or any(
        length is not None and length != found
        for length, found in zip(shape, array.shape, strict=True)
    ):
        expected = str(shape).replace("None", "any")
        raise _wrong(group, name, f"has shape {array.shape}; expected {expected}, to go with X, Y")
    bad = ~(np.isfinite(array) & (array >= low) & (array <= high))
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise _wrong(group, name, f"is {array[bad][0]:g} in row {row}, which cannot be")
    return array.astype(np.float64)


def _require_both(group: h5py.Group, **arrays: np.ndarray | None) -> None:
    absent = [name for name, array in arrays.items() if array is None]
    if len(absent) == 1:
        (present,) = arrays.keys() - set(absent)
        raise _wrong(group, absent[0], f"is not there, but /training/{present} is")


def _wrong(group: h5py.Group, name: str, what: str) -> DatasetError:
    place = f"/training/{name}".rstrip("/")
    return DatasetError(
        f"{group.file.filename}: {place} {what}. Run the training-set stage again "
        "(build_and_write_training)"
    )


def _name(dataset: h5py.Dataset) -> str:
    return str(dataset.name).rpartition("/")[2]
