"""What kind of suite the rows of the training arrays come from."""

from __future__ import annotations

import json
from typing import Any

import h5py
import numpy as np

from ..config import from_mapping
from ..errors import DatasetError
from .hdf5 import find_group, read_scalar
from .histories import TOLERANCE, Rows
from .realizations import covariances

_MOST_SIMULATIONS = 2**22  # of a campaign that is believed: their names have to fit in memory
_ODD = (ArithmeticError, LookupError, RecursionError, TypeError, ValueError)

Maps = dict[str, tuple[int, int]]
"""Seed and line of sight of each simulation, by its name."""


def describe_suite(
    h5: h5py.File, sims: h5py.Group, rows: Rows, param_names: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What is known of the suite in an open file, from its /campaign and its maps.

    Returns
    -------
    attrs : dict
        "realizations": "own" if no two rows have a map of the same seed and line of sight, or
        "shared" if all have the same ones; "map_area" [sr], if all maps have the same.
    bounds : dict
        "design_low" and "design_high", shape (p,): between which the design was drawn.

    What is not known is left out.
    """
    campaign = _campaign(h5)
    attrs = {"realizations": _kind(_maps(campaign), rows), "map_area": _map_area(sims, rows)}
    known = {name: value for name, value in attrs.items() if value is not None}
    return known, _design_bounds(campaign, param_names)


def ln_covariance(
    h5: h5py.File, sims: h5py.Group, rows: Rows, spectrum: str
) -> tuple[np.ndarray, int] | None:
    """How the logarithm of the spectrum of one map scatters about the mean of its row.

    Parameters
    ----------
    h5, sims, rows
        As in `describe_suite`.
    spectrum : str
        Path of the spectrum in a simulation, such as "cl/dl_ksz".

    Returns
    -------
    covariance : ndarray, shape (b, b)
        Pooled over the rows with two maps or more, each weighing one less than its maps. A row
        with a value that is not positive does not count.
    degrees_of_freedom : int
        The sum of these weights, but less than the number of maps with different initial
        conditions: rows that share these share their scatter as well.

    None, if there are no such rows, or their maps are copies of one; but of a suite whose rows all
    share one map's initial conditions, the scatter that its campaign.json brings, if it is of these
    bins: it was measured with other seeds.
    """
    campaign = _campaign(h5)
    if _kind(_maps(campaign), rows) == "shared" and all(len(row) == 1 for row in rows):
        return _of_the_preset(campaign, sims[rows[0][0]][spectrum].parent["ell"][()])
    several = [(row, _spectra(sims, row, spectrum)) for row in rows if len(row) > 1]
    usable = [(row, dl) for row, dl in several if (dl > 0).all()]
    if not usable:
        return None
    freedom = sum(len(row) - 1 for row, _ in usable)
    maps = _maps(campaign)
    names = [name for row, _ in usable for name in row]
    if maps.keys() >= set(names):
        freedom = min(freedom, len({maps[name] for name in names}) - 1)
    if freedom == 0:  # all are one map
        return None
    return covariances([dl for _, dl in usable])["pooled_ln_dl"], freedom


def _of_the_preset(campaign: dict[str, Any], ell: np.ndarray) -> tuple[np.ndarray, int] | None:
    """The scatter of ln D_ell that a campaign knows beforehand, if it is that of these bins."""
    try:
        known = campaign["seed_scatter"]
        covariance = np.array(known["covariance"], dtype=np.float64)
        freedom = int(known["n_realizations"]) - 1
        alike = np.allclose(known["ell"], ell, rtol=1e-3, atol=0)
    except _ODD:
        return None
    positive = covariance.shape == (len(ell),) * 2 and (np.linalg.eigvalsh(covariance) > 0).all()
    return (covariance, freedom) if alike and positive and freedom > 0 else None


def _spectra(sims: h5py.Group, row: Any, spectrum: str) -> np.ndarray:
    return np.array([sims[name][spectrum][()] for name in row], dtype=np.float64)


def _campaign(h5: h5py.File) -> dict[str, Any]:
    """campaign.json as it was copied; empty if there is none that can be understood."""
    from ..simulation.campaign.ledger import SCHEMA_VERSION  # here: it takes a tenth of a second

    dataset = h5.get("campaign")
    if not isinstance(dataset, h5py.Dataset):
        return {}
    try:
        document = json.loads(dataset.asstr()[()])
    except _ODD:
        return {}
    known = isinstance(document, dict) and document.get("schema_version") == SCHEMA_VERSION
    return document if known else {}


def _maps(campaign: dict[str, Any]) -> Maps:
    """Seed and line of sight of the simulations of a campaign; empty if it does not say."""
    from ..simulation.campaign.plan import Plan
    from ..simulation.config import SimulationConfig

    try:
        config = from_mapping(SimulationConfig, campaign["config"], "campaign.json")
        plan = Plan(config, np.array(campaign["rows"], dtype=np.float64))
        if len(plan) > _MOST_SIMULATIONS:
            return {}
        return {task.name: (task.seed, task.axis) for task in plan.tasks()}
    except _ODD:
        return {}


def _kind(maps: Maps, rows: Rows) -> str | None:
    try:
        of_rows = [frozenset(maps[name] for name in row) for row in rows]
    except KeyError:
        return None
    if sum(map(len, of_rows)) == len(frozenset().union(*of_rows)):
        return "own"
    return "shared" if len(set(of_rows)) == 1 else None


def _design_bounds(campaign: dict[str, Any], names: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        ranges = campaign["design"]["ranges"]
        low, high = np.array([ranges[name] for name in names], dtype=np.float64).T
    except _ODD:
        return {}
    if low.shape != (len(names),) or not (np.isfinite([low, high]).all() and (low < high).all()):
        return {}
    return {"design_low": low, "design_high": high}


def _map_area(sims: h5py.Group, rows: Rows) -> float | None:
    """The area of every map [sr], if they are alike."""
    try:
        sides = [_map_side(sims, name) for row in rows for name in row]
    except DatasetError:
        return None
    side = sides[0]
    alike = np.isfinite(sides).all() and np.allclose(sides, side, rtol=TOLERANCE, atol=0)
    return side**2 if alike and side > 0 else None


def _map_side(sims: h5py.Group, name: str) -> float:
    output = find_group(sims, f"{name}/output")
    return float("nan") if output is None else read_scalar(output, "theta_max_ksz")
