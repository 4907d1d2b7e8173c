"""One side of a comparison: a process that is kept, and runs the case it is told to.

    python worker.py INPUTS        a case's name a line on standard input,
                                   {"wall": ..., "cpu": ...} a line on standard output

Runs under this package and under the published one. The first request for a case prepares it and
runs it once; then only the work itself is timed, and the seconds are for one unit of it.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

DRAWS = 201
EPOCHS = 40
CALLS = 20
THETA_POINT = [8.0, 0.5, 0.8, 0.6]


def add_cl(inputs: Path) -> tuple[Callable, int]:
    """The spectra stage over a condensed file; a unit is one map."""
    import h5py

    from reionemu import add_cl_to_condensed_h5

    path = own_copy(inputs / "condensed.h5")
    with h5py.File(path) as h5:
        n_maps = len(h5["sims"])
    return lambda: add_cl_to_condensed_h5(path), n_maps


def estimator(inputs: Path) -> tuple[Callable, int]:
    """This package's spectrum of one map in memory, checked and scaled as the stage does it."""
    from reionemu.spectra import check_map, flat_sky_spectrum

    sky, theta = first_map(inputs)
    return lambda: flat_sky_spectrum(check_map(sky, theta) * 2.7255 * 1e6, theta), 1


def bare_fft(inputs: Path) -> tuple[Callable, int]:
    """The real FFT of the same map, and nothing else."""
    from scipy import fft

    sky, _ = first_map(inputs)
    return lambda: fft.rfft2(sky, workers=1), 1


def condense(inputs: Path) -> tuple[Callable, int]:
    """Raw simulations into one file; a unit is one simulation."""
    from reionemu import condense_sim_root

    path = inputs / f"out_{side()}.h5"
    n_sims = len(list((inputs / "raw").iterdir()))
    return lambda: condense_sim_root(inputs / "raw", path), n_sims


def training_epoch(inputs: Path) -> tuple[Callable, int]:
    """`fit` of the dropout emulator; a unit is one epoch, its validation included."""
    import torch

    from reionemu import FitConfig, MCDropoutEmulator, fit, make_dataloaders

    loaders, _, _ = make_dataloaders(inputs / "training.h5")
    model = MCDropoutEmulator()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss, config = torch.nn.MSELoss(), FitConfig(epochs=EPOCHS, seed=0)
    return lambda: fit(model, loaders["train"], loaders["val"], optimizer, loss, config), EPOCHS


def training_epoch_one_thread(inputs: Path) -> tuple[Callable, int]:
    """The same where the process has been told to use one thread."""
    import torch

    work, units = training_epoch(inputs)

    def on_one_thread() -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        work()
        torch.set_num_threads(threads)

    return on_one_thread, units


def mc_evaluation(inputs: Path) -> tuple[Callable, int]:
    """`evaluate_mc_metrics` over 200 rows with 100 draws."""
    import torch

    from reionemu import MCDropoutEmulator, evaluate_mc_metrics, make_dataloaders

    loaders, _, _ = make_dataloaders(inputs / "training.h5")
    model, loss = MCDropoutEmulator(), torch.nn.MSELoss()
    return lambda: evaluate_mc_metrics(model, loaders["val"], loss, "cpu", None, 100), 1


def predict_mc(inputs: Path) -> tuple[Callable, int]:
    """`predict_mc` of one point; a unit is one call."""
    import torch

    import reionemu

    folder = inputs / "artifacts/emulator"
    model = reionemu.MCDropoutEmulator()
    model.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
    norm = reionemu.load_normalizers(folder / "normalizers.npz")["X"]
    point = np.array(THETA_POINT, dtype=np.float32)

    def calls() -> None:
        for _ in range(CALLS):
            reionemu.predict_mc(point, model, norm.mean, norm.std, n_mc_samples=DRAWS)

    return calls, CALLS


def emulator_predict(inputs: Path) -> tuple[Callable, int]:
    """This package's `load_artifact(...).emulator().predict`; a unit is one prediction."""
    from reionemu import load_artifact

    emulator = load_artifact(inputs / "artifacts/emulator").emulator()

    def calls() -> None:
        for seed in range(CALLS):
            emulator.predict(THETA_POINT, n_draws=DRAWS, seed=seed)

    return calls, CALLS


CASES = {
    f.__name__: f
    for f in (
        add_cl,
        estimator,
        bare_fft,
        condense,
        training_epoch,
        training_epoch_one_thread,
        mc_evaluation,
        predict_mc,
        emulator_predict,
    )
}


def side() -> str:
    return sys.argv[2]


def own_copy(path: Path) -> Path:
    """A copy for this side alone, where the stage changes its file."""
    copy = path.with_name(f"{path.stem}_{side()}.h5")
    if not copy.exists():
        copy.write_bytes(path.read_bytes())
    return copy


def first_map(inputs: Path) -> tuple[np.ndarray, float]:
    import h5py

    with h5py.File(inputs / "condensed.h5") as h5:
        output = next(iter(h5["sims"].values()))["output"]
        return output["ksz_map"][()], float(output["theta_max_ksz"][()])


def timed(work: Callable) -> tuple[float, float]:
    """Seconds by the clock and of processor time, with what the work prints thrown away."""
    with contextlib.redirect_stdout(io.StringIO()):
        wall, cpu = perf_counter(), process_time()
        work()
        return perf_counter() - wall, process_time() - cpu


def main() -> None:
    inputs = Path(sys.argv[1])
    prepared: dict[str, tuple[Callable, int]] = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in prepared:
            prepared[name] = CASES[name](inputs)
            timed(prepared[name][0])
        work, units = prepared[name]
        wall, cpu = timed(work)
        print(json.dumps({"wall": wall / units, "cpu": cpu / units}), flush=True)


if __name__ == "__main__":
    main()
