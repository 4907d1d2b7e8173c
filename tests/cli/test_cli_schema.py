"""reionemu artifact schema"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas"


def test_one_schema_is_printed(reionemu: Callable) -> None:
    outcome = reionemu("artifact", "schema", "info")
    assert (outcome.code, outcome.err) == (0, "")
    assert json.loads(outcome.out) == json.loads((PUBLISHED / "info.v1.schema.json").read_text())


def test_without_a_kind_all_are_listed_with_what_they_are(reionemu: Callable) -> None:
    outcome = reionemu("artifact", "schema")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert {line.split()[1] for line in lines} == {path.name for path in PUBLISHED.iterdir()}
    assert "info.json: what a record is." in lines[0]
    assert max(map(len, lines)) <= 100


def test_all_are_written_into_a_folder(reionemu: Callable, tmp_path: Path) -> None:
    assert reionemu("artifact", "schema", "--write", tmp_path / "new").code == 0
    written = {path.name: json.loads(path.read_text()) for path in (tmp_path / "new").iterdir()}
    assert written == {path.name: json.loads(path.read_text()) for path in PUBLISHED.iterdir()}
    assert reionemu("artifact", "schema", "weights", "--write", tmp_path / "one").code == 0
    (only,) = (tmp_path / "one").iterdir()
    assert json.loads(only.read_text())["$id"] == "urn:reionemu:weights:1"


def test_errors_are_one_line(reionemu: Callable, tmp_path: Path) -> None:
    outcome = reionemu("artifact", "schema", "infos")
    assert outcome.code == 1
    assert outcome.err.startswith("error: no kind of document is called 'infos'; there are info,")
    (tmp_path / "file").write_text("")
    outcome = reionemu("artifact", "schema", "--write", tmp_path / "file")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
