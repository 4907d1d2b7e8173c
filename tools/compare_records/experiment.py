"""The small experiment that every tracker records, and what is said of how it went."""

from __future__ import annotations

import hashlib
import math
import random
from array import array
from dataclasses import dataclass, field
from typing import Any

EPOCHS, NAN_EPOCH = 20, 7
LR = 0.0123456789
YES, PARTLY, NO, NA, UNKNOWN = "yes", "partly", "no", "n.a.", "not checked"


@dataclass(frozen=True)
class Outcome:
    """A cell of the table: yes, partly, no, n.a. or not checked, and what was seen."""

    mark: str
    evidence: str


@dataclass
class Record:
    """What a tracker gives back of one experiment; `weights` is the SHA-256 of the file."""

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    history: dict[str, list[float]] = field(default_factory=dict)
    weights: str | None = None
    status: str | None = None

    @property
    def epochs(self) -> int:
        return len(self.history.get("train_loss", []))


class ProbeError(Exception):
    """A process that a probe started failed, or the probe could not do what it is for."""


def config_of(lr: float) -> dict[str, Any]:
    return {"lr": lr, "hidden_dim": 64, "seed": 7, "model": "mlp"}


def epoch_of(lr: float, epoch: int) -> dict[str, float]:
    train = lr + 1 / epoch
    return {"train_loss": train, "val_loss": math.nan if epoch == NAN_EPOCH else 1.1 * train}


def weights_of(lr: float) -> bytes:
    """A thousand float32 numbers that depend on the learning rate."""
    numbers = random.Random(repr(lr))
    return array("f", (numbers.gauss(0, 1) for _ in range(1000))).tobytes()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def is_right(record: Record, lr: float, epochs: int = EPOCHS) -> bool:
    """Whether a record holds the experiment whole, every number as it was."""
    wanted = [epoch_of(lr, epoch) for epoch in range(1, epochs + 1)]
    same = all(
        len(record.history.get(key, [])) == epochs
        and all(
            a == b or (a != a and b != b)
            for a, b in zip((row[key] for row in wanted), record.history[key], strict=True)
        )
        for key in ("train_loss", "val_loss")
    )
    config = {key: str(value) for key, value in record.config.items()}
    told = all(config.get(key) == str(value) for key, value in config_of(lr).items())
    return same and told and record.weights == sha256(weights_of(lr))
