"""Writing files: the old one or the new one, whole; one writer at a time; room checked first."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections import namedtuple

import pytest

from reionemu import files
from reionemu.errors import FileBusyError, MissingFileError, NotEnoughSpaceError
from reionemu.files import copy_file, exclusive, remove_abandoned, replacing, require_space

Usage = namedtuple("Usage", "total used free")


def dead_pid() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return process.pid


def names(folder) -> list[str]:
    """What lies in a folder, hidden files included."""
    return sorted(os.listdir(folder))


def write_half(path, error: BaseException) -> None:
    """Fail in the middle of writing."""
    with replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise error


def no_clone(monkeypatch) -> None:
    """As on a file system without copy-on-write."""
    monkeypatch.setattr(files, "_clone", lambda source, target: False)


def test_the_new_file_appears_only_when_the_block_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".a.txt.")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error):
        write_half(path, error("stop"))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_failing_block_leaves_no_file_where_there_was_none(tmp_path):
    with pytest.raises(ValueError, match="stop"):
        write_half(tmp_path / "a.txt", ValueError("stop"))
    assert names(tmp_path) == []


def test_a_failing_rename_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def refuse(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with (
        pytest.raises(OSError, match="No space left") as caught,
        replacing(path) as temporary,
    ):
        temporary.write_text("new")
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_the_content_is_on_the_disk_before_the_rename(tmp_path, monkeypatch):
    events = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: events.append("fsync") or fsync(fd))
    monkeypatch.setattr(os, "replace", lambda a, b: events.append("rename") or rename(a, b))
    files.write_bytes(tmp_path / "a", b"1")
    assert events == ["fsync", "rename", "fsync"]


def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "data"
    target.write_text("old")
    link = tmp_path / "link"
    link.symlink_to(target)
    files.write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_permissions_of_the_old_file_are_kept(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o640)
    files.write_bytes(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_missing_folder_is_named(tmp_path):
    path = tmp_path / "nowhere" / "a"
    for manager in (replacing, exclusive):
        with pytest.raises(MissingFileError, match="nowhere does not exist"), manager(path):
            pytest.fail("the block must not run")


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    path = tmp_path / "a.txt"
    code = (
        "import os, pathlib, sys\n"
        "from reionemu.files import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as t:\n"
        "    t.write_text('half')\n"
        "    os._exit(9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == 9
    (left,) = names(tmp_path)
    assert left.startswith(".a.txt.")
    files.write_bytes(path, b"whole")
    assert names(tmp_path) == ["a.txt"]


def test_only_what_is_abandoned_is_removed(tmp_path):
    final = tmp_path / "a.txt"
    mine = files.temporary_name(final).name
    gone = mine.replace(f"-{os.getpid()}-", f"-{dead_pid()}-")
    other_host = gone.replace(files._HOST, "elsewhere")
    other_file = gone.replace(".a.txt.", ".b.txt.")
    for name in (mine, gone, other_host, other_file, ".a.txt.lock"):
        (tmp_path / name).write_text("x")
    folder = tmp_path / gone.replace(gone[-12:-4], "0123abcd")
    folder.mkdir()
    (folder / "inside").write_text("x")
    remove_abandoned(final)
    assert names(tmp_path) == sorted([mine, other_host, other_file, ".a.txt.lock"])


def test_temporary_names_differ(tmp_path):
    assert len({files.temporary_name(tmp_path / "a") for _ in range(50)}) == 50


def test_a_second_process_is_refused_at_once_and_may_come_back(tmp_path):
    path = tmp_path / "a.h5"
    code = (
        "import pathlib, sys\n"
        "from reionemu.errors import FileBusyError\n"
        "from reionemu.files import exclusive\n"
        "try:\n"
        "    with exclusive(pathlib.Path(sys.argv[1])): print('mine')\n"
        "except FileBusyError as error: print(error)\n"
    )

    def ask() -> str:
        command = [sys.executable, "-c", code, str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with exclusive(path):
        assert ask().startswith(f"another process is writing {path}")
    assert ask() == "mine"


def test_the_lock_is_released_when_the_block_fails(tmp_path):
    with pytest.raises(ValueError, match="stop"), exclusive(tmp_path / "a"):
        raise ValueError("stop")
    with exclusive(tmp_path / "a"), pytest.raises(FileBusyError), exclusive(tmp_path / "a"):
        pytest.fail("the block must not run")


@pytest.mark.parametrize("kernel", [True, False], ids=["in the kernel", "through the process"])
def test_a_copy_has_the_same_bytes(tmp_path, monkeypatch, kernel):
    no_clone(monkeypatch)
    monkeypatch.setattr(files, "_COPY_CHUNK", 1000)
    if not kernel:

        def refuse(*args):
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    content = os.urandom(12_345)
    (tmp_path / "a").write_bytes(content)
    copy_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == content


def test_a_kernel_copy_that_breaks_off_is_begun_again(tmp_path, monkeypatch):
    no_clone(monkeypatch)
    monkeypatch.setattr(files, "_COPY_CHUNK", 100)
    copy, calls = os.copy_file_range, []

    def break_off(source, target, count):
        calls.append(count)
        if len(calls) == 3:
            raise OSError(errno.EIO, "Input/output error")
        return copy(source, target, count)

    monkeypatch.setattr(os, "copy_file_range", break_off)
    content = os.urandom(1000)
    (tmp_path / "a").write_bytes(content)
    copy_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == content


def test_a_copy_is_refused_when_there_is_no_room(tmp_path, monkeypatch):
    no_clone(monkeypatch)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: Usage(10, 10, 2**20))
    (tmp_path / "a").write_bytes(b"x" * 5000)
    message = r"5 kB are needed, with 1 MB to spare, and 1\.05 MB are free"
    with pytest.raises(NotEnoughSpaceError, match=message):
        copy_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == b"x" * 5000


@pytest.mark.parametrize(("spare", "fits"), [(2**20, True), (2**20 - 1, False)])
def test_a_megabyte_must_be_left_over(tmp_path, monkeypatch, spare, fits):
    needed = 10**9
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: Usage(0, 0, needed + spare))
    if fits:
        assert require_space(tmp_path, needed, "it") is None
    else:
        with pytest.raises(NotEnoughSpaceError, match=r"no room for it in .*1 GB are needed"):
            require_space(tmp_path, needed, "it")
