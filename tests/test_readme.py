"""What the README and the pages show is executed: Python code, and commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from reionemu.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SIMULATION = (ROOT / "docs" / "simulation.md").read_text()
EMULATORS = (ROOT / "docs" / "emulators.md").read_text()
INFERENCE = (ROOT / "docs" / "inference.md").read_text()
FEW = {"crossval": ("--epochs", "5"), "train": ("--epochs", "5"), "infer": ("--steps", "60")}
"""Options of commands that take long otherwise."""


def python_blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


def commands(page: str) -> list[str]:
    """Every command of this package in the page's console blocks, without comments."""
    return [
        " ".join(line.split("#")[0].split())
        for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("$ reionemu")
    ]


def run(command: str, more: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command of a page; an error shows what it said."""
    words = shlex.split(command.removeprefix("$ "))
    target = words[words.index(">") + 1] if ">" in words else None
    arguments = words[1 : words.index(">")] if target else words[1:]
    result = subprocess.run(
        [sys.executable, "-m", "reionemu", *arguments, *more],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, (command, result.stderr)
    assert result.stdout or result.stderr
    if target:
        Path(target).write_text(result.stdout)
    return result


@pytest.fixture
def example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REIONEMU_CACHE", str(tmp_path / "cache"))
    subprocess.run([sys.executable, "-m", "reionemu", "example", "suite"], check=True)
    return tmp_path


def test_python(example, capsys):
    (code,) = python_blocks(README)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    prediction = names["prediction"]
    assert prediction.mean.shape == prediction.std.shape == (5,)
    assert 0.2 < prediction.mean.mean() < 3  # uK^2: the size of the effect
    assert str(prediction.mean[0])[:5] in capsys.readouterr().out


def test_commands(example):
    """Every command, in order; only the sizes of the slowest are cut."""
    found = commands(README)
    assert len(found) >= 10
    (example / "suite").rename(example / "kept")
    for command in found:
        command = command.replace("RAW", "kept/raw").replace("-n 200", "-n 4")
        verb = command.split()[2]
        if verb == "tune":
            run(" ".join([*command.split()[:4], "--help"]))
        else:
            run(command, FEW.get(verb, ()))
    assert len(list(Path("raw").glob("sim*"))) == 4


def test_the_presets_are_those_of_the_page():
    from reionemu.cli.presets import COLUMNS, preset_rows

    rows = [line.strip("|").split("|") for line in SIMULATION.splitlines() if line.startswith("|")]
    header, _, *cells = [[cell.strip(" `") for cell in row] for row in rows]
    assert header == list(COLUMNS)
    assert cells == [[row[name] for name in COLUMNS] for row in preset_rows()]


def test_simulating_by_hand(example, monkeypatch, capsys):
    """The code of the page, in a smaller box of fewer cells."""
    from reionemu.simulation.config import PRESETS

    small = PRESETS["demo"].with_changes(box=125.0, n_cells=32)
    monkeypatch.setitem(PRESETS, "demo", small)
    (code,) = python_blocks(SIMULATION)
    names: dict[str, object] = {}
    exec(compile(code, "simulation.md", "exec"), names)
    assert names["result"].maps.shape == (4, 32, 32)
    assert names["dl"].shape == (4, len(names["ell"]))
    assert abs(names["z_re"].mean() - 8.0) < 0.01
    assert str(names["result"].tau) in capsys.readouterr().out


def test_campaigns(example):
    """The commands of the page, with fewer rows and cells."""
    found = commands(SIMULATION)
    assert len(found) >= 7
    for command in found:
        command = command.replace("-n 1000", "-n 3").replace("/shared/raw", "raw")
        if "simulate" in command:
            command += " --cells 32 --box 125"
            command = re.sub(r"params.txt(.*--preset) large", r"more.txt\1 laptop", command)
        run(command)
    assert len(list(Path("raw").glob("sim*"))) == 6
    assert "sbatch" in Path("job.sh").read_text().lower()


def test_emulators(example, capsys):
    """The commands and the code of the page, on the example suite and a suite of tiny boxes."""
    for stage in ("condense suite/raw suite.h5", "spectra suite.h5", "training-set suite.h5"):
        run(f"$ reionemu {stage}")
    found = commands(EMULATORS)
    assert len(found) >= 8
    for command in found:
        command = command.replace("-n 300", "-n 24").replace("0,1,2,3", "0,1")
        run(command + " --cells 32 --box 125" if "simulate" in command else command)
    names: dict[str, object] = {}
    for code in python_blocks(EMULATORS):
        exec(compile(code, "emulators.md", "exec"), names)
    assert names["spectrum"].std.shape == (5,)
    assert (names["history"].x_hi[:-1] < names["history"].x_hi[1:]).all()
    assert names["slope"].shape == (5, 4)
    assert names["total"].shape == (5, 5)
    assert str(names["history"].z50) in capsys.readouterr().out


def run_here(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` in this process, which has the heavy packages by then."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main replaces it
    monkeypatch.setattr(sys, "argv", shlex.split(command.removeprefix("$ ")))
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0, command


@pytest.mark.filterwarnings("ignore")  # of chains that are too short, and of four packages
def test_inference(example, capsys, monkeypatch):
    """The files, the commands and the code of the page, with few steps."""
    for package in ("arviz", "cobaya", "emcee", "getdist", "matplotlib"):
        pytest.importorskip(package)
    from reionemu import load_artifact
    from reionemu.inference import EmceeOptions, read_band_powers
    from reionemu.inference.cobaya import input as cobaya

    monkeypatch.setattr(cobaya, "_PILOT", EmceeOptions(steps=30))
    for kind, text in re.findall(r"```(csv|yaml)\n(.*?)```", INFERENCE, re.DOTALL):
        Path(f"bands.{kind}").write_text(text)
    plain, correlated = read_band_powers("bands.csv"), read_band_powers("bands.yaml")
    assert plain.is_total
    assert (plain.windows == correlated.windows).all()
    assert (abs(plain.covariance.diagonal() - correlated.covariance.diagonal()) < 1e-12).all()
    found = commands(INFERENCE)
    assert len(found) >= 10
    assert found[0] == "$ reionemu example suite"  # which the fixture has run
    for command in found[1:]:
        run_here(command + " --steps 60" * ("$ reionemu infer" in command), monkeypatch)
    assert len(list(Path("artifacts").glob("gp-*"))) == 4
    (mock,) = (command for command in found if "--mock" in command)
    lineage = {step["step"]: step for step in load_artifact("artifacts/gp").provenance["lineage"]}
    assert int(mock.split("--mock")[1].split()[0]) in lineage["split"]["indices"]["test"]
    names: dict[str, object] = {}
    for code in python_blocks(INFERENCE):
        code = code.replace("EmceeOptions()", "EmceeOptions(steps=60)")
        exec(compile(code, "inference.md", "exec"), names)
    assert names["history"].median[0] < 0.1 < 0.9 < names["history"].median[-1]
    assert names["again"].names == names["problem"].names
    assert names["slope"].shape == (8, 5)
    pages = {path.name for path in Path("figures").iterdir()}
    assert {"corner.pdf", "corner.png", "spectrum.png", "history.png"} <= pages
    assert str(names["fit"].band_powers.median[0])[:5] in capsys.readouterr().out
