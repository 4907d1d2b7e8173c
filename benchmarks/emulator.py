"""The emulators measured: errors, error bars, speed, and the published package beside them.

    python benchmarks/emulator.py [--preset laptop | --suite H5] [--quick] [--json] [--write]

Simulates what it needs with this package's own commands and keeps it in a folder, so that a second
run does not simulate again: 1000 points of the published design that share a realization; 1000
with one each; 300 with the mean of 16; and, to check means and scatter with, 40 with 48 others.
The published package is trained by its published recipe on the same arrays and split, in its own
environment (see run.py). Models are trained on 700 simulations, calibrated on 100 more and measured
on 200; nothing is chosen by the last. As one split is one draw of luck, the default model is
trained on others, too. `--write` puts the tables into docs/emulators.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from emulators import accuracy, floor, page, realizations, speed, suites, training
from emulators.published import VALIDATIONS, Published

from reionemu.data.arrays import load_training_set
from reionemu.machine import usable_cores
from reionemu.simulation import PRESETS

OURS = ("gp", "ensemble", "mc-dropout")
ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "emulators.md"
Results = dict[str, Any]


def measure(h5: Path, folder: Path, quick: bool) -> Results:
    """Everything, as plain data."""
    preset = suites.preset_of(h5)
    results: Results = {
        "preset": preset,
        "date": date.today().isoformat(),
        "cores": usable_cores(),
        "quick": quick,
        "other_splits": other_splits(h5, 3 if quick else 10),
    }
    if preset:
        say("roughness of the suite")
        results["floor"] = floor.roughness(preset, folder)
    with tempfile.TemporaryDirectory(prefix="reionemu-bench-") as artifacts:
        results |= side_by_side(h5, Path(artifacts), quick)
        results["suites"] = several_realizations(folder, Path(artifacts))
    say("k-fold")
    results["kfold"] = speed.kfold(quick)
    return results


def other_splits(h5: Path, n: int) -> Results:
    """The default model on other splits of a suite, and with a hundred simulations."""
    say("other splits")
    seeds = range(1, n + 1)
    data = load_training_set(h5)
    usual, outcome = training.other_splits(h5, seeds)
    few, _ = training.other_splits(h5, seeds, training.FEW)
    return {
        "usual": usual,
        "few": few,
        "bins": accuracy.by_bin(outcome, data.ell),
        "quarters": accuracy.by_quarter(outcome, data.param_names),
    }


def side_by_side(h5: Path, artifacts: Path, quick: bool) -> Results:
    """Our models and the published one on the same arrays and split."""
    data = load_training_set(h5)
    rows = training.unseen_rows(data)
    published = Published(h5)
    seeds = range(training.SEED, training.SEED + (1 if quick else 3))
    models: Results = {}
    for name in VALIDATIONS:
        say(f"the published package, {VALIDATIONS[name]}")
        models[name] = published.median_run(data, rows, name, seeds)
    results: Results = {
        "models": models,
        "gradients": {},
        "torch_gradients": {},
        "n_test": len(rows),
    }
    for name in OURS:
        say(name)
        turns = [
            training.train(h5, artifacts, f"{name}{i}", name) for i in range(1 if quick else 3)
        ]
        emulator = training.unbounded(turns[0][0])
        outcome = training.outcome(emulator, data, rows)
        models[name] = accuracy.summary(outcome) | {"seconds": median(t for _, t in turns)}
        timed = speed.predictions(turns[0][0].emulator(), published, 5 if quick else 15)
        models[name]["speed"] = timed
        if name != "mc-dropout":
            models[name]["fit_seconds"] = training.fit_alone(h5, name)
            points = outcome.theta[:20]
            results["gradients"][name] = speed.gradient_difference(emulator, points)
            results["torch_gradients"][name] = speed.torch_difference(emulator, points)
        if name == "gp":
            results["history"] = training.histories(emulator, data, rows)
            results["bins"] = accuracy.by_bin(outcome, data.ell)
            results["quarters"] = accuracy.by_quarter(outcome, data.param_names)
            noise = emulator.spectrum.model.predict(outcome.theta)[2]
            results["model_noise"] = float(np.mean(noise))
    published.close()
    few, seconds = training.train(h5, artifacts, "few", split=training.FEW)
    found = accuracy.summary(training.outcome(training.unbounded(few), data, rows))
    results["few"] = found | {"seconds": seconds}
    return results


def several_realizations(folder: Path, artifacts: Path) -> Results:
    """Suites of many realizations against means and scatter of unseen ones."""
    truth = realizations.held_out(load_training_set(suites.make(suites.HELD_OUT, folder)))
    found: Results = {}
    for recipe in (suites.OWN, suites.SEVERAL):
        h5 = suites.make(recipe, folder)
        say(f"suite {recipe.name}")
        artifact, _ = training.train(h5, artifacts, recipe.name)
        emulator = training.unbounded(artifact)
        found[recipe.name] = realizations.compare(emulator, truth)
        difference = speed.gradient_difference(emulator, truth.theta)
        found[recipe.name]["gradient_difference"] = difference
    return found


def say(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--preset", choices=PRESETS, default="laptop")
    parser.add_argument("--suite", type=Path, metavar="H5", help="a suite that is there already")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench-emulator")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and splits")
    parser.add_argument("--json", action="store_true", help="results as JSON")
    parser.add_argument("--write", action="store_true", help="write docs/emulators.md, too")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    h5 = options.suite or suites.make(suites.shared(options.preset), options.folder)
    if options.write:
        page.place(PAGE, suites.preset_of(h5))
    results = measure(h5, options.folder, options.quick)
    print(json.dumps(results, indent=2) if options.json else page.tables(results))
    if options.write:
        page.write(PAGE, results)


if __name__ == "__main__":
    main()
