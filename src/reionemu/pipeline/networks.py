"""Training one of the seed's networks: epochs, which can be stopped and resumed."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ..artifact.run import Run
from ..data.arrays import TrainingSet
from ..data.dataloaders import loaders_for
from ..data.normalization import Normalizer
from ..models.dense import DenseNetwork
from ..models.registry import build_model, dense_layers
from ..models.spectrum import NetworkSpectrum
from ..training.builders import build_optimizer
from ..training.metrics import rmse
from ..training.train_loop import FitOutcome, run_epochs
from .options import ModelOptions, TrainingOptions
from .progress import Progress
from .surrogates import target_of


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with the weights that training came to.

    Attributes
    ----------
    model : nn.Module
    normalizers : dict
        "X" and "Y".
    outcome : FitOutcome
    """

    model: nn.Module
    normalizers: dict[str, Normalizer | None]
    outcome: FitOutcome


def train_network(
    data: TrainingSet,
    parts: Mapping[str, np.ndarray],
    options: TrainingOptions,
    progress: Progress | None = None,
    run: Run | None = None,
) -> TrainedNetwork:
    """Train on the rows "train", stopping by those of "val"; with a run, recording as it goes."""
    loaders, normalizers = loaders_for(data.X, data.Y, parts, options.dataloader)
    assert options.fit.seed is not None
    torch.manual_seed(options.fit.seed)
    model = build_network(data, options)
    epochs = options.fit.epochs
    with stopping(run) if run is not None else contextlib.nullcontext():
        outcome = run_epochs(
            model,
            loaders["train"],
            loaders["val"],
            build_optimizer(model, optimizer_config(options)),
            nn.MSELoss(),
            options.fit,
            metrics={"rmse": rmse},
            on_epoch=(lambda epoch, values: progress("training", epoch, epochs))
            if progress
            else None,
            record=run,
        )
    return TrainedNetwork(model.cpu(), normalizers, outcome)


def build_network(data: TrainingSet, options: TrainingOptions) -> nn.Module:
    """An untrained network as the options say."""
    assert isinstance(options.model, ModelOptions)
    return build_model(options.model.record(data.X.shape[1], data.Y.shape[1]))


def optimizer_config(options: TrainingOptions) -> dict[str, Any]:
    """As `build_optimizer` takes it."""
    chosen = options.optimizer
    return {"optimizer": chosen.name, "lr": chosen.lr, "weight_decay": chosen.weight_decay}


def spectrum_of(
    model: nn.Module, normalizers: Mapping[str, Normalizer | None], data: TrainingSet
) -> NetworkSpectrum:
    """A network that is still in memory as a model of the spectrum."""
    layers = dense_layers(model.record())  # type: ignore[operator]
    assert layers is not None
    weights = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
    network = DenseNetwork(layers, weights)
    return NetworkSpectrum(network, target_of(data), normalizers["X"], normalizers["Y"])


@contextlib.contextmanager
def stopping(run: Run) -> Iterator[None]:
    """Within the block, Ctrl-C and SIGTERM let the epoch end and save a state; twice, they do not.

    Only in the main thread of a program, which alone gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        signal.signal(number, signal.default_int_handler)
        run.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
