"""Training that is interrupted and resumed comes to the same numbers, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reionemu
from reionemu.errors import NonFiniteLossError, RecordError

N, EPOCHS = 48, 12


class Interrupted(KeyboardInterrupt):
    """What stops a run in these tests."""


def _global_loader(dataset: torch.utils.data.Dataset) -> Any:
    return torch.utils.data.DataLoader(dataset, batch_size=16, shuffle=True)


def _loader_with_generator(dataset: torch.utils.data.Dataset) -> Any:
    generator = torch.Generator().manual_seed(3)
    return torch.utils.data.DataLoader(dataset, batch_size=16, shuffle=True, generator=generator)


class _NumpyLoader:
    """Shuffles by NumPy's global state, and adds noise by Python's."""

    def __init__(self, dataset: torch.utils.data.TensorDataset) -> None:
        self.x, self.y = dataset.tensors

    def __iter__(self) -> Any:
        order = torch.from_numpy(np.random.permutation(len(self.x)))
        noise = random.gauss(0, 0.1)
        return iter([(self.x[order[:24]] + noise, self.y[order[:24]])])


LOADERS = {
    "global": _global_loader,
    "generator": _loader_with_generator,
    "numpy": _NumpyLoader,
}

OPTIMIZERS = {
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-2),
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9),
    "amsgrad": lambda p: torch.optim.Adam(p, lr=1e-2, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=1e-3, momentum=0.5),
}


def train(
    root: Path,
    *,
    loader: str = "global",
    optimizer: str = "adamw",
    stop_after: int | None = None,
    resume: bool = False,
    state_seconds: float = 0,
    **options: Any,
) -> tuple[dict, dict] | None:
    """History and weights of a run; None if it is stopped."""
    torch.manual_seed(0)
    random.seed(1)
    np.random.seed(2)
    dataset = torch.utils.data.TensorDataset(torch.randn(N, 4), torch.randn(N, 5))
    train_loader = LOADERS[loader](dataset)
    val_loader = torch.utils.data.DataLoader(dataset, batch_size=N)
    model = reionemu.MCDropoutEmulator(hidden_dim=8, dropout_rate=0.2)
    weights = OPTIMIZERS[optimizer](model.parameters())
    config = reionemu.FitConfig(epochs=EPOCHS, seed=5, **options)

    def on_epoch(epoch: int, values: dict) -> None:
        if epoch == stop_after:
            raise Interrupted

    try:
        with reionemu.start_artifact(
            "run", root, fit_config=config, resume=resume, state_seconds=state_seconds
        ) as run:
            history = reionemu.fit(
                model,
                train_loader,
                val_loader,
                weights,
                torch.nn.MSELoss(),
                config,
                evaluation="evaluate_mc_metrics",
                n_mc_samples=4,
                on_epoch=on_epoch if stop_after else None,
                record=run,
            )
            run.record(checkpoint=model.state_dict())
    except Interrupted:
        return None
    return history, model.state_dict()


def assert_same(a: tuple[dict, dict], b: tuple[dict, dict]) -> None:
    assert a[0] == b[0]
    assert all(torch.equal(a[1][key], b[1][key]) for key in a[1])


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("patience", [None, 6])
def test_stopped_at_some_epoch(loader: str, patience: int | None, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", loader=loader, early_stopping_patience=patience)
    for stop_after in (1, len(whole[0]["train_loss"]) - 1):
        root = tmp_path / f"stopped{stop_after}"
        assert (
            train(root, loader=loader, early_stopping_patience=patience, stop_after=stop_after)
            is None
        )
        resumed = train(root, loader=loader, early_stopping_patience=patience, resume=True)
        assert_same(whole, resumed)
        whole_record, record = (
            reionemu.load_artifact(r / "run") for r in (tmp_path / "whole", root)
        )
        assert record.results["history"] == whole_record.results["history"] == whole[0]
        assert record.provenance["sessions"][1]["from_epoch"] == stop_after - 1
        for file in ("model.pt", "weights.safetensors"):
            assert (root / "run" / file).read_bytes() == (
                tmp_path / "whole/run" / file
            ).read_bytes()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_any_optimizer(optimizer: str, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", optimizer=optimizer, gradient_clipping=0.5)
    train(tmp_path / "b", optimizer=optimizer, gradient_clipping=0.5, stop_after=7)
    assert_same(
        whole, train(tmp_path / "b", optimizer=optimizer, gradient_clipping=0.5, resume=True)
    )


@pytest.mark.parametrize("said", [True, False])
def test_a_scheduler_is_resumed_if_it_is_named(said: bool, tmp_path: Path) -> None:
    def run(root: Path, stop_after: int | None = None, resume: bool = False) -> tuple | None:
        torch.manual_seed(0)
        dataset = torch.utils.data.TensorDataset(torch.randn(N, 4), torch.randn(N, 5))
        model = reionemu.FourParamEmulator(hidden_dim=8)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
        config = reionemu.FitConfig(epochs=EPOCHS, seed=5)
        val_loader = torch.utils.data.DataLoader(
            dataset, batch_size=7, shuffle=True, generator=torch.Generator().manual_seed(2)
        )

        def on_epoch(epoch: int, values: dict) -> None:
            scheduler.step()
            if epoch == stop_after:
                raise Interrupted

        try:
            with reionemu.start_artifact("run", root, resume=resume, state_seconds=0) as record:
                history = reionemu.fit(
                    model,
                    _global_loader(dataset),
                    val_loader,
                    optimizer,
                    torch.nn.MSELoss(),
                    config,
                    on_epoch=on_epoch,
                    record=record,
                    **({"stateful": {"scheduler": scheduler}} if said else {}),
                )
        except Interrupted:
            return None
        return history, model.state_dict()

    whole = run(tmp_path / "whole")
    assert run(tmp_path / "b", stop_after=7) is None
    resumed = run(tmp_path / "b", resume=True)
    if said:
        assert_same(whole, resumed)
    else:  # so that this test could fail
        assert whole[0] != resumed[0]


def test_stopped_again_and_again(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    for stop_after in (3, 4, 9):
        assert train(tmp_path / "b", stop_after=stop_after, resume=True) is None
    assert_same(whole, train(tmp_path / "b", resume=True))


def test_a_state_that_is_older_than_the_history(tmp_path: Path) -> None:
    """Epochs after the last state are done again, and are not in the history twice."""
    whole = train(tmp_path / "whole")
    assert train(tmp_path / "b", stop_after=5) is None
    # Goes on without saving another state, and is stopped later.
    assert train(tmp_path / "b", stop_after=10, resume=True, state_seconds=1e9) is None
    assert_same(whole, train(tmp_path / "b", resume=True))


def test_recording_changes_nothing(tmp_path: Path, training_run: Callable) -> None:
    assert_same(training_run(None), training_run(tmp_path))


@pytest.fixture
def training_run() -> Callable:
    """`training_run(root or None)`: history and weights, recorded or not."""

    def run(root: Path | None) -> tuple[dict, dict]:
        torch.manual_seed(0)
        dataset = torch.utils.data.TensorDataset(torch.randn(N, 4), torch.randn(N, 5))
        loader = _global_loader(dataset)
        model = reionemu.FourParamEmulator(hidden_dim=8)
        arguments = (
            model,
            loader,
            loader,
            torch.optim.Adam(model.parameters()),
            torch.nn.MSELoss(),
            reionemu.FitConfig(epochs=5, seed=1),
        )
        if root is None:
            return reionemu.fit(*arguments), model.state_dict()
        with reionemu.start_artifact("run", root) as record:
            return reionemu.fit(*arguments, record=record), model.state_dict()

    return run


def test_finished_training_is_not_done_again(tmp_path: Path) -> None:
    """A run that died after the last epoch, before its record was complete."""
    whole = train(tmp_path / "whole")
    assert train(tmp_path / "b", stop_after=EPOCHS) is None
    resumed = train(tmp_path / "b", resume=True)
    assert_same(whole, resumed)
    assert reionemu.load_artifact(tmp_path / "b/run").provenance["sessions"][1]["from_epoch"] in (
        EPOCHS - 1,
        EPOCHS,
    )


def test_another_model_is_refused(tmp_path: Path) -> None:
    assert train(tmp_path, stop_after=5) is None
    config = reionemu.FitConfig(epochs=EPOCHS, seed=5)
    run = reionemu.start_artifact("run", tmp_path, fit_config=config, resume=True)
    model = reionemu.FourParamEmulator(hidden_dim=3)
    data = [(torch.randn(4, 4), torch.randn(4, 5))]
    optimizer = torch.optim.AdamW(model.parameters())
    with pytest.raises(RecordError, match="does not belong to this model"), run:
        reionemu.fit(model, data, data, optimizer, torch.nn.MSELoss(), config, record=run)


def test_training_that_diverges_is_a_failed_run(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLossError), reionemu.start_artifact("x", tmp_path) as run:  # noqa: PT012
        model = reionemu.FourParamEmulator()
        data = [(torch.randn(4, 4), torch.full((4, 5), float("inf")))]
        reionemu.fit(
            model,
            data,
            data,
            torch.optim.SGD(model.parameters(), lr=1.0),
            torch.nn.MSELoss(),
            reionemu.FitConfig(epochs=3),
            record=run,
        )
    failed = reionemu.load_artifact(tmp_path / "x")
    assert failed.status == "failed"
    assert failed.results["error"]["type"] == "NonFiniteLossError"
