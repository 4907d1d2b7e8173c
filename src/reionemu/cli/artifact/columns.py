"""The columns of a list of records."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .tables import Column, age, cell, common_folder, number, on_terminal, printable

if TYPE_CHECKING:
    from ...artifact.collection.entry import Entry
    from ...artifact.collection.records import Catalogue

_FIRST_WORD = re.compile(r"^([A-Z]+(?=[A-Z][a-z])|[A-Z][a-z]+)[A-Za-z]*")
_MEASURED = ("metrics.", "summary.", "last.", "best.")


def _name_column(shown: Catalogue) -> Column:
    names = [entry.name for entry in shown]
    folder = common_folder(names) if on_terminal() else ""
    header = f"name (in {printable(folder)})" if folder else "name"
    return Column(
        header, [printable(name[len(folder) :]) for name in names], shrinks_to=16, keeps_end=True
    )


def chosen_columns(shown: Catalogue, paths: list[str]) -> list[Column]:
    """The columns that were asked for."""
    table = [_name_column(shown)]
    for path in paths:
        values = [entry.get(path) for entry in shown]
        right = all(isinstance(value, (int, float, type(None))) for value in values)
        form = _FORMS.get(path, number if path.startswith(_MEASURED) else cell)
        header = _short_header(path, paths) if on_terminal() else path
        table.append(Column(printable(header), list(map(form, values)), right, shrinks_to=8))
    return table


def _short_header(path: str, paths: list[str]) -> str:
    """The end of a path that tells it from the other columns."""
    parts = path.split(".")
    for start in range(len(parts) - 1, 0, -1):
        ending = ".".join(parts[start:])
        if (
            sum(f".{other}".endswith(f".{ending}") for other in paths) == 1
            and not parts[start].isdigit()
        ):
            return ending
    return path


def default_columns(shown: Catalogue) -> list[Column]:
    """What most want to know of each."""
    models = [_model(entry) for entry in shown]
    table = [
        _name_column(shown),
        Column("kind", _kinds(shown), optional=True),
        Column("status", [printable(entry.status) for entry in shown]),
        Column("created", [_created(entry) for entry in shown], right=on_terminal()),
        Column("model", models, shrinks_to=9, optional=True, short=initials(models)),
        Column("epochs", [_epochs(entry) for entry in shown], right=True, optional=True),
    ]
    for path, form in _FORMS.items():
        table.append(Column(path, [form(entry.get(path)) for entry in shown], right=True))
    if not on_terminal():  # there it is written below, in full
        table.append(Column("note", [printable(entry.problem or "") for entry in shown]))
    return table


def _kinds(shown: Catalogue) -> list[str]:
    """The kind of each, if some are no emulators."""
    kinds = [entry.get("kind") for entry in shown]
    return [cell(kind) for kind in kinds] if {*kinds} - {"emulator", None} else [""] * len(kinds)


def _created(entry: Entry) -> str:
    from ...artifact.collection.values import parse_time

    moment = parse_time(entry.created_at or "")
    if moment is None:
        return ""
    return age(moment) if on_terminal() else f"{moment:%Y-%m-%d %H:%M:%S}"


def _model(entry: Entry) -> str:
    name = entry.get("model.class_name")
    if not isinstance(name, str):
        return ""
    sizes = entry.get("model.hidden_dim"), entry.get("model.num_hidden_layers")
    size = f" {sizes[0]}x{sizes[1]}" if None not in sizes else ""
    return printable((name.removesuffix("Emulator") or name) + size)


def initials(models: list[str]) -> list[str]:
    """MC 20x2 for MCDropout 20x2: the first word of the class, if that tells them apart."""
    short = {text: _FIRST_WORD.sub(r"\1", text) for text in models}
    return [short[text] for text in models] if len({*short.values()}) == len(short) else models


def _epochs(entry: Entry) -> str:
    done, planned = entry.get("epochs"), entry.get("training.epochs")
    if entry.status in ("completed", "damaged", "not recorded") or planned is None:
        return cell(done)
    return f"{cell(done) or 0}/{cell(planned)}"


def _percent(value: Any) -> str:
    return f"{number(100.0 * value)}%" if isinstance(value, float) else cell(value)


_FORMS: dict[str, Callable[[Any], str]] = {
    "val_loss": number,
    "error": _percent,
    "val_error": _percent,
}
"""How the measured values are shown that have a short name."""
