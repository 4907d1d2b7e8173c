"""Stage 2: the power spectrum of every map in a condensed file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from ..errors import MapError
from ..machine import usable_cores
from ..spectra import Binning, ClConfig, Plan, Spectrum, check_map, plan_for
from ..threads import in_order
from .condense_h5 import ProgressCallback
from .hdf5 import edit_h5, find_group, locked_h5, open_h5, read_scalar, require_group, reserve
from .raw import MAX_ELEMENTS
from .realizations import Bins, write_bins, write_covariance
from .stamps import options_of, read_stamps, write_stamp

_GROUP = "cl"

MOST_THREADS = 8
"""Reading is serial, and takes long enough that more than these would wait for it."""


def add_cl_to_condensed_h5(
    h5_path: Path,
    *,
    config: ClConfig = ClConfig(),  # noqa: B008 - frozen
    progress_callback: ProgressCallback | None = None,
    copy_callback: ProgressCallback | None = None,
) -> int:
    """Compute and store the spectrum of every simulation in a condensed file.

    Maps are read one after another and transformed on all cores; a few are in memory at a time.
    The file is replaced when all are done, by a changed copy of it (see `reionemu.files`).

    Parameters
    ----------
    h5_path : Path
        File from `condense_sim_root`. Added to it, for every simulation, are the arrays

            /sims/<sim>/cl   ell, cl_ksz [uK^2], dl_ksz [uK^2], dcl [uK^2], shape (b,)

        described in `reionemu.spectra.Spectrum`. The estimator "bandpower" adds

            /sims/<sim>/cl   attr estimator; edges (b + 1,), modes (b,), window_ell (n,),
                             windows (b, n)

        described in `reionemu.spectra.Binning`, and /bandpower, with the covariance of simulations
        that share their parameters; see `reionemu.simio.realizations.write_covariance`.
    config : ClConfig
    progress_callback : callable, optional
        Called with (simulations done, simulations in all) after each one.
    copy_callback : callable, optional
        Called with (bytes copied, bytes in all) while the file is copied.

    Returns
    -------
    int
        Number of simulations whose spectrum was computed.

    Raises
    ------
    FileNotFoundError, MissingGroupError
        If there is no such file, or no simulations in it.
    MapError
        Naming the simulation, if a spectrum cannot be made of a map. Nothing is changed then.
    """
    h5_path = Path(h5_path).expanduser()
    with locked_h5(h5_path):
        with open_h5(h5_path) as h5:
            if not _to_compute(h5, config):
                return 0
        with edit_h5(h5_path, copy_callback) as h5:
            return write_spectra(h5, config, progress_callback)


def _to_compute(h5: h5py.File, config: ClConfig) -> list[str]:
    sims = require_group(h5, config.sims_group)
    return [name for name in sims if config.overwrite or f"{name}/{_GROUP}" not in sims]


def write_spectra(
    h5: h5py.File, config: ClConfig, progress_callback: ProgressCallback | None = None
) -> int:
    """Compute spectra, store them in an open file and stamp it; `add_cl_to_condensed_h5`."""
    names = _to_compute(h5, config)
    sims = h5[config.sims_group]
    total = len(sims)
    jobs = (_job(sims, name, config) for name in names)
    bins: dict[Binning, Bins] = {}
    for done, (name, spectrum) in enumerate(
        in_order(_spectrum_of, jobs, min(usable_cores(), MOST_THREADS)), start=1
    ):
        reserve(h5, spectrum.ell, spectrum.cl, spectrum.dl, spectrum.dcl)
        if _GROUP in sims[name]:
            del sims[name][_GROUP]
        group = sims[name].create_group(_GROUP)
        group["ell"], group["cl_ksz"] = spectrum.ell, spectrum.cl
        group["dl_ksz"], group["dcl"] = spectrum.dl, spectrum.dcl
        write_bins(group, spectrum, bins)
        if progress_callback:
            progress_callback(total - len(names) + done, total)
    alike = len(names) == total or read_stamps(h5).get("spectra") == options_of(config)
    if "bandpower" in h5:
        del h5["bandpower"]
    if alike and config.estimator == "bandpower":
        write_covariance(h5, sims)
    write_stamp(h5, "spectra", options_of(config) if alike else None)
    return len(names)


Job = tuple[str, np.ndarray, float, Plan]


def _job(sims: h5py.Group, name: str, config: ClConfig) -> Job:
    """Name, map [dT/T], mean temperature [K] and plan of one simulation.

    Plans are made here, in one thread, so that simulations of one size share theirs.
    """
    try:
        output = find_group(sims, f"{name}/output")
        dataset = None if output is None else output.get("ksz_map")
        if output is None or not isinstance(dataset, h5py.Dataset):
            raise MapError("it has no output/ksz_map")
        if dataset.size is None or dataset.size > MAX_ELEMENTS:
            raise MapError(f"its output/ksz_map claims the shape {dataset.shape}")
        theta, tcmb = read_scalar(output, "theta_max_ksz"), read_scalar(output, "Tcmb0")
        if not tcmb > 0:
            raise MapError(f"output/Tcmb0 must be a positive temperature, not {tcmb}")
        delta_t = check_map(dataset[()], theta)
        return name, delta_t, tcmb, plan_for(len(delta_t), theta, config)
    except (MapError, OSError, ValueError) as error:
        raise MapError(f"sim {name!r}: {error}") from None


def _spectrum_of(job: Job) -> tuple[str, Spectrum]:
    name, delta_t, tcmb, plan = job
    if delta_t.dtype == np.float64:
        return name, plan.spectrum(delta_t, unit=tcmb * 1e6)
    # In this order, and in the precision of the map: what published spectra were made with.
    return name, plan.spectrum(delta_t * tcmb * 1e6)
