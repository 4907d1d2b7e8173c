"""A server of writers, and a reader that tells a whole record from a torn or a mixed one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import reionemu
from reionemu.artifact.formats.sidecars import decode_npz

FILES = {
    "info.json",
    "configs.json",
    "results.json",
    "normalizers.npz",
    "model.pt",
    "weights.safetensors",
    "companions.safetensors",
    "predictions.npz",
    "provenance.json",
}


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Writers:
    """Starts children of `writer.py`."""

    def __init__(self, folder: Path) -> None:
        self.server = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "writer.py"), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        assert self.server.stdout.readline() == "ready\n"

    def start(self, do: str, **job: object) -> int:
        """Start a job; return the process id of its child."""
        self.server.stdin.write(json.dumps({"do": do, **job}, default=str) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def wait(self, pid: int, seconds: float = 120) -> None:
        """Wait until a child has ended."""
        deadline = time.monotonic() + seconds
        while is_running(pid):
            assert time.monotonic() < deadline, "a writer hangs"
            time.sleep(0.0005)

    def kill(self, pid: int) -> None:
        """Kill a child, and wait until it is gone."""
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)
        self.wait(pid)

    def close(self) -> None:
        self.server.stdin.close()
        self.server.wait(10)
        self.server.stdout.close()


@pytest.fixture(scope="session")
def writers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writers]:
    """A server of writers."""
    server = Writers(tmp_path_factory.mktemp("warm-up"))
    yield server
    server.close()


def _tag_of(path: Path, *, deep: bool = True) -> int:
    artifact = reionemu.load_artifact(path)
    weights, _ = artifact._weights()
    tags = {
        int(artifact.info["description"]),
        artifact.configs["tuning"]["tag"],
        artifact.results["metrics"]["tag"],
        *artifact.normalizers["X"].mean.tolist(),
        *artifact.companions().points.ravel().tolist(),
        *decode_npz(artifact._files["predictions"], "predictions.npz")["truth"].ravel().tolist(),
        *(value for array in weights.values() for value in np.unique(array).tolist()),
    }
    assert len(tags) == 1, f"{path} is a mixture of {tags}"
    if deep:
        assert {file.name for file in path.iterdir()} == FILES
        (path_weights,) = {float(v.unique()) for v in _checkpoint(path).values()}
        assert path_weights in tags
    return int(tags.pop())


def _checkpoint(path: Path) -> dict:
    import torch

    return torch.load(path / "model.pt", weights_only=True)


@pytest.fixture(scope="session")
def tag_of() -> Callable[..., int]:
    """`tag_of(path)`: the number in every part of a record; fails if it is torn or mixed.

    With `deep=False` the files are only those that `load_artifact` opened at once.
    """
    return _tag_of


@pytest.fixture(scope="session")
def entries() -> Callable[[Path, str], list[Path]]:
    """`entries(root, name)`: the earlier records of a name."""

    def entries(root: Path, name: str) -> list[Path]:
        history = root / ".history" / name
        return sorted(history.glob("[!.]*"))

    return entries
