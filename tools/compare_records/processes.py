"""Processes, files and repositories: what the probes do to them. Linux only (/proc)."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from experiment import ProbeError

QUIET = {
    "AIM_ANALYTICS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    **{f"GIT_{who}_NAME": "Nobody" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "nobody@example.org" for who in ("AUTHOR", "COMMITTER")},
}
"""What keeps the tools off the network, and the user's own settings out of the comparison."""


def git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def say_go(process: subprocess.Popen) -> None:
    wait_for(process, "ready")
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


def wait_for(process: subprocess.Popen, word: str) -> None:
    """Wait until the writer says a line that begins with a word."""
    assert process.stdout
    for line in process.stdout:
        if line.startswith(word):
            return
    raise ProbeError(f"the writer ended before it said {word!r}")


def kill_after(process: subprocess.Popen, word: str, seconds: float) -> int:
    """Kill a writer a while after it said a word; return how many epochs it had logged."""
    say_go(process)
    wait_for(process, word)
    time.sleep(seconds)
    kill(process)
    assert process.stdout
    return sum(line.startswith("epoch ") for line in process.stdout)


def kill(process: subprocess.Popen) -> None:
    """Kill a process and all that it started, as a scheduler or the kernel does."""
    for pid in [*descendants(process.pid), process.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def descendants(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found, ahead = [], [pid]
    while ahead:
        one = ahead.pop()
        children = [child for child, parent in parents.items() if parent == one]
        found += children
        ahead += children
    return found


def anonymous(text: str, work: Path) -> str:
    """A text without the folders of this machine."""
    for folder in (work, Path(__file__).resolve().parent, Path(sys.prefix), Path.home()):
        text = text.replace(f"{folder}/", "").replace(str(folder), ".")
    return text


def find(root: Path, needle: bytes) -> list[tuple[Path, int]]:
    """Where bytes occur in the files below a folder."""
    found = []
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink()):
        content = path.read_bytes()
        found += [(path, match.start()) for match in re.finditer(re.escape(needle), content)]
    return found


def flip(path: Path, offset: int) -> None:
    """Flip the lowest bit of a byte, keeping the file's times: as a disk would."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[offset] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.chmod(before.st_mode)


def sqlite_rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        return database.execute(query).fetchall()
