"""A record exported to one file and imported again is the same record, byte for byte."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import reionemu
from reionemu.artifact import export_artifact, import_artifact, model_card, ro_crate
from reionemu.artifact.formats.jsonio import decode, encode
from reionemu.errors import (
    AlreadyExistsError,
    MissingFileError,
    NotEnoughSpaceError,
    RecordError,
    ReionemuWarning,
)

GOLDEN = Path(__file__).parent / "golden"
RECORDS = sorted(path.parent for path in GOLDEN.glob("*/*/info.json"))
ADDED = {"README.md", "ro-crate-metadata.json"}
FROM_THE_FUTURE = "ignore:.*was written by a newer release"
UNREAD = "ignore:.*holds more than weights"


def record_files(path: Path) -> dict[str, bytes]:
    """The files of a golden record; what it should predict stands beside them."""
    return {file.name: file.read_bytes() for file in path.iterdir() if file.name != "expected.npz"}


@pytest.fixture
def record(save, mc_dropout) -> Path:
    """A record as this release writes it."""
    return save(mc_dropout, "first", metrics={"val_loss": 0.25, "diverged": float("nan")})


@pytest.fixture
def old_record(tmp_path) -> Path:
    """A record without provenance.json, the test's own to damage."""
    shutil.copytree(GOLDEN / "v1" / "four_param", tmp_path / "old" / "four_param")
    (tmp_path / "old" / "four_param" / "expected.npz").unlink()
    return tmp_path / "old" / "four_param"


@pytest.mark.filterwarnings(FROM_THE_FUTURE, UNREAD)
@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_records_of_every_release_come_back_byte_for_byte(path, tmp_path):
    first = export_artifact(path, tmp_path / "first.zip")
    artifact = import_artifact(first, tmp_path / "root")
    assert artifact.path == tmp_path / "root" / path.name
    assert record_files(artifact.path) == record_files(path)
    again = export_artifact(artifact.path, tmp_path / "again.zip")
    assert again.read_bytes() == first.read_bytes()


def test_a_record_of_this_release_comes_back_and_predicts_the_same(record, theta, tmp_path):
    file = export_artifact(record, tmp_path / "first.zip")
    artifact = import_artifact(file, tmp_path / "elsewhere")
    assert record_files(artifact.path) == record_files(record)
    assert "provenance.json" in record_files(artifact.path)
    expected = reionemu.load_artifact(record).emulator().predict(theta)
    found = artifact.emulator().predict(theta)
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_array_equal(found.std, expected.std)
    again = export_artifact(artifact.path, tmp_path / "again.zip")
    assert again.read_bytes() == file.read_bytes()


def test_the_file_has_the_record_and_what_describes_it(record, tmp_path):
    file = export_artifact(record, tmp_path / "first.zip")
    artifact = reionemu.load_artifact(record)
    with zipfile.ZipFile(file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert {name: contents[name] for name in contents.keys() - ADDED} == record_files(record)
    assert contents["README.md"].decode() == model_card(artifact)
    crate = decode(contents["ro-crate-metadata.json"], "crate")
    described = {entity["@id"] for entity in crate["@graph"] if entity["@type"] == "File"}
    assert described == contents.keys() - {"ro-crate-metadata.json"}
    without_card = [e for e in crate["@graph"] if e["@id"] not in ("README.md", "./")]
    assert without_card == [e for e in ro_crate(artifact)["@graph"] if e["@id"] != "./"]


def test_nothing_in_the_file_depends_on_when_or_where_it_was_made(record, tmp_path):
    file = export_artifact(record, tmp_path / "first.zip")
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    for entry in entries:
        assert entry.compress_type == zipfile.ZIP_STORED
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)
        assert entry.create_system == 3
        assert entry.external_attr >> 16 == 0o100644
        assert entry.extra == entry.comment == b""
    for path in [record, *record.iterdir()]:
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(path.stat().st_mode | 0o077)
    code = (
        "import sys, reionemu; reionemu.export_artifact(*sys.argv[1:]); "
        "print('torch' in sys.modules)"
    )
    other = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7", "HOME": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(record), str(tmp_path / "second.zip")],
        capture_output=True,
        text=True,
        env={**os.environ, **other},
        cwd="/",
        timeout=60,
    )
    assert done.stdout == "False\n", done.stderr
    assert (tmp_path / "second.zip").read_bytes() == file.read_bytes()


def test_files_beside_the_record_are_not_exported(record, tmp_path):
    (record / "notes.txt").write_text("mine")
    (record / "link").symlink_to("/etc/passwd")
    file = export_artifact(record, tmp_path / "first.zip")
    assert not {"notes.txt", "link"} & set(zipfile.ZipFile(file).namelist())


@pytest.mark.parametrize("name", ["info.json", "results.json", "model.pt", "provenance.json"])
def test_a_changed_file_is_not_exported(record, tmp_path, name):
    content = bytearray((record / name).read_bytes())
    content[-10] ^= 1
    (record / name).write_bytes(content)
    with pytest.raises(RecordError):
        export_artifact(record, tmp_path / "first.zip")
    assert list(tmp_path.glob("*.zip")) == []


@pytest.mark.parametrize("name", ["configs.json", "weights.safetensors", "normalizers.npz"])
def test_a_torn_file_of_an_old_record_is_not_exported(old_record, tmp_path, name):
    content = (old_record / name).read_bytes()
    (old_record / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(RecordError, match=name.split(".")[0]):
        export_artifact(old_record, tmp_path / "old.zip")
    assert not (tmp_path / "old.zip").exists()


@pytest.mark.parametrize("name", ["model.pt", "weights.safetensors"])
def test_a_record_that_lacks_a_file_is_not_exported(record, old_record, tmp_path, name):
    for path in (record, old_record):
        (path / name).unlink()
        with pytest.raises(RecordError, match=name):
            export_artifact(path, tmp_path / "x.zip")


@pytest.mark.parametrize("link", ["/dev/zero", "/etc/hostname"])
def test_a_link_is_not_followed(old_record, tmp_path, link):
    (old_record / "model.pt").unlink()
    (old_record / "model.pt").symlink_to(link)
    with pytest.raises(RecordError, match="link"):
        export_artifact(old_record, tmp_path / "x.zip")


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_run_that_has_not_completed_is_neither_exported_nor_imported(
    old_record, tmp_path, status
):
    good = export_artifact(old_record, tmp_path / "good.zip")
    results = old_record / "results.json"
    changed = results.read_bytes().replace(b'"completed"', f'"{status}"'.encode())
    results.write_bytes(changed)
    with pytest.raises(RecordError, match="has not completed"):
        export_artifact(old_record, tmp_path / "x.zip")
    with zipfile.ZipFile(good) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    crate = decode(contents["ro-crate-metadata.json"], "")
    for entity in crate["@graph"]:
        if entity["@id"] == "results.json":
            entity["sha256"] = hashlib.sha256(changed).hexdigest()
            entity["contentSize"] = str(len(changed))
    contents |= {"results.json": changed, "ro-crate-metadata.json": encode(crate)}
    with zipfile.ZipFile(tmp_path / "forged.zip", "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    with pytest.raises(RecordError, match="has not completed"):
        import_artifact(tmp_path / "forged.zip", tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_a_run_that_is_still_being_recorded_is_not_exported(tmp_path):
    with reionemu.start_artifact("busy", tmp_path / "root") as run:
        run.log(1, {"train_loss": 1.0})
        with pytest.raises(RecordError, match="status: running"):
            export_artifact(tmp_path / "root" / "busy", tmp_path / "x.zip")
    export_artifact(tmp_path / "root" / "busy", tmp_path / "x.zip")
    artifact = import_artifact(tmp_path / "x.zip", tmp_path / "other")
    assert artifact.results["history"] == {"train_loss": [1.0]}


def test_file_names_that_would_not_be_imported_are_not_exported(old_record, tmp_path):
    (old_record / "normalizers.npz").rename(old_record / "mittlere größen.npz")
    info = old_record / "info.json"
    info.write_text(info.read_text().replace("normalizers.npz", "mittlere größen.npz"))
    with pytest.raises(RecordError, match="ASCII"):
        export_artifact(old_record, tmp_path / "x.zip")


def test_a_file_that_is_there_is_replaced_only_when_told_so(record, old_record, tmp_path):
    out = tmp_path / "x.zip"
    first = export_artifact(record, out).read_bytes()
    with pytest.raises(AlreadyExistsError):
        export_artifact(old_record, out)
    assert out.read_bytes() == first
    export_artifact(old_record, out, overwrite=True)
    assert out.read_bytes() != first


def test_a_failed_export_leaves_the_file_that_is_there(record, tmp_path):
    out = tmp_path / "x.zip"
    first = export_artifact(record, out).read_bytes()
    (record / "model.pt").unlink()
    with pytest.raises(RecordError):
        export_artifact(record, out, overwrite=True)
    assert out.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir() if "x.zip" in path.name] == ["x.zip"]


def test_places_that_cannot_be_written_to(record, tmp_path):
    with pytest.raises(RecordError, match="inside the record"):
        export_artifact(record, record / "x.zip")
    with pytest.raises(MissingFileError, match="nowhere"):
        export_artifact(record, tmp_path / "nowhere" / "x.zip")
    with pytest.raises(MissingFileError, match="no artifact"):
        export_artifact(tmp_path / "missing", tmp_path / "x.zip")
    assert not (record / "x.zip").exists()


def test_the_name_of_the_import_can_be_chosen(record, tmp_path):
    file = export_artifact(record, tmp_path / "x.zip")
    artifact = import_artifact(file, tmp_path / "root", name="of/others/first")
    assert artifact.path == tmp_path / "root" / "of" / "others" / "first"
    assert artifact.name == "first"


def test_a_taken_name_is_not_touched(record, old_record, tmp_path, snapshot):
    root = tmp_path / "artifacts"
    file = export_artifact(old_record, tmp_path / "x.zip")
    before = snapshot(root)
    with pytest.raises(AlreadyExistsError, match="--name"):
        import_artifact(file, root, name="first")
    assert snapshot(root) == before
    (root / "empty").mkdir()
    with pytest.raises(AlreadyExistsError):
        import_artifact(file, root, name="empty")
    with pytest.raises(RecordError, match="inside another artifact"):
        import_artifact(file, root, name="first/second")
    assert snapshot(root) == {**before, "empty": b""}


def test_of_several_imports_under_one_name_one_succeeds(record, tmp_path):
    file = export_artifact(record, tmp_path / "x.zip")

    def attempt(_: int) -> bool:
        try:
            import_artifact(file, tmp_path / "root", name="x")
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 1
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["x"]
    assert record_files(tmp_path / "root" / "x") == record_files(record)


def test_an_export_while_the_record_is_replaced_is_of_one_record(save, mc_dropout, tmp_path):
    path = save(mc_dropout, "busy", metrics={"version": 0})
    stop = threading.Event()

    def replace() -> None:
        version = 0
        while not stop.is_set():
            version += 1
            save(mc_dropout, "busy", metrics={"version": version})

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        exported = [export_artifact(path, tmp_path / f"{i}.zip") for i in range(25)]
    finally:
        stop.set()
        writer.join()
    imported = [
        import_artifact(file, tmp_path / "root", name=file.stem).results["metrics"]["version"]
        for file in exported
    ]
    assert imported == sorted(imported)


def test_a_checkpoint_that_would_run_code_is_kept_and_named_but_not_read(tmp_path):
    file = export_artifact(GOLDEN / "peer-0.4.0" / "whole_module", tmp_path / "x.zip")
    with pytest.warns(ReionemuWarning, match=r"model\.pt: holds more than weights"):
        artifact = import_artifact(file, tmp_path / "root")
    assert (artifact.path / "model.pt").exists()


def test_a_full_disk_leaves_nothing(record, tmp_path, monkeypatch):
    file = export_artifact(record, tmp_path / "x.zip")
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(NotEnoughSpaceError):
        import_artifact(file, tmp_path / "root")
    with pytest.raises(NotEnoughSpaceError):
        export_artifact(record, tmp_path / "y.zip")
    assert not (tmp_path / "root").exists()
    assert not list(tmp_path.glob("*y.zip*"))


def test_importing_loads_no_training_code_and_no_torch(record, tmp_path):
    file = export_artifact(record, tmp_path / "x.zip")
    code = (
        "import sys, reionemu; a = reionemu.import_artifact(*sys.argv[1:]); a.emulator(); "
        "print(sorted({'torch', 'h5py', 'reionemu.training'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file), str(tmp_path / "root")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "[]\n", done.stderr
