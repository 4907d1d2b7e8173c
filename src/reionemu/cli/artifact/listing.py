"""reionemu artifact list, reionemu artifact find"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..output import JsonOption, print_json, progress_line, say
from .columns import chosen_columns, default_columns
from .tables import Column, cell, on_terminal, print_columns, printable

if TYPE_CHECKING:
    from ...artifact.collection.entry import Entry
    from ...artifact.collection.records import Catalogue

DEFAULT_ROOT = Path("artifacts")
_MAX_PROBLEMS = 20

KindOption = Annotated[
    str | None, typer.Option(help="Only records of this kind: emulator or inference.")
]
SortOption = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="PATH",
        help="Order by this value, such as error or optimizer.lr; else the newest come first.",
    ),
]
ReverseOption = Annotated[bool, typer.Option("--reverse", help="The other way round.")]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH,PATH...",
        help="What to show beside the name: model.hidden_dim,optimizer.lr,error. `list --paths` "
        "tells what there is; a group, such as optimizer, is all that is in it.",
    ),
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Show at most so many.")]


def list_artifacts(
    root: Annotated[
        Path | None,
        typer.Argument(help="Folder of artifacts.  [default: artifacts]", show_default=False),
    ] = None,
    sort: SortOption = None,
    reverse: ReverseOption = False,
    columns: ColumnsOption = None,
    limit: LimitOption = None,
    kind: KindOption = None,
    paths: Annotated[
        bool,
        typer.Option("--paths", help="List the paths that conditions, --sort and --columns take."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """List the artifacts in a folder, the newest first.

    Runs that have not completed are listed with the epochs and the best loss they have come to,
    folders that are damaged with what is wrong. Times are relative on a terminal, UTC elsewhere.
    The names of the columns are paths, too: `--sort error`, `find 'val_loss<0.1'`.
    """
    from ...errors import ConfigError

    found = read_catalogue(root or default_root())
    found = found.find(f"kind={kind}") if kind and found else found
    if not found:
        say(f"no artifacts {f'of the kind {kind} ' if kind else ''}in {printable(found.root)}")
    try:
        if paths:
            _show_paths(_newest_first(found), json)
        else:
            _show(found, sort, reverse, columns, limit, json)
    except ConfigError as error:
        say(f"error: {error}")
        raise typer.Exit(2) from None


def find(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[ROOT] CONDITION...",
            help="Folder of artifacts (default: artifacts), and what they must meet, all of it.",
            show_default=False,
        ),
    ],
    sort: SortOption = None,
    reverse: ReverseOption = False,
    columns: ColumnsOption = None,
    limit: LimitOption = None,
    json: JsonOption = False,
) -> None:
    """List the artifacts that meet conditions on configurations, metrics and all else recorded.

    A condition is PATH OP VALUE with OP one of = != < <= > >= ~ (contains, or fits a pattern with
    * and ?), or PATH alone (it is there, and neither null nor false). Quote < and > for the shell:

    \b
      reionemu artifact find artifacts 'metrics.val_loss<0.1' model.hidden_dim=64
      reionemu artifact find 'created_at>7d' 'name~sweep' status!=completed
      reionemu artifact find kfold 'software.torch<2.5' --sort val_loss

    Ages (45s, 30min, 6h, 7d, 2w, 1y) mean that long ago. Like grep, it ends with exit code 0 if
    something was found, 1 if not, and 2 for a condition or folder that makes no sense.
    `reionemu artifact list --paths` tells which paths there are.
    """
    from ...errors import ReionemuError

    try:
        root, conditions = _split_arguments(arguments)
        known = read_catalogue(root)
        _require_no_folder(conditions, known)
        found = known.find(*conditions)
        if found:
            _show(found, sort, reverse, columns, limit, json)
        elif json:
            print_json([])
    except ReionemuError as error:
        say(f"error: {error}")
        raise typer.Exit(2) from None
    if not found:
        say("nothing found")
        raise typer.Exit(1)


def read_catalogue(root: Path) -> Catalogue:
    """The catalogue of a folder, with progress and notes on standard error."""
    from ...artifact.collection.records import catalogue

    with progress_line() as progress:
        found = catalogue(root, progress=progress)
    for note in found.notes:
        say(f"note: {printable(note)}")
    return found


def default_root() -> Path:
    """The folder that is meant if none is named."""
    from ...errors import ConfigError

    if not DEFAULT_ROOT.is_dir():
        raise ConfigError("name the folder of the artifacts: there is none called artifacts here")
    return DEFAULT_ROOT


def _split_arguments(arguments: list[str]) -> tuple[Path, list[str]]:
    """The folder and the conditions among the arguments of `find`."""
    first, *rest = arguments
    if Path(first).expanduser().is_dir() or not (DEFAULT_ROOT.is_dir() or _is_condition(first)):
        return Path(first).expanduser(), rest
    return default_root(), arguments


def _require_no_folder(conditions: list[str], known: Catalogue) -> None:
    """Raise MissingFileError if the first condition looks like the folder that should stand there.

    That is so if it has no operator and no record has such a path.
    """
    from ...artifact.collection.query import require_known
    from ...errors import ConfigError, MissingFileError

    if conditions and not _is_condition(conditions[0]):
        try:
            require_known(conditions[0].strip(), known.paths if known else ())
        except ConfigError as error:
            message = f"there is no folder {conditions[0]!r}; if a condition is meant: {error}"
            raise MissingFileError(message) from None


def _is_condition(text: str) -> bool:
    return any(sign in text for sign in "=<>~!")


def _show(
    found: Catalogue,
    sort: str | None,
    reverse: bool,
    columns: str | None,
    limit: int | None,
    json: bool,
) -> None:
    if sort:
        found = found.sort(sort, descending=reverse)
    elif found:
        found = _newest_first(found)
        found = found[::-1] if reverse else found
    paths = _paths(columns, found)
    shown = found[:limit]
    if json:
        print_json([_mapping(entry, paths) for entry in shown])
    elif shown:
        table = chosen_columns(shown, paths) if paths else default_columns(shown)
        print_columns([column for column in table if any(column.cells)])
        _say_problems(shown)
        _say_totals(found, shown)


def _paths(columns: str | None, found: Catalogue) -> list[str]:
    """The paths that --columns asks for; of a group, all that is in it."""
    from ...artifact.collection.entry import spellings
    from ...artifact.collection.query import require_known, values_below

    paths: list[str] = []
    for path in filter(None, map(str.strip, (columns or "").split(","))):
        if found:
            require_known(path, found.paths)
        is_group = found and not any(spelling in found.paths for spelling in spellings(path))
        paths += values_below(path, found.paths) if is_group else [path]
    return list(dict.fromkeys(paths))


def _show_paths(found: Catalogue, json: bool) -> None:
    """Every path, the short names first, with the value that the newest record has there."""
    from ...artifact.collection.entry import ALIASES, spellings
    from ...artifact.collection.values import natural

    known = set(found.paths)
    short = [name for name in ALIASES if found and known.intersection(spellings(name))]
    paths = [*short, *sorted(known if found else (), key=natural)]
    if json:
        print_json(paths)
        return
    values = [next((v for e in found if (v := e.get(path)) is not None), None) for path in paths]
    table = [Column("path", list(map(printable, paths)))]
    table.append(Column("such as", list(map(cell, values)), shrinks_to=8))
    if paths:
        print_columns(table)


def _newest_first(found: Catalogue) -> Catalogue:
    known = "created_at" in found.paths
    return found.sort("created_at", descending=True) if known else found


def _say_problems(shown: Catalogue) -> None:
    """What is wrong with what is shown, if somebody is looking."""
    if on_terminal():
        problems = [entry for entry in shown if entry.problem]
        for entry in problems[:_MAX_PROBLEMS]:
            say(f"{printable(entry.name)}: {printable(entry.problem)}")
        if len(problems) > _MAX_PROBLEMS:
            say(f"and {len(problems) - _MAX_PROBLEMS} more; see --columns status,problem")


def _say_totals(found: Catalogue, shown: Catalogue) -> None:
    """How many there are, if somebody is looking."""
    if not on_terminal():
        return
    counts: dict[str, int] = {}
    for entry in found:
        counts[entry.status] = counts.get(entry.status, 0) + 1
    listed = ", ".join(f"{n} {printable(status)}" for status, n in counts.items())
    cut = f"the first {len(shown)} of " if len(shown) < len(found) else ""
    say(f"{cut}{len(found)} {'artifact' if len(found) == 1 else 'artifacts'}: {listed}")


def _mapping(entry: Entry, paths: list[str]) -> dict[str, Any]:
    values = {path: entry.get(path) for path in paths} if paths else dict(entry.values)
    own = {"name": entry.name, "path": str(entry.path), "status": entry.status}
    return {**own, "created_at": entry.created_at, "problem": entry.problem, "values": values}
