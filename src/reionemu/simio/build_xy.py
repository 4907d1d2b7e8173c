"""Stage 3: arrays to train on, from the parameters and spectra in a condensed file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from ..config import require_choice, require_finite
from ..errors import AlreadyExistsError, ConfigError
from ..parameters import PARAMETER_NAMES
from ..targets import Y_SOURCES, Y_TRANSFORMS
from .hdf5 import edit_h5, locked_h5, open_h5, require_group, reserve
from .histories import read_histories
from .rows import BuildStats, Built, collect, counts
from .stamps import options_of, write_stamp
from .suite import describe_suite, ln_covariance

__all__ = [
    "BuildStats",
    "BuildXYConfig",
    "Built",
    "build_and_write_training",
    "build_training_arrays",
    "collect",
    "counts",
    "write_training",
    "write_training_set",
]

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
                               realizations_averaged (n,), how many in each row, and
                               dl_covariance (b, b), how the ln of a single one scatters
            /training attrs    y_source, y_transform, eps, number_of_samples,
                               number_of_parameters, ell_bin_count, build_total_sims,
                               build_processed, build_skipped_*

        and, as far as the simulations and /campaign tell,

            /training          tau (n,), z (k,), x_hi (n, k) (see `histories`),
                               design_low (p,), design_high (p,) (see `suite`)
            /training attrs    realizations, map_area [sr] (see `suite`)
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
            return write_training(h5, built, config)


def write_training(h5: h5py.File, built: Built, config: BuildXYConfig) -> BuildStats:
    """Store what `build_training_arrays` returned as /training of an open file, and stamp it.

    What else the simulations tell is stored beside it; the statistics that are returned say what
    is missing of that.
    """
    X, Y, ell, sim_ids, param_names, stats = built
    sims = require_group(h5, config.sims_group)
    histories, missing = read_histories(sims, stats.rows)
    attrs, bounds = describe_suite(h5, sims, stats.rows, config.param_names)
    arrays = {"X": X, "Y": Y, "ell": ell, **histories, **bounds}
    if stats.realizations_averaged:
        arrays["realizations_averaged"] = np.array(stats.realizations_averaged, dtype=np.int64)
    scatter = ln_covariance(h5, sims, stats.rows, f"{config.cl_group}/{config.y_source}")
    if scatter is not None:
        arrays["dl_covariance"] = scatter[0]
    reserve(h5, *arrays.values(), sim_ids, param_names)
    if _GROUP in h5:
        del h5[_GROUP]
    group = h5.create_group(_GROUP)
    for name, array in arrays.items():
        group[name] = array
    if scatter is not None:
        group["dl_covariance"].attrs["degrees_of_freedom"] = scatter[1]
    text = h5py.string_dtype("utf-8")
    group.create_dataset("sim_ids", data=sim_ids, dtype=text)
    group.create_dataset("param_names", data=param_names, dtype=text)
    attrs |= {"y_source": config.y_source, "y_transform": config.y_transform}
    attrs |= {"eps": float(config.eps), "ell_bin_count": len(ell)}
    attrs |= {"number_of_samples": X.shape[0], "number_of_parameters": X.shape[1]}
    attrs |= {f"build_{name}": n for name, n in counts(stats).items()}
    group.attrs.update(attrs)
    write_stamp(h5, "training_set", options_of(config))
    return replace(stats, missing=missing)
