"""Options that the commands which train have in common, and what they make of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..config import nearest, tomllib
from ..errors import ConfigError

if TYPE_CHECKING:
    from ..pipeline.options import TrainingOptions

ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="gp (the default), ensemble, mc-dropout or four-param."),
]
SplitOption = Annotated[
    str | None, typer.Option("--split", help="Fractions, such as train=0.7,val=0.1,test=0.2.")
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", help="Of the split, the weights, batches and dropout.")
]
EpochsOption = Annotated[int | None, typer.Option(help="At most this many epochs.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="TABLE.KEY=VALUE",
        help="An option of the tables suite, dataloader, model, optimizer, fit, kfold of a "
        "TOML file: "
        "fit.device=auto, model.hidden_dim=64. Repeatable.",
    ),
]


def training_options(
    model: str | None = None,
    split: str | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    settings: list[str] | None = None,
) -> TrainingOptions:
    """The training options that command-line options amount to."""
    from ..pipeline.options import TRAINING_TABLES, TrainingOptions, table_options

    options = TrainingOptions()
    if seed is not None:
        options = options.seeded(seed)
    if split is not None:
        options = replace(options, split=parse_split(split))
    tables: dict[str, dict[str, Any]] = {}
    for setting in settings or []:
        table, key, value = parse_setting(setting)
        if table not in TRAINING_TABLES:
            raise ConfigError(
                f"--set {setting}: no table {table!r}{nearest(table, TRAINING_TABLES)}"
            )
        tables.setdefault(table, {})[key] = value
    if model is not None:
        tables.setdefault("model", {})["name"] = model
    if epochs is not None:
        tables.setdefault("fit", {})["epochs"] = epochs
    for table, values in tables.items():
        found = table_options(
            table, values, f"[{table}]", TRAINING_TABLES[table], getattr(options, table)
        )
        options = replace(options, **{table: found})
    return options


def parse_split(text: str) -> dict[str, float]:
    """{"train": 0.7, ...} from "train=0.7,..."."""
    parts: dict[str, float] = {}
    for item in text.split(","):
        name, equals, fraction = item.partition("=")
        try:
            parts[name.strip()] = float(fraction)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise ConfigError(f"--split {text}: expected train=0.7,val=0.1,test=0.2 or the like")
    return parts


def parse_setting(text: str) -> tuple[str, str, Any]:
    """(table, key, value) from "table.key=value"; the value is read as TOML, or is a string."""
    path, equals, value = text.partition("=")
    table, dot, key = path.strip().partition(".")
    if not (equals and dot and key):
        raise ConfigError(f"--set {text}: expected TABLE.KEY=VALUE, such as fit.device=auto")
    return table, key, parse_value(value.strip())


def parse_value(text: str) -> Any:
    """A number, true, false, a list or a quoted string as TOML has them; else the text itself."""
    if text in ("none", "null", "None"):
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
