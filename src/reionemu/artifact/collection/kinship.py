"""Which steps of the way to their weights, or samples, two records have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..read import Artifact

_FINGERPRINT = ("path", "file_size_bytes", "modified_at")
_OPTIONS_IN_CONFIGS = {"condensed": "condense", "spectra": "cl", "training_set": "build_xy"}


@dataclass(frozen=True)
class Step:
    """One step, as two records tell it.

    Attributes
    ----------
    step : str
        "raw", "condensed", "spectra", "training_set", "split" or "weights"; of a posterior also
        "emulator", "data" and "posterior".
    same : bool or None
        None if it cannot be known.
    text : str
        In words.
    """

    step: str
    same: bool | None
    text: str


def steps_between(
    a: Artifact, b: Artifact
) -> tuple[tuple[Step, ...], tuple[dict[str, Any], dict[str, Any]]]:
    """Which steps are the same, and the options of the steps that configs.json does not have.

    Returns
    -------
    steps : tuple of Step
        In order; steps that neither record tells are left out.
    options : tuple of dict
        Of A and of B, {"lineage": {step: {"config": ...}}}.
    """
    left, right = _steps(a), _steps(b)
    arrays = _dataset(a, left), _dataset(b, right)
    told = (
        _raw(left.get("raw"), right.get("raw")),
        _condensed(left.get("condensed"), right.get("condensed")),
        _by_config("spectra", left.get("spectra"), right.get("spectra")),
        _arrays(*arrays),
        _split(left.get("split"), right.get("split"), _same_arrays(*arrays)),
        _by_hash("weights", left, right, "the same, bit for bit", "other weights"),
        _emulator(left.get("emulator"), right.get("emulator")),
        _by_hash("data", left, right, "the same band powers", "other band powers"),
        _by_hash("posterior", left, right, "the same samples, bit for bit", "other samples"),
    )
    return tuple(step for step in told if step), (_options(a, left), _options(b, right))


def _raw(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> Step | None:
    if a is None or b is None:
        return _untold("raw", a, b)
    hashes = a.get("inventory_sha256"), b.get("inventory_sha256")
    if None in hashes:
        return Step("raw", None, f"no inventory is recorded of {_both(a, b, 'path')}")
    same = hashes[0] == hashes[1]
    if not same:
        return Step("raw", False, f"other simulations: {_both(a, b, 'path')}")
    moved = "" if a.get("path") == b.get("path") else f", from {_both(a, b, 'path')}"
    return Step("raw", True, f"the same simulations{moved}")


def _condensed(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> Step | None:
    if a is None or b is None:
        return _untold("condensed", a, b)
    if all(a.get(fact) == b.get(fact) for fact in _FINGERPRINT):
        return Step("condensed", True, f"the same file: {a.get('path')}")
    if a.get("path") == b.get("path"):
        return Step("condensed", False, f"the file was changed in between: {a.get('path')}")
    return Step("condensed", False, f"another file: {_both(a, b, 'path')}")


def _by_config(step: str, a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> Step | None:
    if a is None or b is None:
        return _untold(step, a, b)
    if a.get("config") == b.get("config"):
        return Step(step, True, "the same options")
    return Step(step, False, "other options")


def _arrays(a: Mapping[str, Any], b: Mapping[str, Any]) -> Step | None:
    if not a or not b:
        return _untold("training_set", a or None, b or None)
    same = _same_arrays(a, b)
    files = [_fingerprint(dataset) for dataset in (a, b)]
    paths = [file.get("path", "?") for file in files]
    if same is None:
        if files[0] and files[0] == files[1]:
            return Step("training_set", True, f"the same file, unchanged: {paths[0]}")
        return Step("training_set", None, "not known: a hash of the arrays is not in both records")
    if not same:
        where = f"in {paths[0]}" if paths[0] == paths[1] else f"{paths[0]} -> {paths[1]}"
        return Step("training_set", False, f"other arrays: {where}")
    if files[0] == files[1]:
        return Step("training_set", True, "the same arrays from the same file")
    if paths[0] == paths[1]:
        return Step("training_set", True, "the same arrays, though the file was written anew")
    text = f"the same arrays from another file: {paths[0]} -> {paths[1]}"
    return Step("training_set", True, text)


def _split(
    a: Mapping[str, Any] | None, b: Mapping[str, Any] | None, same_arrays: bool | None
) -> Step | None:
    parts_a, parts_b = _parts(a), _parts(b)
    if parts_a is None or parts_b is None:
        return _untold("split", parts_a, parts_b)
    rows = parts_a.keys() | parts_b.keys()
    moved = sum(parts_a.get(row) != parts_b.get(row) for row in rows)
    of_others = ", of other arrays" if same_arrays is False else ""
    if moved == 0:
        return Step("split", True, f"the same rows in every part{of_others}")
    return Step("split", False, f"{moved} of {len(rows)} rows are in another part{of_others}")


def _by_hash(
    step: str,
    left: Mapping[str, Mapping[str, Any]],
    right: Mapping[str, Mapping[str, Any]],
    if_same: str,
    if_not: str,
) -> Step | None:
    hashes = [steps.get(step, {}).get("content_sha256") for steps in (left, right)]
    if None in hashes:
        return _untold(step, hashes[0], hashes[1])
    same = hashes[0] == hashes[1]
    return Step(step, same, if_same if same else if_not)


def _emulator(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> Step | None:
    if a is None or b is None:
        return _untold("emulator", a, b)
    seals = a.get("seal"), b.get("seal")
    if None in seals:
        return Step("emulator", None, f"not known to be the same record: {_both(a, b, 'path')}")
    same = seals[0] == seals[1]
    return Step(
        "emulator", same, f"{'the same' if same else 'another'} record: {_both(a, b, 'path')}"
    )


def _untold(step: str, a: Any, b: Any) -> Step | None:
    """A step that at least one record does not tell."""
    if a is None and b is None:
        return None
    return Step(step, None, f"not recorded in {'A' if a is None else 'B'}")


def _same_arrays(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool | None:
    hashes = a.get("content_sha256"), b.get("content_sha256")
    return None if None in hashes else hashes[0] == hashes[1]


def _parts(step: Mapping[str, Any] | None) -> dict[int, str] | None:
    """The part of the split that each row is in."""
    indices = step.get("indices") if step is not None else None
    if not isinstance(indices, Mapping):
        return None
    return {
        row: part
        for part, rows in indices.items()
        if isinstance(rows, list)
        for row in rows
        if isinstance(row, int)
    }


def _steps(artifact: Artifact) -> dict[str, Mapping[str, Any]]:
    lineage = artifact.provenance.get("lineage")
    return {
        str(step.get("step")): step
        for step in (lineage if isinstance(lineage, list) else ())
        if isinstance(step, Mapping)
    }


def _options(artifact: Artifact, steps: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    prep = artifact.configs.get("dataset_prep")
    known = prep if isinstance(prep, Mapping) else {}
    options = {
        step: {"config": steps[step].get("config")}
        for step, key in _OPTIONS_IN_CONFIGS.items()
        if step in steps and known.get(key) is None
    }
    return {"lineage": options}


def _dataset(artifact: Artifact, steps: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """What is said of the training arrays; a posterior says it in its lineage alone."""
    dataset = artifact.info.get("dataset")
    if isinstance(dataset, Mapping):
        return dataset
    file = {key: steps.get("condensed", {}).get(key) for key in _FINGERPRINT}
    return {**steps["training_set"], "fingerprint": file} if "training_set" in steps else {}


def _fingerprint(dataset: Mapping[str, Any]) -> Mapping[str, Any]:
    fingerprint = dataset.get("fingerprint")
    return fingerprint if isinstance(fingerprint, Mapping) else {}


def _both(a: Mapping[str, Any], b: Mapping[str, Any], key: str) -> str:
    return str(a.get(key)) if a.get(key) == b.get(key) else f"{a.get(key)} -> {b.get(key)}"
