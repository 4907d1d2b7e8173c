"""reionemu artifact history, restore and prune"""

from __future__ import annotations

import shlex
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import ConfigError
from ...files import human_size
from ..output import JsonOption, print_json, say, short
from .tables import Column, age, print_columns, printable, write

if TYPE_CHECKING:
    from ...artifact.past import Version

NameArgument = Annotated[Path, typer.Argument(metavar="PATH", help="ROOT/NAME of an artifact.")]


def history(path: NameArgument, json: JsonOption = False) -> None:
    """List all records that a name has, or has had: current, unfinished and earlier ones."""
    from ...artifact.past import versions

    found = versions(path)
    if json:
        print_json({"versions": [_plain(version) for version in found]})
        return
    write([printable(found[0].name), ""])
    print_columns(
        [
            Column("record", [_label(version) for version in found]),
            Column("status", [printable(version.status) for version in found]),
            Column("saved", [_age(version.saved_at) for version in found], optional=True),
            _size_column([_size_of(version) for version in found]),
            Column("val_loss", [_metric(v.path) for v in found], right=True, optional=True),
        ]
    )
    if any(version.place == "earlier" for version in found):
        say(f"to bring one back: reionemu artifact restore {shlex.quote(short(path))} RECORD")


def restore(
    path: NameArgument,
    record: Annotated[
        str | None,
        typer.Argument(help="Which: as `history` lists it, or its beginning. Default: the latest."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Bring an earlier record of a name back; the current one moves to the history."""
    from ...artifact.past import restore as bring_back
    from ...artifact.past import versions

    final = bring_back(path, record)
    current, *earlier = versions(final)
    if json:
        print_json({"restored": _plain(current), "path": final})
        return
    saved = f" as saved {_age(current.saved_at)}" if current.saved_at else ""
    rest = f"; {len(earlier)} more in its history" if earlier else ""
    print(f"restored {short(final)}{saved}{rest}")


def prune(
    root: Annotated[Path, typer.Argument(help="Folder of artifacts.")],
    name: Annotated[str | None, typer.Option(help="Only of this name.")] = None,
    keep: Annotated[
        int | None,
        typer.Option(min=0, help="Keep this many of the latest earlier records of each name."),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(help="Only what was replaced longer ago than this, such as 30d, 12h or 4w."),
    ] = None,
    runs: Annotated[
        bool, typer.Option("--runs", help="Also runs that were killed or failed.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="All of them, if no other option says which.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it only list.")] = False,
    json: JsonOption = False,
) -> None:
    """List, and with --yes remove, earlier records. Current records are never touched."""
    from ...artifact.past import prunable, remove

    if yes and not everything and name is None and keep is None and older_than is None:
        raise ConfigError(
            "--yes alone would remove all earlier records of all names; say which (--keep N, "
            "--older-than AGE, --name NAME), or --all"
        )
    span = _span(older_than) if older_than is not None else None
    found = prunable(root, name=name, keep=keep or 0, older_than=span, unfinished=runs)
    sizes = [_size_of(version) for version in found]
    plain = [_plain(version) for version in found]
    removed = [version for version in found if remove(version)] if yes else []
    if json:
        print_json({"found": plain, "removed": len(removed)})
        return
    if found:
        print_columns(
            [
                Column("name", [printable(v.name) for v in found], shrinks_to=8, keeps_end=True),
                Column("record", [_label(version) for version in found]),
                Column("status", [printable(v.status) for v in found], optional=True),
                Column("replaced", [_since(version) for version in found], optional=True),
                _size_column(sizes),
            ]
        )
    total = f"{len(found)} record{'s' * (len(found) != 1)}, {human_size(sum(sizes))}"
    if yes:
        print(f"removed {len(removed)} of {total}")
    else:
        print(f"{total}; nothing was removed{' (--yes removes them)' if found else ''}")


def _label(version: Version) -> str:
    return "current" if version.place == "current" else version.path.name


def _age(moment: datetime | None) -> str:
    return age(moment) if moment else ""


def _since(version: Version) -> str:
    """When an earlier record was replaced; a run that is dead never was, but began."""
    return _age(version.replaced_at) or f"(began {_age(version.saved_at) or 'once'})"


def _size_column(sizes: list[int]) -> Column:
    return Column("size", [human_size(size) for size in sizes], right=True, optional=True)


def _plain(version: Version) -> dict[str, object]:
    return {**vars(version), "size_bytes": _size_of(version)}


def _size_of(version: Version) -> int:
    from ...artifact.past import size_of

    return size_of(version.path)


def _metric(folder: Path) -> str:
    """The validation loss that a record states, if it does."""
    from ...artifact.formats.jsonio import read_json
    from ...artifact.layout import RESULTS
    from ...errors import ReionemuError

    try:
        value = read_json(folder / RESULTS)["metrics"]["val_loss"]
        return f"{value:.4g}" if isinstance(value, (int, float)) else ""
    except (ReionemuError, KeyError, TypeError, OverflowError):
        return ""


def _span(text: str) -> timedelta:
    from ...artifact.collection.values import AGES, parse_age

    span, given = parse_age(text.strip()), f"--older-than {printable(text):.40}"
    if span is None:
        raise ConfigError(f"{given}: expected an age, such as {AGES}")
    try:
        datetime.now(timezone.utc) - span
    except OverflowError:
        raise ConfigError(f"{given}: there was no such time") from None
    return span
