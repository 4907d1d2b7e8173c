"""Saving a name again: the earlier record is kept, nothing of it is left at the name."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch

import reionemu
from reionemu.artifact import placing


@pytest.fixture(params=[True, False], ids=["exchange", "two renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether folders can be exchanged in one step."""
    if not request.param:
        monkeypatch.setattr(placing, "_can_exchange", lambda: False)
    return request.param


def entries(root: Path, name: str = "run") -> list[Path]:
    """The earlier records of a name, oldest first; nothing else may be in its history."""
    folders = sorted((root / ".history" / name).iterdir())
    assert all((folder / "info.json").is_file() for folder in folders)
    return folders


@pytest.mark.parametrize("name", ["run", "group/run"])
def test_the_earlier_record_is_kept_byte_for_byte(
    way: bool, name: str, tmp_path: Path, snapshot: Callable
) -> None:
    saved = []
    for number in range(4):
        path = reionemu.save_artifact(
            name,
            tmp_path,
            metrics={"number": number},
            normalizers={"X": reionemu.Normalizer(np.full(4, number), np.ones(4))},
            checkpoint={"w": torch.full((3,), float(number))},
        )
        saved.append(snapshot(path))
    assert path == tmp_path / name
    assert snapshot(path) == saved[-1]
    assert [snapshot(folder) for folder in entries(tmp_path, name)] == saved[:-1]
    assert {item.name for item in tmp_path.iterdir()} == {name.split("/")[0], ".history"}


def test_nothing_of_the_earlier_record_is_left_at_the_name(way: bool, tmp_path: Path) -> None:
    path = reionemu.save_artifact(
        "run",
        tmp_path,
        normalizers={"X": reionemu.Normalizer(np.zeros(4), np.ones(4))},
        checkpoint={"w": torch.ones(1)},
    )
    (path / "notes.txt").write_text("a file of the user's")
    full = {item.name for item in path.iterdir()}
    reionemu.save_artifact("run", tmp_path)
    assert {item.name for item in path.iterdir()} == {
        "info.json",
        "configs.json",
        "results.json",
        "provenance.json",
    }
    assert {item.name for item in entries(tmp_path)[0].iterdir()} == full


def test_an_earlier_record_still_loads_and_predicts(
    way: bool, save: Callable, four_param: torch.nn.Module, mc_dropout: torch.nn.Module, theta
) -> None:
    path = save(four_param)
    before = reionemu.load_artifact(path).emulator().predict(theta).mean
    save(mc_dropout)
    earlier = entries(path.parent)[0]
    assert (reionemu.load_artifact(earlier).emulator().predict(theta).mean == before).all()
    assert reionemu.load_artifact(path).emulator().predict(theta).std is not None


def test_entries_are_in_the_order_of_time(way: bool, tmp_path: Path) -> None:
    for number in range(6):
        reionemu.save_artifact("run", tmp_path, metrics={"number": number})
    found = entries(tmp_path)
    numbers = [reionemu.load_artifact(f).results["metrics"]["number"] for f in found]
    assert numbers == [0, 1, 2, 3, 4]
    stamps = [datetime.strptime(f.name.split("-")[0], "%Y%m%dT%H%M%S.%fZ") for f in found]
    assert stamps == sorted(stamps)


def test_a_file_or_a_plain_folder_at_the_name_is_kept_too(way: bool, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "data").write_text("precious")
    for name in ("file", "folder"):
        reionemu.load_artifact(reionemu.save_artifact(name, tmp_path))
    (kept,) = (tmp_path / ".history" / "file").iterdir()
    assert kept.read_text() == "precious"
    (kept,) = (tmp_path / ".history" / "folder").iterdir()
    assert (kept / "data").read_text() == "precious"


def test_an_interrupted_save_changes_nothing(
    way: bool, tmp_path: Path, snapshot: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    reionemu.save_artifact("run", tmp_path, metrics={"number": 0})
    before = snapshot(tmp_path)

    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        reionemu.save_artifact("run", tmp_path, checkpoint={"w": torch.ones(1)})
    assert snapshot(tmp_path) == before


def move_out(root: Path, name: str) -> Path:
    """The state in which a process died between moving the old record out and the new one in."""
    history = root / ".history" / name
    history.mkdir(parents=True)
    entry = history / "20260427T183012.123456Z-0123abcd"
    (history / f".{entry.name}.moved-out").touch()
    os.rename(root / name, entry)
    return entry


@pytest.mark.parametrize("name", ["run", "group/run"])
def test_a_reader_recovers_a_record_that_was_moved_out(
    name: str, tmp_path: Path, snapshot: Callable
) -> None:
    path = reionemu.save_artifact(name, tmp_path, metrics={"number": 1})
    before = snapshot(path)
    entry = move_out(tmp_path, name)
    assert not path.exists()
    assert reionemu.load_artifact(path).results["metrics"] == {"number": 1}
    assert snapshot(path) == before
    assert not entry.exists()
    assert list((tmp_path / ".history" / name).iterdir()) == []


@pytest.mark.parametrize("name", ["run", "group/run"])
def test_a_writer_recovers_a_record_that_was_moved_out(
    way: bool, name: str, tmp_path: Path, snapshot: Callable
) -> None:
    path = reionemu.save_artifact(name, tmp_path, metrics={"number": 1})
    before = snapshot(path)
    move_out(tmp_path, name)
    reionemu.save_artifact(name, tmp_path, metrics={"number": 2})
    assert reionemu.load_artifact(path).results["metrics"] == {"number": 2}
    assert [snapshot(folder) for folder in entries(tmp_path, name)] == [before]


def test_of_several_that_were_moved_out_the_latest_comes_back(tmp_path: Path) -> None:
    path = reionemu.save_artifact("run", tmp_path, metrics={"number": 1})
    entry = move_out(tmp_path, "run")
    reionemu.save_artifact("other", tmp_path, metrics={"number": 2})
    later = entry.with_name("20260427T183013.000000Z-00000000")
    os.rename(tmp_path / "other", later)
    (entry.parent / f".{later.name}.moved-out").touch()
    assert reionemu.load_artifact(path).results["metrics"] == {"number": 2}
    assert entries(tmp_path, "run") == [entry]


def test_a_record_that_was_replaced_is_not_brought_back(tmp_path: Path) -> None:
    path = reionemu.save_artifact("run", tmp_path, metrics={"number": 1})
    entry = move_out(tmp_path, "run")
    reionemu.save_artifact("new", tmp_path, metrics={"number": 2})
    os.rename(tmp_path / "new", path)  # and then the process died
    reionemu.save_artifact("run", tmp_path, metrics={"number": 3})
    assert entry in entries(tmp_path, "run")
    shutil.rmtree(path)
    with pytest.raises(FileNotFoundError):
        reionemu.load_artifact(path)


@pytest.mark.parametrize("note", [".2026.moved-out", "..moved-out", ".....moved-out", ".moved-out"])
def test_a_note_that_names_no_entry_moves_nothing(
    note: str, tmp_path: Path, snapshot: Callable
) -> None:
    reionemu.save_artifact("run", tmp_path)
    history = tmp_path / ".history" / "gone"
    history.mkdir(parents=True)
    (history / note).write_text("../../run")
    before = snapshot(tmp_path)
    with pytest.raises(FileNotFoundError, match="run"):
        reionemu.load_artifact(tmp_path / "gone")
    assert snapshot(tmp_path / "run") == {
        name.removeprefix("run/"): content
        for name, content in before.items()
        if name.startswith("run/")
    }
    assert not (tmp_path / "gone").exists()


def test_threads_that_save_one_name_lose_no_record(way: bool, tmp_path: Path) -> None:
    def writer(worker: int) -> None:
        for i in range(8):
            reionemu.save_artifact("run", tmp_path, metrics={"tag": f"{worker}.{i}"})

    threads = [threading.Thread(target=writer, args=(w,)) for w in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folders = [tmp_path / "run", *(p for p in (tmp_path / ".history" / "run").iterdir())]
    tags = [
        json.loads((folder / "results.json").read_text())["metrics"]["tag"]
        for folder in folders
        if folder.is_dir()
    ]
    assert sorted(tags) == sorted(f"{w}.{i}" for w in range(3) for i in range(8))
