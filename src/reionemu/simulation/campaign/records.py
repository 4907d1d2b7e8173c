"""Which simulations of a campaign are there, and whether they are whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import AlreadyExistsError, UnreadableFileError
from ...files import sha256_of, write_bytes
from ..raw_files import DATA_FILES, RECORD, to_json
from .ledger import CAMPAIGN, SCHEMA_VERSION, config_hash, read_campaign
from .plan import Task

MANIFEST, CHECKSUMS = "manifest.json", "SHA256SUMS"
MISSING, THERE, OTHER, DAMAGED = "missing", "there", "other", "damaged"


@dataclass(frozen=True)
class CampaignStatus:
    """What is there of a campaign.

    Attributes
    ----------
    raw : Path
    total : int
        Simulations in all.
    there : int
        Those that are complete.
    missing : tuple of str
        Names of those yet to be made.
    damaged : dict of str
        Name -> what is wrong, of folders that are not what the campaign made, or would make.
    seconds : float
        Time that those which are there took, summed over processes.
    """

    raw: Path
    total: int
    there: int
    missing: tuple[str, ...]
    damaged: dict[str, str]
    seconds: float


def campaign_status(
    raw: Path, *, verify: bool = False, progress: Callable[[str, int, int], None] | None = None
) -> CampaignStatus:
    """Look at every simulation of the campaign in a folder.

    Parameters
    ----------
    raw : Path
    verify : bool
        Read every file and compare its SHA-256 with the record, not only its size.
    progress : callable, optional
        Called with (what is done, simulations looked at, simulations in all).

    Raises
    ------
    MissingFileError, UnreadableFileError
        If the folder has no campaign.json, or one that cannot be read.
    """
    raw = Path(raw).expanduser()
    plan, _ = read_campaign(raw)
    identity, total = config_hash(plan.config), len(plan)
    missing, damaged, seconds = [], {}, 0.0
    for done, task in enumerate(plan.tasks(), start=1):
        state, reason = inspect(raw, task, identity, verify=verify)
        if state == MISSING:
            missing.append(task.name)
        elif state == THERE:
            seconds += read_record(raw / task.name)["seconds"]
        else:
            damaged[task.name] = reason
        if progress:
            progress("verifying" if verify else "looking", done, total)
    there = total - len(missing) - len(damaged)
    names = {task.name for task in plan.tasks()}
    for stranger in sorted(path.name for path in raw.glob("sim*/") if path.name not in names):
        damaged[stranger] = "is not one of this campaign; move it away"
    return CampaignStatus(raw, total, there, tuple(missing), damaged, seconds)


def inspect(raw: Path, task: Task, identity: str, *, verify: bool = False) -> tuple[str, str]:
    """The state of a simulation, and for a bad state the reason.

    Parameters
    ----------
    identity : str
        `config_hash` of the campaign.
    verify : bool
        Whether to read the files; else their sizes must do.
    """
    folder = raw / task.name
    try:
        record = read_record(folder)
    except UnreadableFileError as error:
        return DAMAGED, str(error)
    if record is None:
        return MISSING, ""
    expected = identity_of(task, identity)
    for key, value in expected.items():
        if record.get(key) != value:
            return OTHER, f"its {key} is {record.get(key)!r}; here it is {value!r}"
    for name in DATA_FILES:
        reason = _flaw(folder / name, record["files"].get(name, {}), verify)
        if reason:
            return DAMAGED, f"{name} {reason}"
    return THERE, ""


def missing_tasks(raw: Path, tasks: Iterable[Task], identity: str) -> list[Task]:
    """The simulations yet to be made.

    Raises
    ------
    AlreadyExistsError, UnreadableFileError
        If the folder of one holds something else, or is damaged.
    """
    missing, bad = [], []
    for task in tasks:
        state, reason = inspect(raw, task, identity)
        if state == MISSING:
            missing.append(task)
        elif state != THERE:
            bad.append((state, f"{raw / task.name}: {reason}"))
    if bad:
        state, text = bad[0]
        kind = UnreadableFileError if state == DAMAGED else AlreadyExistsError
        others = f" ({len(bad) - 1} more folders are not as they should be)" if bad[1:] else ""
        raise kind(f"{text}{others}. Move it away, and run the same command again to remake it")
    return missing


def identity_of(task: Task, identity: str) -> dict[str, Any]:
    """What a record says that tells one simulation from all others."""
    return {
        "config_sha256": identity,
        "parameters": task.parameters,
        "seed": task.seed,
        "axis": task.axis,
    }


def read_record(folder: Path) -> Any:
    """The record of a simulation; None if its folder is not there.

    Raises
    ------
    UnreadableFileError
    """
    try:
        record = json.loads((folder / RECORD).read_bytes())
        if not all(isinstance(facts, dict) for facts in record["files"].values()):
            raise ValueError("it does not describe the files")
        float(record["seconds"])
    except FileNotFoundError:
        if not folder.exists():
            return None
        raise UnreadableFileError(f"{folder} has no {RECORD}: no campaign made it") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableFileError(f"cannot read {folder / RECORD}: {error}") from None
    return record


def _flaw(path: Path, facts: dict[str, Any], verify: bool) -> str:
    """What is wrong with a file; an empty string if nothing."""
    try:
        size = path.stat().st_size
        if size != facts.get("size_bytes"):
            return f"has {size} bytes; {facts.get('size_bytes')} were written"
        if verify and sha256_of(path) != facts.get("sha256"):
            return "does not have the SHA-256 that was recorded"
    except FileNotFoundError:
        return "is not there"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""


def write_manifest(raw: Path) -> bool:
    """If every simulation is there, write manifest.json and SHA256SUMS, and return True.

    The latter is for `sha256sum -c`; the former gathers campaign.json and the records.
    """
    plan, document = read_campaign(raw)  # which may have grown since this process began
    records, identity = {}, config_hash(plan.config)
    for task in plan.tasks():
        if inspect(raw, task, identity)[0] != THERE:
            return False
        records[task.name] = read_record(raw / task.name)
    sums = "".join(
        f"{record['files'][file]['sha256']}  {name}/{file}\n"
        for name, record in sorted(records.items())
        for file in DATA_FILES
    )
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "config": document["config"],
        "design": document["design"],
        "campaign_sha256": sha256_of(raw / CAMPAIGN),
        "simulations": records,
        "seconds": sum(record["seconds"] for record in records.values()),
    }
    for name, content in ((CHECKSUMS, sums.encode()), (MANIFEST, to_json(manifest))):
        path = raw / name
        if not path.is_file() or path.read_bytes() != content:  # a finished one may be read-only
            write_bytes(path, content)
    return True
