"""Every choice of a run. A TOML file has one table for each of the dataclasses here.

[run]             RunPaths           name, raw, dataset, artifacts, description
[condense]        CondenseOptions    CondenseConfig and sim_prefix
[spectra]         ClConfig
[training_set]    BuildXYConfig
[split]           fractions by name: train, val and, for an honest error, test
[dataloader]      DataLoaderConfig
[suite]           SuiteOptions       what kind of simulations these are
[model]           GaussianProcessOptions, EnsembleModelOptions or ModelOptions, by its `name`
[optimizer]       OptimizerOptions
[fit]             FitConfig
[kfold]           KFoldConfig; present: cross-validate too
[tuning]          TuningOptions; present: search for model and optimizer first
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config import (
    check_keys,
    from_mapping,
    require_bool,
    require_choice,
    require_finite,
    require_int,
    tomllib,
)
from ..data.dataloaders import DataLoaderConfig
from ..data.splits import check_split
from ..errors import ConfigError, MissingFileError
from ..models.architecture import ACTIVATIONS
from ..models.ensemble.options import EnsembleOptions
from ..models.inputs import COORDINATES
from ..models.suite import REALIZATIONS
from ..simio import BuildXYConfig, ClConfig, CondenseConfig
from ..training.kfold_cv import KFoldConfig
from ..training.train_loop import FitConfig

NETWORK_CLASSES = {"four-param": "FourParamEmulator", "mc-dropout": "MCDropoutEmulator"}


@dataclass(frozen=True)
class RunPaths:
    """Where a run reads and writes; in a TOML file, relative to the file's folder.

    Parameters
    ----------
    name : str
        Name of the artifact.
    raw : Path
        Folder of raw simulations.
    dataset : Path
        The HDF5 file that is made of them.
    artifacts : Path
        Folder of artifacts.
    description : str, optional
    """

    name: str
    raw: Path
    dataset: Path
    artifacts: Path = Path("artifacts")
    description: str | None = None


@dataclass(frozen=True)
class CondenseOptions(CondenseConfig):
    """CondenseConfig, and which folders are simulations."""

    sim_prefix: str = "sim"


@dataclass(frozen=True)
class SuiteOptions:
    """What kind of simulations there are, and what of them is emulated.

    Parameters
    ----------
    realizations : {"auto", "own", "shared"}
        "own" if each simulation has a realization of its own, so that they scatter around the mean
        that is to be emulated; "shared" if all have the same. By default what the file says, or
        else, "own" if they scatter by more than 3%.
    history : bool
        Whether tau and x_HI(z) are emulated too, where the file has them.
    """

    realizations: str = "auto"
    history: bool = True

    def __post_init__(self) -> None:
        require_choice("suite", "realizations", self.realizations, ("auto", *REALIZATIONS))
        require_bool("suite", "history", self.history)


@dataclass(frozen=True)
class GaussianProcessOptions:
    """A Gaussian process: the default.

    Parameters
    ----------
    name : {"gp"}
    coordinates : {"physical", "plain"}, optional
        See `reionemu.models.inputs`; by default physical, where there are all four parameters.
    """

    name: str = "gp"
    coordinates: str | None = None

    def __post_init__(self) -> None:
        require_choice("model", "name", self.name, ("gp",))
        if self.coordinates is not None:
            require_choice("model", "coordinates", self.coordinates, COORDINATES)

    def record(self, input_dim: int, output_dim: int) -> dict[str, Any]:
        """The model's record: class name and options."""
        return {"class_name": "GaussianProcess", "coordinates": self.coordinates}


@dataclass(frozen=True)
class EnsembleModelOptions(EnsembleOptions):
    """An ensemble of smooth networks.

    Parameters
    ----------
    name : {"ensemble"}
    coordinates : {"physical", "plain"}, optional
    """

    name: str = "ensemble"
    coordinates: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("model", "name", self.name, ("ensemble",))
        if self.coordinates is not None:
            require_choice("model", "coordinates", self.coordinates, COORDINATES)

    def record(self, input_dim: int, output_dim: int) -> dict[str, Any]:
        """The model's record: class name and options."""
        options = {key: value for key, value in vars(self).items() if key != "name"}
        return {"class_name": "NetworkEnsemble", **options}


@dataclass(frozen=True)
class ModelOptions:
    """One network, with dropout or without.

    Parameters
    ----------
    name : {"four-param", "mc-dropout"}
    hidden_dim, num_hidden_layers : int
    activation : {"relu", "gelu", "silu", "tanh", "sigmoid"}
    dropout_rate : float
        Of "mc-dropout".
    """

    name: str = "mc-dropout"
    hidden_dim: int = 20
    num_hidden_layers: int = 2
    activation: str = "relu"
    dropout_rate: float = 0.1

    def __post_init__(self) -> None:
        require_choice("model", "name", self.name, NETWORK_CLASSES)
        require_choice("model", "activation", self.activation, ACTIVATIONS)
        for name in ("hidden_dim", "num_hidden_layers"):
            require_int("model", name, getattr(self, name), minimum=1)
        require_finite("model", "dropout_rate", self.dropout_rate, minimum=0, below=1)

    def record(self, input_dim: int, output_dim: int) -> dict[str, Any]:
        """The model's record: class name and options."""
        options = {
            "class_name": NETWORK_CLASSES[self.name],
            "input_dim": input_dim,
            "output_dim": output_dim,
            "hidden_dim": self.hidden_dim,
            "num_hidden_layers": self.num_hidden_layers,
            "activation": self.activation,
        }
        return options | ({"dropout_rate": self.dropout_rate} if self.name == "mc-dropout" else {})


AnyModelOptions = GaussianProcessOptions | EnsembleModelOptions | ModelOptions
MODELS: dict[str, type[AnyModelOptions]] = {
    "gp": GaussianProcessOptions,
    "ensemble": EnsembleModelOptions,
    "mc-dropout": ModelOptions,
    "four-param": ModelOptions,
}


@dataclass(frozen=True)
class OptimizerOptions:
    """Which optimizer.

    Parameters
    ----------
    name : {"adamw", "adam"}
    lr, weight_decay : float
    """

    name: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 1e-5

    def __post_init__(self) -> None:
        require_choice("optimizer", "name", self.name, ("adamw", "adam"))
        require_finite("optimizer", "lr", self.lr, minimum=0, exclusive=True)
        require_finite("optimizer", "weight_decay", self.weight_decay, minimum=0)


@dataclass(frozen=True)
class TuningOptions:
    """How the best model and its options are searched for.

    Parameters
    ----------
    num_samples, max_concurrent_trials : int
        Trials, and how many of them at the same time.
    epochs : int
        At most this many in a trial of a single network.
    storage_path : Path, optional
        Where trials are kept until the best is trained and saved; by default `.tuning/NAME` in
        the folder of artifacts.
    models : tuple of {"gp", "ensemble", "mc-dropout", "four-param"}, optional
        What is searched. By default what [model] names, or, where that is the default, all.
    ray : str, optional
        Address of a Ray cluster, or "local". By default that in RAY_ADDRESS, or "local".
    """

    num_samples: int = 40
    max_concurrent_trials: int = 4
    epochs: int = 200
    storage_path: Path | None = None
    models: tuple[str, ...] | None = None
    ray: str | None = None

    def __post_init__(self) -> None:
        for name in ("num_samples", "max_concurrent_trials", "epochs"):
            require_int("tuning", name, getattr(self, name), minimum=1)
        if self.models is not None:
            if not self.models:
                raise ConfigError("tuning.models must name a model, such as gp")
            for model in self.models:
                require_choice("tuning", "models", model, MODELS)

    def families(self, model: AnyModelOptions) -> tuple[str, ...]:
        """What is searched, given [model]."""
        if self.models is not None:
            return self.models
        return tuple(MODELS) if model.name == "gp" else (model.name,)


@dataclass(frozen=True)
class TrainingOptions:
    """What `train_artifact` does, with defaults that train a usable emulator.

    70/10/20 per cent of the simulations are to train, validate and test. A network (`dataloader`,
    `optimizer` and `fit` are of networks alone) is trained as the published one: for at most 1000
    epochs, stopping 150 epochs after the best.
    """

    split: Mapping[str, float] = field(
        default_factory=lambda: {"train": 0.7, "val": 0.1, "test": 0.2}
    )
    dataloader: DataLoaderConfig = field(default_factory=DataLoaderConfig)
    suite: SuiteOptions = field(default_factory=SuiteOptions)
    model: AnyModelOptions = field(default_factory=GaussianProcessOptions)
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(epochs=1000, early_stopping_patience=150, seed=42)
    )
    kfold: KFoldConfig | None = None
    tuning: TuningOptions | None = None

    def __post_init__(self) -> None:
        check_keys(self.split, ("train", "val", "test"), "the split")
        check_split(self.split)
        require_int("fit", "epochs", self.fit.epochs, minimum=1)
        for name in ("train", "val"):
            if not self.split.get(name, 0) > 0:
                raise ConfigError(
                    f"the split needs a part {name!r} with samples in it, such as "
                    f"train=0.7,val=0.1,test=0.2; it has {dict(self.split)}. By val networks stop, "
                    "and error bars are calibrated"
                )

    def seeded(self, seed: int) -> TrainingOptions:
        """The same with one seed for the split, the weights, the batches and dropout."""
        return replace(
            self, dataloader=replace(self.dataloader, seed=seed), fit=replace(self.fit, seed=seed)
        )


@dataclass(frozen=True)
class RunOptions:
    """Everything that `run` does."""

    paths: RunPaths
    condense: CondenseOptions = field(default_factory=CondenseOptions)
    spectra: ClConfig = field(default_factory=ClConfig)
    training_set: BuildXYConfig = field(default_factory=BuildXYConfig)
    training: TrainingOptions = field(default_factory=TrainingOptions)


TRAINING_TABLES: dict[str, Any] = {
    "dataloader": DataLoaderConfig,
    "suite": SuiteOptions,
    "model": None,
    "optimizer": OptimizerOptions,
    "fit": FitConfig,
    "kfold": KFoldConfig,
    "tuning": TuningOptions,
}
_DATA_TABLES = {"condense": CondenseOptions, "spectra": ClConfig, "training_set": BuildXYConfig}


def load_run_options(path: Path) -> RunOptions:
    """Read the TOML file of a run.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ConfigError (ValueError)
        If it is not TOML, or has an unknown table or key (the nearest known one is named), or a
        value that is not possible.
    """
    path = Path(path).expanduser()
    document = _read_toml(path)
    known = ("run", "split", *_DATA_TABLES, *TRAINING_TABLES)
    check_keys(document, known, str(path))
    for name, content in document.items():
        if not isinstance(content, Mapping):
            raise ConfigError(f"{path}: {name} must be a table, [{name}]")
    if "run" not in document:
        raise ConfigError(f"{path}: the table [run], with name, raw and dataset, is missing")

    def table(name: str, cls: Any, defaults: Any = None) -> Any:
        return table_options(name, document[name], f"{path}, [{name}]", cls, defaults)

    defaults = TrainingOptions()
    training: dict[str, Any] = {
        name: table(name, cls, getattr(defaults, name))
        for name, cls in TRAINING_TABLES.items()
        if name in document
    }
    if "split" in document:
        training["split"] = _split(document["split"], f"{path}, [split]")
    data = {name: table(name, cls) for name, cls in _DATA_TABLES.items() if name in document}
    try:
        options = replace(defaults, **training)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    paths = _relative_to(path.parent, table("run", RunPaths))
    return RunOptions(paths=paths, training=options, **data)


def table_options(
    name: str, values: Mapping[str, Any], where: str, cls: Any = None, defaults: Any = None
) -> Any:
    """Options from a table of a TOML file, or from as much of it as is given.

    Parameters
    ----------
    name : str
        Of the table. For "model", `values["name"]` says which class of options it is.
    values : mapping
    where : str
        What errors call it.
    cls : type, optional
    defaults : object, optional
        Options of that class, which hold for what is not given.

    Raises
    ------
    ConfigError
        Naming the nearest known key for an unknown one.
    """
    if name == "model":
        chosen = values.get("name", getattr(defaults, "name", "gp"))
        require_choice(where, "name", chosen, MODELS)
        cls = MODELS[chosen]
        values = {"name": chosen, **values}
    if name == "model":
        _require_of_family(values, cls, where)
    check_keys(values, _names(cls), where)
    same = (
        {k: v for k, v in vars(defaults).items() if isinstance(defaults, cls)} if defaults else {}
    )
    return from_mapping(cls, {**same, **values}, where)


def _require_of_family(values: Mapping[str, Any], cls: Any, where: str) -> None:
    """Raise ConfigError for an option that other models have, saying which."""
    for key in values:
        others = [name for name, options in MODELS.items() if key in _names(options)]
        if others and key not in _names(cls):
            raise ConfigError(
                f"{where}: {key} is an option of {', '.join(others)}, not of {values['name']}; "
                "choose the model by its name"
            )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise MissingFileError(f"{path} does not exist") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder; a TOML file was expected") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from None


def _names(cls: Any) -> list[str]:
    return list(cls.__dataclass_fields__)


def _split(table: Mapping[str, Any], where: str) -> dict[str, float]:
    for name, fraction in table.items():
        require_finite(where, name, fraction, minimum=0)
    return {name: float(fraction) for name, fraction in table.items()}


def _relative_to(folder: Path, paths: RunPaths) -> RunPaths:
    def located(path: Path) -> Path:
        return folder / path.expanduser()

    return replace(
        paths,
        raw=located(paths.raw),
        dataset=located(paths.dataset),
        artifacts=located(paths.artifacts),
    )
