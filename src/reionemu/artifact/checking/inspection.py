"""Whether the files of a record are those that were saved, and fit together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import RecordError, UnsafeRecordError
from ..facts import section
from ..formats.arrays import safetensors_arrays
from ..formats.checkpoint import read_checkpoint
from ..formats.journal import read_journal
from ..formats.jsonio import decode
from ..formats.posterior import decode_posterior
from ..formats.sidecars import (
    decode_checkpoint,
    decode_companions,
    decode_normalizers,
    decode_predictions,
    weights_document,
)
from ..layout import (
    BAND_POWERS,
    CHECKPOINT,
    COMPANIONS,
    CONFIGS,
    INFERENCE,
    INFO,
    JOURNAL,
    NORMALIZERS,
    POSTERIOR,
    PREDICTIONS,
    PROVENANCE,
    RESULTS,
    WEIGHTS,
)
from ..lineage import weights_sha256
from ..provenance import file_entry, is_sealed
from ..runs import COMPLETED, FAILED
from .findings import ABSENT, ERROR, NOTE, WARNING, Finding, as_finding

_OF_POSTERIORS = (("posterior", POSTERIOR), ("data", BAND_POWERS))
DOCUMENTS = {INFO: "info", CONFIGS: "configs", RESULTS: "results", PROVENANCE: "provenance"}


def inspect(files: Mapping[str, bytes]) -> list[Finding]:
    """Findings about the files of a record, given by name, apart from what it is used for."""
    findings: list[Finding] = []
    documents: dict[str, dict[str, Any]] = {}
    for name, kind in DOCUMENTS.items():
        if name in files:
            document, found = _document(name, kind, files[name])
            findings += found
            documents[kind] = document
    changed = _checksums(files, documents)
    findings += changed
    if INFO not in files:
        findings.append(Finding(ERROR, INFO, ABSENT))
    findings += _outcome(documents)
    with as_finding(findings, JOURNAL):
        findings += _journal(files.get(JOURNAL, b""))
    if not any(finding.level == ERROR for finding in changed):  # else they need not fit together
        with as_finding(findings, INFO):
            findings += _binaries(files, documents)
            findings += _posterior(files, documents)
    with as_finding(findings, PROVENANCE):
        findings += _split(documents)
    return findings


def _outcome(documents: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """What a run that failed says of it."""
    results = documents.get("results", {})
    error = results.get("error")
    if results.get("status") != FAILED or not isinstance(error, dict):
        return []
    message = f"the run failed: {error.get('type')}: {error.get('message')}"
    return [Finding(NOTE, RESULTS, message)]


def _journal(content: bytes) -> list[Finding]:
    """Whether the history of a run is lost from some line on; the last line may be torn."""
    good, lines = len(read_journal(content)), content.count(b"\n")
    if good == lines:
        return []
    message = f"line {good + 1} of {lines} cannot be read; it and what follows are left out"
    return [Finding(WARNING, JOURNAL, message)]


def _document(name: str, kind: str, content: bytes) -> tuple[dict[str, Any], list[Finding]]:
    """A JSON document, empty if it is damaged, and findings about it."""
    try:
        document = decode(content, name)
    except RecordError as error:
        return {}, [Finding(ERROR, name, str(error).removeprefix(f"{name} "))]
    if not isinstance(document, dict):
        return {}, [Finding(ERROR, name, "is not a JSON object")]
    return document, _problems(name, kind, document)


def _problems(where: str, kind: str, document: Mapping[str, Any]) -> list[Finding]:
    """In what a document is not as its schema says."""
    from ..formats.schema import check

    return [
        Finding(problem.level, where, f"{problem.path}: {problem.message}".removeprefix(": "))
        for problem in check(kind, document)
    ]


def _checksums(
    files: Mapping[str, bytes], documents: Mapping[str, Mapping[str, Any]]
) -> list[Finding]:
    """Whether every file is the one that was recorded."""
    if PROVENANCE not in files:
        listed = documents.get("info", {}).get("artifacts")
        if isinstance(listed, dict) and "provenance" in listed:
            return [Finding(ERROR, PROVENANCE, f"{ABSENT}, though info.json lists it")]
        message = f"{ABSENT} (an older record?), so that no changes in files can be found"
        return [Finding(WARNING, PROVENANCE, message)]
    findings = []
    if not is_sealed(files[PROVENANCE]):
        findings.append(Finding(ERROR, PROVENANCE, "is not as it was sealed: it has changed"))
    provenance = documents["provenance"]
    listed = provenance.get("files")
    if not listed and provenance.get("ended_at") is None and not findings:
        completed = documents.get("results", {}).get("status") == COMPLETED
        message = "the run did not end, or goes on: its files have no checksums"
        return [Finding(ERROR if completed else NOTE, PROVENANCE, message)]
    if not isinstance(listed, dict):
        return findings
    for name, entry in listed.items():
        if name not in files:
            findings.append(Finding(ERROR, name, f"{ABSENT}, though it was saved"))
        elif not isinstance(entry, dict) or {**entry, **file_entry(files[name])} != entry:
            findings.append(Finding(ERROR, name, "is not the file that was saved: it has changed"))
    for name in sorted(files.keys() - listed.keys() - {PROVENANCE}):
        findings.append(Finding(WARNING, name, "is not a part of the record as it was saved"))
    return findings


def _binaries(
    files: Mapping[str, bytes], documents: Mapping[str, Mapping[str, Any]]
) -> list[Finding]:
    """Whether normalizers, weights and checkpoint can be read and belong together."""
    findings: list[Finding] = []
    names = {str(k): str(v) for k, v in section(documents.get("info", {}), "artifacts").items()}
    for part, name in names.items():
        if name not in files and name != PROVENANCE:
            findings.append(Finding(ERROR, name, f"{ABSENT}, though info.json has it as {part}"))
    weights = checkpoint = None
    name = names.get("normalizers", NORMALIZERS)
    if name in files:
        with as_finding(findings, name):
            decode_normalizers(files[name], name)
    name = names.get("companions", COMPANIONS)
    if name in files:
        with as_finding(findings, name):
            decode_companions(files[name], name)
    name = names.get("predictions", PREDICTIONS)
    if name in files:
        with as_finding(findings, name):
            decode_predictions(files[name], name)
    name = names.get("weights", WEIGHTS)
    if name in files:
        with as_finding(findings, name):
            weights, metadata = safetensors_arrays(files[name], name)
            document = weights_document(metadata, name)
            findings += _problems(name, "weights", document) if document else []
    name = names.get("model_checkpoint", CHECKPOINT)
    if name in files:
        with as_finding(findings, name):
            checkpoint = _checkpoint(files[name], name, findings)
    if weights is not None and checkpoint is not None and not _equal(weights, checkpoint):
        findings.append(Finding(ERROR, name, f"has other weights than {WEIGHTS}"))
    for step in steps_of(documents, "weights"):
        if weights is not None and step.get("content_sha256") != weights_sha256(weights):
            findings.append(Finding(ERROR, WEIGHTS, "is not what the lineage ends in"))
    return findings


def _posterior(
    files: Mapping[str, bytes], documents: Mapping[str, Mapping[str, Any]]
) -> list[Finding]:
    """Whether samples and band powers can be read, and are those of the lineage."""
    findings: list[Finding] = []
    info = documents.get("info", {})
    names = {str(k): str(v) for k, v in section(info, "artifacts").items()}
    parts = {part: names.get(part, default) for part, default in _OF_POSTERIORS}
    completed = documents.get("results", {}).get("status") == COMPLETED
    if info.get("kind") == INFERENCE and completed:
        missing = [name for name in parts.values() if name not in files]
        findings += [Finding(ERROR, n, f"{ABSENT}, and it is a posterior's") for n in missing]
    if (name := parts["data"]) in files:
        findings += _document(name, "data", files[name])[1]
    if (name := parts["posterior"]) in files:
        with as_finding(findings, name):
            _, metadata = safetensors_arrays(files[name], name)
            findings += _problems(name, "posterior", weights_document(metadata, name))
            arrays = decode_posterior(files[name], name).arrays
            steps = steps_of(documents, "posterior")
            if any(step.get("content_sha256") != weights_sha256(arrays) for step in steps):
                findings.append(Finding(ERROR, name, "is not what the lineage ends in"))
    return findings


def _checkpoint(
    content: bytes, name: str, findings: list[Finding]
) -> Mapping[str, np.ndarray] | None:
    """The weights in a checkpoint, or None with a note if it is not for us to read them."""
    try:
        return decode_checkpoint(content, name)[0]
    except UnsafeRecordError:
        message = "holds more than weights, and reading that would run code: not looked at"
    except RecordError:
        read_checkpoint(content, name)  # raises if it is damaged
        message = "holds no state dict of plain values, so it was not compared with anything"
    findings.append(Finding(NOTE, name, message))
    return None


def _split(documents: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Whether the parts of the split have no row in common and are rows of the dataset."""
    findings: list[Finding] = []
    n = section(documents.get("info", {}), "dataset").get("n_samples")
    for step in steps_of(documents, "split"):
        parts = section(step, "indices")
        rows = [row for part in parts.values() for row in part]
        if len(set(rows)) != len(rows):
            twice = [
                f"{a} and {b}"
                for i, a in enumerate(parts)
                for b in list(parts)[i + 1 :]
                if set(parts[a]) & set(parts[b])
            ]
            what = f"{', '.join(twice)} have rows in common" if twice else "a row is there twice"
            findings.append(Finding(ERROR, "split", f"{what}: errors on them flatter"))
        if isinstance(n, int) and any(not 0 <= row < n for row in rows):
            findings.append(Finding(ERROR, "split", f"has rows that the dataset ({n}) has not"))
    return findings


def steps_of(documents: Mapping[str, Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    """Steps of that name in the lineage (one, if it is known)."""
    lineage = documents.get("provenance", {}).get("lineage")
    steps = lineage if isinstance(lineage, list) else []
    return [step for step in steps if isinstance(step, dict) and step.get("step") == name]


def _equal(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(
        (a[k].shape, a[k].dtype) == (b[k].shape, b[k].dtype)
        and np.array_equal(a[k], b[k], equal_nan=a[k].dtype.kind in "fc")
        for k in a
    )
