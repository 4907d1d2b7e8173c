"""A record described as an RO-Crate, which repositories of research data and their tools read.

RO-Crate 1.1, https://w3id.org/ro/crate/1.1: a JSON-LD document that says what the files are, and
what action made them of what, by which program. Where the record names the program, the crate
also follows the profile "Process Run Crate" 0.5. Everything is taken from the record, and what is
not recorded is left out; but a crate must have a licence, so that it says that none is recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..layout import (
    BAND_POWERS,
    CHECKPOINT,
    COMPANIONS,
    CONFIGS,
    INFO,
    NORMALIZERS,
    POSTERIOR,
    PREDICTIONS,
    PROVENANCE,
    RESULTS,
    WEIGHTS,
)
from .contents import CARD, CRATE, Documents, contents_of, documents_of
from .flat import as_time, flat, number_or_text
from .recorded import mapping

if TYPE_CHECKING:
    from ..read import Artifact

SPECIFICATION = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_CONTEXT = [f"{SPECIFICATION}/context", {"sha256": "https://schema.org/sha256"}]
_MOST_VALUES = 1000  # of configuration, and of metrics
_LICENCE = {
    "@id": "#licence",
    "@type": "CreativeWork",
    "name": "Not recorded",
    "description": "The record names no licence; ask whoever made it how it may be used",
}
_PROGRAMS = {
    "reionemu": ("reionemu", "#reionemu"),
    "python": ("Python", "https://www.python.org/"),
    "numpy": ("NumPy", "https://numpy.org/"),
    "torch": ("PyTorch", "https://pytorch.org/"),
    "h5py": ("h5py", "https://www.h5py.org/"),
}
_MEANINGS = {
    INFO: "What the record is: name, time, training data, range of the parameters, files",
    CONFIGS: "The choices made before the run: data, model, optimizer, training",
    RESULTS: "What came of the run: status, metrics, history of the training",
    PROVENANCE: "What made the record: code, machine, data; and checksums of all its files",
    NORMALIZERS: "Means and standard deviations of parameters and targets, as NumPy arrays",
    WEIGHTS: "What the model has learned, and the options it was built with",
    COMPANIONS: "What goes with the model: error bars, history of reionization, training points",
    PREDICTIONS: "Simulations as predicted by models that were not trained on them",
    CHECKPOINT: "Weights of the network, as PyTorch saves them",
    POSTERIOR: "Samples of the posterior, and what follows from each",
    BAND_POWERS: "The band powers that the emulator was compared with, and their covariance",
    CARD: "Model card: what the emulator predicts, how well, and what it must not be used for",
}
_OUTCOMES = (WEIGHTS, COMPANIONS, CHECKPOINT, NORMALIZERS, PREDICTIONS, POSTERIOR, RESULTS)
_FORMATS = {
    ".json": "application/json",
    ".npz": "application/zip",
    ".md": "text/markdown",
    ".txt": "text/plain",
}


def ro_crate(artifact: Artifact) -> dict[str, Any]:
    """The content of `ro-crate-metadata.json` for a record.

    Parameters
    ----------
    artifact : Artifact
        Its files are read, to give their sizes and checksums.

    Returns
    -------
    dict
        A JSON-LD document, RO-Crate 1.1.

    Raises
    ------
    RecordError (ValueError)
        If another record has taken the place of the artifact since it was loaded.
    """
    found = contents_of(artifact)
    return crate(documents_of(artifact), found)


def crate(record: Documents, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The same from documents and the contents of all files that are to be described."""
    contents = [_file(name, files[name]) for name in sorted(files)]
    programs = _programs(record)
    data = [*_training_data(record), *_emulator(record)]
    configs = list(_values("config", flat(record.configs, skip=("schema_version",))))
    metrics = list(_values("metric", flat(record.results.get("metrics"))))
    action = _action(record, files, [*data, *configs], metrics, programs)
    root = _without_none(
        {
            "@id": "./",
            "@type": "Dataset",
            "name": record.run,
            "description": _description(record),
            "datePublished": _when(record.info.get("created_at")),
            "license": _link(_LICENCE["@id"]),
            "conformsTo": _link(PROFILE) if programs else None,
            "hasPart": [_link(entity["@id"]) for entity in contents],
            "mentions": _link(action["@id"]),
        }
    )
    graph = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "conformsTo": _link(SPECIFICATION),
            "about": _link("./"),
        },
        root,
        *contents,
        _LICENCE,
        action,
        *data,
        *configs,
        *metrics,
        *programs,
    ]
    if programs:
        graph.append(
            {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
        )
    return {"@context": _CONTEXT, "@graph": graph}


def _file(name: str, content: bytes) -> dict[str, Any]:
    """One file of the record."""
    return {
        "@id": quote(name),
        "@type": "File",
        "name": name,
        "description": _MEANINGS.get(name, "A part of the record"),
        "encodingFormat": _FORMATS.get(PurePath(name).suffix, "application/octet-stream"),
        "contentSize": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _action(
    record: Documents,
    files: Mapping[str, bytes],
    inputs: list[dict[str, Any]],
    outputs: list[dict[str, Any]],
    programs: list[dict[str, Any]],
) -> dict[str, Any]:
    """The training, or sampling: when, by which program, of what, and what came of it."""
    results = [name for name in _OUTCOMES if name in files]
    ended = record.provenance.get("ended_at") or record.results.get("created_at")
    sampled = record.is_posterior
    used = [BAND_POWERS] if sampled and BAND_POWERS in files else []
    return _without_none(
        {
            "@id": "#sampling" if sampled else "#training",
            "@type": "CreateAction",
            "name": f"{'Sampling' if sampled else 'Training'} of {record.run}",
            "description": (
                "Sampling of the posterior of parameters, given band powers"
                if sampled
                else "Training of a model that predicts spectra from parameters"
            )
            + _in_sessions(record.provenance.get("sessions")),
            "startTime": _when(record.provenance.get("started_at")),
            "endTime": _when(ended),
            "actionStatus": "http://schema.org/CompletedActionStatus"
            if record.results.get("status") == "completed"
            else None,
            "instrument": _link(programs[0]["@id"]) if programs else None,
            "object": [_link(quote(name)) for name in used]
            + [_link(entity["@id"]) for entity in inputs],
            "result": [_link(quote(name)) for name in results]
            + [_link(entity["@id"]) for entity in outputs],
        }
    )


def _in_sessions(sessions: Any) -> str:
    """What to add of a run that was resumed."""
    resumed = isinstance(sessions, list) and len(sessions) > 1
    return f", in {len(sessions)} sessions" if resumed else ""


def _programs(record: Documents) -> list[dict[str, Any]]:
    """The program that trained, first, and what it needs; none if they are not recorded."""
    versions = record.provenance.get("software") or record.info.get("software")
    versions = versions if isinstance(versions, Mapping) else {}
    found: list[dict[str, Any]] = [
        {
            "@id": address,
            "@type": "SoftwareApplication",
            "name": name,
            "softwareVersion": str(versions[key])[:100],
            **({} if address.startswith("#") else {"url": address}),
        }
        for key, (name, address) in _PROGRAMS.items()
        if versions.get(key)
    ]
    if not found or found[0]["name"] != "reionemu":
        return []
    needed = [_link(entity["@id"]) for entity in found[1:]]
    found[0] = _without_none({**found[0], "softwareRequirements": needed})
    return [*_script(record, found[0]["@id"]), *found]


def _script(record: Documents, library: str) -> Iterator[dict[str, Any]]:
    """The script that was run, by its name alone: where it lay is nobody's business."""
    script = mapping(record.provenance, "script")
    path, sha256 = script.get("path"), script.get("sha256")
    if isinstance(path, str) and PurePath(path).name:
        yield _without_none(
            {
                "@id": "#script",
                "@type": "SoftwareSourceCode",
                "name": PurePath(path).name,
                "description": "The script that was run; it is not in this crate",
                "sha256": sha256 if isinstance(sha256, str) else None,
                "softwareRequirements": _link(library),
            }
        )


def _training_data(record: Documents) -> list[dict[str, Any]]:
    """The arrays that were trained on, which the crate does not hold."""
    recorded = record.info.get("dataset")
    if not isinstance(recorded, Mapping):
        return []
    counts = [
        f"{recorded[key]} {noun}"
        for key, noun in (
            ("n_samples", "simulations"),
            ("n_parameters", "parameters"),
            ("n_targets", "ell bins"),
        )
        if isinstance(recorded.get(key), int)
    ]
    sha256 = recorded.get("content_sha256")
    return [
        _without_none(
            {
                "@id": "#training-data",
                "@type": "CreativeWork",
                "name": "Training data",
                "description": "Parameters of simulations and the spectra measured in them"
                + (f": {', '.join(counts)}" if counts else "")
                + ". Not in this crate; the checksum is of the arrays, as docs/formats.md defines",
                "sha256": sha256 if isinstance(sha256, str) else None,
            }
        )
    ]


def _emulator(record: Documents) -> Iterator[dict[str, Any]]:
    """The emulator that a posterior was computed with, which the crate does not hold."""
    lineage = record.provenance.get("lineage")
    for step in lineage if isinstance(lineage, list) else []:
        if isinstance(step, Mapping) and step.get("step") == "emulator":
            yield {
                "@id": "#emulator",
                "@type": "CreativeWork",
                "name": str(step.get("name")),
                "description": "Record of the emulator, as "
                + f"run {step.get('run')}, seal {step.get('seal')}. Not in this crate",
            }


def _values(kind: str, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each number or word of a document as an entity with a name and a value."""
    for path, value in list(values.items())[:_MOST_VALUES]:
        if value is not None:
            yield {
                "@id": f"#{kind}-{quote(path, safe='')}",
                "@type": "PropertyValue",
                "name": path,
                "value": number_or_text(value),
            }


def _description(record: Documents) -> str:
    given = record.info.get("description")
    what = "An emulator of the patchy kinetic Sunyaev-Zel'dovich angular power spectrum"
    if record.is_posterior:
        what = "Samples of a posterior, from band powers of the kinetic Sunyaev-Zel'dovich effect"
    return given if isinstance(given, str) and given.strip() else what


def _when(value: Any) -> str | None:
    """A time to the millisecond, as RO-Crate has it."""
    when = as_time(value)
    return when.isoformat(timespec="milliseconds") if when else None


def _link(identifier: str) -> dict[str, str]:
    return {"@id": identifier}


def _without_none(entity: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entity.items() if value not in (None, [])}
