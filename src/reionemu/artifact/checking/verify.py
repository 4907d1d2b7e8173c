"""Whether a record is whole: every byte as it was saved, and its emulator answering as it did."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import MissingFileError, RecordError, ReionemuError, ReionemuWarning
from ...models.registry import surrogate_kind
from ...parameters import ParameterBox
from ..dataset import emulator_box
from ..facts import section
from ..folder import Folder, find_record
from ..formats.sidecars import MAX_WEIGHTS_BYTES
from ..layout import (
    BAND_POWERS,
    CHECKPOINT,
    COMPANIONS,
    INFERENCE,
    INFO,
    NORMALIZERS,
    POSTERIOR,
    WEIGHTS,
)
from ..read import Artifact, load_artifact
from ..runs import COMPLETED
from .findings import ERROR, NOTE, WARNING, Finding, said_once
from .inspection import DOCUMENTS, inspect, steps_of
from .selftest import replay, tolerance, undisturbed

if TYPE_CHECKING:
    from ...data.arrays import TrainingSet


_BINARIES = (NORMALIZERS, CHECKPOINT, WEIGHTS, COMPANIONS, POSTERIOR, BAND_POWERS)


@dataclass(frozen=True)
class Verification:
    """What `verify_artifact` found.

    Attributes
    ----------
    path : Path
    findings : tuple of Finding
        The worst first.
    """

    path: Path
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are errors."""
        return tuple(finding for finding in self.findings if finding.level == ERROR)

    def __str__(self) -> str:
        verdict = "whole" if self.ok else "NOT as it was saved"
        return "\n".join([f"{self.path}: {verdict}", *(f"  {found}" for found in self.findings)])


def verify_artifact(path: str | Path) -> Verification:
    """Check a record: its files, its documents, its predictions, its data.

    Every file is compared with the SHA-256 that was recorded, the documents with their schemas,
    the checkpoint with the weights; recorded predictions are made again; and if the dataset is at
    hand, it is told whether it is still the one that was used. Whether the samples of a posterior
    have the probabilities that are recorded is told by `reionemu.inference.verify_posterior`.

    Parameters
    ----------
    path : str or Path
        The folder of a record.

    Returns
    -------
    Verification

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    RecordError (ValueError)
        If it is not the folder of a record.
    """
    path = find_record(Path(path).expanduser())
    findings = inspect_folder(path)
    if not any(finding.level == ERROR for finding in findings):
        findings += _in_use(path)
    order = (ERROR, WARNING, NOTE)
    return Verification(path, tuple(sorted(findings, key=lambda found: order.index(found.level))))


def inspect_folder(path: Path) -> list[Finding]:
    """Findings about the files in the folder of a record, apart from what it is used for.

    Raises
    ------
    FileNotFoundError, RecordError (ValueError)
        As `verify_artifact`.
    """
    folder = Folder(path)
    try:
        files, findings = _read_all(folder)
    finally:
        folder.close()
    if not path.exists():
        raise MissingFileError(f"{path} was moved while it was read; look for it again")
    if not files.keys() & DOCUMENTS.keys() and not any(f.level == ERROR for f in findings):
        raise RecordError(f"{path} is not an artifact: it has no {INFO}")
    return said_once([*findings, *inspect(files)])


def _read_all(folder: Folder) -> tuple[dict[str, bytes], list[Finding]]:
    """All files in the folder of a record but hidden ones, and what stands in the way."""
    files: dict[str, bytes] = {}
    findings: list[Finding] = []
    for name in folder.names():
        try:
            content = folder.read(name, MAX_WEIGHTS_BYTES, growing=True)
        except (ReionemuError, OSError) as error:
            known = name in (*DOCUMENTS, *_BINARIES)
            findings.append(Finding(ERROR if known else WARNING, name, str(error)))
        else:
            if content is not None:
                files[name] = content
    return files, findings


def _in_use(path: Path) -> list[Finding]:
    """Whether the record still predicts what it did, from the data that it says."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReionemuWarning)  # of newer fields: noted already
            artifact = load_artifact(path)
    except ReionemuError as error:
        return [Finding(ERROR, "record", str(error))]
    if artifact.kind == INFERENCE:
        return []
    return [*_self_test(artifact), *_dataset(artifact)]


def _self_test(artifact: Artifact) -> list[Finding]:
    test = artifact.provenance.get("self_test")
    if not test:
        if artifact.status != COMPLETED:
            return []
        return [Finding(NOTE, "self-test", "no predictions were recorded that could be compared")]
    try:
        with undisturbed(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ReionemuWarning)
            emulator = artifact.emulator()
        with undisturbed():
            difference, allowed = replay(emulator, test), tolerance(emulator)
    except Exception as error:  # a model of the user's may raise anything
        level = ERROR if _is_refused(artifact, error) else WARNING
        return [Finding(level, "self-test", f"its predictions cannot be made here: {error}")]
    findings = [Finding(WARNING, "model", str(warning.message)) for warning in caught]
    if not difference <= allowed:
        message = f"predictions differ by {difference:.2g} from those recorded ({allowed:g} may be)"
        findings.append(Finding(ERROR, "self-test", message))
    return findings


def _is_refused(artifact: Artifact, error: Exception) -> bool:
    """Whether it is the record's fault; classes that are not known here may be known elsewhere."""
    name = section(artifact.configs, "model").get("class_name")
    return surrogate_kind(name) is not None and isinstance(error, RecordError)


def _dataset(artifact: Artifact) -> list[Finding]:
    """Whether the dataset, where it can be found, is the one that was used."""
    from ...data.arrays import load_training_set
    from ..dataset import file_fingerprint

    recorded = section(artifact.info, "dataset")
    fingerprint = section(recorded, "fingerprint")
    if not fingerprint:
        return []
    path = Path(str(fingerprint.get("path")))
    expected = recorded.get("content_sha256")
    try:
        if not path.is_file():
            message = f"{path} is not here, so it was not compared"
            return [Finding(NOTE, "dataset", message)]
        if expected is None:
            same = file_fingerprint(path) == dict(fingerprint)
            message = f"{path} has changed since, in size or time"
            return [] if same else [Finding(WARNING, "dataset", message)]
        data = load_training_set(path)
    except (ReionemuError, OSError) as error:
        return [Finding(WARNING, "dataset", f"{path} cannot be read any more: {error}")]
    if data.content_sha256() != expected:
        message = f"{path} holds other training arrays than those this was trained on"
        return [Finding(WARNING, "dataset", message)]
    return _training_box(artifact, data)


def _training_box(artifact: Artifact, data: TrainingSet) -> list[Finding]:
    box = artifact.info.get("training_box")
    steps = steps_of({"provenance": artifact.provenance}, "split")
    rows = section(steps[0], "indices").get("train") if steps else None
    if not box or not rows or not data.param_names:
        return []
    try:
        own = ParameterBox.around(data.param_names, data.X[rows])
        if box in (own.to_mapping(), emulator_box(data, np.asarray(rows)).to_mapping()):
            return []
    except (IndexError, TypeError, ValueError) as error:
        return [Finding(ERROR, "split", f"its rows are not rows of the dataset: {error}")]
    message = "training_box is not the range of the parameters over the training rows"
    return [Finding(ERROR, INFO, message)]
