"""How many simulations `reionemu suggest` saves, against a Latin hypercube that grows.

    python benchmarks/suggest.py [--preset laptop] [--repeats 3] [--held-out 300] [--json]

Both sides start from the same Latin hypercube of 50 points and grow by 25 to 200: one by the
points that a Gaussian process, trained on what there is, suggests, the other by
`augment_design`. Errors are measured on a Latin hypercube of its own. The answer is the number of
simulations with which suggested points have the error that the hypercube has with 200; where the
simulations' own noise makes up most of an error (preset demo), it matters little where they are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from reionemu import (
    PUBLISHED_SPACE,
    Design,
    Emulator,
    Simulator,
    augment_design,
    latin_hypercube,
)
from reionemu.models.calibration import Calibration
from reionemu.models.gaussian_process import fit_gaussian_process
from reionemu.models.inputs import Inputs
from reionemu.models.spectrum import SurrogateSpectrum
from reionemu.pipeline.suggestion import suggest
from reionemu.targets import Target

START, STEP, END = 50, 25, 200
MEASURES = {"mean": np.mean, "95%": lambda error: np.quantile(error, 0.95), "worst": np.max}


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--held-out", type=int, default=300)
    parser.add_argument("--json", action="store_true", help="results as JSON")
    options = parser.parse_args()
    simulator = Simulator(options.preset)
    simulator.prepare()
    held_out = latin_hypercube(PUBLISHED_SPACE, options.held_out, 999)
    truth = simulate(simulator, held_out.rows)
    with threadpool_limits(1):
        rounds = [compare(simulator, held_out.rows, truth, i) for i in range(options.repeats)]
    found = [{"errors": one, "needed": needed(one)} for one in rounds]
    print(json.dumps(found, indent=2) if options.json else table(found))


def compare(
    simulator: Simulator, theta: np.ndarray, truth: np.ndarray, seed: int
) -> dict[str, dict[int, list[float]]]:
    """Errors by side and number of simulations, one for each of `MEASURES`."""
    start = latin_hypercube(PUBLISHED_SPACE, START, seed)
    y = simulate(simulator, start.rows)
    sides = {"hypercube": grow_evenly, "suggest": grow_by_suggestion}
    return {
        name: {
            n: measure(emulator, theta, truth) for n, emulator in grow(simulator, start, y, more)
        }
        for name, more in sides.items()
    }


def grow(
    simulator: Simulator, design: Design, y: np.ndarray, more: Any
) -> Iterator[tuple[int, Emulator]]:
    """Emulators of a design that grows."""
    while True:
        emulator = train(design.rows, y)
        yield len(design), emulator
        if len(design) >= END:
            return
        old, design = len(design), more(design, emulator)
        y = np.concatenate([y, simulate(simulator, design.rows[old:])])


def grow_evenly(design: Design, emulator: Emulator) -> Design:
    return augment_design(design, STEP, design.seed or 0)


def grow_by_suggestion(design: Design, emulator: Emulator) -> Design:
    return suggest(emulator, STEP, len(design), design=design)


def simulate(simulator: Simulator, rows: np.ndarray) -> np.ndarray:
    """ln D_ell of points, shape (n, b)."""
    points = (dict(zip(PUBLISHED_SPACE.names, row, strict=True)) for row in rows.tolist())
    return np.log([simulator.run(z=(8.0,), **point).dl()[1][0] for point in points])


def train(theta: np.ndarray, y: np.ndarray) -> Emulator:
    """A Gaussian process, as `reionemu train` makes it."""
    names = PUBLISHED_SPACE.names
    process, own = fit_gaussian_process(theta, y, Inputs.over(theta, names))
    calibration = Calibration.of(own.mean, own.total, y)
    spectrum = SurrogateSpectrum(process, Target("dl_ksz", "ln"), calibration, False)
    ell = np.arange(y.shape[1], dtype=float)
    return Emulator(spectrum, ell=ell, parameter_names=names, box=PUBLISHED_SPACE.box)


def measure(emulator: Emulator, theta: np.ndarray, truth: np.ndarray) -> list[float]:
    predicted = emulator.predict(theta).mean
    error = np.abs(predicted / np.exp(truth) - 1).mean(axis=1)
    return [float(function(error)) for function in MEASURES.values()]


def needed(errors: dict[str, dict[int, list[float]]]) -> dict[str, float]:
    """How many suggested points have the hypercube's last error, between the sizes measured."""
    sizes = np.array(list(errors["suggest"]), float)
    values = np.log(np.array(list(errors["suggest"].values())))
    goal = np.log(errors["hypercube"][END])
    found = {}
    for i, name in enumerate(MEASURES):
        below = np.flatnonzero(values[:, i] <= goal[i])
        k = int(below[0]) if len(below) else -1
        if k <= 0:
            found[name] = float("inf") if k else sizes[0]
            continue
        share = (values[k - 1, i] - goal[i]) / (values[k - 1, i] - values[k, i])
        found[name] = float(sizes[k - 1] + share * (sizes[k] - sizes[k - 1]))
    return found


def table(found: list[dict[str, Any]]) -> str:
    sizes = list(found[0]["errors"]["suggest"])
    lines = [f"{'repeat, points':26}" + "".join(f"{n:>22}" for n in sizes)]
    for i, one in enumerate(found):
        for side, errors in one["errors"].items():
            cells = [" / ".join(f"{100 * e:.2f}" for e in errors[n]) for n in sizes]
            lines.append(f"{f'{i}, {side}':26}" + "".join(f"{cell:>22}" for cell in cells))
    lines.append(f"({' / '.join(MEASURES)} error, per cent, over held-out simulations)")
    for name in MEASURES:
        counts = [one["needed"][name] for one in found]
        numbers = ", ".join(f"{n:.0f}" for n in counts)
        ratio = END / float(np.median(counts))
        lines.append(
            f"{name + ' error':12} of {END} in a hypercube: {numbers} suggested, "
            f"{ratio:.2f} times fewer"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
