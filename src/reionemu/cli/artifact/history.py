"""reionemu artifact history, restore and prune"""

from __future__ import annotations

import re
import shlex
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import ConfigError
from ..output import JsonOption, print_json, print_table, relative_time, say, short

if TYPE_CHECKING:
    from ...artifact.past import Version

NameArgument = Annotated[Path, typer.Argument(metavar="PATH", help="ROOT/NAME of an artifact.")]
_AGE = re.compile(r"(\d+)\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def history(path: NameArgument, json: JsonOption = False) -> None:
    """List all records that a name has, or has had: current, unfinished and earlier ones."""
    from ...artifact.past import versions

    found = versions(path)
    if json:
        print_json({"versions": [_plain(version) for version in found]})
        return
    rows = [
        [
            _label(version),
            version.status,
            relative_time(version.saved_at),
            _size(_size_of(version)),
            _metric(version.path),
        ]
        for version in found
    ]
    print_table(["record", "status", "saved", "size", "val_loss"], rows, str(found[0].name))
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
    saved = f" as saved {relative_time(current.saved_at)}" if current.saved_at else ""
    rest = f"; {len(earlier)} more in its history" if earlier else ""
    print(f"restored {short(final)}{saved}{rest}")


def prune(
    root: Annotated[Path, typer.Argument(help="Folder of artifacts.")],
    name: Annotated[str | None, typer.Option(help="Only of this name.")] = None,
    keep: Annotated[
        int, typer.Option(min=0, help="Keep this many of the latest earlier records of a name.")
    ] = 0,
    older_than: Annotated[
        str | None, typer.Option(help="Only what is older, such as 30d, 12h or 4w.")
    ] = None,
    runs: Annotated[
        bool, typer.Option("--runs", help="Also runs that were killed or failed.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it only list.")] = False,
    json: JsonOption = False,
) -> None:
    """List, and with --yes remove, earlier records. Current records are never touched."""
    from ...artifact.past import prunable, remove

    age = _age(older_than) if older_than is not None else None
    found = prunable(root, name=name, keep=keep, older_than=age, unfinished=runs)
    sizes = [_size_of(version) for version in found]
    plain = [_plain(version) for version in found]
    removed = [version for version in found if remove(version)] if yes else []
    if json:
        print_json({"found": plain, "removed": len(removed)})
        return
    rows = [
        [v.name, _label(v), v.status, relative_time(v.saved_at), _size(size)]
        for v, size in zip(found, sizes, strict=True)
    ]
    if rows:
        print_table(["name", "record", "status", "saved", "size"], rows)
    total = f"{len(found)} record{'s' * (len(found) != 1)}, {_size(sum(sizes))}"
    if yes:
        print(f"removed {len(removed)} of {total}")
    else:
        print(f"{total}; nothing was removed{' (--yes removes them)' if found else ''}")


def _label(version: Version) -> str:
    return "current" if version.place == "current" else version.path.name


def _plain(version: Version) -> dict[str, object]:
    return {**vars(version), "size_bytes": _size_of(version)}


def _size_of(version: Version) -> int:
    from ...artifact.past import size_of

    return size_of(version.path)


def _size(size: int) -> str:
    number = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


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


def _age(text: str) -> timedelta:
    match = _AGE.fullmatch(text.strip())
    if not match:
        raise ConfigError(
            f"--older-than {text:.40}: expected a number and s, m, h, d or w, as in 30d"
        )
    try:
        age = timedelta(**{_UNITS[match[2]]: int(match[1])})
        datetime.now(timezone.utc) - age
    except (OverflowError, ValueError):
        raise ConfigError(f"--older-than {text:.40}: there was no such time") from None
    return age
