"""No space, no permission: a clear error, and nothing at the root has changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("limit", [0, 100, 600, 900, 1300, 2500, 3400, 10_000])
def test_a_file_that_may_not_grow(limit: int, writers, tag_of: Callable, tmp_path: Path) -> None:
    root = tmp_path / "root"
    writers.wait(writers.start("once", root=root, name="run", tag=1))
    before = contents(root)
    largest = max(len(content) for content in before.values())
    for name in ("run", "new"):
        log = tmp_path / name
        job = {"root": root, "name": name, "tag": 2, "log": log, "limit": limit}
        writers.wait(writers.start("limited", **job))
        outcome = json.loads(log.read_text())
        if limit >= largest:
            assert outcome["error"] is None
            assert tag_of(root / name) == 2
        else:
            assert {"OSError", "RuntimeError"} & set(outcome["bases"])
            assert contents(root) == before


ON_TMPFS = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import writer

root = Path(sys.argv[1])
def contents():
    return {str(p.relative_to(root)): p.read_bytes() if p.is_file() else b""
            for p in sorted(root.rglob("*"))}

writer.save(root, "run", 1)
failed = 0
for free in range(0, 40 * 1024, 2048):
    filler = root.parent / "filler"
    with open(filler, "wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, os.statvfs(root).f_bavail * 4096 - free)
        except OSError:
            pass
    before = contents()
    try:
        writer.save(root, "run", 2)
    except (OSError, RuntimeError) as error:
        failed += 1
        assert contents() == before, (free, sorted(set(contents()) ^ set(before)))
        print(type(error).__name__, error, sep=": ")
    else:
        assert writer.reionemu.load_artifact(root / "run").info["description"] == "2"
        break
    finally:
        filler.unlink()
else:
    raise AssertionError("never enough space")
assert failed >= 2
assert writer.reionemu.load_artifact(root / "run").results["metrics"] == {"tag": 2}
assert len(list((root / ".history" / "run").iterdir())) == 1
print("failed", failed)
"""


def can_mount(folder: Path) -> bool:
    """Whether this process may mount a file system for itself alone."""
    if os.getuid() != 0 or shutil.which("unshare") is None:
        return False
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    if not can_mount(folder):
        pytest.skip("mounting a small file system needs privileges")
    script = (
        'mount -t tmpfs -o size=256k tmpfs "$1" && mkdir "$1/root" && '
        'exec "$2" -c "$3" "$1/root" "$4"'
    )
    here = str(Path(__file__).parent)
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", str(folder), sys.executable, ON_TMPFS, here],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,  # no repository, whose diff would be a part of the record
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No space left on device" in done.stdout


@pytest.fixture
def readable_root() -> Iterator[Path]:
    """A folder that others may read and not write, with nothing private above it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_root_that_may_not_be_written(
    writers, tag_of: Callable, readable_root: Path, tmp_path: Path
) -> None:
    writers.wait(writers.start("once", root=readable_root, name="run", tag=1))
    before = contents(readable_root)
    readable_root.chmod(0o555)
    for name in ("run", "new", "a/b"):
        log = tmp_path / name.replace("/", "-")
        log.touch()
        job = {"root": readable_root, "name": name, "tag": 2, "log": log}
        writers.wait(writers.start("unprivileged", **job))
        outcome = json.loads(log.read_text())
        assert "PermissionError" in outcome["bases"]
        assert str(readable_root) in outcome["error"]
        assert "no permission" in outcome["error"]
    assert contents(readable_root) == before
    assert tag_of(readable_root / "run") == 1
