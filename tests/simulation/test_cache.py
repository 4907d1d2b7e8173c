"""The cache: what is in it is what was made, whatever happens to it or to who makes it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reionemu.errors import NotEnoughSpaceError, ReadOnlyError
from reionemu.simulation import cache as module
from reionemu.simulation.cache import (
    cache_bytes,
    clear,
    default_cache,
    entries,
    folder_of,
    load_or_compute,
)
from reionemu.simulation.config import SimulationConfig
from reionemu.simulation.cosmology import Cosmology
from reionemu.simulation.shared import Shared, compute

CONFIG = SimulationConfig(box=200.0, n_cells=16)
RUNNER = Path(__file__).with_name("cache_runner.py")


@pytest.fixture(scope="module")
def expected() -> Shared:
    return compute(CONFIG, 1, 0)


@pytest.fixture(scope="module")
def _pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine")
    load_or_compute(folder, CONFIG, 1, 0)
    return folder


@pytest.fixture
def filled(_pristine: Path, tmp_path: Path) -> Path:
    """A cache with one entry, the test's own to damage."""
    return Path(shutil.copytree(_pristine, tmp_path / "cache"))


def assert_same(found: Shared, expected: Shared) -> None:
    for name in ("modes", "samples", "momentum"):
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()


def load(cache: Path, **options: Any) -> tuple[Shared, bool]:
    """What is found, and whether it had to be made."""
    told: list = []
    found = load_or_compute(cache, CONFIG, 1, 0, progress=lambda *s: told.append(s), **options)
    return found, bool(told)


class TestContents:
    def test_what_is_loaded_is_what_was_computed(self, filled, expected):
        found, made = load(filled)
        assert not made
        assert_same(found, expected)

    def test_changes_to_what_is_loaded_stay_in_memory(self, filled, expected):
        found, _ = load(filled)
        found.momentum[:] = 0
        assert_same(load(filled)[0], expected)

    def test_it_takes_the_room_that_was_announced(self, filled):
        (entry,) = entries(filled)
        assert entry.size_bytes == pytest.approx(cache_bytes(CONFIG), rel=0.01)
        assert entry.path == folder_of(filled, CONFIG, 1, 0)
        assert entry.made_of["seed"] == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"box": 201.0},
            {"n_cells": 18},
            {"cosmology": Cosmology(sigma8=0.8)},
            {"z_min": 6.5},
            {"z_max": 14.0},
            {"geometry": "parallel"},
            {"deposit": "cic"},
            {"zmean_range": (7.0, 10.0)},
        ],
    )
    def test_whatever_matters_makes_another_entry(self, change, tmp_path):
        known = folder_of(tmp_path, CONFIG, 1, 0)
        assert folder_of(tmp_path, replace(CONFIG, **change), 1, 0) != known

    def test_seeds_and_axes_have_entries_and_the_rest_does_not(self, tmp_path):
        known = folder_of(tmp_path, CONFIG, 1, 0)
        assert (
            len({known, folder_of(tmp_path, CONFIG, 2, 0), folder_of(tmp_path, CONFIG, 1, 1)}) == 3
        )
        same = replace(CONFIG, realizations=(4, 5), axes=(0, 1), helium="single", box=200)
        assert folder_of(tmp_path, same, 1, 0) == known

    def test_default_folder(self, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
        monkeypatch.delenv("REIONEMU_CACHE", raising=False)
        assert default_cache() == Path("/somewhere/reionemu")
        monkeypatch.setenv("REIONEMU_CACHE", "~/mine")
        assert default_cache() == Path.home() / "mine"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 1
    path.write_bytes(content)


def swap_for_another_seed(folder: Path) -> None:
    shutil.rmtree(folder)
    load_or_compute(folder.parents[1], CONFIG, 2, 0)
    folder_of(folder.parents[1], CONFIG, 2, 0).rename(folder)


def relabel(folder: Path) -> None:
    """Files that are empty, and a document that agrees."""
    text = json.loads((folder / "contents.json").read_text())
    for name in text["files"]:
        (folder / name).write_bytes(b"")
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    text["files"] = {name: [0, nothing] for name in text["files"]}
    (folder / "contents.json").write_text(json.dumps(text))


def replace_by_a_link(folder: Path) -> None:
    other = folder.with_name("elsewhere")
    folder.rename(other)
    flip(other / "modes.npy")
    folder.symlink_to(other)


def replace_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "modes flipped": lambda f: flip(f / "modes.npy"),
    "samples flipped": lambda f: flip(f / "samples.npy"),
    "momentum flipped": lambda f: flip(f / "momentum.npy"),
    "truncated": lambda f: os.truncate(f / "momentum.npy", 1000),
    "emptied": lambda f: os.truncate(f / "modes.npy", 0),
    "longer": lambda f: os.truncate(f / "modes.npy", 10_000_000),
    "missing": lambda f: (f / "samples.npy").unlink(),
    "no contents": lambda f: (f / "contents.json").unlink(),
    "torn contents": lambda f: os.truncate(f / "contents.json", 100),
    "foreign list": lambda f: (f / "contents.json").write_text("[1, 2]"),
    "foreign object": lambda f: (f / "contents.json").write_text('{"files": [1]}'),
    "foreign number": lambda f: (f / "contents.json").write_text("NaN"),
    "not text": lambda f: (f / "contents.json").write_bytes(b"\xff\xfe\x00"),
    "nested": lambda f: (f / "contents.json").write_text("[" * 100_000),
    "of another seed": swap_for_another_seed,
    "empty and consistent": relabel,
    "an empty folder": lambda f: (shutil.rmtree(f), f.mkdir()),
    "a link": replace_by_a_link,
    "a file": replace_by_a_file,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_made_again(damage, filled, expected):
    DAMAGE[damage](folder_of(filled, CONFIG, 1, 0))
    found, made = load(filled)
    assert made
    assert_same(found, expected)
    found, made = load(filled)
    assert not made
    assert_same(found, expected)


def test_checksums_can_be_left_to_another_process(filled):
    flip(folder_of(filled, CONFIG, 1, 0) / "samples.npy")
    assert not load(filled, check=False)[1]
    os.truncate(folder_of(filled, CONFIG, 1, 0) / "samples.npy", 100)
    assert load(filled, check=False)[1]


class TestRoom:
    def test_a_disk_without_room_is_refused_before_the_work(self, tmp_path, monkeypatch):
        usage = shutil.disk_usage(tmp_path)._replace(free=10_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(NotEnoughSpaceError, match=r"no room for initial.*10 kB are free"):
            load(tmp_path)
        assert not list(tmp_path.glob("simulations/[!.]*"))

    def test_files_that_may_not_grow(self, reports):
        assert len(reports["limits"]) == 4
        for end in reports["limits"]:
            assert end["status"] == 1, end
            assert end["kinds"][0] == "NotEnoughSpaceError", end
            assert "Free some space" in end["message"]
            assert [name for name in end["left"] if not name.endswith(".lock")] == []

    def test_a_full_file_system(self, tmp_path, monkeypatch):
        folder = tmp_path / "small"
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(folder)]
        if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("may not mount a file system here")
        try:
            monkeypatch.setattr(module, "require_space", lambda *a: None)
            with pytest.raises(NotEnoughSpaceError, match="nothing of them was kept"):
                load(folder)
            assert not list(folder.glob("simulations/[!.]*"))
        finally:
            subprocess.run(["umount", str(folder)], check=True)


class TestReadOnly:
    @pytest.fixture
    def read_only(self, filled):
        mount = ["mount", "--bind", str(filled), str(filled)]
        if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("may not mount a file system here")
        again = ["mount", "-o", "remount,bind,ro", str(filled)]
        if subprocess.run(again, capture_output=True).returncode:
            subprocess.run(["umount", str(filled)], check=True)
            pytest.skip("may not make a file system read-only here")
        yield filled
        subprocess.run(["umount", str(filled)], check=True)

    def test_what_is_there_is_used(self, read_only, expected):
        found, made = load(read_only)
        assert not made
        assert_same(found, expected)

    def test_what_is_not_there_is_refused(self, read_only):
        with pytest.raises(ReadOnlyError, match="name another folder in REIONEMU_CACHE"):
            load_or_compute(read_only, CONFIG, 2, 0)

    def test_a_cache_that_is_a_file_is_refused(self, tmp_path):
        (tmp_path / "cache").write_text("")
        with pytest.raises(ReadOnlyError, match="cannot keep initial conditions in"):
            load(tmp_path / "cache")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What cache_runner.py reports of its children, and `folder`, where they worked."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    folder = tmp_path_factory.mktemp("children")
    done = subprocess.run(
        [sys.executable, "-W", "error", RUNNER, folder],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-2000:]
    return {**json.loads(done.stdout), "folder": folder}


def test_who_is_killed_leaves_nothing_that_is_taken_as_whole(reports, expected):
    *deaths, end = reports["kills"]
    assert len(deaths) > 20
    for death in deaths:
        assert death["status"] == -9
        assert len([name for name in death["left"] if name.endswith(".tmp")]) == 1
        assert all(name.startswith(".") for name in death["left"])
    (key,) = (name for name in end["left"] if not name.startswith("."))
    assert set(end["left"]) == {key, f".{key}.lock"}
    found, made = load(reports["folder"] / "kills" / "killed")
    assert not made
    assert_same(found, expected)


def test_processes_at_once_build_once(reports):
    assert reports["together"]["statuses"] == [0, 0, 0, 0]
    assert len(reports["together"]["builders"]) == 1


class TestClear:
    def test_everything_goes(self, filled):
        size = entries(filled)[0].size_bytes
        (filled / "simulations" / ".0123456789abcdef01234567.host_1-99-0a0b0c0d.tmp").mkdir()
        assert len(entries(filled)) == 2
        assert clear(filled) == size
        assert entries(filled) == []
        assert load(filled)[1]

    def test_an_empty_cache_is_no_error(self, tmp_path):
        assert entries(tmp_path / "nowhere") == []
        assert clear(tmp_path / "nowhere") == 0

    def test_who_has_loaded_something_keeps_it(self, filled, expected):
        found, _ = load(filled)
        clear(filled)
        assert_same(found, expected)
        assert np.isfinite(found.modes).all()
