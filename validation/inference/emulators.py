"""The emulators that infer: of a usual number of simulations, and of few."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from reionemu.data.arrays import load_training_set
from reionemu.data.splits import split_indices
from reionemu.pipeline import train_artifact
from reionemu.pipeline.options import TrainingOptions

SEED = 42
SPLITS = {
    "usual": {"train": 0.7, "val": 0.1, "test": 0.2},
    "few": {"train": 0.05, "val": 0.05, "test": 0.9},
}
"""One permutation is cut, so that the test rows of the first are among those of the second."""


def trained(h5: Path, folder: Path) -> dict[str, Path]:
    """Artifacts of both, which are trained unless they are in the folder."""
    for name, split in SPLITS.items():
        if not (folder / name).exists():
            train_artifact(h5, name, folder, replace(TrainingOptions().seeded(SEED), split=split))
    return {name: folder / name for name in SPLITS}


def unseen_rows(h5: Path) -> np.ndarray:
    """Rows of the suite that neither was trained on."""
    return split_indices(len(load_training_set(h5).X), SPLITS["usual"], SEED)["test"]
