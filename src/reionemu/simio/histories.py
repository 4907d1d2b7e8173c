"""Optical depths and neutral histories of simulations, as rows beside the training arrays."""

from __future__ import annotations

from collections.abc import Sequence

import h5py
import numpy as np

from ..errors import DatasetError
from .hdf5 import find_group, read_scalar

TOLERANCE = 1e-6
"""What redshifts may differ by, and a neutral fraction exceed [0, 1] by, and still be rounding."""

Rows = Sequence[Sequence[str]]


def read_histories(sims: h5py.Group, rows: Rows) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """What every simulation tells of the optical depth, and of the neutral fraction.

    Parameters
    ----------
    sims : h5py.Group
        Simulations with `output`, as `condense_sim_root` writes it.
    rows : sequence of sequences of str
        The simulations of each of the n rows, over which the mean is taken.

    Returns
    -------
    arrays : dict
        `tau`, shape (n,), and `z`, ascending, shape (k,), with the mass-weighted neutral fraction
        `x_hi`, shape (n, k), all float64; without those that a simulation lacks.
    missing : tuple of str
        Which simulation lacks what: one line for tau, one for z and x_hi, if they are left out.
    """
    arrays: dict[str, np.ndarray] = {}
    missing = []
    for what, read in (("tau", _taus), ("the neutral history", _neutral_fractions)):
        try:
            arrays |= read(sims, rows)
        except DatasetError as problem:
            missing.append(f"{what} is left out, and cannot be emulated: {problem}")
    return arrays, tuple(missing)


def _taus(sims: h5py.Group, rows: Rows) -> dict[str, np.ndarray]:
    return {"tau": np.array([np.mean([_tau(sims, name) for name in row]) for row in rows])}


def _neutral_fractions(sims: h5py.Group, rows: Rows) -> dict[str, np.ndarray]:
    first = rows[0][0]
    z, _ = _history(sims, first)

    def x_hi(name: str) -> np.ndarray:
        its_z, x = _history(sims, name)
        if its_z.shape != z.shape or not np.allclose(its_z, z, rtol=0, atol=TOLERANCE):
            raise DatasetError(f"{name} has its history at other redshifts than {first}")
        return x

    means = [np.mean([x_hi(name) for name in row], axis=0) for row in rows]
    return {"z": z, "x_hi": np.array(means)}


def _tau(sims: h5py.Group, name: str) -> float:
    output = _output(sims, name)
    tau = read_scalar(output, "tau")
    if not (np.isfinite(tau) and tau > 0):
        raise DatasetError(f"{name} has no finite, positive output/tau")
    return tau


def _history(sims: h5py.Group, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Redshifts, ascending, and the neutral fraction at each."""
    output = _output(sims, name)
    z, x = (_numbers(output, name, key) for key in ("zval_list", "xmval_list"))
    if z.shape != x.shape:
        raise DatasetError(f"{name} has {z.size} redshifts and {x.size} neutral fractions")
    order = np.argsort(z)
    z, x = z[order], x[order]
    if not (np.diff(z) > TOLERANCE).all():
        raise DatasetError(f"{name} has a redshift twice in output/zval_list")
    if x.min() < -TOLERANCE or x.max() > 1 + TOLERANCE:
        raise DatasetError(
            f"{name} has neutral fractions from {x.min():g} to {x.max():g} in output/xmval_list"
        )
    return z, x.clip(0, 1)


def _output(sims: h5py.Group, name: str) -> h5py.Group:
    output = find_group(sims, f"{name}/output")
    if output is None:
        raise DatasetError(f"{name} has no output")
    return output


def _numbers(output: h5py.Group, name: str, key: str) -> np.ndarray:
    """A list of at least one finite number, float64."""
    dataset = output.get(key)
    listed = isinstance(dataset, h5py.Dataset) and dataset.dtype.kind in "fiu" and dataset.size
    if not listed or len(dataset.shape) != 1 or not np.isfinite(dataset[()]).all():
        raise DatasetError(f"{name} has no list of finite numbers output/{key}")
    return np.asarray(dataset[()], dtype=np.float64)
