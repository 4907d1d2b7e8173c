"""Versions of documents: earlier ones are brought up to date, later ones are kept and named."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import reionemu
from reionemu.artifact.formats import migrations
from reionemu.artifact.formats.arrays import safetensors_arrays
from reionemu.artifact.formats.migrations import FIRST_VERSION, MIGRATIONS, known_version, migrate
from reionemu.errors import RecordError, ReionemuWarning

KEY = {
    kind: "version" if kind in ("weights", "companions", "posterior") else "schema_version"
    for kind in MIGRATIONS
}


def weights_metadata(path: Path) -> Any:
    """What this project says in the metadata of weights, as it is in the file."""
    content = (path / "weights.safetensors").read_bytes()
    return json.loads(safetensors_arrays(content, "it")[1]["reionemu"])


def test_metadata_of_weights_without_a_version_become_version_1() -> None:
    old = {"model": {"class_name": "FourParamEmulator"}}
    before = copy.deepcopy(old)
    assert migrate("weights", old, "it") == {**old, "version": 1}
    assert old == before
    assert migrate("weights", {"version": 0, **old}, "it") == {**old, "version": 1}


def test_new_weights_state_their_version(save: Callable, four_param: torch.nn.Module) -> None:
    path = save(four_param)
    assert weights_metadata(path) == {"version": 1, "model": four_param.record()}
    assert reionemu.load_artifact(path).model().record() == four_param.record()


@pytest.mark.parametrize("kind", MIGRATIONS)
def test_a_document_of_the_newest_version_is_left_as_it_is(kind: str) -> None:
    document = {KEY[kind]: known_version(kind), "model": {"a": [1]}}
    assert migrate(kind, document, "it") == document


@pytest.mark.parametrize("kind", MIGRATIONS)
def test_steps_follow_each_other_from_any_version(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, key = FIRST_VERSION[kind], KEY[kind]

    def step(document: Any) -> Any:
        steps = [*document.get("steps", ()), document.get(key, first)]
        return {**document, key: document.get(key, first) + 1, "steps": steps}

    monkeypatch.setitem(migrations.MIGRATIONS, kind, (step, step, step))
    assert known_version(kind) == first + 3
    for version in range(first, first + 4):
        current = migrate(kind, {key: version}, "it")
        assert current[key] == first + 3
        assert current.get("steps", []) == list(range(version, first + 3))


@pytest.mark.parametrize("kind", MIGRATIONS)
@pytest.mark.parametrize("version", ["1", True, 1.0, None, -1, [1]])
def test_a_version_that_cannot_be_is_refused(kind: str, version: Any) -> None:
    with pytest.raises(RecordError, match=f"the file: {KEY[kind]} must be a whole number"):
        migrate(kind, {KEY[kind]: version}, "the file")


@pytest.mark.parametrize("kind", MIGRATIONS)
def test_a_newer_document_is_kept_whole_with_a_warning(kind: str) -> None:
    version = known_version(kind) + 1
    document = {KEY[kind]: version, "colour": "red", "model": {"shape": "round"}}
    message = rf"file was written by a newer release \(\w+ {version}; .* but kept: .*colour"
    with pytest.warns(ReionemuWarning, match=message):
        assert migrate(kind, document, "file") == document


def test_a_newer_document_without_unknown_fields_says_so() -> None:
    with pytest.warns(ReionemuWarning, match="no unknown fields"):
        migrate("configs", {"schema_version": 7, "model": None}, "file")


@pytest.mark.parametrize("file", ["info.json", "configs.json", "results.json", "provenance.json"])
def test_a_record_with_one_newer_document_is_read_with_a_warning(
    file: str, save: Callable, four_param: torch.nn.Module, reseal: Callable
) -> None:
    path = save(four_param)
    new = {"schema_version": 99, "new_field": {"a": 1}}
    if file != "provenance.json":
        document = json.loads((path / file).read_text())
        (path / file).write_text(json.dumps(document | new))
    reseal(path, lambda document: document.update(new if file == "provenance.json" else {}))
    with pytest.warns(ReionemuWarning, match=rf"{file} was .*version 99.*kept: new_field"):
        artifact = reionemu.load_artifact(path)
    assert getattr(artifact, file.removesuffix(".json"))["new_field"] == {"a": 1}
    assert artifact.emulator().predict([8.0, 0.5, 0.9, 0.5]).mean.shape == (5,)
