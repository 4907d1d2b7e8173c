"""The published inference: one call of `infer`, beside the published likelihood.

    python benchmarks/inference.py [--preset laptop | --artifact FOLDER [--dataset H5]] [--json]

A simulation that the emulator was not trained on is observed with errors of 10%; the prior is flat
in the box; 32 walkers take 30,000 steps. The same call is made twice, and must give the same
samples, bit for bit. Between the two calls the published package, trained on the same arrays in
its own environment (see run.py), evaluates its likelihood at points of our chain: 201 draws with
dropout for each point, as published. Its time for the whole chain is that of one evaluation, over
far fewer, times the number in the chain; what its sampler would add is left out. Ours is that of
the whole call, with tau, histories and predicted spectra.

Without --artifact, emulator and simulations are those of benchmarks/emulator.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from emulators import suites, training
from run import peer_python, side_environment

from reionemu import load_artifact
from reionemu.artifact import Artifact
from reionemu.data.arrays import load_training_set
from reionemu.errors import ReionemuWarning
from reionemu.inference import (
    BandPowers,
    EmceeOptions,
    Posterior,
    Problem,
    infer,
    mock_from_simulation,
)
from reionemu.machine import usable_cores
from reionemu.simulation import PRESETS
from reionemu.threads import one_thread

ROOT = Path(__file__).parents[1]
WORKER = Path(__file__).with_name("likelihood.py")
TARGET_SECONDS, TARGET_RATIO = 60.0, 40.0
ERROR = 0.1
WALKERS, STEPS = 32, 30_000
REPEATED = 200
Results = dict[str, Any]


def measure(artifact: Artifact, h5: Path, steps: int, evaluations: int) -> Results:
    """Everything, as plain data."""
    row = int(training.unseen_rows(load_training_set(h5))[0])
    data, truth = mock_from_simulation(artifact, row, dataset=h5, relative_error=ERROR)
    point = np.array([truth.theta[name] for name in artifact.emulator().parameter_names])
    say("our chain")
    posterior, first = chain(artifact, data, steps)
    say("the published likelihood")
    samples = posterior.samples_flat
    points = samples[np.linspace(0, len(samples) - 1, evaluations).astype(int)]
    theirs = published(h5, points, point, data)
    say("our chain again")
    _, again = chain(artifact, data, steps)
    if first["sha256"] != again["sha256"]:
        raise SystemExit("the same call gave other samples")
    n = WALKERS * steps
    least = {key: min(one[key] for one in theirs["timings"]) for key in ("seconds", "cpu")}
    most = {key: max(first[key], again[key]) for key in ("seconds", "cpu")}
    problem = Problem(artifact.emulator(), data)
    return {
        "cores": usable_cores(),
        "simulation": truth.sim,
        "evaluations": n,
        "ours": [first, again],
        "criterion": posterior.chains.criterion,
        "evaluation": evaluation(problem, points[: WALKERS // 2]),
        "spread": spread(problem, point),
        "theirs": theirs["timings"],
        "their_evaluations": len(points),
        "their_spread": float(np.std(theirs["values"], ddof=1)),
        "their_seconds": least["seconds"] * n,
        "ratio": least["seconds"] * n / most["seconds"],
        "cpu_ratio": least["cpu"] * n / most["cpu"],
    }


def chain(artifact: Artifact, data: BandPowers, steps: int) -> tuple[Posterior, Results]:
    """One call from beginning to end: its times, and a hash of its samples."""
    start, used = perf_counter(), process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReionemuWarning)  # the verdict on the chain is printed
        posterior = infer(artifact, data, sampler=EmceeOptions(walkers=WALKERS, steps=steps))
    seconds, cpu = perf_counter() - start, process_time() - used
    samples = hashlib.sha256(posterior.chains.samples.tobytes()).hexdigest()
    sampling = posterior.chains.diagnostics["seconds"]
    return posterior, {"seconds": seconds, "cpu": cpu, "sampling": sampling, "sha256": samples}


def published(h5: Path, points: np.ndarray, point: np.ndarray, data: BandPowers) -> Results:
    """What benchmarks/likelihood.py answers."""
    with tempfile.TemporaryDirectory(prefix="reionemu-bench-") as folder:
        inputs = Path(folder) / "inputs.npz"
        np.savez(inputs, points=points, point=point, dl=data.dl, error=data.std)
        command = [peer_python(), str(WORKER), str(h5.resolve()), str(inputs)]
        done = subprocess.run(
            command, env=side_environment("peer"), stdout=subprocess.PIPE, text=True, check=False
        )
    if done.returncode:
        raise SystemExit("the published package failed")
    return json.loads(done.stdout)


def evaluation(problem: Problem, points: np.ndarray, calls: int = 1000) -> float:
    """Seconds of one evaluation of our density, of as many points at once as walkers move."""
    with one_thread():
        problem.log_prob(points)
        start = perf_counter()
        for _ in range(calls):
            problem.log_prob(points)
        return (perf_counter() - start) / calls / len(points)


def spread(problem: Problem, point: np.ndarray) -> float:
    """Range of ln L of repeated evaluations of the same point."""
    values = [float(problem.log_likelihood(point)) for _ in range(REPEATED)]
    return max(values) - min(values)


def table(r: Results) -> str:
    first, again = r["ours"]
    n = r["evaluations"]
    is_fast = max(first["seconds"], again["seconds"]) < TARGET_SECONDS
    is_ahead = r["ratio"] >= TARGET_RATIO
    lines = [
        f"{r['simulation']} with {ERROR:.0%} errors, {n:,} evaluations, {r['cores']} cores",
        f"ours, the whole call, twice      {first['seconds']:9.1f} s  {again['seconds']:9.1f} s"
        f"    aim: under {TARGET_SECONDS:g} s, {'ok' if is_fast else 'ABOVE'}",
        f"  processor                      {first['cpu']:9.1f} s  {again['cpu']:9.1f} s",
        f"  sampling alone                 {first['sampling']:9.1f} s  {again['sampling']:9.1f} s",
        f"  per evaluation, all included   {first['seconds'] / n * 1e6:9.1f} us "
        f"{again['seconds'] / n * 1e6:9.1f} us",
        f"  per evaluation, the density    {r['evaluation'] * 1e6:9.1f} us",
        f"  samples, both times the same   sha256 {first['sha256']}",
        f"  chain                          {r['criterion']}",
        *(
            f"theirs, per evaluation, {'one thread' if one['threads'] == 1 else 'as it comes':11}"
            f"{one['seconds'] * 1e3:8.2f} ms, of the processor {one['cpu'] * 1e3:.2f} ms"
            for one in r["theirs"]
        ),
        f"  the faster, for the whole chain {r['their_seconds']:8,.0f} s, "
        f"from fewer steps: {r['their_evaluations']:,} evaluations",
        f"ratio, to the slower of ours     {r['ratio']:9.0f}"
        f"    aim: {TARGET_RATIO:g}, {'ok' if is_ahead else 'BELOW'}; "
        f"of processor times {r['cpu_ratio']:.0f}",
        f"ln L at one point, {REPEATED} times     ours: range {r['spread']:g}; "
        f"theirs: standard deviation {r['their_spread']:.2g}",
    ]
    return "\n".join(lines)


def say(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--preset", choices=PRESETS, default="laptop")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench-emulator")
    parser.add_argument("--artifact", type=Path, help="an emulator that is there already")
    parser.add_argument("--dataset", type=Path, metavar="H5", help="what it was trained on")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--evaluations", type=int, default=2000, help="of theirs")
    parser.add_argument("--json", action="store_true", help="results as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reionemu-bench-") as folder:
        if options.artifact:
            artifact = load_artifact(options.artifact)
            h5 = options.dataset or Path(artifact.info["dataset"]["path"])
        else:
            options.folder.mkdir(parents=True, exist_ok=True)
            h5 = suites.make(suites.shared(options.preset), options.folder)
            artifact, _ = training.train(h5, Path(folder), "inferred")
        results = measure(artifact, h5, options.steps, options.evaluations)
    print(json.dumps(results, indent=2) if options.json else table(results))


if __name__ == "__main__":
    main()
