"""campaign.json: what a folder of raw simulations is, so that no two suites mix in it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ... import __version__
from ...config import from_mapping
from ...design import read_design
from ...errors import (
    AlreadyExistsError,
    MissingFileError,
    ReionemuError,
    UnreadableFileError,
)
from ...files import write_bytes
from ...locks import locked
from ...parameters import PARAMETER_NAMES
from ..config import SimulationConfig
from ..raw_files import to_json
from .plan import Plan

CAMPAIGN = "campaign.json"
SCHEMA_VERSION = 1
_MAX_BYTES = 2**28


def config_document(config: SimulationConfig) -> dict[str, Any]:
    """A configuration as JSON gives it back."""
    document = json.loads(json.dumps(config.to_dict()))
    assert isinstance(document, dict)
    return document


def config_hash(config: SimulationConfig) -> str:
    """SHA-256 of a configuration."""
    return hashlib.sha256(to_json(config_document(config))).hexdigest()


def software() -> dict[str, str]:
    """Versions of what computes the numbers."""
    versions = {"python": platform.python_version(), "reionemu": __version__}
    for name in ("numpy", "scipy", "torch", "h5py"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def settle(
    raw: Path, plan: Plan, source: Path | None, seed_scatter: Mapping[str, Any] | None
) -> None:
    """Say in campaign.json what the folder is for, or find that it says so already.

    A design may have grown at its end since: then the new rows are added.

    Raises
    ------
    AlreadyExistsError
        If the folder is that of another configuration or design, or of simulations that no
        campaign made; the message names what differs.
    """
    if holds(raw, plan):
        return
    with locked(raw / f".{CAMPAIGN}.lock", wait=True):
        if not holds(raw, plan):  # nobody was faster
            write_bytes(raw / CAMPAIGN, to_json(_document(plan, source, seed_scatter)))


def read_campaign(raw: Path) -> tuple[Plan, dict[str, Any]]:
    """The plan of the campaign in a folder, and all that its campaign.json says.

    Raises
    ------
    MissingFileError, UnreadableFileError
    """
    path = raw / CAMPAIGN
    if not path.is_file():
        raise MissingFileError(f"{raw} has no {CAMPAIGN}: it is not the folder of a campaign")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError("it is too large")
        document = json.loads(path.read_bytes())
        if document["schema_version"] > SCHEMA_VERSION:
            raise ValueError(
                f"it is of version {document['schema_version']}, which a later reionemu wrote"
            )
        config = from_mapping(SimulationConfig, document["config"], "config")
        theta = np.array(document["rows"], dtype=np.float64)
        if document["parameters"] != list(PARAMETER_NAMES) or theta.shape[1:] != (4,):
            raise ValueError("the parameters are not those of the model")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise UnreadableFileError(
            f"cannot read {path}: {reason}. Bring back a copy, or simulate into another folder"
        ) from None
    return Plan(config, theta), document


def _document(
    plan: Plan, source: Path | None, seed_scatter: Mapping[str, Any] | None
) -> dict[str, Any]:
    rows = np.ascontiguousarray(plan.theta, dtype="<f8")
    design: dict[str, Any] | None = None
    if source is not None:
        content = source.read_bytes()
        design = {"file": source.name, "sha256": hashlib.sha256(content).hexdigest()}
        with contextlib.suppress(ReionemuError):  # a table of points need not state bounds
            if space := read_design(source).space:
                design["ranges"] = space.box.to_mapping()
    return {
        "schema_version": SCHEMA_VERSION,
        "config": config_document(plan.config),
        "config_sha256": config_hash(plan.config),
        "parameters": list(PARAMETER_NAMES),
        "rows": rows.tolist(),
        "rows_sha256": hashlib.sha256(rows.tobytes()).hexdigest(),
        "design": design,
        "simulations": len(plan),
        "seed_scatter": dict(seed_scatter) if seed_scatter is not None else None,
        "software": software(),
        "created_at": datetime.now(timezone.utc).isoformat(),
    }


def holds(raw: Path, plan: Plan) -> bool:
    """Whether campaign.json holds this plan; False if it has yet to be written or extended.

    Raises
    ------
    AlreadyExistsError
        As `settle` does.
    """
    if not (raw / CAMPAIGN).exists():
        stranger = next(iter(sorted(raw.glob("sim*/"))), None)
        if stranger is not None:
            raise AlreadyExistsError(
                f"{raw} holds simulations, such as {stranger.name}, but no {CAMPAIGN}; "
                "give an empty or new folder"
            )
        return False
    there, _ = read_campaign(raw)
    differences = _differences(config_document(there.config), config_document(plan.config))
    if differences:
        advice = "Give another folder, or the same options"
        if any(text.startswith("zmean_range ") for text in differences):
            advice = (
                "Give another folder, or the same options: zmean_range covers the whole design, "
                "and is kept by --set zmean_range=[LOW,HIGH] where a design is to grow"
            )
        raise AlreadyExistsError(
            f"{raw} is the folder of another campaign: {'; '.join(differences[:5])}. {advice}"
        )
    common = min(len(there.theta), len(plan.theta))
    changed = np.flatnonzero((there.theta[:common] != plan.theta[:common]).any(axis=1))
    if len(changed):
        row = int(changed[0])
        raise AlreadyExistsError(
            f"{raw} is the folder of another design: row {row} is {_row(there, row)} there and "
            f"{_row(plan, row)} here ({len(changed)} of {common} rows differ). Give another folder"
        )
    return len(there.theta) >= len(plan.theta)


def _row(plan: Plan, row: int) -> str:
    return ", ".join(f"{value:.6g}" for value in plan.theta[row])


def _differences(there: Any, here: Any, where: str = "") -> list[str]:
    """What differs between two documents, in words."""
    if isinstance(there, dict) and isinstance(here, dict) and there.keys() == here.keys():
        return [
            difference
            for key in there
            for difference in _differences(there[key], here[key], f"{where}.{key}".lstrip("."))
        ]
    return (
        [] if there == here else [f"{where} is {json.dumps(there)} there, {json.dumps(here)} here"]
    )
