"""K-fold cross-validation of the same networks by this package and the published one.

    python benchmarks/kfold.py [--rows 1000] [--epochs 60] [--folds 5] [--repetitions 5] [--json]
    OMP_NUM_THREADS=1 python benchmarks/kfold.py      with one thread a process on both sides

Each side has a process of its own that is kept; repetitions alternate. Beside the time that
`kfold_cross_validate` takes as it comes (folds in parallel, on as many cores as there are) stand
that of one process, and the processor time of all of them, which other work on the machine
disturbs less. The agreement is the largest relative difference between the two packages' losses
of a fold: the networks start from the same weights and see the same batches.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

TARGET = 4.0
PAUSE = 0.05
"""Seconds between turns: threads of the other side may still be spinning, waiting for work."""
CASES = {"folds in parallel": None, "one process": 1}
"""Keyword `workers` of this package in each case."""


def cross_validate(training_h5: Path, epochs: int, folds: int, **options: Any) -> dict[str, Any]:
    """One run with the package that this interpreter has: seconds, and the losses of the folds."""
    import torch

    from reionemu import FitConfig, KFoldConfig, MCDropoutEmulator, kfold_cross_validate

    start, used = perf_counter(), os.times()
    with contextlib.redirect_stdout(io.StringIO()):
        result = kfold_cross_validate(
            training_h5,
            model_builder=MCDropoutEmulator,
            optimizer_builder=lambda model: torch.optim.AdamW(model.parameters(), lr=1e-3),
            loss_fn=torch.nn.MSELoss(),
            kfold_config=KFoldConfig(k=folds),
            fit_config=FitConfig(epochs=epochs),
            **options,
        )
    wall, now = perf_counter() - start, os.times()
    cpu = sum(now[:4]) - sum(used[:4])  # of this process and of the children that have ended
    return {"wall": wall, "cpu": cpu, "losses": [float(loss) for loss in result["fold_best_val"]]}


def serve(training_h5: Path, epochs: int, folds: int) -> None:
    """Answer each line on standard input, the options of a run, with what it came to."""
    for line in sys.stdin:
        answer = cross_validate(training_h5, epochs, folds, **json.loads(line))
        print(json.dumps(answer), flush=True)


class Side:
    """A process that cross-validates with one of the packages."""

    def __init__(self, python: str, environment: dict[str, str], arguments: list[str]) -> None:
        self._process = subprocess.Popen(
            [python, __file__, "--serve", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def run(self, **options: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        sleep(PAUSE)
        print(json.dumps(options), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("a side failed")
        return json.loads(answer)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def compare(sides: dict[str, Side], repetitions: int) -> list[dict[str, Any]]:
    """For each case the medians, the ratios (theirs / ours), and the agreement."""
    for side in sides.values():
        side.run()
    rounds = []
    for _ in range(repetitions):
        ours = {case: sides["ours"].run(workers=workers) for case, workers in CASES.items()}
        rounds.append((ours, sides["peer"].run()))
    return [summary(case, [(ours[case], theirs) for ours, theirs in rounds]) for case in CASES]


def summary(case: str, pairs: list[tuple[dict, dict]]) -> dict[str, Any]:
    ratios = [theirs["wall"] / ours["wall"] for ours, theirs in pairs]
    losses = [
        pair
        for ours, theirs in pairs
        for pair in zip(ours["losses"], theirs["losses"], strict=True)
    ]
    return {
        "case": case,
        "ours": median(ours["wall"] for ours, _ in pairs),
        "theirs": median(theirs["wall"] for _, theirs in pairs),
        "ratio": median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "cpu_ratio": median(theirs["cpu"] / ours["cpu"] for ours, theirs in pairs),
        "disagreement": max(abs(a - b) / b for a, b in losses),
    }


def table(results: list[dict[str, Any]], options: argparse.Namespace, cores: int) -> str:
    lines = [
        f"{options.folds} folds of {options.rows} rows, {options.epochs} epochs, {cores} cores; "
        f"at least {TARGET:g} is aimed at",
        f"{'':20}{'ours':>9}{'theirs':>9}{'ratio':>8}   {'range':15}{'cpu':>6}  losses agree to",
    ]
    for r in results:
        spread = f"{r['lowest']:.3g} .. {r['highest']:.3g}"
        ours, theirs = f"{r['ours']:.2f} s", f"{r['theirs']:.2f} s"
        lines.append(
            f"{r['case']:20}{ours:>9}{theirs:>9}{r['ratio']:>8.3g}   {spread:15}"
            f"{r['cpu_ratio']:>6.3g}  {r['disagreement']:.1e}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="results as JSON")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.epochs, options.folds)

    from inputs import write_training_file
    from run import peer_python, side_environment

    from reionemu.machine import usable_cores

    python = {"ours": sys.executable, "peer": peer_python()}
    with tempfile.TemporaryDirectory(prefix="reionemu-kfold-") as folder:
        training_h5 = Path(folder) / "training.h5"
        write_training_file(training_h5, options.rows)
        arguments = [str(training_h5), "--epochs", str(options.epochs), "--folds"]
        arguments.append(str(options.folds))
        sides = {name: Side(python[name], side_environment(name), arguments) for name in python}
        results = compare(sides, options.repetitions)
        for side in sides.values():
            side.close()
    print(
        json.dumps(results, indent=2) if options.json else table(results, options, usable_cores())
    )
    return None


if __name__ == "__main__":
    main()
