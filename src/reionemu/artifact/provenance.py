"""What made a record: code, machine, data, and a checksum of every file.

provenance.json is written last and lists the other files with their SHA-256. It bears a seal of
its own: the SHA-256 of its bytes, with the digits of the seal written as zeros. So one changed
bit anywhere in a record is found. (It guards against accidents, not against forgers.)

Environment variables are not recorded, nor are values of options that are called like secrets.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from .code_version import code_version, library_version, script_version, working_directory
from .formats.jsonio import encode
from .layout import PROVENANCE

PROVENANCE_VERSION = 1
HIDDEN = "(not recorded)"
_SECRET = re.compile(r"token|passw|secret|credential|api[-_]?key", re.IGNORECASE)
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
        "command": _without_secrets(sys.argv),
        "working_directory": working_directory(),
        "platform": this_platform(),
        "software": software(),
        "code": code_version(),
        "script": script_version(),
        "library": library_version(),
    }


def this_platform() -> dict[str, Any]:
    """The machine, and the GPUs that PyTorch, if it is loaded by now, finds on it."""
    return {**_machine(), "gpus": _gpus()}


def _without_secrets(arguments: Sequence[str]) -> list[str]:
    """A command line without the values of options that are called like secrets."""
    shown, hide = [], False
    for argument in arguments:
        option, equals, _ = argument.partition("=")
        if hide and not argument.startswith("-"):
            argument = HIDDEN
        hide = argument.startswith("-") and bool(_SECRET.search(option)) and not equals
        if equals and _SECRET.search(option):
            argument = f"{option}={HIDDEN}"
        shown.append(argument)
    return shown


def software() -> dict[str, str]:
    """Versions of what computes the numbers."""
    versions = {"python": platform.python_version(), "reionemu": __version__}
    for name in ("numpy", "torch", "h5py"):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


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
