"""Campaigns of a simulator that costs nothing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reionemu.simulation.campaign import CampaignResult, run
from reionemu.simulation.config import SimulationConfig

HERE = Path(__file__).parent


class Lab:
    """A place to run campaigns of the fake simulator, in folders of `path`."""

    config = SimulationConfig(box=100.0, n_cells=16)

    def __init__(self, path: Path) -> None:
        self.path, self._log, self._trouble = path, path / "log", path / "trouble"
        self._trouble.mkdir()
        self._log.touch()
        self.environment = {"FAKE_LOG": str(self._log), "FAKE_TROUBLE": str(self._trouble)}

    @staticmethod
    def design(n: int) -> np.ndarray:
        """Rows whose zmean is 7, 7.01, 7.02, ..."""
        rows = np.tile([7.0, 0.3, 1.0, 0.5], (n, 1))
        rows[:, 0] = [round(7 + 0.01 * i, 2) for i in range(n)]
        return rows

    def run(self, n: int = 4, name: str = "raw", **options: Any) -> CampaignResult:
        """Run the campaign of n rows, in this process."""
        given = {"workers": 1, "cache": self.path / "cache", "config": self.config, **options}
        return run.run_campaign(self.design(n), self.path / name, **given)

    def start(self, n: int, name: str = "raw", rows: str = ":", **options: Any) -> subprocess.Popen:
        """Run it in a process of its own."""
        options = {"workers": 1, **options}
        return subprocess.Popen(
            [
                sys.executable,
                HERE / "runner.py",
                self.path,
                str(n),
                name,
                rows,
                json.dumps(options),
            ],
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def sums(self, name: str = "raw") -> dict[str, str]:
        """The SHA-256 of every HDF5 file of a campaign."""
        root = self.path / name
        return {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.glob("sim*/*.hdf5"))
        }

    def done(self, kind: str) -> list[str]:
        """Lines of the fake simulator's log, "run zmean seed axis" or "open seed axis"."""
        lines = [line.split(" ", 1)[1] for line in self._log.read_text().splitlines()]
        return [line for line in lines if line.startswith(kind)]

    def processes(self) -> set[str]:
        """Ids of the processes that did something."""
        return {line.split()[0] for line in self._log.read_text().splitlines()}

    def trouble(self, name: str) -> None:
        """Ask for trouble, see the fake simulator."""
        (self._trouble / name).touch()

    def no_trouble(self) -> None:
        """Ask for none any more."""
        for path in self._trouble.iterdir():
            path.unlink()


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    """The fake simulator in the place of the real one."""
    found = Lab(tmp_path)
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr(run, "SIMULATOR", "fake_simulator")
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    return found
