"""What made a record: code, machine, data, and a checksum of every file.

provenance.json is written last and lists the other files with their SHA-256. It bears a seal of
its own: the SHA-256 of its bytes, with the digits of the seal written as zeros. So one changed
bit anywhere in a record is found. (It guards against accidents, not against forgers.)

Environment variables are not recorded, and neither are remotes of git, whose addresses may hold
passwords.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from .jsonio import encode
from .layout import PROVENANCE

PROVENANCE_VERSION = 1
MAX_DIFF_BYTES = 64 * 1024
GIT_SECONDS = 10
_SAFELY = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "diff.autoRefreshIndex=false",
    "protocol.allow=never",
)
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # set in hooks of another repository
_PLAIN_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--full-index")
_NO_SEAL = "0" * 64
_SEAL = re.compile(rb'^    "seal": "([0-9a-f]{64})"', re.MULTILINE)  # of the whole, not of a part


def seal(document: Mapping[str, Any]) -> bytes:
    """The document as the bytes of provenance.json, with its seal filled in."""
    content = encode({**document, "seal": _NO_SEAL})
    digest = hashlib.sha256(content).hexdigest()
    return _SEAL.sub(f'    "seal": "{digest}"'.encode(), content)


def is_sealed(content: bytes) -> bool:
    """Whether the bytes of provenance.json are those that were sealed."""
    found = _SEAL.findall(content)
    if len(found) != 1:
        return False
    blank = _SEAL.sub(f'    "seal": "{_NO_SEAL}"'.encode(), content)
    return hashlib.sha256(blank).hexdigest().encode() == found[0]


def file_entry(content: bytes) -> dict[str, Any]:
    """What provenance.json says of a file."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}


def files_of(folder: Path) -> dict[str, dict[str, Any]]:
    """What provenance.json says of the files in a folder that is being written."""
    return {
        path.name: file_entry(path.read_bytes())
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != PROVENANCE and not path.name.startswith(".")
    }


def circumstances() -> dict[str, Any]:
    """Who computes here: command, machine, versions and code, as provenance.json has them."""
    return {
        "schema_version": PROVENANCE_VERSION,
        "command": list(sys.argv),
        "working_directory": _working_directory(),
        "platform": {**_machine(), "gpus": _gpus()},
        "software": software(),
        "code": code_version(),
    }


def software() -> dict[str, str]:
    """Versions of what computes the numbers."""
    versions = {"python": platform.python_version(), "reionemu": __version__}
    for name in ("numpy", "torch", "h5py"):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def code_version() -> dict[str, Any] | None:
    """The state of the git repository of the program that runs, or None if there is none.

    Returns
    -------
    dict or None
        "directory", "commit" (None before the first), "dirty" (tracked files differ from it, or
        may), "diff" (None if larger than 64 kB) and "diff_sha256" (None if there is none).
    """
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    program = Path(main).resolve().parent if main else None
    for folder in dict.fromkeys((program, Path(_working_directory() or "/"))):
        top = _git(folder, "rev-parse", "--show-toplevel") if folder else None
        root = Path(os.fsdecode(top.removesuffix(b"\n"))) if top else None
        if folder and root and not _is_installed(folder, root):
            return _state_of(root)
    return None


def _is_installed(folder: Path, root: Path) -> bool:
    """Whether a program lies in an environment that happens to lie in a repository."""
    ignored = _git(root, "check-ignore", "--quiet", str(folder))
    return ignored is not None and folder != root


def _state_of(root: Path) -> dict[str, Any]:
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    diff = _git(root, *_without_filters(root), "diff", "HEAD", *_PLAIN_DIFF) if commit else None
    small = diff is not None and 0 < len(diff) <= MAX_DIFF_BYTES
    return {
        "directory": str(root),
        "commit": commit.decode().strip() if commit else None,
        "dirty": diff != b"",
        "diff": diff.decode("utf-8", "backslashreplace") if diff and small else None,
        "diff_sha256": hashlib.sha256(diff).hexdigest() if diff else None,
    }


def _without_filters(root: Path) -> list[str]:
    """Options of git by which it runs no filters that the repository itself defines."""
    pattern = r"^filter\..*\.(clean|process|required)$"
    found = _git(root, "config", "-z", "--show-scope", "--name-only", "--get-regexp", pattern)
    scopes_and_names = [os.fsdecode(part) for part in (found or b"").split(b"\0")]
    options = []
    for scope, name in zip(scopes_and_names[::2], scopes_and_names[1::2], strict=False):
        if scope in ("local", "worktree"):
            options += ["-c", f"{name}={'false' if name.endswith('.required') else ''}"]
    return options


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git prints; None if it fails, is not installed, or takes too long.

    Nothing that the configuration of the repository names is run, and nothing is fetched.
    """
    settings = [part for setting in _SAFELY for part in ("-c", setting)]
    environment = {k: v for k, v in os.environ.items() if k not in _ELSEWHERE}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    with suppress(OSError, subprocess.SubprocessError):
        result = subprocess.run(
            ["git", *settings, "-C", str(folder), *arguments],
            capture_output=True,
            timeout=GIT_SECONDS,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        return result.stdout if result.returncode == 0 else None
    return None


def _working_directory() -> str | None:
    with suppress(OSError):
        return os.getcwd()
    return None


@lru_cache(maxsize=1)
def _machine() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "machine": platform.machine(),
        "host": socket.gethostname(),
        "cpu": _cpu(),
        "cpu_count": os.cpu_count(),
    }


def _cpu() -> str | None:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.partition(":")[2].strip()
    return platform.processor() or None


def _gpus() -> list[str]:
    """Names of the GPUs, if PyTorch, already at work here, can tell."""
    torch = sys.modules.get("torch")
    with suppress(Exception):  # a broken driver is no reason not to save a record
        if torch is not None and torch.cuda.is_available():
            return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return []


def now() -> str:
    """The time, ISO 8601, UTC."""
    return datetime.now(timezone.utc).isoformat()
