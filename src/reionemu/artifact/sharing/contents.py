"""All files of one record, read at one moment, and the documents among them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...errors import RecordError, ReionemuWarning
from ..facts import section
from ..folder import Folder
from ..formats.jsonio import decode
from ..formats.migrations import migrate
from ..formats.sidecars import (
    MAX_WEIGHTS_BYTES,
    companions_options,
    decode_weights,
)
from ..layout import COMPANIONS, CONFIGS, INFERENCE, INFO, PROVENANCE, RESULTS, WEIGHTS
from ..provenance import is_sealed
from ..read import Artifact

CRATE = "ro-crate-metadata.json"
CARD = "README.md"


@dataclass(frozen=True)
class Documents:
    """The JSON documents of a record, empty where it has none."""

    name: str
    info: Mapping[str, Any]
    configs: Mapping[str, Any]
    results: Mapping[str, Any]
    provenance: Mapping[str, Any]
    weights: bytes | None
    beside: bytes | None = None  # the file with the companions of the model

    @property
    def is_posterior(self) -> bool:
        """Whether the record is one of a posterior, and not of an emulator."""
        return self.info.get("kind") == INFERENCE

    @property
    def run(self) -> str:
        """The name under which the record was saved."""
        run = self.info.get("run_id")
        return run if isinstance(run, str) and run else self.name

    @cached_property
    def model(self) -> Mapping[str, Any]:
        """The options of the model, as far as they are recorded; those with the weights count."""
        recorded = self.configs.get("model")
        stored: Mapping[str, Any] = {}
        if self.weights is not None:
            with suppress(RecordError):
                stored = decode_weights(self.weights, WEIGHTS)[1]
        return {**(recorded if isinstance(recorded, Mapping) else {}), **stored}

    @cached_property
    def companions(self) -> Mapping[str, Any]:
        """What is recorded of the parts that go with the model, by part."""
        with suppress(RecordError):
            return companions_options(self.beside or b"", COMPANIONS)
        return {}


def documents_of(artifact: Artifact) -> Documents:
    """The documents of an `Artifact`."""
    return Documents(
        artifact.name,
        artifact.info,
        artifact.configs,
        artifact.results,
        artifact.provenance,
        artifact._files.get("weights"),
        artifact._files.get("companions"),
    )


def read_contents(path: Path) -> dict[str, bytes]:
    """Every file that belongs to the record in a folder, by name.

    These are the files that provenance.json lists, and itself; or in a record without it, the
    three JSON documents and those that info.json names. All are of one record, even if another
    process puts a new one in its place meanwhile.

    Raises
    ------
    RecordError (ValueError)
        If a file that belongs to the record is not there.
    """
    folder = Folder(path)
    try:
        found = {
            name: content
            for name in (INFO, CONFIGS, RESULTS, PROVENANCE)
            if (content := folder.read(name)) is not None
        }
        if INFO not in found:
            raise RecordError(f"{path} is not an artifact: it has no {INFO}")
        for name in listed_files(found, path):
            if name in found:
                continue
            content = folder.read(name, MAX_WEIGHTS_BYTES)
            if content is None:
                raise RecordError(f"{path} lacks {name}, which is a part of the record")
            found[name] = content
        return found
    finally:
        folder.close()


def contents_of(artifact: Artifact) -> dict[str, bytes]:
    """The same of the record that was loaded.

    Raises
    ------
    RecordError (ValueError)
        If another record has taken its place since.
    """
    found = read_contents(artifact.path)
    current = document(found, INFO, artifact.path)
    if any(current.get(key) != artifact.info.get(key) for key in ("run_id", "created_at")):
        raise RecordError(f"{artifact.path} was replaced since it was loaded; load it again")
    return found


def listed_files(found: Mapping[str, bytes], where: Path | str) -> list[str]:
    """Names of the files that a record says it has besides its JSON documents."""
    if PROVENANCE in found:
        names = list(section(document(found, PROVENANCE, where), "files"))
    else:
        names = list(section(document(found, INFO, where), "artifacts").values())
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or name in ("", "..", CRATE, CARD):
            raise RecordError(f"{where} lists a file {name!r}, which cannot be a part of a record")
    return names


def document(found: Mapping[str, bytes], name: str, where: Path | str) -> dict[str, Any]:
    """A JSON document among the files of a record; empty if it is not there."""
    if name not in found:
        return {}
    result = decode(found[name], f"{where}/{name}")
    if not isinstance(result, dict):
        raise RecordError(f"{where}/{name} is not a record: it is not a JSON object")
    return result


def documents(found: Mapping[str, bytes], path: Path) -> Documents:
    """The documents among the files of a record, brought up to date.

    Whoever loads the record is warned of what is newer than this release; here is no warning.
    """
    current = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReionemuWarning)
        for name in (INFO, CONFIGS, RESULTS, PROVENANCE):
            raw = document(found, name, path)
            kind = name.removesuffix(".json")
            current[kind] = migrate(kind, raw, f"{path}/{name}") if raw else {}
    names = section(current["info"], "artifacts")
    weights = found.get(str(names.get("weights", WEIGHTS)))
    beside = found.get(str(names.get("companions", COMPANIONS)))
    name = str(current["info"].get("experiment_name") or path.name)
    return Documents(name, **current, weights=weights, beside=beside)


def expected_hashes(provenance: bytes, where: Path | str) -> dict[str, tuple[str, int]]:
    """SHA-256 and size of each file, by name, as a sealed provenance.json has them.

    Raises
    ------
    RecordError (ValueError)
        If the seal is broken, or the list is not a list of files.
    """
    if not is_sealed(provenance):
        raise RecordError(f"{where} is damaged: the seal of {PROVENANCE} is broken")
    listed = section(document({PROVENANCE: provenance}, PROVENANCE, where), "files")
    hashes = {}
    for name, entry in listed.items():
        entry = entry if isinstance(entry, Mapping) else {}
        sha256, size = entry.get("sha256"), entry.get("size_bytes")
        if not isinstance(sha256, str) or type(size) is not int:
            raise RecordError(f"{where}: {PROVENANCE} does not give the SHA-256 and size of {name}")
        hashes[name] = (sha256, size)
    return hashes
