"""Passing records on from the command line: export, import, card, crate, mlflow."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from reionemu.artifact import load_artifact, model_card

GOLDEN = Path(__file__).parent.parent / "artifact" / "golden" / "v1"


@pytest.fixture
def record(tmp_path, monkeypatch) -> Path:
    """A record in the folder `artifacts` of the working directory, and its relative path."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(GOLDEN / "four_param", tmp_path / "artifacts" / "four_param")
    return Path("artifacts/four_param")


def test_export_and_import(reionemu, record, tmp_path):
    outcome = reionemu("artifact", "export", record, "-o", "x.zip")
    assert (outcome.code, outcome.out) == (0, "x.zip\n")
    digest = hashlib.sha256((tmp_path / "x.zip").read_bytes()).hexdigest()
    assert digest in outcome.err
    outcome = reionemu("artifact", "import", "x.zip", "others", "--name", "their/first")
    assert (outcome.code, outcome.out, outcome.err) == (0, "others/their/first\n", "")
    files = {path.name for path in Path("others/their/first").iterdir()}
    assert files == {path.name for path in record.iterdir()} - {"expected.npz"}
    shown = reionemu("artifact", "show", "others/their/first")
    assert "four_param" in shown.out


def test_a_file_that_is_there_is_replaced_only_if_told_to(reionemu, record, tmp_path):
    (tmp_path / "x.zip").write_text("precious")
    outcome = reionemu("artifact", "export", record, "-o", "x.zip")
    assert (outcome.code, outcome.out) == (1, "")
    assert "or replace it (--overwrite)" in outcome.err
    assert (tmp_path / "x.zip").read_text() == "precious"
    assert reionemu("artifact", "export", record, "-o", "x.zip", "--overwrite").code == 0
    assert zipfile.is_zipfile(tmp_path / "x.zip")


def test_names_have_sensible_defaults(reionemu, record, tmp_path):
    assert reionemu("artifact", "export", record).out == "four_param.zip\n"
    shutil.rmtree(record)
    assert reionemu("artifact", "import", "four_param.zip").out == "artifacts/four_param\n"
    (tmp_path / "artifacts" / "four_param").rename(tmp_path / "here")
    assert reionemu("artifact", "import", "four_param.zip").code == 0


def test_results_as_json(reionemu, record, tmp_path):
    result = json.loads(reionemu("artifact", "export", record, "-o", "x.zip", "--json").out)
    content = (tmp_path / "x.zip").read_bytes()
    assert result == {
        "path": str(tmp_path / "x.zip"),
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
    }
    result = json.loads(reionemu("artifact", "import", "x.zip", "y", "--json").out)
    path = str(tmp_path / "y" / "four_param")
    assert result == {"path": path, "name": "four_param", "status": "completed"}


def test_who_exports_is_told_that_the_record_names_machines_and_folders(reionemu, record):
    assert "names the machine" not in reionemu("artifact", "export", record).err
    from reionemu.artifact import save_artifact

    path = save_artifact("new", record.parent, metrics={"a": 1})
    outcome = reionemu("artifact", "export", path, "--json")
    assert outcome.err == ""
    outcome = reionemu("artifact", "export", path, "--overwrite")
    assert "names the machine" in outcome.err


def test_nothing_is_replaced_without_leave(reionemu, record, tmp_path):
    (tmp_path / "x.zip").write_text("mine")
    outcome = reionemu("artifact", "export", record, "-o", "x.zip")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("error: x.zip is there already")
    assert (tmp_path / "x.zip").read_text() == "mine"
    assert reionemu("artifact", "export", record, "-o", "x.zip", "--overwrite").code == 0
    outcome = reionemu("artifact", "import", "x.zip", "artifacts")
    assert (outcome.code, outcome.out) == (1, "")
    assert "--name" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\5\6" + bytes(18)])
def test_a_file_that_is_no_export_ends_in_one_line(reionemu, tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    Path("x.zip").write_bytes(content)
    outcome = reionemu("artifact", "import", "x.zip", "root")
    assert outcome.code == 1
    assert outcome.err.startswith("error: x.zip ")
    assert outcome.err.count("\n") == 1
    assert not Path("root").exists()


def test_hostile_names_are_shown_escaped(reionemu, record):
    reionemu("artifact", "export", record, "-o", "x.zip")
    with zipfile.ZipFile("x.zip", "a") as archive:
        archive.writestr("\x1b[2J\x1b]0;owned\x07", "x")
    outcome = reionemu("artifact", "import", "x.zip", "root")
    assert outcome.code == 1
    assert outcome.err.strip().isprintable()
    assert r"\x1b" in outcome.err


def test_card_is_printed(reionemu, record):
    outcome = reionemu("artifact", "card", record)
    assert outcome.code == 0
    assert outcome.out == model_card(load_artifact(record))


def test_crate_is_printed_as_json(reionemu, record):
    outcome = reionemu("artifact", "crate", record)
    graph = json.loads(outcome.out)["@graph"]
    names = {entity["name"] for entity in graph if entity["@type"] == "File"}
    assert names == {path.name for path in record.iterdir()} - {"expected.npz"}


@pytest.mark.parametrize("command", ["export", "card", "crate", "mlflow"])
def test_a_folder_that_is_no_artifact_ends_in_one_line(reionemu, tmp_path, command):
    outcome = reionemu("artifact", command, tmp_path / "nothing")
    assert outcome.code == 1
    assert outcome.out == ""
    assert outcome.err.startswith("error: there is no artifact at ")


def test_mlflow_that_is_not_installed_is_named(reionemu, record, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    outcome = reionemu("artifact", "mlflow", record)
    assert outcome.code == 1
    assert "pip install 'reionemu[mlflow]'" in outcome.err


@pytest.mark.filterwarnings("default")
def test_mlflow_prints_the_run(reionemu, record, tmp_path, monkeypatch):
    for package in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(package)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    outcome = reionemu("artifact", "mlflow", record, "--tracking-uri", uri, "--experiment", "e")
    assert outcome.code == 0
    from mlflow.tracking import MlflowClient

    run = MlflowClient(uri).get_run(outcome.out.strip())
    assert run.data.tags["reionemu.name"] == "four_param"
