"""The state of the code that runs, as git knows it.

Remotes are not recorded: their addresses may hold passwords.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

MAX_DIFF_BYTES = 64 * 1024
GIT_SECONDS = 10
_LIKE_SECRETS = ("*.env*", "*.pem", "*.key", "*secret*", "*credential*", "*password*", "*token*")
_SECRETS = tuple(f":(icase,top){pattern}" for pattern in _LIKE_SECRETS)
_NOT_SECRETS = tuple(f":(exclude,icase,top){pattern}" for pattern in _LIKE_SECRETS)
_SAFELY = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "diff.autoRefreshIndex=false",
    "protocol.allow=never",
)
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # set in hooks of another repository
_DIFF = ("diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color", "--full-index")


def code_version() -> dict[str, Any] | None:
    """The state of the git repository of the program that runs, or None if there is none.

    Returns
    -------
    dict or None
        "directory", "commit" (None before the first), "dirty" (tracked files differ from it, or
        may, or the program is not one of them), "diff" (None if larger than 64 kB) and
        "diff_sha256" (None if there is none). Of files that are called like secrets the diff says
        nothing.
    """
    script = program()
    for folder in dict.fromkeys((script and script.parent, Path(working_directory() or "/"))):
        root = _root_of(folder) if folder else None
        if folder and root and not _is_installed(folder, root):
            state = _state_of(root)
            if script and script.is_relative_to(root) and not _is_tracked(script, root):
                state["dirty"] = True
            return state
    return None


def script_version() -> dict[str, Any] | None:
    """The file of the program that runs: "path" and "sha256"; None if it is typed, or installed."""
    script = program()
    with suppress(OSError):
        if script is not None and not script.is_relative_to(sys.prefix):
            digest = hashlib.sha256(script.read_bytes()).hexdigest()
            return {"path": str(script), "sha256": digest}
    return None


@lru_cache(maxsize=1)
def library_version() -> dict[str, Any] | None:
    """The state of the checkout that this package is imported from: as `code_version`, no diff."""
    here = Path(__file__).resolve().parent
    root = _root_of(here)
    if root is None or not _is_tracked(Path(__file__).resolve(), root):
        return None
    state = _state_of(root)
    return {key: state[key] for key in ("directory", "commit", "dirty", "diff_sha256")}


def program() -> Path | None:
    """The file of the program that runs, if it has one."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(main).resolve() if main else None


def working_directory() -> str | None:
    """Where the program runs, if that is still there."""
    with suppress(OSError):
        return os.getcwd()
    return None


def _root_of(folder: Path) -> Path | None:
    """The top of the repository that a folder is in."""
    top = _git(folder, "rev-parse", "--show-toplevel")
    return Path(os.fsdecode(top.removesuffix(b"\n"))) if top else None


def _is_tracked(file: Path, root: Path) -> bool:
    return _git(root, "ls-files", "--error-unmatch", "--", str(file)) is not None


def _is_installed(folder: Path, root: Path) -> bool:
    """Whether a program lies in an environment that happens to lie in a repository."""
    ignored = _git(root, "check-ignore", "--quiet", str(folder))
    return ignored is not None and folder != root


def _state_of(root: Path) -> dict[str, Any]:
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    diff = _git(root, *_without_filters(root), *_DIFF) if commit else None
    secret = _git(root, *_without_filters(root), *_DIFF, "--", *_SECRETS) if diff else b""
    if secret:
        diff = _git(root, *_without_filters(root), *_DIFF, "--", ".", *_NOT_SECRETS) or b""
    small = diff is not None and 0 < len(diff) <= MAX_DIFF_BYTES
    return {
        "directory": str(root),
        "commit": commit.decode().strip() if commit else None,
        "dirty": diff != b"" or bool(secret),
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
