"""What a record is made of, gathered and checked before any of it is written."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from ..config import check_keys
from ..data.normalization import Normalizer
from ..errors import UnrecordableError
from ..models.companions import Companions
from .dataset import dataset_summary
from .formats.jsonio import to_plain
from .formats.posterior import StoredPosterior
from .lineage import Split, dataset_source, split_record

CONFIG_ARGUMENTS = (
    "condense_config",
    "cl_config",
    "build_config",
    "dataloader_config",
    "fit_config",
    "kfold_config",
    "model_config",
    "optimizer_config",
    "tuning_config",
    "inference_config",
)
_RESULTS = {
    "results_summary": "summary",
    "metrics": "metrics",
    "history": "history",
    "dataset_prep_stats": "dataset_prep_stats",
}
_FILES = ("checkpoint", "split", "companions", "predictions", "posterior")
_OTHER = ("normalizers", "description", "band_powers", *_FILES)
_MAPPINGS = (
    *("model_config", "optimizer_config", "tuning_config", "inference_config"),
    *("normalizers", "band_powers", *_RESULTS),
)


@dataclass
class Contents:
    """Everything that a record is made of.

    Attributes
    ----------
    configs, results : dict
        Arguments of `save_configs` and `save_results`.
    dataset : mapping, optional
        Such as `dataset_summary` returns.
    source : mapping, optional
        Such as `dataset_source` returns.
    split : mapping, optional
        Fractions or rows by name.
    fractions : mapping, optional
        Of a split whose rows are given.
    normalizers, checkpoint, description : optional
        As in `save_artifact`.
    training_box : mapping, optional
        Ranges of the parameters over the training rows, where the caller knows them.
    request : mapping, optional
        What the record is the answer to.
    companions : Companions, optional
        What goes with the model.
    predictions : mapping of str to ndarray, optional
        Predictions of simulations that were not trained on, and what they were.
    kind : str, optional
        What the record is, if not that of an emulator.
    steps : sequence of mapping
        Steps of the lineage before those that follow from the rest.
    posterior : StoredPosterior, optional
    band_powers : mapping, optional
        What the posterior is of, as JSON can hold it.
    """

    configs: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    dataset: Mapping[str, Any] | None = None
    source: Mapping[str, Any] | None = None
    split: Split | None = None
    fractions: Mapping[str, float] | None = None
    normalizers: Mapping[str, Normalizer | None] | None = None
    checkpoint: Any = None
    description: str | None = None
    training_box: Mapping[str, Any] | None = None
    request: Mapping[str, Any] | None = None
    companions: Companions | None = None
    predictions: Mapping[str, np.ndarray] | None = None
    kind: str | None = None
    steps: Sequence[Mapping[str, Any]] = ()
    posterior: StoredPosterior | None = None
    band_powers: Mapping[str, Any] | None = None

    def describe(self, dataset_path: Path) -> None:
        """Read what is to be recorded of the HDF5 file."""
        self.dataset = dataset_summary(dataset_path)
        self.source = dataset_source(dataset_path)

    def update(self, **arguments: Any) -> None:
        """Take arguments of `save_artifact`, or `split`; None says nothing.

        Raises
        ------
        ConfigError (ValueError)
            For an argument that there is not, naming the nearest; or for a split that is none of
            the dataset.
        UnrecordableError (TypeError)
            For a value JSON cannot hold, or one of another type than the argument has. Nothing
            was taken then.
        """
        check_keys(arguments, (*CONFIG_ARGUMENTS, *_RESULTS, *_OTHER), "a record")
        given = {name: value for name, value in arguments.items() if value is not None}
        for name, value in given.items():
            _require_recordable(name, value)
        changed = replace(self, configs=dict(self.configs), results=dict(self.results))
        for name, value in given.items():
            if name in CONFIG_ARGUMENTS:
                changed.configs[name] = value
            elif name in _RESULTS:
                changed.results[_RESULTS[name]] = value
            else:
                setattr(changed, name, value)
        changed.split_record()
        vars(self).update(vars(changed))

    def seeds(self) -> dict[str, int]:
        """Seeds by what they are of: those in the configurations, and PyTorch's as it was set."""
        found = {}
        for name, config in self.configs.items():
            options = config if isinstance(config, Mapping) else to_plain(config)
            seed = options.get("seed") if isinstance(options, Mapping) else None
            if isinstance(seed, Integral) and not isinstance(seed, bool):
                found[name.removesuffix("_config")] = int(seed)
        torch = sys.modules.get("torch")
        return {**found, "torch": torch.initial_seed()} if torch is not None else found

    def split_record(self) -> dict[str, Any] | None:
        """What provenance.json says of the split."""
        rows = (self.dataset or {}).get("n_samples")
        config = self.configs.get("dataloader_config")
        plain = to_plain(config) if config is not None else {}
        seed = plain.get("seed") if isinstance(plain, Mapping) else None
        record = split_record(self.split, rows, seed)
        if record is not None and self.fractions is not None:
            record["fractions"] = dict(self.fractions)
        return record


def _require_recordable(name: str, value: Any) -> None:
    """Raise UnrecordableError unless an argument is of a kind that a record can hold."""
    if name in _MAPPINGS and not isinstance(value, Mapping):
        raise UnrecordableError(f"{name} must be a mapping, not {type(value).__name__}")
    if name in CONFIG_ARGUMENTS and not isinstance(value, Mapping) and not is_dataclass(value):
        raise UnrecordableError(f"{name} must be a configuration object or a mapping")
    if name == "description" and not isinstance(value, str):
        raise UnrecordableError(f"description must be text, not {type(value).__name__}")
    if name == "normalizers":
        for key, normalizer in value.items():
            if normalizer is not None and not hasattr(normalizer, "std"):
                raise UnrecordableError(f"normalizers: {key!r} is not a Normalizer, nor None")
    elif name not in _FILES:
        to_plain(value, name)
