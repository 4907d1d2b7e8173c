"""The model classes that a record may name, and how to build one from its record.

Reading an artifact never runs code that the artifact chooses: a class name is looked up here, and
a name that is not here is refused. Users add their own classes with `register_model`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..config import nearest
from ..errors import ConfigError, MissingRecordError, RecordError
from .architecture import DenseLayer, StackOptions, named_layers, options_for

if TYPE_CHECKING:
    from torch import nn

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class ModelKind:
    """A known class.

    Attributes
    ----------
    build : callable
        Options (a mapping) -> module.
    options : callable
        (recorded options, shapes of the weights) -> all options; raises MissingRecordError.
    layers : callable or None
        Options -> the dense layers, for models that NumPy can evaluate.
    option_names : tuple of str or None
        The options it has; None if only its constructor knows.
    """

    build: Callable[[Mapping[str, Any]], nn.Module]
    options: Callable[[Mapping[str, Any], Shapes], dict[str, Any]]
    layers: Callable[[Mapping[str, Any]], list[DenseLayer]] | None
    option_names: tuple[str, ...] | None


def model_kind(class_name: str) -> ModelKind:
    """The known class of that name, or RecordError naming the nearest."""
    if class_name not in _KINDS:
        known = (*_KINDS, *_SURROGATES)
        raise RecordError(
            f"the model class {class_name!r} is not known{nearest(class_name, known)}. Known are "
            f"{', '.join(known)}. Your own classes are added with reionemu.models.register_model"
        )
    return _KINDS[class_name]


def surrogate_kind(class_name: Any) -> Any:
    """The class of surrogates of that name, or None for other models."""
    if not isinstance(class_name, str) or class_name not in _SURROGATES:
        return None
    return getattr(import_module(_SURROGATES[class_name], __package__), class_name)


def register_model(cls: type[nn.Module], name: str | None = None) -> type[nn.Module]:
    """Let artifacts name a class of yours; usable as a decorator.

    Parameters
    ----------
    cls : type
        A subclass of `torch.nn.Module`, built by `cls(**options)` with the options that
        `model_config` records beside `class_name`.
    name : str, optional
        The name in records; by default the name of the class.

    Raises
    ------
    ConfigError
        If the name belongs to another class already.
    """
    name = name or cls.__name__
    known = _KINDS.get(name)
    if known is not None and getattr(known.build, "cls", None) is not cls:
        raise ConfigError(f"a model class called {name!r} is registered already")

    def build(options: Mapping[str, Any]) -> nn.Module:
        return cls(**options)

    build.cls = cls  # type: ignore[attr-defined]
    _KINDS[name] = ModelKind(build, lambda options, shapes: dict(options), None, None)
    return cls


def complete_options(record: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    """Every option a recorded model was built with, `class_name` among them.

    What the shapes of the weights tell is taken from them; what they cannot tell, and the record
    does not say, is asked for by name.

    Parameters
    ----------
    record : mapping
        `class_name` and options, as far as they are recorded.
    shapes : mapping
        Shapes of the weights by name.

    Raises
    ------
    MissingRecordError
        Whose `.fields` name what is needed.
    RecordError
        If the class is not known, or the record contradicts the weights.
    """
    if not record.get("class_name"):
        raise MissingRecordError(
            "the record does not name the class of the model (configs.json, model.class_name); "
            f"pass class_name=..., one of {', '.join(_KINDS)}",
            fields=("class_name",),
        )
    name = str(record["class_name"])
    options = {key: value for key, value in record.items() if key != "class_name"}
    return {"class_name": name, **model_kind(name).options(options, shapes)}


def build_model(record: Mapping[str, Any]) -> nn.Module:
    """A module of the class and with the options that a complete record states."""
    options = {key: value for key, value in record.items() if key != "class_name"}
    return model_kind(str(record["class_name"])).build(options)


def dense_layers(record: Mapping[str, Any]) -> list[DenseLayer] | None:
    """The layers of a recorded model that NumPy can evaluate, else None."""
    kind = model_kind(str(record["class_name"]))
    options = {key: value for key, value in record.items() if key != "class_name"}
    return kind.layers(options) if kind.layers else None


def _stack_kind(module: str, name: str, *, dropout: bool) -> ModelKind:
    not_in_weights = ("activation", "dropout_rate") if dropout else ("activation",)
    option_names = tuple(
        f.name for f in fields(StackOptions) if dropout or f.name != "dropout_rate"
    )

    def build(options: Mapping[str, Any]) -> nn.Module:
        return getattr(import_module(module, __package__), name)(**options)

    def complete(options: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
        # A record may hold more about a model than its class needs to know.
        options = {k: v for k, v in options.items() if k in option_names and v is not None}
        missing = tuple(field for field in not_in_weights if field not in options)
        if missing:
            raise MissingRecordError(
                f"the record does not state the {' and '.join(missing)} of the {name} "
                f"(configs.json, model) and weights do not tell; pass "
                f"{', '.join(f'{field}=...' for field in missing)}",
                fields=missing,
            )
        measured = StackOptions.dimensions_of(shapes)
        if not measured:  # and no record is believed about how large a model to build
            raise RecordError(
                f"the weights do not belong to a {name}: they are not those of layers called "
                f"network.0, network.2, ... but {', '.join(map(repr, shapes))[:100]}"
            )
        for key, value in measured.items():
            if options.get(key, value) != value:
                raise RecordError(
                    f"the record says {key} = {options[key]} but the weights are those of a model "
                    f"with {key} = {value}"
                )
        complete = options_for(name, {**measured, **options}, dropout=dropout)
        return {key: value for key, value in asdict(complete).items() if value is not None}

    def layers(options: Mapping[str, Any]) -> list[DenseLayer]:
        return options_for(name, options, dropout=dropout).layers()

    return ModelKind(build, complete, layers, option_names)


def _fixed_kind(name: str, n_hidden: int, activation: str, dropout: float = 0.0) -> ModelKind:
    def build(options: Mapping[str, Any]) -> nn.Module:
        return getattr(import_module(".experimental.variants", __package__), name)()

    # The record of such a model may repeat its dimensions; they are what they are.
    return ModelKind(
        build,
        lambda options, shapes: {},
        lambda options: named_layers(n_hidden, activation, dropout),
        (),
    )


_KINDS: dict[str, ModelKind] = {
    "FourParamEmulator": _stack_kind(".four_param_emulator", "FourParamEmulator", dropout=False),
    "MCDropoutEmulator": _stack_kind(".mc_dropout_emulator", "MCDropoutEmulator", dropout=True),
    "POCEmulatorThreeParams": _fixed_kind("POCEmulatorThreeParams", 1, "gelu"),
    "POCEmulatorFourParamsV1": _fixed_kind("POCEmulatorFourParamsV1", 1, "gelu"),
    "POCEmulatorFourParamsV2": _fixed_kind("POCEmulatorFourParamsV2", 3, "relu", 0.1),
    "POCEmulatorFourParamsV3": _fixed_kind("POCEmulatorFourParamsV3", 2, "relu"),
}

_SURROGATES = {
    "GaussianProcess": ".gaussian_process.model",
    "NetworkEnsemble": ".ensemble.model",
}
