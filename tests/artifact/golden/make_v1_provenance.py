"""Write the artifacts in golden/v1-provenance with this project, as it is when it is run.

    python make_v1_provenance.py v1-provenance

Made once, when records got provenance.json, a journal, and a version in the metadata of weights.
`four_param` was recorded as it went, and completed; the run `broken` raised an exception in its
third epoch. The machine is given a name and a system that are nobody's, and the checkout of this
project a folder. `expected.npz` is that of `four_param`, as in v1.
"""

import platform
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import torch
from make_v1 import HIGH, LOW, write_dataset

import reionemu
from reionemu.artifact import code_version, provenance

LIBRARY = code_version.library_version()

socket.gethostname = lambda: "node7"
platform.platform = lambda: "Linux-6.1.0-x86_64-with-glibc2.36"
provenance.library_version = lambda: LIBRARY and {**LIBRARY, "directory": "/home/user/reionemu"}

SPLIT = {"train": 0.7, "val": 0.15, "test": 0.15}


def begin(name: str, out: Path, dataset: Path, model: torch.nn.Module, epochs: int) -> tuple:
    """A run that has not begun to train, and the arguments of `fit`."""
    loader = reionemu.DataLoaderConfig(batch_size=8, seed=1, normalize_Y=True)
    loaders, normalizers, _ = reionemu.make_dataloaders(dataset, split=SPLIT, config=loader)
    config = reionemu.FitConfig(epochs=epochs, seed=3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    run = reionemu.start_artifact(
        name,
        out,
        dataset_path=dataset,
        build_config=reionemu.BuildXYConfig(y_transform="log10"),
        dataloader_config=loader,
        fit_config=config,
        model_config=model.record(),
        optimizer_config={"name": "Adam", "lr": 0.01},
        split=SPLIT,
        description="Written when provenance was new.",
    )
    loss = torch.nn.MSELoss()
    return run, normalizers, (model, loaders["train"], loaders["val"], optimizer, loss, config)


def complete(out: Path, dataset: Path) -> None:
    model = reionemu.FourParamEmulator(hidden_dim=8, activation="silu")
    run, normalizers, arguments = begin("four_param", out, dataset, model, 12)
    with run:
        history = reionemu.fit(*arguments, record=run)
        metrics = {"val_loss": history["val_loss"][-1], "diverged": float("nan")}
        run.record(checkpoint=model.state_dict(), normalizers=normalizers, metrics=metrics)
    theta = LOW + (HIGH - LOW) * np.random.default_rng(11).uniform(0.2, 0.8, (6, 4))
    x, y = normalizers["X"], normalizers["Y"]
    with torch.no_grad():
        target = model.eval().double()(torch.tensor((theta - x.mean) / x.std)).numpy()
    mean = 10.0 ** (target * y.std + y.mean) - 1e-30
    np.savez(out / "expected.npz", theta=theta, target=target, mean=mean)


def fail(out: Path, dataset: Path) -> None:
    model = reionemu.MCDropoutEmulator(hidden_dim=8, activation="gelu", dropout_rate=0.2)
    run, _, _ = begin("broken", out, dataset, model, 12)
    try:
        with run:
            run.log(1, {"train_loss": 1.5, "val_loss": 2.5})
            run.log(2, {"train_loss": float("inf"), "val_loss": float("nan")})
            raise ArithmeticError("the loss is not finite")
    except ArithmeticError:
        (run.path / ".alive").unlink()


def main(out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    dataset = out / "dataset.h5"
    write_dataset(dataset)
    torch.manual_seed(3)
    complete(out, dataset)
    fail(out, dataset)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
