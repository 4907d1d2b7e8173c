"""Write the artifacts in golden/peer-0.4.0, with the published package reionemu 0.4.0.

Run it in an environment that has that release and not this project:

    python make_peer.py peer-0.4.0

It trains four tiny models on invented spectra and saves each with the release's own
`save_artifact`. Beside each artifact, `expected.npz` holds what the release itself predicts from
the model in memory: parameters `theta`, the spectrum `mean` and `std` over `n_draws` draws of its
`predict_mc`, and the plain evaluation-mode output `log_mean`.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch

import reionemu

NAMES = ("zmean_zre", "alpha_zre", "kb_zre", "b0_zre")
LOW, HIGH = np.array([6.5, 0.1, 0.3, 0.2]), np.array([9.5, 0.9, 1.5, 0.9])
ELL = np.array([1500.0, 2500.0, 3500.0, 4500.0, 5500.0])


def write_dataset(path: Path) -> None:
    """A file whose /training is made by the release from invented spectra."""
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder:
        condensed = Path(folder) / "condensed.h5"
        with h5py.File(condensed, "w") as h5:
            for i in range(24):
                sim = h5.create_group(f"sims/sim{i:02d}")
                theta = LOW + (HIGH - LOW) * rng.random(4)
                for name, value in zip(NAMES, theta, strict=True):
                    sim[f"params/{name}"] = value
                dl = theta[3] * (ELL / 3000.0) ** -0.2 * (theta[0] / 8.0) ** 2
                sim["cl/ell"], sim["cl/dl_ksz"] = ELL, dl
                sim["cl/cl_ksz"] = dl * 2 * np.pi / (ELL * (ELL + 1))
                sim["cl/dcl"] = 0.1 * sim["cl/cl_ksz"][()]
        reionemu.build_and_write_training(condensed)
        with h5py.File(condensed) as source, h5py.File(path, "w") as target:
            source.copy("training", target)


def train(model: torch.nn.Module, path: Path) -> tuple:
    torch.manual_seed(3)
    config = reionemu.DataLoaderConfig(batch_size=8, seed=1)
    loaders, normalizers, _ = reionemu.make_dataloaders(path, config=config)
    fit_config = reionemu.FitConfig(epochs=40, seed=3)
    history = reionemu.fit(
        model,
        loaders["train"],
        loaders["val"],
        torch.optim.Adam(model.parameters(), lr=1e-2),
        torch.nn.MSELoss(),
        fit_config,
    )
    return history, normalizers, config, fit_config


def expected(model: torch.nn.Module, normalizers: dict, n_draws: int) -> dict:
    theta = LOW + (HIGH - LOW) * np.random.default_rng(11).uniform(0.2, 0.8, (6, 4))
    norm = normalizers["X"]
    torch.manual_seed(5)
    mean, std, _, _ = reionemu.predict_mc(
        theta, model, X_mean=norm.mean, X_std=norm.std, n_mc_samples=n_draws
    )
    model.eval()
    with torch.no_grad():
        x = torch.as_tensor((theta - norm.mean) / norm.std, dtype=torch.float32)
        log_mean = model(x).numpy()
    return {
        "theta": theta,
        "mean": mean,
        "std": std,
        "n_draws": n_draws,
        "log_mean": log_mean,
        "ell": ELL,
    }


def main(out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    dataset = out / "dataset.h5"
    write_dataset(dataset)

    model = reionemu.FourParamEmulator(hidden_dim=8, activation="tanh")
    history, normalizers, loader, fit_config = train(model, dataset)
    record = {"class_name": "FourParamEmulator", "input_dim": 4, "output_dim": 5}
    record |= {"hidden_dim": 8, "num_hidden_layers": 2, "activation": "tanh"}
    common = {"normalizers": normalizers, "dataloader_config": loader, "fit_config": fit_config}
    numbers = expected(model, normalizers, n_draws=2)

    def save(name: str, numbers: dict, **what: object) -> None:
        path = reionemu.save_artifact(name, out, **what)
        np.savez(path / "expected.npz", **numbers)

    save(
        "with_dataset",
        numbers,
        dataset_path=dataset,
        build_config=reionemu.BuildXYConfig(),
        model_config=record,
        history=history,
        checkpoint=model.state_dict(),
        **common,
    )
    save("whole_module", numbers, model_config=record, checkpoint=model, **common)
    broken = {"train_loss": [1.0, float("nan")], "val_loss": [float("inf"), -float("inf")]}
    save("nan_history", numbers, model_config=record, history=broken, checkpoint=model.state_dict())

    model = reionemu.MCDropoutEmulator(hidden_dim=8, activation="gelu", dropout_rate=0.2)
    history, normalizers, loader, fit_config = train(model, dataset)
    save(
        "without_dataset",
        expected(model, normalizers, n_draws=4000),
        model_config={"class_name": "MCDropoutEmulator"},
        history=history,
        normalizers=normalizers,
        checkpoint={"model_state_dict": model.state_dict(), "epoch": 40},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
