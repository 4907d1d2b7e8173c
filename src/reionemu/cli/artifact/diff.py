"""reionemu artifact diff"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..output import JsonOption, print_json
from .tables import age, cell, number, padded, printable, styled, write

if TYPE_CHECKING:
    from ...artifact.collection.difference import Change, Difference
    from ...artifact.read import Artifact

_HASH = re.compile(r"[0-9a-f]{40,64}")
_STEPS = {
    "raw": "simulations",
    "condensed": "condensed file",
    "spectra": "spectra",
    "training_set": "training arrays",
    "split": "split",
    "weights": "weights",
    "emulator": "emulator",
    "data": "band powers",
    "posterior": "samples",
}


def diff(
    a: Annotated[Path, typer.Argument(help="Folder of an artifact.", metavar="A")],
    b: Annotated[Path, typer.Argument(help="Folder of another.", metavar="B")],
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="Also show metrics of every ell bin, counts, commands and seeds."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Tell what is different between two artifacts, from the data to the metrics."""
    from ...artifact.collection.difference import diff as difference_between
    from ...artifact.read import load_artifact

    artifacts = [load_artifact(path) for path in (a, b)]
    difference = difference_between(*artifacts)
    if json:
        print_json(difference.to_mapping())
        return
    write(_lines(difference, artifacts, everything))


def _lines(difference: Difference, artifacts: list[Artifact], everything: bool) -> Iterator[str]:
    from ...artifact.collection.difference import said_elsewhere
    from ...artifact.collection.values import is_element

    for label, artifact in zip("AB", artifacts, strict=True):
        yield f"{styled(label, 'bold')}  {_headline(artifact)}"
    yield ""
    if difference.is_empty:
        yield "no difference is known"
        return
    twice = said_elsewhere({c.path: (c.a, c.b) for c in difference.metrics})
    metrics = [
        c for c in difference.metrics if everything or not (is_element(c.path) or c.path in twice)
    ]
    environment = [c for c in difference.environment if everything or not _is_choice(c.path)]
    sections = (
        ("record", list(_rows(difference.record))),
        ("configs", list(_rows(difference.configs))),
        (
            "data and weights",
            [(_STEPS.get(s.step, s.step), s.text, "") for s in difference.lineage],
        ),
        ("dataset", list(_rows([c for c in difference.dataset if not _is_told(c.path)]))),
        ("environment", list(_rows(environment))),
        ("metrics", list(map(_metric, metrics))),
    )
    rows = [row for _, rows in sections for row in rows]
    left = max((len(printable(row[0])) for row in rows), default=0)
    middle = max((len(row[1]) for row in rows if row[2]), default=0)
    for section, rows in sections:
        if rows:
            yield styled(section, "bold")
        for path, text, remark in rows:
            line = f"  {padded(printable(path), left)}  {padded(printable(text), middle)}  {remark}"
            yield line.rstrip()


def _headline(artifact: Artifact) -> str:
    from ...artifact.collection.values import parse_time

    created = artifact.info.get("created_at")
    moment = parse_time(created) if isinstance(created, str) else None
    when = f", {age(moment)}" if moment else ""
    return printable(f"{artifact.path}  ({artifact.status}{when})")


def _rows(changes: Sequence[Change]) -> Iterator[tuple[str, str, str]]:
    """(path, change, "") of changes; what only one has of a whole object is one row."""
    for (parent, kind), group in groupby(
        changes, key=lambda c: (c.path.rpartition(".")[0], c.kind)
    ):
        members = list(group)
        if kind == "changed":
            for change in members:
                yield change.path, f"{_value(change.a)} -> {_value(change.b)}", ""
            continue
        side = kind[-1]
        values = [_value(getattr(change, side)) for change in members]
        if len(members) == 1 or not parent:
            for change, value in zip(members, values, strict=True):
                yield change.path, f"only in {side.upper()}: {value}", ""
        else:
            names = [change.path.rpartition(".")[2] for change in members]
            pairs = ", ".join(f"{n}={v}" for n, v in zip(names, values, strict=True))
            yield parent, f"only in {side.upper()}: {pairs}", ""


def _is_told(path: str) -> bool:
    """Whether what changed is told in words already, as a step on the way to the weights."""
    return path.startswith(("dataset.fingerprint", "dataset.path", "dataset.content_sha256"))


def _is_choice(path: str) -> bool:
    """Whether what changed was typed or chosen, and so is told by the configurations."""
    return path.partition(".")[0] in ("command", "seeds")


def _metric(change: Change) -> tuple[str, str, str]:
    path = change.path.removeprefix("metrics.")
    if change.kind == "same":
        return path, number(change.a), "="
    sides = ["-" if side is None else number(side) for side in (change.a, change.b)]
    return path, " -> ".join(sides), _relative(change)


def _relative(change: Change) -> str:
    """By how much a metric changed: in percent, or by which factor if that is large."""
    ratio = change.ratio
    if ratio is None:
        return " "
    if 0.2 < ratio < 5:
        return f"{100 * (ratio - 1):+.3g}%"
    return f"x {ratio:.3g}"


def _value(value: Any) -> str:
    """A value in one line, cut if it is long; a number in full, since it differs."""
    if isinstance(value, list):
        text = f"[{', '.join(map(cell, value))}]"
    elif isinstance(value, float):
        text = repr(value)
    elif isinstance(value, str) and _HASH.fullmatch(value):
        text = f"{value[:10]}..."
    else:
        text = "none" if value is None else cell(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
