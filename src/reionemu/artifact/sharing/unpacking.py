"""What is in the zip file of an exported record, compared with what should be."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import RecordError, ReionemuWarning
from ...files import require_space
from ..checking.findings import ERROR, NOTE, Finding
from ..checking.inspection import inspect
from ..formats.jsonio import decode
from ..layout import CONFIGS, INFO, PROVENANCE, RESULTS
from ..read import load_artifact
from ..unfinished import UNFINISHED
from .contents import CARD, CRATE, expected_hashes, listed_files, read_contents
from .strictzip import StrictZip


def described(archive: StrictZip, where: str) -> dict[str, tuple[str, int]]:
    """SHA-256 and size of each file of the record in a zip file, which has these and no others."""
    if archive.member(INFO) is None:
        raise RecordError(f"{where} is not an exported record: there is no {INFO} in it")
    sealed = archive.member(PROVENANCE)
    if sealed is not None:
        content = archive.read(sealed)
        described = expected_hashes(content, where)
        described[PROVENANCE] = (hashlib.sha256(content).hexdigest(), len(content))
    else:
        described = _described_by_crate(archive, where)
    names = set(archive.names()) - {CARD, CRATE}
    if names != set(described):
        odd = sorted(names ^ set(described))[0]
        raise RecordError(
            f"{where}: {odd!r} is {'not a part of the record in it' if odd in names else 'missing'}"
        )
    return described


def _described_by_crate(archive: StrictZip, where: str) -> dict[str, tuple[str, int]]:
    """The same from the crate's metadata, for records without provenance.json."""
    member = archive.member(CRATE)
    if member is None:
        raise RecordError(f"{where} has neither {PROVENANCE} nor {CRATE}, to check its files by")
    document = decode(archive.read(member), f"{where}: {CRATE}")
    graph = document.get("@graph") if isinstance(document, dict) else None
    entities: dict[str, Any] = {
        entity["name"]: entity
        for entity in (graph if isinstance(graph, list) else [])
        if isinstance(entity, dict) and isinstance(entity.get("name"), str)
    }
    described = {}
    for name in sorted(set(archive.names()) - {CARD, CRATE}):
        entity = entities.get(name, {})
        sha256, size = entity.get("sha256"), entity.get("contentSize")
        if not isinstance(sha256, str) or not isinstance(size, str) or not size.isdecimal():
            raise RecordError(f"{where}: {CRATE} does not give the SHA-256 and size of {name}")
        described[name] = (sha256, int(size) if len(size) < 20 else -1)
    found = {INFO: archive.read(_member(archive, INFO))}
    parts = {INFO, *listed_files(found, where)}
    odd = sorted(set(described) - parts - {CONFIGS, RESULTS}) or sorted(parts - set(described))
    if odd:
        raise RecordError(f"{where}: {odd[0]!r} is missing, or not a part of the record in it")
    return described


def _member(archive: StrictZip, name: str) -> Any:
    member = archive.member(name)
    assert member is not None
    return member


def name_of(archive: StrictZip, where: str) -> str:
    """The name that the record in a zip file was saved under."""
    info = decode(archive.read(_member(archive, INFO)), f"{where}: {INFO}")
    name = info.get("run_id") if isinstance(info, dict) else None
    if not isinstance(name, str):
        raise RecordError(f"{where} does not say its name; give one: name=..., --name")
    return name


def unpack(
    archive: StrictZip, described: Mapping[str, tuple[str, int]], folder: Path, where: str
) -> None:
    """Write the record to a folder, comparing checksums, and read it as any record is read."""
    require_space(folder, sum(member.size for member in archive.members), f"the record in {where}")
    for member in archive.members:
        target = folder / member.name
        if member.name in described:
            digest = hashlib.sha256()
            with open(target, "xb") as out:
                for piece in archive.stream(member):
                    digest.update(piece)
                    out.write(piece)
            if (digest.hexdigest(), member.size) != described[member.name]:
                raise RecordError(f"{where} is damaged: {member.name} is not what was recorded")
        else:
            for _ in archive.stream(member):  # its checksum
                pass
    try:
        found = read_contents(folder)
        for finding in require_whole(found, folder):
            if finding.level == NOTE and finding.where.endswith(".pt"):
                warnings.warn(f"{where}: {finding}", ReionemuWarning, stacklevel=4)
        with warnings.catch_warnings():  # whoever loads it is warned
            warnings.simplefilter("ignore", ReionemuWarning)
            status = load_artifact(folder).status
    except RecordError as error:
        raise RecordError(str(error).replace(str(folder), where)) from None
    if status in UNFINISHED:
        raise RecordError(f"{where} holds a run that has not completed (status: {status})")
    if set(found) != set(described):
        raise RecordError(f"{where} is damaged: its documents disagree on what files it has")


def require_whole(found: Mapping[str, bytes], where: Path) -> list[Finding]:
    """Raise RecordError unless the files of a record are whole and fit together.

    What else there is to say of them is returned.
    """
    findings = inspect(found)
    for finding in findings:
        if finding.level == ERROR:
            raise RecordError(f"{where / finding.where}: {finding.message}")
    return findings
