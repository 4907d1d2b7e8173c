"""The training loop: epochs, evaluation, early stopping."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ..config import require_choice, require_finite, require_int
from ..devices import require_available, resolve_device
from ..errors import ConfigError, DatasetError, NonFiniteLossError
from ..models.mc_dropout_emulator import mc_draws
from .by_hand import gradient_of
from .flat import small_model_settings, zero_gradients
from .resuming import NOTHING, Recorder, Stateful, capture, restore

Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]
Metric = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Metrics = Mapping[str, Metric] | None
History = dict[str, list[float]]
OnEpoch = Callable[[int, dict[str, float]], None]

EVALUATIONS = ("evaluate_metrics", "evaluate_mc_metrics")


@dataclass
class FitConfig:
    """How a model is trained.

    Parameters
    ----------
    epochs : int
        At most this many passes through the training set.
    device : str
        "cpu", "cuda", "mps", or "auto" for the best there is.
    early_stopping_patience : int, optional
        Stop after this many epochs without a lower validation loss, and go back to the weights
        that had the lowest.
    gradient_clipping : float, optional
        Largest norm of the gradient.
    seed : int, optional
        Given to PyTorch before the first epoch: it fixes the order of batches and dropout.
    """

    epochs: int = 200
    device: str = "cpu"
    early_stopping_patience: int | None = None
    gradient_clipping: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Raise ConfigError if a value is not possible."""
        require_int("FitConfig", "epochs", self.epochs, minimum=0)
        if self.early_stopping_patience is not None:
            name = "early_stopping_patience"
            require_int("FitConfig", name, self.early_stopping_patience, minimum=0)
        if self.gradient_clipping is not None:
            name = "gradient_clipping"
            require_finite("FitConfig", name, self.gradient_clipping, minimum=0, exclusive=True)
        if self.seed is not None:
            require_int("FitConfig", "seed", self.seed, minimum=0)
            if self.seed >= 2**63:
                raise ConfigError(f"FitConfig.seed must be below 2^63, got {self.seed}")


@dataclass
class FitOutcome:
    """What a training run came to.

    Attributes
    ----------
    history : dict of list
    best_epoch : int or None
        The epoch (from 1) with the lowest validation loss.
    best_val_loss : float
    weights : {"best", "last"}
        Which epoch's weights the model was left with.
    """

    history: History
    best_epoch: int | None
    best_val_loss: float
    weights: str


def fit(
    model: nn.Module,
    train_loader: Batches,
    val_loader: Batches,
    optimizer: torch.optim.Optimizer,
    loss_fn: Metric,
    config: FitConfig,
    metrics: Metrics = None,
    evaluation: str = "evaluate_metrics",
    n_mc_samples: int = 100,
    *,
    on_epoch: OnEpoch | None = None,
    record: Recorder | None = None,
    stateful: Mapping[str, Stateful] = NOTHING,
) -> History:
    """Train a model.

    Without a patience the model keeps the weights of the last epoch; with one, those of the epoch
    with the lowest validation loss.

    Parameters
    ----------
    model : nn.Module
        Trained in place.
    train_loader, val_loader : iterable of (x, y)
        Batches of tensors, shapes (n, p) and (n, b).
    optimizer : torch.optim.Optimizer
    loss_fn : callable
        (prediction, target) -> 0-d tensor.
    config : FitConfig
    metrics : dict of callable, optional
        More such functions to evaluate on the validation set, by name.
    evaluation : {"evaluate_metrics", "evaluate_mc_metrics"}
        Whether validation runs without dropout, or on the mean over dropout draws.
    n_mc_samples : int
        Number of draws, at least 2.
    on_epoch : callable, optional
        Called after each epoch with its number (from 1) and its entries in the history.
    record : Recorder, optional
        Such as `start_artifact` gives: the history goes there as epochs end, and now and then the
        state of the training. If it goes on with an interrupted run, so does the training, with
        the model, optimizer and loaders built as they were for that one.
    stateful : mapping of str to object, optional
        What else decides how training goes on, by name, such as a scheduler of the learning rate
        that `on_epoch` steps: objects with `state_dict` and `load_state_dict`. Their states are
        recorded and restored with the rest.

    Returns
    -------
    history : dict of list
        `train_loss`, `val_loss`, `val_<metric>`, and for Monte-Carlo evaluation
        `val_mean_predictive_std`: averages over samples, one entry an epoch.

    Raises
    ------
    NonFiniteLossError
        As soon as a loss is NaN or infinite; it carries the history. With a patience, the model
        is left with the best weights before that.
    DatasetError (ValueError)
        If a loader yields nothing.
    """
    keep_best = config.early_stopping_patience is not None
    return run_epochs(
        model,
        train_loader,
        val_loader,
        optimizer,
        loss_fn,
        config,
        metrics=metrics,
        evaluation=evaluation,
        n_mc_samples=n_mc_samples,
        keep_best=keep_best,
        on_epoch=on_epoch,
        record=record,
        stateful=stateful,
    ).history


def run_epochs(
    model: nn.Module,
    train_loader: Batches,
    val_loader: Batches,
    optimizer: torch.optim.Optimizer,
    loss_fn: Metric,
    config: FitConfig,
    *,
    metrics: Metrics = None,
    evaluation: str = "evaluate_metrics",
    n_mc_samples: int = 100,
    keep_best: bool = True,
    on_epoch: OnEpoch | None = None,
    record: Recorder | None = None,
    stateful: Mapping[str, Stateful] = NOTHING,
) -> FitOutcome:
    """Train a model as `fit` does, and tell which epoch was best.

    Parameters are those of `fit`, and:

    keep_best : bool
        Whether the model is left with the weights of the best epoch, or of the last.
    """
    config.validate()
    require_choice("fit", "evaluation", evaluation, EVALUATIONS)
    device = resolve_device(config.device)
    require_available(device)
    if config.seed is not None:
        torch.manual_seed(config.seed)
    model.to(device)

    def validate() -> dict[str, float]:
        if evaluation == "evaluate_metrics":
            return evaluate_metrics(model, val_loader, loss_fn, device, metrics)
        return evaluate_mc_metrics(model, val_loader, loss_fn, device, metrics, n_mc_samples)

    loaders = (train_loader, val_loader)
    progress = _Progress()
    saved = record.saved_state() if record else None
    if saved is not None:
        progress = _Progress(**restore(saved, model, optimizer, loaders, stateful))
    with contextlib.ExitStack() as stack:
        stack.enter_context(small_model_settings(model, optimizer))
        while progress.epoch < config.epochs and not progress.is_over(config):
            loss = train_one_epoch(
                model, train_loader, optimizer, loss_fn, device, config.gradient_clipping
            )
            values = {"train_loss": loss, **{f"val_{k}": v for k, v in validate().items()}}
            if not _finite(values):
                if record:
                    record.log(progress.epoch + 1, values)
                stack.close()
                progress.leave(model)
                raise _diverged(values, progress.epoch + 1, progress.history)
            progress.add(values, model, keep_best)
            if record:
                record.log(progress.epoch, values)
            if on_epoch or progress.epoch == 1 or (record and record.state_is_due()):
                # Others see model and optimizer as they are documented; and only after a first
                # epoch is it known which parameters have gradients.
                stack.close()
                if on_epoch:
                    on_epoch(progress.epoch, values)
                if record and record.state_is_due():
                    record.save_state(*progress.state(model, optimizer, loaders, stateful))
                stack.enter_context(small_model_settings(model, optimizer))
    if record:
        record.save_state(*progress.state(model, optimizer, loaders, stateful))
    progress.leave(model)
    model.eval()
    if record:
        record.trained(copy.deepcopy(model.state_dict()))
    weights = "best" if keep_best else "last"
    return FitOutcome(progress.history, progress.best_epoch, progress.best_loss, weights)


@dataclass
class _Progress:
    """How far training has come.

    Attributes
    ----------
    epoch : int
        Epochs done.
    best_state : dict or None
        Weights of the best epoch, where they are wanted.
    """

    epoch: int = 0
    history: History = field(default_factory=lambda: {"train_loss": [], "val_loss": []})
    best_loss: float = math.inf
    best_epoch: int | None = None
    best_state: dict[str, torch.Tensor] | None = None

    def add(self, values: Mapping[str, float], model: nn.Module, keep_best: bool) -> None:
        """An epoch is done."""
        self.epoch += 1
        for name, value in values.items():
            self.history.setdefault(name, []).append(value)
        if values["val_loss"] < self.best_loss:
            self.best_loss, self.best_epoch = values["val_loss"], self.epoch
            if keep_best:
                self.best_state = {k: v.detach().clone() for k, v in model.state_dict().items()}

    def is_over(self, config: FitConfig) -> bool:
        """Whether patience has run out."""
        since_best = self.epoch - (self.best_epoch or 0)
        patience = config.early_stopping_patience
        return patience is not None and since_best > 0 and since_best >= patience

    def leave(self, model: nn.Module) -> None:
        """Give the model the best weights, if they were kept."""
        if self.best_state is not None:
            model.load_state_dict(self.best_state)

    def state(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loaders: tuple[Batches, Batches],
        stateful: Mapping[str, Stateful],
    ) -> tuple[int, dict[str, Any]]:
        """The epoch, and all that decides how training goes on after it."""
        return self.epoch, capture(model, optimizer, loaders, stateful, vars(self))


def train_one_epoch(
    model: nn.Module,
    loader: Batches,
    optimizer: torch.optim.Optimizer,
    loss_fn: Metric,
    device: str | torch.device,
    gradient_clipping: float | None = None,
) -> float:
    """Train for one pass through the loader; the mean loss over samples is returned.

    Raises DatasetError if the loader yields nothing.
    """
    device = resolve_device(device)
    model.train()
    gradient = gradient_of(model, optimizer, loss_fn)
    total, count = 0.0, 0
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        zero_gradients(optimizer)
        loss = gradient(x, y)
        if gradient_clipping is not None:
            nn.utils.clip_grad_norm_(model.parameters(), gradient_clipping)
        optimizer.step()
        total += loss.item() * len(x)
        count += len(x)
    return total / _some(count, "training")


def evaluate(
    model: nn.Module, loader: Batches, loss_fn: Metric, device: str | torch.device
) -> float:
    """Mean loss over the samples of a loader, without dropout."""
    return evaluate_metrics(model, loader, loss_fn, device)["loss"]


def evaluate_metrics(
    model: nn.Module,
    loader: Batches,
    loss_fn: Metric,
    device: str | torch.device,
    metrics: Metrics = None,
) -> dict[str, float]:
    """Loss and metrics over a loader, without dropout.

    Returns
    -------
    dict of float
        "loss" and one entry a metric: its value for each batch, averaged over samples.

    Raises
    ------
    DatasetError (ValueError)
        If the loader yields nothing.
    """
    functions = _functions(loss_fn, metrics)
    device = resolve_device(device)
    model.eval()

    def batch_values(x: torch.Tensor, y: torch.Tensor) -> dict[str, Any]:
        prediction = model(x)
        return {name: function(prediction, y) for name, function in functions.items()}

    with torch.no_grad():
        return _average(loader, device, batch_values)


def evaluate_mc_metrics(
    model: nn.Module,
    loader: Batches,
    loss_fn: Metric,
    device: str | torch.device,
    metrics: Metrics = None,
    n_mc_samples: int = 100,
) -> dict[str, float]:
    """Loss and metrics of the mean over dropout draws.

    All draws of a batch are made in one forward pass.

    Returns
    -------
    dict of float
        As `evaluate_metrics`, and "mean_predictive_std": the standard deviation over draws
        (ddof=1), averaged over bins and samples.

    Raises
    ------
    ConfigError (ValueError)
        For fewer than 2 draws.
    DatasetError (ValueError)
        If the loader yields nothing.
    """
    require_int("evaluate_mc_metrics", "n_mc_samples", n_mc_samples, minimum=2)
    functions = _functions(loss_fn, metrics)
    device = resolve_device(device)
    model.eval()

    def batch_values(x: torch.Tensor, y: torch.Tensor) -> dict[str, Any]:
        draws = mc_draws(model, x, n_mc_samples)
        std, mean = torch.std_mean(draws, dim=0)
        values = {name: function(mean, y) for name, function in functions.items()}
        return {**values, "mean_predictive_std": std.mean()}

    with torch.no_grad():
        return _average(loader, device, batch_values)


def _functions(loss_fn: Metric, metrics: Metrics) -> dict[str, Metric]:
    if metrics and "loss" in metrics:
        raise ConfigError("a metric cannot be called 'loss'; that is the loss function's name")
    return {"loss": loss_fn, **(metrics or {})}


def _average(
    loader: Batches,
    device: torch.device,
    batch_values: Callable[[torch.Tensor, torch.Tensor], dict[str, Any]],
) -> dict[str, float]:
    """Averages over samples of what a function gives for each batch."""
    totals: dict[str, float] = {}
    count = 0
    for x, y in loader:
        for name, value in batch_values(x.to(device), y.to(device)).items():
            totals[name] = totals.get(name, 0.0) + float(value) * len(x)
        count += len(x)
    _some(count, "validation")
    return {name: total / count for name, total in totals.items()}


def _some(count: int, which: str) -> int:
    if count == 0:
        raise DatasetError(
            f"the {which} loader has no samples; give that part of the split a larger fraction"
        )
    return count


def _finite(values: Mapping[str, float]) -> bool:
    return math.isfinite(values["train_loss"]) and math.isfinite(values["val_loss"])


def _diverged(values: Mapping[str, float], epoch: int, history: History) -> NonFiniteLossError:
    name = "val_loss" if math.isfinite(values["train_loss"]) else "train_loss"
    return NonFiniteLossError(
        f"{name} is {values[name]} in epoch {epoch}: training has diverged. Lower the learning "
        "rate, clip the gradient, or normalize the inputs",
        epoch=epoch,
        history=history,
    )
