"""This package and the published one side by side: same inputs, one run, ratios.

    python benchmarks/run.py [--quick] [--json] [--only WORD]

Each side has a process of its own that is kept for the whole run; repetitions alternate (ours,
theirs, ours, theirs, ...), so that whatever else the machine does falls on both. A ratio is the
published package's time over ours; the median over repetitions is shown with their range, and
beside it the ratio of processor times, which other work on the machine disturbs less.
The published package's interpreter is named by REIONEMU_PEER_PYTHON (default
`.peer-venv/bin/python`, which `make peer-venv` makes).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import torch
from inputs import write_raw_suite, write_training_file

import reionemu

HERE = Path(__file__).parent
N_MAPS = 6
STARTS = 5
PAUSE = 0.05
"""Seconds between turns: threads of the other side may still be spinning, waiting for work."""
Times = tuple[float, float | None]
"""Seconds by the clock, and of processor time if known."""


@dataclass(frozen=True)
class Case:
    """What is compared: a case of the worker on each side, and the ratio that is aimed at.

    `theirs` may be a case that runs on our side too: then the ratio is ours against a bare cost.
    """

    title: str
    ours: str
    theirs: str
    target: float | None = None
    repetitions: int = 15
    one_core: bool = False
    bare: bool = False


@dataclass(frozen=True)
class Result:
    """Medians in seconds; ratios are theirs / ours (for a bare cost: ours / bare).

    `cpu_ratio` is the ratio of processor times, None where there is none.
    """

    title: str
    ours: float
    theirs: float
    ratio: float
    lowest: float
    highest: float
    cpu_ratio: float | None
    target: float | None

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return "ok" if self.ratio >= self.target else "BELOW"


CASES = (
    Case("add_cl, 1024x1024, per map, one core", "add_cl", "add_cl", 40, 7, one_core=True),
    Case("  our estimator against their add_cl", "estimator", "add_cl", None, 7, one_core=True),
    Case(
        "  our estimator in units of a bare rfft2",
        "estimator",
        "bare_fft",
        None,
        one_core=True,
        bare=True,
    ),
    Case("condense, 1024x1024, per simulation", "condense", "condense", None, 7),
    Case("fit, an epoch of 800 + 200 rows", "training_epoch", "training_epoch", 2),
    Case("  the same, one thread", "training_epoch_one_thread", "training_epoch_one_thread"),
    Case("evaluate_mc_metrics, 200 rows, 100 draws", "mc_evaluation", "mc_evaluation", 3.5),
    Case("predict, 1 point, 201 draws: emulator", "emulator_predict", "predict_mc", 20),
    Case("  the same: predict_mc", "predict_mc", "predict_mc", 20),
)


class Worker:
    """A process that runs cases under one interpreter (see worker.py)."""

    def __init__(self, python: str, inputs: Path, side: str, one_core: bool) -> None:
        environment = side_environment(side)
        pinned = None
        if one_core:
            environment["OMP_NUM_THREADS"] = "1"
            pinned = pin_to_one_core
        self.process = subprocess.Popen(
            [python, str(HERE / "worker.py"), str(inputs), side],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=pinned,
        )

    def seconds(self, case: str) -> Times:
        """Run a case once."""
        assert self.process.stdin
        assert self.process.stdout
        sleep(PAUSE)
        self.process.stdin.write(f"{case}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"the worker failed in the case {case}")
        times = json.loads(answer)
        return times["wall"], times["cpu"]

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def side_environment(side: str) -> dict[str, str]:
    """The environment, less what could put this package in the other's place."""
    drop = () if side == "ours" else ("PYTHONPATH",)
    kept = {name: value for name, value in os.environ.items() if name not in drop}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1"}


def pin_to_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def compare(
    title: str,
    ours: Callable[[], Times],
    theirs: Callable[[], Times],
    n: int,
    target: float | None,
    bare: bool = False,
) -> Result:
    """Alternate two measurements and summarize them."""
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(n)]

    def ratios(which: int) -> list[float]:
        found = [(a[which], b[which]) for a, b in pairs if a[which] and b[which]]
        return [a / b if bare else b / a for a, b in found]

    wall, cpu = ratios(0), ratios(1)
    return Result(
        title,
        ours=median(a[0] for a, _ in pairs),
        theirs=median(b[0] for _, b in pairs),
        ratio=median(wall),
        lowest=min(wall),
        highest=max(wall),
        cpu_ratio=median(cpu) if cpu else None,
        target=target,
    )


def compare_imports(python: dict[str, str], n: int) -> Result:
    """What `import reionemu` adds to the start of the interpreter."""

    def import_time(which: str) -> Times:
        def start(code: str) -> float:
            begin = perf_counter()
            environment = side_environment(which)
            del environment["PYTHONDONTWRITEBYTECODE"]
            subprocess.run([python[which], "-c", code], check=True, env=environment)
            return perf_counter() - begin

        pairs = [(start("pass"), start("import reionemu")) for _ in range(STARTS)]
        bare, whole = (median(column) for column in zip(*pairs, strict=True))
        return max(whole - bare, 1e-4), None

    return compare(
        "import reionemu, less the bare start",
        lambda: import_time("ours"),
        lambda: import_time("peer"),
        n,
        10,
    )


def write_inputs(folder: Path) -> None:
    """Raw simulations, a condensed file, training arrays and an artifact, all made once."""
    write_raw_suite(folder / "raw", N_MAPS, 1024)
    reionemu.condense_sim_root(folder / "raw", folder / "condensed.h5")
    write_training_file(folder / "training.h5")
    loaders, normalizers, _ = reionemu.make_dataloaders(folder / "training.h5")
    torch.manual_seed(0)
    model = reionemu.MCDropoutEmulator()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    config = reionemu.FitConfig(epochs=5, seed=0)
    reionemu.fit(model, loaders["train"], loaders["val"], optimizer, torch.nn.MSELoss(), config)
    reionemu.save_artifact(
        "emulator",
        folder / "artifacts",
        dataset_path=folder / "training.h5",
        model_config=model.record(),
        normalizers=normalizers,
        checkpoint=model.state_dict(),
    )


def run_case(case: Case, workers: dict[str, Worker], n: int) -> Result:
    opponent = workers["ours" if case.bare else "peer"]
    return compare(
        case.title,
        lambda: workers["ours"].seconds(case.ours),
        lambda: opponent.seconds(case.theirs),
        n,
        case.target,
        case.bare,
    )


def measure(python: dict[str, str], folder: Path, only: str, quick: bool) -> list[Result]:
    results = []
    for one_core in (True, False):
        cases = [case for case in CASES if case.one_core is one_core and only in case.title]
        if not cases:
            continue
        workers = {side: Worker(python[side], folder, side, one_core) for side in python}
        for case in cases:
            print(f"... {case.title.strip()}", file=sys.stderr, flush=True)
            results.append(run_case(case, workers, 3 if quick else case.repetitions))
        for worker in workers.values():
            worker.close()
    if only in "import reionemu":
        results.append(compare_imports(python, 2 if quick else 5))
    return results


def table(results: list[Result]) -> str:
    lines = [f"{'':44}{'ours':>10}{'theirs':>10}{'ratio':>8}   {'range':15}{'cpu':>6}{'target':>8}"]
    for r in results:
        target = "" if r.target is None else f"{r.target:g}"
        spread = f"{r.lowest:.3g} .. {r.highest:.3g}"
        cpu = "" if r.cpu_ratio is None else f"{r.cpu_ratio:.3g}"
        lines.append(
            f"{r.title:44}{human(r.ours):>10}{human(r.theirs):>10}{r.ratio:>8.3g}   "
            f"{spread:15}{cpu:>6}{target:>8}  {r.verdict}"
        )
    return "\n".join(line.rstrip() for line in lines)


def human(seconds: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def peer_python() -> str:
    named = os.environ.get("REIONEMU_PEER_PYTHON") or ".peer-venv/bin/python"
    python = HERE.parent / named  # which leaves an absolute path as it is
    if not python.exists():
        raise SystemExit(
            f"the published package is not installed: there is no {python}. Make it with "
            "`make peer-venv`, or name its interpreter in REIONEMU_PEER_PYTHON"
        )
    return str(python)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few repetitions")
    parser.add_argument("--json", action="store_true", help="results as JSON")
    parser.add_argument("--only", default="", metavar="WORD", help="cases whose title has it")
    options = parser.parse_args()
    python = {"ours": sys.executable, "peer": peer_python()}
    with tempfile.TemporaryDirectory(prefix="reionemu-bench-") as folder:
        write_inputs(Path(folder))
        results = measure(python, Path(folder), options.only, options.quick)
    if options.json:
        print(json.dumps([{**asdict(r), "verdict": r.verdict} for r in results], indent=2))
    else:
        print(table(results))


if __name__ == "__main__":
    main()
