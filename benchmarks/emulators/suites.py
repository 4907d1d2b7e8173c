"""Simulations to measure with, by the package's own commands; made once and kept."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py

from reionemu.simulation import PRESETS


@dataclass(frozen=True)
class Recipe:
    """How a suite is made: a design, and options of `simulate` and `training-set`."""

    name: str
    preset: str
    points: int
    seed: int
    simulate: tuple[str, ...]
    training_set: tuple[str, ...] = ()


def shared(preset: str) -> Recipe:
    """The published design; one realization for all."""
    return Recipe(f"shared-{preset}", preset, 1000, 1, ("--realizations", "1"))


OWN = Recipe("own", "demo", 1000, 9, ("--own-seeds", "1000"))
SEVERAL = Recipe(
    "several",
    "demo",
    300,
    5,
    ("--realizations", ",".join(map(str, range(100, 116)))),
    ("--realizations", "mean"),
)
HELD_OUT = Recipe(
    "held-out", "demo", 40, 77, ("--realizations", ",".join(map(str, range(200, 248))))
)


def make(recipe: Recipe, folder: Path) -> Path:
    """The HDF5 file of a suite; simulated if it is not there."""
    h5 = folder / f"{recipe.name}.h5"
    if not h5.exists():
        design = folder / f"{recipe.name}.txt"
        if not design.exists():
            command("sample", "-n", recipe.points, "--seed", recipe.seed, "-o", design)
        build(design, h5, recipe.preset, recipe.simulate, recipe.training_set)
    return h5


def build(
    design: Path, h5: Path, preset: str, simulate: tuple[str, ...], training_set: tuple[str, ...]
) -> None:
    """Simulate a design file; killed, the same call goes on where it was."""
    print(f"... simulating {h5.stem}", file=sys.stderr, flush=True)
    raw, cache = h5.with_suffix(""), h5.parent / "cache"
    command("simulate", design, "-o", raw, "--preset", preset, "--cache", cache, *simulate)
    partial = h5.with_suffix(".partial.h5")
    partial.unlink(missing_ok=True)
    command("condense", raw, partial)
    command("spectra", partial)
    command("training-set", partial, *training_set)
    partial.rename(h5)
    for folder in (raw, cache):
        shutil.rmtree(folder)


def command(*words: object) -> None:
    """Run a command of this package, quietly."""
    arguments = [sys.executable, "-m", "reionemu", *map(str, words)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"reionemu {' '.join(map(str, words))}\n{done.stderr}")


def preset_of(h5: Path) -> str | None:
    """The preset that a suite was simulated with, by its box and cells."""
    with h5py.File(h5) as file:
        text = file["campaign"][()] if "campaign" in file else b"{}"
    config = json.loads(text).get("config", {})
    made = config.get("box"), config.get("n_cells")
    found = [name for name, known in PRESETS.items() if (known.box, known.n_cells) == made]
    return found[0] if found else None
