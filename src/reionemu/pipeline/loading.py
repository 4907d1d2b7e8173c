"""Training arrays, with what is to be recorded of where they come from."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from ..artifact.dataset import file_fingerprint
from ..artifact.lineage import dataset_source
from ..data.arrays import TrainingSet, load_training_set
from ..errors import DatasetError, ReionemuWarning


def load_data(h5_path: Path) -> tuple[TrainingSet, dict[str, Any], dict[str, Any]]:
    """Training arrays that can be recorded, and which file, made how, they were read from."""
    fingerprint = file_fingerprint(h5_path)
    data = load_training_set(h5_path)
    for name in ("param_names", "y_source", "y_transform", "eps"):
        if getattr(data, name) in (None, ()):
            raise DatasetError(
                f"{h5_path}: /training does not state its {name}; build it again with the "
                "training-set stage"
            )
    source = dataset_source(h5_path)
    if source["stages"] and "training_set" not in source["stages"]:
        warnings.warn(
            f"{h5_path}: /training is older than the spectra in the same file; run the "
            "training-set stage to train on those",
            ReionemuWarning,
            stacklevel=3,
        )
        source["stages"] = {}
    return data, fingerprint, source
