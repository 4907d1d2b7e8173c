"""What the README shows is executed: its Python code, and its commands on the example suite."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    " ".join(line.split("#")[0].split())
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("$ reionemu")
]


@pytest.fixture
def example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-m", "reionemu", "example", "suite"], check=True)
    return tmp_path


def test_python(example, capsys):
    assert len(PYTHON) == 1
    names: dict[str, object] = {}
    exec(compile(PYTHON[0], "README.md", "exec"), names)
    prediction = names["prediction"]
    assert prediction.mean.shape == prediction.std.shape == (5,)
    assert 0.2 < prediction.mean.mean() < 3  # uK^2: the size of the effect
    assert str(prediction.mean[0])[:5] in capsys.readouterr().out


def test_commands(example, monkeypatch):
    """Every command, in order; only the sizes of the slowest are cut."""
    assert len(COMMANDS) >= 10
    (example / "suite").rename(example / "kept")
    for command in COMMANDS:
        arguments = shlex.split(command.removeprefix("$ ").replace("RAW", "kept/raw"))[1:]
        if arguments[0] == "tune":
            arguments = [*arguments[:2], "--help"]
        if arguments[0] in ("crossval", "train"):
            arguments += ["--epochs", "5"]
        result = subprocess.run(
            [sys.executable, "-m", "reionemu", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, (command, result.stderr)
        assert result.stdout or result.stderr
