"""reionemu tune"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import AlreadyExistsError, ConfigError
from .choices import ModelOption, SeedOption, SetOption, SplitOption, training_options
from .output import (
    JsonOption,
    ProgressLine,
    print_errors,
    print_json,
    print_table,
    progress_line,
    say,
    short,
)

if TYPE_CHECKING:
    from ..pipeline.options import TrainingOptions

_SHOWN = 10


def tune(
    training_h5: Annotated[
        Path | None, typer.Argument(metavar="H5", help="File with /training.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of artifacts.")] = None,
    name: Annotated[str | None, typer.Option(help="Train with the best and save this.")] = None,
    models: Annotated[
        str | None,
        typer.Option(help="What is searched, of gp,ensemble,mc-dropout,four-param (all)."),
    ] = None,
    model: ModelOption = None,
    num_samples: Annotated[int, typer.Option("-n", "--num-samples", help="Trials.")] = 40,
    concurrent: Annotated[int, typer.Option(help="Trials at the same time.")] = 4,
    epochs: Annotated[int, typer.Option(help="At most this many in a network's trial.")] = 200,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help='A Ray cluster, or "local" ($RAY_ADDRESS, or local).'),
    ] = None,
    storage: Annotated[
        Path | None, typer.Option(help="Where trials are kept meanwhile (OUT/.tuning/NAME).")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the search that was interrupted.")
    ] = False,
    listed: Annotated[
        Path | None,
        typer.Option("--list", metavar="PATH", help="Only list the trials of OUT/NAME."),
    ] = None,
    split: SplitOption = None,
    seed: SeedOption = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Search for the best model and its options (needs the extra `tune`).

    Families of models take turns; a trial is judged by its error on the validation rows. With
    --out and --name the best is trained again and saved, with all trials in its record.
    """
    if listed is not None:
        _print_list(listed, json)
        return
    if training_h5 is None:
        raise ConfigError("which file? reionemu tune H5, or reionemu tune --list OUT/NAME")
    if (out is None) != (name is None):
        raise ConfigError("--out and --name go together: where to save the best model, and as what")
    if model is not None and models is not None:
        raise ConfigError("give --models, or --model for one alone")
    from ..pipeline.options import TuningOptions

    families = tuple(part.strip() for part in models.split(",")) if models else None
    options = replace(
        training_options(model, split, seed, None, settings),
        tuning=TuningOptions(
            num_samples, concurrent, epochs, storage, families or (model and (model,)) or None, ray
        ),
    )
    with progress_line() as line:
        try:
            found, path, errors = _search(training_h5, out, name, options, resume, line)
        except KeyboardInterrupt:
            line.close()
            kept = name is not None or storage is not None
            say("interrupted" + ("; the same command with --resume goes on" if kept else ""))
            raise typer.Exit(130) from None
    if json:
        print_json({**found, "path": path})
        return
    _print_trials(found["trials"], _SHOWN)
    if path is not None and errors is not None:
        print_errors(*errors)
        print(f"saved {short(path)}; all trials: reionemu tune --list {short(path)}")
    else:
        say(f"now: reionemu train {training_h5} --out artifacts --name best {_as_options(found)}")


def _search(
    h5_path: Path,
    out: Path | None,
    name: str | None,
    options: TrainingOptions,
    resume: bool,
    line: ProgressLine,
) -> tuple[dict[str, Any], Path | None, tuple[dict[str, Any], str] | None]:
    """What the search found; and of the artifact, if one is wanted, where it is and its errors."""
    from ..data.splits import split_indices
    from ..pipeline.loading import load_data
    from ..pipeline.search import search
    from ..pipeline.search_folder import SearchFolder, search_folder
    from ..pipeline.training import train_artifact

    assert options.tuning is not None
    folder = options.tuning.storage_path
    if out is not None and name is not None:
        folder = search_folder(name, out, options.tuning)
    if folder is None and resume:
        raise ConfigError("--resume needs --out and --name, or --storage: where is the search?")
    if folder is not None and not resume and SearchFolder(folder).exists:
        raise AlreadyExistsError(
            f"there is a search in {folder}: --resume goes on with it; or remove that folder"
        )

    def speak(text: str) -> None:
        line.close()
        say(text)

    if out is not None and name is not None:
        artifact = train_artifact(
            h5_path, name, out, options, progress=line, say=speak, resume=resume
        )
        summary = artifact.results["summary"]
        errors = artifact.results["metrics"]["errors"], summary["held_out"]
        return summary["tuning"], artifact.path, errors
    data = load_data(h5_path)[0]
    parts = split_indices(len(data.X), options.split, options.dataloader.seed)
    found = search(data, parts, options, folder, resume=resume, progress=line, say=speak)
    return found, None, None


def _print_list(path: Path, json: bool) -> None:
    """The trials of an artifact, of the search for one that goes on, or in a folder."""
    from ..artifact.read import load_artifact
    from ..pipeline.search import ranking
    from ..pipeline.search_folder import TUNING, SearchFolder

    going_on = [
        folder
        for folder in (SearchFolder(path), SearchFolder(path.parent / TUNING / path.name))
        if folder.exists
    ]
    if going_on:
        trials = ranking(going_on[0].trials().values())
    else:
        summary = load_artifact(path).results.get("summary", {})
        if "tuning" not in summary:
            raise ConfigError(f"{path} was not searched for: it has no trials")
        trials = summary["tuning"]["trials"]
    if json:
        print_json({"trials": trials})
        return
    _print_trials(trials, len(trials))


def _print_trials(trials: list[dict[str, Any]], most: int) -> None:
    rows = [
        [
            str(trial["number"]),
            trial["family"],
            " ".join(f"{key}={_short(value)}" for key, value in trial["config"].items()),
            "" if trial["val_error"] is None else f"{100 * trial['val_error']:.2f}%",
            "" if trial["val_loss"] is None else f"{trial['val_loss']:.3g}",
            str(trial["epochs"]),
            trial["status"],
            f"{trial['seconds']:.1f}",
        ]
        for trial in trials[:most]
    ]
    columns = ["trial", "family", "options", "val error", "val loss", "epochs", "status", "seconds"]
    print_table(columns, rows, f"{len(trials)} trials" if len(trials) <= most else "")
    if len(trials) > most:
        say(f"({most} best of {len(trials)} trials)")
    for trial in trials[:most]:
        if trial["error"]:
            say(f"trial {trial['number']}: {trial['error']}")


def _as_options(found: dict[str, Any]) -> str:
    """What to give `reionemu train` for the best trial."""
    from ..pipeline.trials import tables_of

    return " ".join(
        f"--set {table}.{key}={_short(value)}"
        for table, values in tables_of(found["best"]).items()
        for key, value in values.items()
        if value is not None
    )


def _short(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
