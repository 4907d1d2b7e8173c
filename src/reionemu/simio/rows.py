"""Which simulations make up the training arrays, and the rows that they make."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import h5py
import numpy as np

from ..errors import DatasetError, NoUsableSimulationsError
from ..targets import Target
from .hdf5 import SkippedSim, find_group, read_scalar, require_group
from .realizations import equal_groups

if TYPE_CHECKING:
    from .build_xy import BuildXYConfig


@dataclass(frozen=True)
class BuildStats:
    """What became of the simulations.

    Attributes
    ----------
    total_sims, processed : int
    skipped_missing_params, skipped_missing_cl : int
        A parameter, or the spectrum, is not in the file.
    skipped_inconsistent_ell : int
        The ell bins differ from those of the first simulation that was used.
    skipped_non_finite : int
        A parameter or a value of the spectrum is NaN or infinite.
    skipped : tuple of SkippedSim
        Each simulation that was skipped, and why.
    realizations_averaged : tuple of int
        How many simulations each row is the mean of, where `realizations` is "mean".
    rows : tuple of tuple of str
        Names of the simulations that make up each row.
    missing : tuple of str
        Why optical depths or neutral histories are not stored beside the rows, if so.
    """

    total_sims: int
    processed: int
    skipped_missing_params: int
    skipped_missing_cl: int
    skipped_inconsistent_ell: int
    skipped_non_finite: int
    skipped: tuple[SkippedSim, ...] = field(default=(), compare=False, repr=False)
    realizations_averaged: tuple[int, ...] = field(default=(), compare=False, repr=False)
    rows: tuple[tuple[str, ...], ...] = field(default=(), compare=False, repr=False)
    missing: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def skipped_total(self) -> int:
        """Number of simulations skipped, for whatever reason."""
        return self.total_sims - self.processed


@dataclass
class _Arrays:
    X: list[np.ndarray]
    y: list[np.ndarray]
    sims: list[str]
    ell: np.ndarray | None = None


class _Unusable(Exception):  # noqa: N818 - control flow inside this module
    pass


Built = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, BuildStats]
"""X, Y, ell, sim_ids, param_names, stats."""


def collect(h5: h5py.File, config: BuildXYConfig) -> Built:
    """`build_training_arrays` of an open file."""
    sims = require_group(h5, config.sims_group)
    names = sorted(sims)
    arrays = _Arrays([], [], [])
    skipped = []
    for name in names:
        try:
            _collect(arrays, sims, name, config)
        except _Unusable as problem:
            category, reason = problem.args
            skipped.append(SkippedSim(name, category, reason))
    rows, target, unusable = _rows(arrays, config)
    skipped = sorted([*skipped, *unusable], key=lambda sim: sim.sim)
    stats = _count(len(names), skipped)
    if arrays.ell is None or not rows:
        raise NoUsableSimulationsError(
            f"no usable simulation: {_summary(stats)}"
            + ("; run the spectra stage first" if stats.skipped_missing_cl else ""),
            stats=stats,
        )
    stats = replace(stats, rows=tuple(tuple(arrays.sims[i] for i in row) for row in rows))
    if config.realizations == "mean":
        stats = replace(stats, realizations_averaged=tuple(len(row) for row in rows))
    first = [row[0] for row in rows]
    X = np.array([arrays.X[i] for i in first], dtype=np.float32)
    sim_ids = np.array([arrays.sims[i] for i in first], dtype=object)
    param_names = np.array(config.param_names, dtype=object)
    return X, np.array(target), arrays.ell, sim_ids, param_names, stats


def counts(stats: BuildStats) -> dict[str, int]:
    """The numbers in BuildStats by name, without its lists."""
    return {name: value for name, value in asdict(stats).items() if isinstance(value, int)}


def _collect(arrays: _Arrays, sims: h5py.Group, name: str, config: BuildXYConfig) -> None:
    params = find_group(sims, f"{name}/{config.params_group}")
    absent = [p for p in config.param_names if params is None or p not in params]
    if absent:
        raise _Unusable("missing_params", f"{config.params_group}/{absent[0]} is not there")
    cl = find_group(sims, f"{name}/{config.cl_group}")
    if cl is None or "ell" not in cl or config.y_source not in cl:
        raise _Unusable("missing_cl", f"{config.cl_group}/{config.y_source} is not there")
    try:
        x = np.array([read_scalar(params, p) for p in config.param_names])
        ell, y = _read_numbers(cl, "ell"), _read_numbers(cl, config.y_source)
    except DatasetError as error:
        raise _Unusable("non_finite", str(error)) from None
    reference = arrays.ell if arrays.ell is not None else ell
    if ell.shape != reference.shape or y.shape != ell.shape or not np.allclose(ell, reference):
        raise _Unusable(
            "inconsistent_ell",
            f"its {ell.size} ell bins are not the {reference.size} of {(arrays.sims or [name])[0]}",
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(ell).all() and ell.size):
        bad = [p for p, value in zip(config.param_names, x, strict=True) if not np.isfinite(value)]
        raise _Unusable("non_finite", f"{', '.join(bad) or config.y_source} is not finite")
    if config.realizations == "separate":
        _target(y, config)
    arrays.ell = reference
    arrays.X.append(x)
    arrays.y.append(y)
    arrays.sims.append(name)


def _rows(
    arrays: _Arrays, config: BuildXYConfig
) -> tuple[list[list[int]], list[np.ndarray], list[SkippedSim]]:
    """Which simulations make up each row, its target, and simulations whose row has none."""
    rows = [[i] for i in range(len(arrays.sims))]
    if config.realizations == "mean":
        rows = equal_groups(x.tolist() for x in arrays.X)
    usable, targets, skipped = [], [], []
    for row in rows:
        try:
            targets.append(_target(np.mean([arrays.y[i] for i in row], axis=0), config))
            usable.append(row)
        except _Unusable as problem:
            skipped += [SkippedSim(arrays.sims[i], *problem.args) for i in row]
    return usable, targets, skipped


def _target(spectrum: np.ndarray, config: BuildXYConfig) -> np.ndarray:
    """The transformed spectrum as float32, shape (b,)."""
    transform = Target(config.y_source, config.y_transform, config.eps)
    with np.errstate(over="ignore"):
        target = transform.apply(spectrum).astype(np.float32)
    if not np.isfinite(target).all():
        raise _Unusable("non_finite", f"{config.y_source} is not finite once transformed")
    return target


def _read_numbers(group: h5py.Group, name: str) -> np.ndarray:
    dataset = group[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu":
        raise DatasetError(f"{dataset.name} should hold real numbers")
    return np.asarray(dataset[()], dtype=np.float64)


def _count(total: int, skipped: list[SkippedSim]) -> BuildStats:
    n = Counter(sim.category for sim in skipped)
    return BuildStats(
        total_sims=total,
        processed=total - len(skipped),
        skipped_missing_params=n["missing_params"],
        skipped_missing_cl=n["missing_cl"],
        skipped_inconsistent_ell=n["inconsistent_ell"],
        skipped_non_finite=n["non_finite"],
        skipped=tuple(skipped),
    )


def _summary(stats: BuildStats) -> str:
    return ", ".join(f"{name} {value}" for name, value in counts(stats).items())
