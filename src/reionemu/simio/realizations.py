"""Simulations that differ in nothing but the realization, and how their spectra scatter."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import h5py
import numpy as np

from ..errors import DatasetError
from ..parameters import PARAMETER_NAMES
from ..spectra import Bandpowers, Binning, Spectrum, bandpower_covariance
from .hdf5 import find_group, read_scalar, reserve

_BINNING = ("edges", "modes", "window_ell", "windows")


def equal_groups(keys: Iterable[Iterable[Hashable]]) -> list[list[int]]:
    """Which of these are equal: groups of positions, in the order of their first members."""
    found: dict[tuple[Hashable, ...], list[int]] = {}
    for i, key in enumerate(keys):
        found.setdefault(tuple(key), []).append(i)
    return list(found.values())


Bins = dict[str, h5py.Dataset]


def write_bins(cl: h5py.Group, spectrum: Spectrum, written: dict[Binning, Bins]) -> None:
    """Store beside a spectrum the bins of band powers; the drop-in estimator has none to store.

    Maps of one size share them: HDF5 lets a dataset have many names. `written` is what has been
    stored already.
    """
    if not isinstance(spectrum, Bandpowers):
        return
    cl.attrs["estimator"] = "bandpower"
    binning = spectrum.binning
    if binning in written:
        for name, dataset in written[binning].items():
            cl[name] = dataset
        return
    values = {name: getattr(binning, name) for name in _BINNING}
    reserve(cl.file, *values.values())
    written[binning] = {
        # Nearly all of a window function is zero.
        name: cl.create_dataset(name, data=data, compression="gzip" if name == "windows" else None)
        for name, data in values.items()
    }


def write_covariance(h5: h5py.File, sims: h5py.Group) -> None:
    """Store the bins that all band powers of an open file share, and how these scatter.

    Where all simulations have band powers in the same bins, the bins have names in /bandpower,
    too. If some share all four parameters, being realizations or axes of one model, there is

        /bandpower              edges, ell, modes, window_ell, windows, as in /sims/<sim>/cl
        /bandpower/covariance   params (g, 4), realizations (g,), dl_mean (g, b) [uK^2],
                                dl (g, b, b) [uK^4], ln_dl (g, b, b), pooled_ln_dl (b, b)

    for the g models with two simulations or more: the mean of D_ell, its covariance, that of
    ln D_ell (NaN where a band power is not positive), and the latter averaged over models, each
    weighing one less than its realizations. Models that share their initial conditions share
    their scatter as well, so that the average is then no surer than that of one model.
    """
    if not _same_bins(sims):
        return
    names = sorted(sims)
    group = h5.create_group("bandpower")
    for name in ("ell", *_BINNING):
        group[name] = sims[names[0]]["cl"][name]
    params = np.array([_parameters(sims[name]) for name in names])
    models = [model for model in equal_groups(params.tolist()) if len(model) > 1]
    if not models:
        return
    spectra = [np.array([sims[names[i]]["cl/dl_ksz"][()] for i in model]) for model in models]
    arrays = {"params": params[[model[0] for model in models]], **covariances(spectra)}
    reserve(h5, *arrays.values())
    covariance = group.create_group("covariance")
    for name, value in arrays.items():
        covariance[name] = value
    covariance.attrs["param_names"] = list(PARAMETER_NAMES)


def covariances(spectra: list[np.ndarray]) -> dict[str, np.ndarray]:
    """What /bandpower/covariance holds, from the band powers of g models, shape (n_g, b) each."""
    freedom = np.array([len(dl) - 1 for dl in spectra])
    ln_dl = np.full((len(spectra), *spectra[0].shape[1:] * 2), np.nan)
    for i, dl in enumerate(spectra):
        if (dl > 0).all():
            ln_dl[i] = bandpower_covariance(np.log(dl))[0]
    known = np.isfinite(ln_dl).all(axis=(1, 2))
    pooled = np.full(ln_dl.shape[1:], np.nan)
    if known.any():
        pooled = np.average(ln_dl[known], axis=0, weights=freedom[known])
    return {
        "realizations": freedom + 1,
        "dl_mean": np.array([dl.mean(axis=0) for dl in spectra]),
        "dl": np.array([bandpower_covariance(dl)[0] for dl in spectra]),
        "ln_dl": ln_dl,
        "pooled_ln_dl": pooled,
    }


def _same_bins(sims: h5py.Group) -> bool:
    """Whether all simulations have band powers with the same window functions."""
    first = None
    for sim in sims.values():
        windows = sim.get("cl/windows")
        if windows is None:
            return False
        first = first if first is not None else windows
        if windows != first and not np.array_equal(windows[()], first[()]):
            return False
    return first is not None


def _parameters(sim: h5py.Group) -> list[float]:
    """The four parameters; NaN, which equals nothing, for one that is not a number."""
    params = find_group(sim, "params")
    try:
        return [np.nan if params is None else read_scalar(params, n) for n in PARAMETER_NAMES]
    except DatasetError:
        return [np.nan] * len(PARAMETER_NAMES)
