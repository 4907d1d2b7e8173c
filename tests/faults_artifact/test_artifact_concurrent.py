"""Several processes save under one name while others read it: no record is lost, torn or mixed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import reionemu
from reionemu.artifact import placing

STEP = 1000


@pytest.mark.parametrize("two_renames", [False, True], ids=["exchange", "two renames"])
@pytest.mark.parametrize(("n_writers", "each"), [(2, 30), (8, 10)])
def test_one_name_and_one_root(
    n_writers: int,
    each: int,
    two_renames: bool,
    writers,
    tag_of: Callable,
    entries: Callable,
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    job = {"root": root, "name": "run", "count": each, "two_renames": two_renames}
    logs = [tmp_path / f"log{i}" for i in range(n_writers)]
    children = [writers.start("loop", tag=STEP * i, log=log, **job) for i, log in enumerate(logs)]
    for i in range(n_writers):
        children.append(writers.start("once", root=root, name=f"other{i}", tag=i + 1))
    seen = set()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and sum(len(numbers(log)) for log in logs) < n_writers * each:
        try:
            seen.add(tag_of(root / "run", deep=False))
        except FileNotFoundError:  # before the first, or between two renames
            assert two_renames or not seen
    for child in children:
        writers.wait(child)

    successes = sorted(tag for log in logs for tag in numbers(log))
    records = [tag_of(root / "run"), *(tag_of(entry) for entry in entries(root, "run"))]
    assert len(successes) == n_writers * each
    assert sorted(records) == successes
    assert len(seen) > 1
    assert seen <= set(records)
    for i in range(n_writers):
        assert tag_of(root / f"other{i}") == i + 1
    assert not [item for item in root.iterdir() if item.name.endswith(".tmp")]
    assert not list((root / ".history" / "run").glob(".*"))


def numbers(log: Path) -> list[int]:
    """The tags whose saving was reported done."""
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def test_a_reader_keeps_to_one_record_while_it_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(tag: int) -> Path:
        return reionemu.save_artifact(
            "run",
            tmp_path,
            metrics={"tag": tag},
            tuning_config={"tag": tag},
            description=str(tag),
            checkpoint={"w": torch.full((2,), float(tag))},
        )

    from reionemu.artifact import folder as folder_module

    path = save(1)
    original = folder_module.Folder.json

    def json_and_replace(folder: object, name: str, kind: str) -> object:
        document = original(folder, name, kind)
        if name == "info.json" and folder.path == path:
            save(2)
        return document

    monkeypatch.setattr(folder_module.Folder, "json", json_and_replace)
    artifact = reionemu.load_artifact(path)
    monkeypatch.undo()
    assert artifact.info["description"] == "1"
    assert artifact.configs["tuning"] == artifact.results["metrics"] == {"tag": 1}
    assert artifact._weights()[0]["w"].tolist() == [1.0, 1.0]
    assert reionemu.load_artifact(path).info["description"] == "2"


def test_another_writer_gets_there_between_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reionemu.save_artifact("run", tmp_path, metrics={"tag": 0})
    original = placing._exchange
    calls = []

    def late(one: Path, other: Path) -> None:
        if not calls:
            calls.append(1)
            reionemu.save_artifact("run", tmp_path, metrics={"tag": 1})
        original(one, other)

    monkeypatch.setattr(placing, "_exchange", late)
    path = reionemu.save_artifact("run", tmp_path, metrics={"tag": 2})
    folders = [path, *(tmp_path / ".history" / "run").iterdir()]
    tags = [reionemu.load_artifact(folder).results["metrics"]["tag"] for folder in folders]
    assert tags[0] == 2
    assert sorted(tags) == [0, 1, 2]
