"""Write the artifacts in golden/v1-companions with this project, as it is when it is run.

    python make_v1_companions.py v1-companions

Made once, when records got companions.safetensors and predictions.npz. Both were trained as
`reionemu train` does, on 30 invented simulations with tau and x_HI(z). Beside each,
`<name>.npz` holds points `theta` and what the emulator in memory gave there: `mean`, `std` and
`covariance` of the spectrum; at redshifts `z` the neutral fraction `x_hi` and `x_hi_std`; `tau`
and `tau_std`; and of the Gaussian process the `gradient`.
"""

import math
import platform
import shutil
import socket
import sys
from pathlib import Path

import h5py
import numpy as np
from make_v1 import ELL, HIGH, LOW, NAMES

from reionemu.artifact import code_version, provenance
from reionemu.pipeline import TrainingOptions, train_artifact
from reionemu.pipeline.options import ModelOptions
from reionemu.training import FitConfig

LIBRARY = code_version.library_version()

socket.gethostname = lambda: "node7"
platform.platform = lambda: "Linux-6.1.0-x86_64-with-glibc2.36"
provenance.library_version = lambda: LIBRARY and {**LIBRARY, "directory": "/home/user/reionemu"}

SPLIT = {"train": 0.6, "val": 0.2, "test": 0.2}


def write_dataset(path: Path) -> None:
    """Training arrays of invented spectra and histories of one realization."""
    rng = np.random.default_rng(7)
    X = (LOW + (HIGH - LOW) * rng.random((30, 4))).astype(np.float32)
    zmean, alpha, _, b0 = X.T.astype(np.float64)[:, :, None]
    dl = b0 * (ELL / 3000.0) ** (-0.2 - 0.1 * alpha) * (zmean / 8.0) ** 2
    z = np.linspace(5.0, 14.0, 19)
    x_hi = 0.5 * (1 + np.vectorize(math.erf)((z - zmean) / (2 * b0)))
    with h5py.File(path, "w") as h5:
        group = h5.create_group("training")
        y = np.log(dl) + 0.01 * rng.standard_normal(dl.shape)
        group["X"], group["Y"], group["ell"] = X, y.astype(np.float32), ELL
        group["param_names"] = list(NAMES)
        group["sim_ids"] = [f"sim{i:02d}" for i in range(30)]
        group["tau"], group["z"], group["x_hi"] = (0.0065 * zmean + 0.001 * b0)[:, 0], z, x_hi
        group["design_low"], group["design_high"] = LOW, HIGH
        group.attrs.update({"y_source": "dl_ksz", "y_transform": "ln", "eps": 1e-30})
        group.attrs.update({"realizations": "shared", "map_area": 0.005})


def train(name: str, out: Path, dataset: Path, options: TrainingOptions) -> None:
    artifact = train_artifact(dataset, name, out, options.seeded(1), description="For later.")
    emulator, z = artifact.emulator(), np.linspace(6.0, 11.0, 6)
    low, high = np.array(emulator.box.low), np.array(emulator.box.high)
    theta = low + (high - low) * np.random.default_rng(11).uniform(0.2, 0.8, (6, 4))
    prediction, history = emulator.predict(theta), emulator.predict_history(theta, z)
    numbers = {key: getattr(prediction, key) for key in ("mean", "std", "covariance")}
    numbers |= {key: getattr(history, key) for key in ("z", "x_hi", "x_hi_std", "tau", "tau_std")}
    if name == "gaussian_process":
        numbers["gradient"] = emulator.gradient(theta)
    np.savez(out / f"{name}.npz", theta=theta, **numbers)


def main() -> None:
    out = Path(sys.argv[1])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    dataset = out / "dataset.h5"
    write_dataset(dataset)
    train("gaussian_process", out, dataset, TrainingOptions(split=SPLIT))
    network = ModelOptions(hidden_dim=6, activation="tanh")
    fit = FitConfig(epochs=30)
    train("mc_dropout", out, dataset, TrainingOptions(split=SPLIT, model=network, fit=fit))


if __name__ == "__main__":
    main()
