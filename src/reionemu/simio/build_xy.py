"""Stage 3: arrays to train on, from the parameters and spectra in a condensed file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np

from ..config import require_choice, require_finite
from ..errors import AlreadyExistsError, ConfigError, DatasetError, NoUsableSimulationsError
from ..parameters import PARAMETER_NAMES
from ..targets import Y_SOURCES, Y_TRANSFORMS, Target
from .hdf5 import (
    SkippedSim,
    edit_h5,
    find_group,
    locked_h5,
    open_h5,
    read_scalar,
    require_group,
    reserve,
)
from .realizations import equal_groups
from .stamps import options_of, write_stamp

_GROUP = "training"


@dataclass(frozen=True)
class BuildXYConfig:
    """What the training arrays are made of.

    Parameters
    ----------
    sims_group, params_group, cl_group : str
        Names of the HDF5 groups that are read.
    param_names : tuple of str
        The parameters that become the columns of X, in order.
    y_source : {"dl_ksz", "cl_ksz"}
        Which spectrum Y is made of [uK^2].
    y_transform : {"ln", "log10", "none"}
        What is done to it: the logarithm of max(y, 0) + eps, or nothing.
    eps : float
        Keeps the logarithm finite [uK^2].
    realizations : {"separate", "mean"}
        With "mean", simulations in which all of `param_names` are exactly equal are one row: the
        mean of their spectra, then transformed, under the name of the first.
    """

    sims_group: str = "sims"
    params_group: str = "params"
    cl_group: str = "cl"
    param_names: tuple[str, ...] = PARAMETER_NAMES
    y_source: str = "dl_ksz"
    y_transform: str = "ln"
    eps: float = 1e-30
    realizations: str = "separate"

    def __post_init__(self) -> None:
        require_choice("BuildXYConfig", "y_source", self.y_source, Y_SOURCES)
        require_choice("BuildXYConfig", "y_transform", self.y_transform, Y_TRANSFORMS)
        require_finite("BuildXYConfig", "eps", self.eps, minimum=0)
        require_choice("BuildXYConfig", "realizations", self.realizations, ("separate", "mean"))
        if isinstance(self.param_names, str) or not self.param_names:
            raise ConfigError(
                f"BuildXYConfig.param_names must list parameter names, got {self.param_names!r}"
            )
        object.__setattr__(self, "param_names", tuple(self.param_names))


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
    """

    total_sims: int
    processed: int
    skipped_missing_params: int
    skipped_missing_cl: int
    skipped_inconsistent_ell: int
    skipped_non_finite: int
    skipped: tuple[SkippedSim, ...] = field(default=(), compare=False, repr=False)
    realizations_averaged: tuple[int, ...] = field(default=(), compare=False, repr=False)

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


def build_training_arrays(
    h5_path: Path,
    *,
    config: BuildXYConfig = BuildXYConfig(),
) -> Built:
    """Collect parameters and spectra into arrays, without writing anything.

    Simulations are taken in lexicographic order of their names.

    Parameters
    ----------
    h5_path : Path
        Condensed file with spectra.
    config : BuildXYConfig

    Returns
    -------
    X : ndarray of float32, shape (n, p)
    Y : ndarray of float32, shape (n, b)
        The spectrum [uK^2], transformed as `config.y_transform` says.
    ell : ndarray of float64, shape (b,)
    sim_ids : ndarray of str, shape (n,)
    param_names : ndarray of str, shape (p,)
    stats : BuildStats

    Raises
    ------
    NoUsableSimulationsError (RuntimeError)
        If nothing usable is left; the error and its `.stats` say what was skipped.
    """
    with open_h5(h5_path) as h5:
        return collect(h5, config)


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
    if config.realizations == "mean":
        stats = replace(stats, realizations_averaged=tuple(len(row) for row in rows))
    first = [row[0] for row in rows]
    X = np.array([arrays.X[i] for i in first], dtype=np.float32)
    sim_ids = np.array([arrays.sims[i] for i in first], dtype=object)
    param_names = np.array(config.param_names, dtype=object)
    return X, np.array(target), arrays.ell, sim_ids, param_names, stats


def build_and_write_training(
    h5_path: Path,
    *,
    config: BuildXYConfig = BuildXYConfig(),
    overwrite: bool = True,
) -> int:
    """Collect the training arrays and store them in the same file.

    The file is replaced in one step, by a changed copy of it (see `reionemu.files`).

    Parameters
    ----------
    h5_path : Path
        Condensed file with spectra. Added to it are

            /training          X (n, p) float32, Y (n, b) float32, ell (b,) float64,
                               sim_ids (n,), param_names (p,), and if realizations are averaged
                               realizations_averaged (n,), how many in each row
            /training attrs    y_source, y_transform, eps, number_of_samples,
                               number_of_parameters, ell_bin_count, build_total_sims,
                               build_processed, build_skipped_*
    config : BuildXYConfig
    overwrite : bool
        Whether arrays already in the file are replaced.

    Returns
    -------
    int
        Number of simulations in the arrays.

    Raises
    ------
    FileExistsError
        If the file holds training arrays and `overwrite` is false.
    NoUsableSimulationsError (RuntimeError)
        If nothing usable is left.
    """
    return write_training_set(h5_path, config, overwrite=overwrite).processed


def write_training_set(
    h5_path: Path,
    config: BuildXYConfig,
    *,
    overwrite: bool,
    copy_callback: Callable[[int, int], None] | None = None,
) -> BuildStats:
    """`build_and_write_training`, telling what was skipped and how the copy goes."""
    h5_path = Path(h5_path).expanduser()
    with locked_h5(h5_path):
        with open_h5(h5_path) as h5:
            if _GROUP in h5 and not overwrite:
                raise AlreadyExistsError(f"{h5_path} already holds /training, and overwrite=False")
        built = build_training_arrays(h5_path, config=config)
        with edit_h5(h5_path, copy_callback) as h5:
            write_training(h5, built, config)
    return built[-1]


def write_training(h5: h5py.File, built: Built, config: BuildXYConfig) -> None:
    """Store what `build_training_arrays` returned as /training of an open file, and stamp it."""
    X, Y, ell, sim_ids, param_names, stats = built
    averaged = np.array(stats.realizations_averaged, dtype=np.int64)
    reserve(h5, X, Y, ell, sim_ids, param_names, averaged)
    if _GROUP in h5:
        del h5[_GROUP]
    group = h5.create_group(_GROUP)
    group["X"], group["Y"], group["ell"] = X, Y, ell
    if len(averaged):
        group["realizations_averaged"] = averaged
    text = h5py.string_dtype("utf-8")
    group.create_dataset("sim_ids", data=sim_ids, dtype=text)
    group.create_dataset("param_names", data=param_names, dtype=text)
    group.attrs["y_source"] = config.y_source
    group.attrs["y_transform"] = config.y_transform
    group.attrs["eps"] = float(config.eps)
    group.attrs["number_of_samples"], group.attrs["number_of_parameters"] = X.shape
    group.attrs["ell_bin_count"] = len(ell)
    for name, value in counts(stats).items():
        group.attrs[f"build_{name}"] = value
    write_stamp(h5, "training_set", options_of(config))


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
