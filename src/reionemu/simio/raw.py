"""One raw simulation: a folder with two HDF5 files, told apart by what is in them.

obs grids   data/ksz_map (N, N) [dT/T]; header/Tcmb0 [K], header/theta_max_ksz [rad]
pk arrays   data/{pk_tt, xmval_list, zval_list};
            header/{zmean_zre, alpha_zre, kb_zre [h/Mpc], b0_zre, tau}
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ..errors import DatasetError, ReionemuError
from ..parameters import PARAMETER_NAMES
from ..spectra import check_map
from .hdf5 import explain, read_scalar

MISSING = "missing_obs_pk"
READ_ERROR = "read_error"
INVALID = "validation_error"

SUFFIXES = (".h5", ".hdf5")
MAX_ELEMENTS = 2**29
"""Arrays that claim more elements than this are refused unread (a hostile or damaged header)."""

_OBS_ARRAYS = ("ksz_map",)
_PK_ARRAYS = ("pk_tt", "xmval_list", "zval_list")


class UnusableSimError(ReionemuError):
    """A simulation that must be skipped; `category` says under which count."""

    def __init__(self, category: str, message: str) -> None:
        super().__init__(message)
        self.category = category


@dataclass(frozen=True)
class RawSim:
    """What is kept of one simulation.

    Attributes
    ----------
    params : dict of float
        The four model parameters; NaN where the header lacks one.
    output : dict of ndarray or float
        ksz_map (N, N) [dT/T], Tcmb0 [K], theta_max_ksz [rad], pk_tt, xmval_list (mass-weighted
        neutral fraction), zval_list, tau.
    """

    params: dict[str, float]
    output: dict[str, np.ndarray | float]


def find_sims(sim_root: Path, prefix: str) -> list[Path]:
    """Folders in `sim_root` whose name starts with `prefix`, in lexicographic order."""
    return sorted(
        path for path in sim_root.iterdir() if path.is_dir() and path.name.startswith(prefix)
    )


def read_sim(folder: Path, *, require_both: bool = True) -> RawSim:
    """Read and check one simulation.

    Raises
    ------
    UnusableSimError
        `missing_obs_pk` when either file is absent or cannot be opened, `read_error` when a value
        cannot be read, `validation_error` when no spectrum can be made of the map.
    """
    try:
        obs, pk, notes = _find_files(folder)
    except OSError as error:
        raise UnusableSimError(MISSING, f"the folder cannot be listed: {error.strerror}") from None
    if require_both and (obs is None or pk is None):
        lacking = " and no ".join(
            name for name, path in (("obs grids file", obs), ("pk arrays file", pk)) if not path
        )
        raise UnusableSimError(MISSING, "; ".join([f"it has no {lacking}", *notes]))
    try:
        output: dict[str, np.ndarray | float] = {}
        params = dict.fromkeys(PARAMETER_NAMES, float("nan"))
        if obs:
            with h5py.File(obs, "r") as h5:
                output |= _read_arrays(h5, _OBS_ARRAYS)
                output |= {k: read_scalar(_header(h5), k) for k in ("Tcmb0", "theta_max_ksz")}
        if pk:
            with h5py.File(pk, "r") as h5:
                output |= _read_arrays(h5, _PK_ARRAYS)
                output["tau"] = read_scalar(_header(h5), "tau")
                params = {name: read_scalar(_header(h5), name) for name in PARAMETER_NAMES}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise UnusableSimError(READ_ERROR, str(error)) from None
    _validate(output)
    return RawSim(params, output)


def _find_files(folder: Path) -> tuple[Path | None, Path | None, list[str]]:
    """The obs and pk files of a folder, and a note on each file that could not be opened."""
    obs = pk = None
    notes = []
    for path in sorted(p for p in folder.iterdir() if p.name.endswith(SUFFIXES)):
        try:
            with h5py.File(path, "r") as h5:
                if obs is None and all(f"data/{name}" in h5 for name in _OBS_ARRAYS):
                    obs = path
                if pk is None and all(f"data/{name}" in h5 for name in _PK_ARRAYS):
                    pk = path
                lacking = [name for name in _PK_ARRAYS if f"data/{name}" not in h5]
                if 0 < len(lacking) < len(_PK_ARRAYS):
                    notes.append(f"{path.name} lacks data/{', data/'.join(lacking)}")
        except (OSError, RuntimeError, ValueError) as error:
            notes.append(f"{path.name}: {explain(path, error)}")
    return obs, pk, notes


def _read_arrays(h5: h5py.File, names: tuple[str, ...]) -> dict[str, np.ndarray | float]:
    arrays: dict[str, np.ndarray | float] = {}
    for name in names:
        dataset = h5[f"data/{name}"]
        if not isinstance(dataset, h5py.Dataset):
            raise DatasetError(f"data/{name} is not a dataset")
        if dataset.size is None or dataset.size > MAX_ELEMENTS:
            raise DatasetError(f"data/{name} claims the shape {dataset.shape}")
        arrays[name] = dataset[()]
    return arrays


def _header(h5: h5py.File) -> h5py.Group:
    header = h5.get("header")
    if not isinstance(header, h5py.Group):
        raise DatasetError(f"{Path(h5.filename).name} has no group header")
    return header


def _validate(output: dict[str, np.ndarray | float]) -> None:
    """Refuse here what the spectra stage would have to refuse."""
    try:
        if "ksz_map" not in output:
            raise DatasetError("there is no ksz_map")
        check_map(np.asarray(output["ksz_map"]), float(output["theta_max_ksz"]))
        if not float(output["Tcmb0"]) > 0:
            raise DatasetError(
                f"header/Tcmb0 must be a positive temperature, not {output['Tcmb0']}"
            )
    except ValueError as error:
        raise UnusableSimError(INVALID, str(error)) from None
