"""reionemu artifact list, reionemu artifact find"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..output import JsonOption, print_json, progress_line, say
from .tables import Column, age, cell, number, on_terminal, print_columns, printable

if TYPE_CHECKING:
    from ...artifact.collection.entry import Entry
    from ...artifact.collection.records import Catalogue

DEFAULT_ROOT = Path("artifacts")
_MAX_PROBLEMS = 20

SortOption = Annotated[
    str | None,
    typer.Option("--sort", metavar="PATH", help="Order by this value; else the newest come first."),
]
ReverseOption = Annotated[bool, typer.Option("--reverse", help="The other way round.")]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH,PATH...",
        help="Dotted paths to show beside the name: model.hidden_dim,optimizer.lr.",
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
    json: JsonOption = False,
) -> None:
    """List the artifacts in a folder, the newest first.

    Runs that have not completed are listed with the epochs and loss they have come to, folders
    that are damaged with what is wrong. Times are relative on a terminal, UTC elsewhere.
    """
    found = read_catalogue(root or default_root())
    if not found:
        say(f"no artifacts in {printable(found.root)}")
    _show(found, sort, reverse, columns, limit, json)


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
      reionemu artifact find kfold 'software.torch<2.5' --sort metrics.val_loss

    Ages (45s, 30min, 6h, 7d, 2w) mean that long ago. Like grep, it ends with exit code 0 if
    something was found, 1 if not, and 2 for a condition or folder that makes no sense.
    """
    from ...errors import ReionemuError

    try:
        root, conditions = _split_arguments(arguments)
        found = read_catalogue(root).find(*conditions)
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


def common_folder(names: list[str]) -> str:
    """The folder, with "/" at its end, that all of several names begin with; or nothing."""
    if len(set(names)) < 2:
        return ""
    shared = list(names[0].split("/")[:-1])
    for name in names[1:]:
        parts = name.split("/")[:-1]
        while shared != parts[: len(shared)]:
            shared.pop()
    return "/".join([*shared, ""])


def _split_arguments(arguments: list[str]) -> tuple[Path, list[str]]:
    """The folder and the conditions among the arguments of `find`."""
    first, *rest = arguments
    if Path(first).expanduser().is_dir() or not (DEFAULT_ROOT.is_dir() or _is_condition(first)):
        return Path(first).expanduser(), rest
    return default_root(), arguments


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
    from ...artifact.collection.query import require_known

    if sort:
        found = found.sort(sort, descending=reverse)
    elif found:
        found = _newest_first(found)
        found = found[::-1] if reverse else found
    paths = [path.strip() for path in columns.split(",") if path.strip()] if columns else []
    for path in paths if found else ():
        require_known(path, found.paths)
    shown = found[:limit]
    if json:
        print_json([_mapping(entry, paths) for entry in shown])
    elif shown:
        table = _chosen(shown, paths) if paths else _default(shown)
        print_columns([column for column in table if any(column.cells)])
        _say_problems(shown)
        _say_totals(found, shown)


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


def _name_column(shown: Catalogue) -> Column:
    names = [entry.name for entry in shown]
    folder = common_folder(names) if on_terminal() else ""
    header = f"name (in {printable(folder)})" if folder else "name"
    return Column(
        header, [printable(name[len(folder) :]) for name in names], shrinks_to=16, keeps_end=True
    )


def _chosen(shown: Catalogue, paths: list[str]) -> list[Column]:
    """The columns that were asked for."""
    table = [_name_column(shown)]
    for path in paths:
        values = [entry.get(path) for entry in shown]
        right = all(isinstance(value, (int, float, type(None))) for value in values)
        form = number if path.startswith(("metrics.", "summary.", "last.")) else cell
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


def _default(shown: Catalogue) -> list[Column]:
    """What most want to know of each."""
    table = [
        _name_column(shown),
        Column("status", [printable(entry.status) for entry in shown]),
        Column("created", [_created(entry) for entry in shown], right=on_terminal()),
        Column("model", [_model(entry) for entry in shown], shrinks_to=9, optional=True),
        Column("epochs", [_epochs(entry) for entry in shown], right=True, optional=True),
        Column("val_loss", [_val_loss(entry) for entry in shown], right=True),
    ]
    for part, header in (("test", "error"), ("val", "val error")):
        table.append(Column(header, [_error(entry, part) for entry in shown], right=True))
    if not on_terminal():  # there it is written below, in full
        table.append(Column("note", [printable(entry.problem or "") for entry in shown]))
    return table


def _created(entry: Entry) -> str:
    from ...artifact.collection.query import parse_time

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


def _epochs(entry: Entry) -> str:
    done, planned = entry.get("epochs"), entry.get("training.epochs")
    if entry.status in ("completed", "damaged", "not recorded") or planned is None:
        return cell(done)
    return f"{cell(done) or 0}/{cell(planned)}"


def _val_loss(entry: Entry) -> str:
    for path in ("metrics.val_loss", "summary.best_val_loss", "last.val_loss"):
        value = entry.get(path)
        if isinstance(value, (int, float)):
            return number(value)
    return ""


def _error(entry: Entry, part: str) -> str:
    value = entry.get(f"metrics.{part}_mean_relative_error")
    return f"{number(100.0 * value)}%" if isinstance(value, float) else ""
