"""Stage 1: one file with the needed part of every raw simulation."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

from ..errors import (
    AlreadyExistsError,
    MissingFileError,
    NoUsableSimulationsError,
    ReionemuWarning,
    UnreadableFileError,
)
from . import raw
from .hdf5 import SkippedSim, create_h5, reserve
from .stamps import inventory, options_of, write_stamp

ProgressCallback = Callable[[int, int], None]

CAMPAIGN = "campaign.json"
MAX_CAMPAIGN_BYTES = 2**28


@dataclass(frozen=True)
class CondenseConfig:
    """How raw simulations are condensed.

    Parameters
    ----------
    overwrite : bool
        Whether an existing output file is replaced (once the new one is complete).
    require_obs_and_pk : bool
        Skip a simulation that lacks either of its two files. Without it, one that lacks the pk
        file is kept, with NaN for its parameters.
    """

    overwrite: bool = True
    require_obs_and_pk: bool = True


@dataclass(frozen=True)
class CondenseStats:
    """What became of the simulations.

    Attributes
    ----------
    written : int
    skipped_missing_obs_pk : int
        A file was absent, or was not HDF5, or was torn.
    skipped_read_error : int
        A value could not be read, or was not of the kind expected.
    skipped_validation_error : int
        No spectrum can be made of the map: not square, not 2-D, empty, not finite, no scale.
    skipped : tuple of SkippedSim
        Each simulation that was skipped, and why.
    """

    written: int
    skipped_missing_obs_pk: int
    skipped_read_error: int
    skipped_validation_error: int
    skipped: tuple[SkippedSim, ...] = field(default=(), compare=False, repr=False)

    @property
    def skipped_total(self) -> int:
        """Number of simulations skipped, for whatever reason."""
        return self.skipped_missing_obs_pk + self.skipped_read_error + self.skipped_validation_error


def condense_sim_root(
    sim_root: Path,
    out_path: Path,
    *,
    config: CondenseConfig = CondenseConfig(),
    sim_prefix: str = "sim",
    file_description: str = "Condensed simulation outputs for kSZ 2LPT emulator.",
    version: int = 1,
    progress_callback: ProgressCallback | None = None,
) -> CondenseStats:
    """Condense every raw simulation under a folder into one HDF5 file.

    One simulation is held in memory at a time. The file appears at `out_path` when it is complete;
    until then whatever was there stays.

    Parameters
    ----------
    sim_root : Path
        Folder with one folder a simulation, laid out as `reionemu.simio.raw` describes.
    out_path : Path
        The file to write:

            attrs                source_root, description, version
            /sims/<sim>/params   zmean_zre, alpha_zre, kb_zre [h/Mpc], b0_zre
            /sims/<sim>/output   ksz_map [dT/T], Tcmb0 [K], theta_max_ksz [rad], pk_tt,
                                 xmval_list (mass-weighted neutral fraction), zval_list, tau
            /campaign            campaign.json of `sim_root`, if `reionemu simulate` made it: text
    config : CondenseConfig
    sim_prefix : str
        Folders whose name starts with this are simulations.
    file_description : str
        Stored as the attribute `description`.
    version : int
        Stored as the attribute `version`.
    progress_callback : callable, optional
        Called with (simulations done, simulations in all) after each one.

    Returns
    -------
    CondenseStats

    Raises
    ------
    FileNotFoundError
        If `sim_root`, or the folder of `out_path`, does not exist.
    NoUsableSimulationsError (RuntimeError)
        If no folder in `sim_root` matches, or none can be used and `out_path` exists.
    FileExistsError
        If `out_path` exists and `config.overwrite` is false.
    """
    sim_root, out_path = Path(sim_root).expanduser(), Path(out_path).expanduser()
    if not sim_root.is_dir():
        raise MissingFileError(f"{sim_root} does not exist, or is not a folder")
    folders = raw.find_sims(sim_root, sim_prefix)
    if not folders:
        raise NoUsableSimulationsError(f"there is no folder {sim_prefix}* in {sim_root}")
    if out_path.exists() and not config.overwrite:
        raise AlreadyExistsError(f"{out_path} exists and overwrite=False")
    suspect = out_path.is_file() and out_path.suffix not in raw.SUFFIXES
    if suspect and not h5py.is_hdf5(out_path):
        raise AlreadyExistsError(
            f"{out_path} is not an HDF5 file, and is not replaced by one; give another name"
        )

    skipped: list[SkippedSim] = []
    # What is there before anything is read: files that change meanwhile will not match it.
    stamp = condense_stamp(folders, sim_prefix, config)
    with create_h5(out_path) as h5:
        h5.attrs["source_root"] = str(sim_root.absolute())
        h5.attrs["description"] = file_description
        h5.attrs["version"] = version
        _write_campaign(h5, sim_root / CAMPAIGN)
        members = _members(sim_root)
        sims = h5.create_group("sims")
        for done, folder in enumerate(folders, start=1):
            try:
                if members is not None and folder.name not in members:
                    raise raw.UnusableSimError(raw.INVALID, f"it is not one of {CAMPAIGN}")
                sim = raw.read_sim(folder, require_both=config.require_obs_and_pk)
            except raw.UnusableSimError as error:
                skipped.append(SkippedSim(folder.name, error.category, str(error)))
            else:
                reserve(h5, *sim.params.values(), *sim.output.values())
                _write_sim(sims.create_group(folder.name), sim)
            if progress_callback:
                progress_callback(done, len(folders))
        if len(skipped) == len(folders) and out_path.exists():
            raise NoUsableSimulationsError(
                f"none of the {len(folders)} simulations in {sim_root} can be used, and {out_path} "
                f"stays as it was: {skipped[0].reason}",
                stats=_count(len(folders), skipped),
            )
        write_stamp(h5, "condense", stamp)

    return _count(len(folders), skipped)


def _count(total: int, skipped: list[SkippedSim]) -> CondenseStats:
    counts = Counter(sim.category for sim in skipped)
    return CondenseStats(
        written=total - len(skipped),
        skipped_missing_obs_pk=counts[raw.MISSING],
        skipped_read_error=counts[raw.READ_ERROR],
        skipped_validation_error=counts[raw.INVALID],
        skipped=tuple(skipped),
    )


def condense_stamp(folders: list[Path], prefix: str, config: CondenseConfig) -> dict[str, Any]:
    """What identifies the result of condensing these folders (see `stamps`)."""
    return {"sim_prefix": prefix, "raw_inventory": inventory(folders), **options_of(config)}


def _members(sim_root: Path) -> set[str] | None:
    """Names of the simulations of the campaign in a folder; None if there is none to be read."""
    from ..simulation.campaign.ledger import read_campaign

    try:
        plan, _ = read_campaign(sim_root)
    except (MissingFileError, UnreadableFileError):
        return None
    return {task.name for task in plan.tasks()}


def _write_campaign(h5: h5py.File, path: Path) -> None:
    """Copy what a campaign says of itself: with what it was simulated, and the sample variance."""
    if not path.is_file():
        return
    try:
        if path.stat().st_size > MAX_CAMPAIGN_BYTES:
            raise ValueError("it is too large")
        text = path.read_text(encoding="utf-8")
        json.loads(text)
    except (ValueError, RecursionError, OSError) as error:
        warnings.warn(f"{path} is left out: {error}", ReionemuWarning, stacklevel=3)
        return
    reserve(h5, text)
    h5["campaign"] = text


def _write_sim(group: h5py.Group, sim: raw.RawSim) -> None:
    for name, values in (("params", sim.params), ("output", sim.output)):
        subgroup = group.create_group(name)
        for key, value in values.items():
            subgroup[key] = value
