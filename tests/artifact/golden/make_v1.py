"""Write the artifacts in golden/v1 with this project, as it is when it is run.

    python make_v1.py v1

Made once for format version 1 and not again: later releases must read what is there. `expected.npz`
beside each artifact holds points `theta`, the forward pass `target` of the module in memory
(evaluation mode), the spectrum `mean` that it means, and for the model with dropout the
`draws_mean` and `draws_std` that the emulator of that day gave for 201 draws with seed 0.
"""

import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import torch

import reionemu

NAMES = ("zmean_zre", "alpha_zre", "kb_zre", "b0_zre")
LOW, HIGH = np.array([6.5, 0.1, 0.3, 0.2]), np.array([9.5, 0.9, 1.5, 0.9])
ELL = np.array([1500.0, 2500.0, 3500.0, 4500.0, 5500.0])


def write_dataset(path: Path) -> None:
    """Training arrays of invented spectra, log10 of D_ell."""
    X = (LOW + (HIGH - LOW) * np.random.default_rng(7).random((24, 4))).astype(np.float32)
    dl = X[:, 3:] * (ELL / 3000.0) ** -0.2 * (X[:, :1] / 8.0) ** 2
    with h5py.File(path, "w") as h5:
        group = h5.create_group("training")
        group["X"], group["Y"], group["ell"] = X, np.log10(dl + 1e-30).astype(np.float32), ELL
        group["param_names"] = list(NAMES)
        group["sim_ids"] = [f"sim{i:02d}" for i in range(24)]
        group.attrs.update({"y_source": "dl_ksz", "y_transform": "log10", "eps": 1e-30})


def save(name: str, model: torch.nn.Module, out: Path, dataset: Path, lr: float) -> None:
    loader = reionemu.DataLoaderConfig(batch_size=8, seed=1, normalize_Y=True)
    loaders, normalizers, _ = reionemu.make_dataloaders(dataset, config=loader)
    config = reionemu.FitConfig(epochs=40, seed=3)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    loss = torch.nn.MSELoss()
    history = reionemu.fit(model, loaders["train"], loaders["val"], optimizer, loss, config)
    path = reionemu.save_artifact(
        name,
        out,
        dataset_path=dataset,
        build_config=reionemu.BuildXYConfig(y_transform="log10"),
        dataloader_config=loader,
        fit_config=config,
        model_config=model.record(),
        optimizer_config={"name": "Adam", "lr": lr},
        metrics={"diverged": float("nan")},
        history=history,
        normalizers=normalizers,
        checkpoint=model.state_dict(),
        description="Written for format version 1.",
    )
    theta = LOW + (HIGH - LOW) * np.random.default_rng(11).uniform(0.2, 0.8, (6, 4))
    x, y = normalizers["X"], normalizers["Y"]
    with torch.no_grad():
        inputs = torch.tensor((theta - x.mean) / x.std)
        target = model.eval().double()(inputs).numpy()
    numbers = {"theta": theta, "target": target}
    numbers["mean"] = 10.0 ** (target * y.std + y.mean) - 1e-30
    if "MCDropout" in type(model).__name__:
        prediction = reionemu.load_artifact(path).emulator().predict(theta)
        numbers |= {"draws_mean": prediction.mean, "draws_std": prediction.std}
    np.savez(path / "expected.npz", **numbers)


def main(out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    dataset = out / "dataset.h5"
    write_dataset(dataset)
    torch.manual_seed(3)
    save(
        "four_param",
        reionemu.FourParamEmulator(hidden_dim=8, activation="silu"),
        out,
        dataset,
        0.01,
    )
    model = reionemu.MCDropoutEmulator(hidden_dim=8, activation="gelu", dropout_rate=0.2)
    save("mc_dropout", model, out, dataset, 0.01)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
