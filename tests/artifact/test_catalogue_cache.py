"""The cache of listings: quick when nothing changed, never believed when something did."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import reionemu
from reionemu.artifact.collection import glance, listing_cache


@pytest.fixture
def root(tmp_path, write_record) -> Path:
    """Five records with a metric each."""
    for i in range(5):
        write_record(tmp_path / "artifacts" / f"run-{i}", results={"metrics": {"m": i + 0.5}})
    return tmp_path / "artifacts"


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch) -> Path:
    """The folder of the caches of this test, in which even a small root is kept at once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(listing_cache, "WORTHWHILE_BYTES", 0)
    monkeypatch.setattr(glance, "_YOUNG_S", 0.0)
    return tmp_path / "caches" / "reionemu"


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The folders whose files were read."""
    found: list[str] = []
    real = glance.read_folder

    def read(folder, files):
        found.append(os.path.basename(folder))
        return real(folder, files)

    monkeypatch.setattr(glance, "read_folder", read)
    return found


def listing(root: Path) -> list[tuple]:
    """All that a catalogue says."""
    return [
        (entry.name, entry.status, entry.problem, dict(entry.values))
        for entry in reionemu.catalogue(root)
    ]


def metrics(root: Path) -> dict[str, object]:
    return {entry.name: entry.get("metrics.m") for entry in reionemu.catalogue(root)}


def the_file(caches: Path) -> Path:
    (path,) = caches.glob("catalogue-*.json")
    return path


def sign(body: bytes) -> bytes:
    """A cache file with a checksum that is right."""
    return hashlib.blake2b(body, digest_size=16).hexdigest().encode() + b"\n" + body


def test_what_has_not_changed_is_not_read_again(root, reads):
    first = listing(root)
    assert len(reads) == 5
    assert listing(root) == first
    assert len(reads) == 5


def test_damaged_records_are_kept_too(root, reads, write_record):
    write_record(root / "torn", results="{")
    first = listing(root)
    reads.clear()
    assert listing(root) == first
    assert reads == []


def test_not_even_the_folder_is_made_for_little(root, caches, monkeypatch):
    monkeypatch.setattr(listing_cache, "WORTHWHILE_BYTES", 2**20)
    listing(root)
    assert not caches.exists()


def test_the_cache_is_for_its_user_alone(root, caches):
    listing(root)
    assert caches.stat().st_mode & 0o777 == 0o700


def test_records_that_have_just_changed_are_read_again(root, reads, caches, monkeypatch):
    monkeypatch.setattr(glance, "_YOUNG_S", 2.0)
    listing(root)
    listing(root)
    assert len(reads) == 10


def test_added_removed_and_renamed_records_show_at_once(root, write_record):
    import shutil

    listing(root)
    write_record(root / "new", results={"metrics": {"m": 9}})
    shutil.rmtree(root / "run-0")
    (root / "run-1").rename(root / "moved")
    assert metrics(root) == {"moved": 1.5, "new": 9, "run-2": 2.5, "run-3": 3.5, "run-4": 4.5}


@pytest.mark.parametrize("file", ["info.json", "configs.json", "results.json", "provenance.json"])
def test_a_change_in_any_file_shows_at_once(file, root, reads):
    listing(root)
    reads.clear()
    path = root / "run-2" / file
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "new": "value"}))
    found = reionemu.catalogue(root)["run-2"]
    assert found.get(f"{file.removesuffix('.json')}.new") == "value"
    assert reads == ["run-2"]
    path.unlink()
    assert reionemu.catalogue(root)["run-2"].get("new") is None


def test_a_change_in_place_of_the_same_size_and_time_shows(root):
    listing(root)
    path = root / "run-2" / "results.json"
    before = path.stat()
    content = path.read_bytes()
    with open(path, "r+b") as file:
        file.write(content.replace(b"2.5", b"7.5"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_ino, after.st_mtime_ns) == (
        before.st_size,
        before.st_ino,
        before.st_mtime_ns,
    )
    assert metrics(root)["run-2"] == 7.5


def test_a_replaced_folder_shows_at_once(root, write_record):
    listing(root)
    write_record(root / ".other", results={"metrics": {"m": 8}})
    (root / "run-2").rename(root / ".old")
    (root / ".other").rename(root / "run-2")
    assert metrics(root)["run-2"] == 8


def test_a_record_that_becomes_a_stranger_hides_nothing(root, write_record):
    write_record(root / "run-0" / "inside", results={"metrics": {"m": 4}})
    assert "run-0/inside" not in metrics(root)
    (root / "run-0" / "info.json").write_text("{}")
    assert metrics(root)["run-0/inside"] == 4


def test_whether_a_run_still_runs_is_not_kept(root, reads):
    run = reionemu.start_artifact("going", root)
    assert reionemu.catalogue(root)["going"].status == "running"
    run._folder.close()  # as if the process had ended
    assert reionemu.catalogue(root)["going"].status == "interrupted"


# ---------------------------------------------------------------------- caches that are no good


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    place = content.index(b"2.5")
    return content[:place] + b"3" + content[place + 1 :]


def of_another_version(content: bytes) -> bytes:
    return sign(content.partition(b"\n")[2].replace(b"reionemu catalogue", b"reionemu catalog"))


def of_another_root(content: bytes) -> bytes:
    return sign(content.partition(b"\n")[2].replace(b"artifacts", b"artefacts"))


def with_wrong_types(content: bytes) -> bytes:
    document = json.loads(content.partition(b"\n")[2])
    document["tables"][0]["rows"][0][3] = 5
    return sign(json.dumps(document).encode())


def with_missing_parts(content: bytes) -> bytes:
    document = json.loads(content.partition(b"\n")[2])
    del document["tables"][0]["columns"]
    return sign(json.dumps(document).encode())


BAD = {
    "empty": lambda content: b"",
    "truncated": truncated,
    "flipped": flipped,
    "another version": of_another_version,
    "another root": of_another_root,
    "wrong types": with_wrong_types,
    "missing parts": with_missing_parts,
    "not JSON": lambda content: sign(b"\xff{"),
    "a list": lambda content: sign(b"[]"),
    "deep": lambda content: sign(b"[" * 100_000),
    "noise": lambda content: bytes(range(256)) * 100,
}


@pytest.mark.parametrize("spoil", BAD.values(), ids=BAD.keys())
def test_a_bad_cache_is_ignored_and_remade(spoil, root, reads, caches):
    first = listing(root)
    path = the_file(caches)
    good = path.read_bytes()
    path.write_bytes(spoil(good))
    assert listing(root) == first
    assert len(reads) == 10
    assert path.read_bytes() == good


def test_columns_that_are_no_good_stop_nothing(root, caches):
    listing(root)
    path = the_file(caches)
    document = json.loads(path.read_bytes().partition(b"\n")[2])
    table = document["tables"][0]
    place = table["paths"].index("metrics.m")
    for column in ("[", "5", "[1]", "[" * 100_000):
        table["columns"][place] = column
        path.write_bytes(sign(json.dumps(document).encode()))
        assert metrics(root) == dict.fromkeys(f"run-{i}" for i in range(5))


def put_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def put_link(path: Path) -> None:
    path.rename(path.with_name("other"))
    path.symlink_to("other")


def open_to_all(path: Path) -> None:
    path.chmod(0o666)


@pytest.mark.parametrize("put", [put_pipe, put_folder, put_link, open_to_all])
def test_what_is_not_the_users_own_file_is_not_read(put, root, reads, caches):
    first = listing(root)
    put(the_file(caches))
    assert listing(root) == first
    assert len(reads) == 10


@pytest.mark.parametrize("value", ["relative", "/dev/null/x", ""])
def test_where_there_is_no_place_for_a_cache_there_is_none(value, root, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.chdir(tmp_path)
    assert listing(root) == listing(root)
    assert not (tmp_path / "relative").exists()


def test_caches_of_roots_long_gone_are_removed(root, caches):
    caches.mkdir(parents=True)
    for name in ("catalogue-old.json", "something-else.json"):
        (caches / name).write_text("{}")
        os.utime(caches / name, (0, 0))
    listing(root)
    assert not (caches / "catalogue-old.json").exists()
    assert (caches / "something-else.json").exists()


def test_few_changes_are_not_worth_a_new_cache(root, reads, caches, monkeypatch, write_record):
    listing(root)
    before = the_file(caches).read_bytes()
    monkeypatch.setattr(listing_cache, "WORTHWHILE_BYTES", 2**20)
    write_record(root / "run-0", results={"metrics": {"m": 77}})
    assert metrics(root)["run-0"] == 77
    assert metrics(root)["run-0"] == 77
    assert the_file(caches).read_bytes() == before
    assert reads.count("run-0") == 3


def test_threads_at_once(root, caches):
    expected = listing(root)
    the_file(caches).unlink()
    results: list[list[tuple]] = []
    threads = [threading.Thread(target=lambda: results.append(listing(root))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 8
    assert listing_cache.load(root).keys() == {f"run-{i}" for i in range(5)}
    assert [path.name for path in caches.iterdir()] == [the_file(caches).name]


LISTING = """
import sys, time
from pathlib import Path
import reionemu
from reionemu.artifact.collection import glance, listing_cache

root, go = Path(sys.argv[1]), Path(sys.argv[2])
listing_cache.WORTHWHILE_BYTES, glance._YOUNG_S = 0, 0.0
print("ready", flush=True)
while not go.exists():
    time.sleep(0.001)
for _ in range(20):
    listing_cache._path(root).unlink(missing_ok=True)  # so that it is written again and again
    print(sum(entry.get("metrics.m") for entry in reionemu.catalogue(root)))
"""


def test_processes_at_once(root, caches, tmp_path):
    arguments = [sys.executable, "-c", LISTING, str(root), str(tmp_path / "go")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with contextlib.ExitStack() as stack:
        started = []
        for _ in range(3):
            started.append(stack.enter_context(subprocess.Popen(arguments, **pipes)))
            stack.callback(started[-1].kill)
        printed = [process.stdout.readline() for process in started]
        (tmp_path / "go").touch()
        for i, process in enumerate(started):
            printed[i] += process.communicate(timeout=300)[0]
    assert printed == ["ready\n" + "12.5\n" * 20] * 3
    assert len(listing_cache.load(root)) == 5
    assert [path.name for path in caches.iterdir()] == [the_file(caches).name]
