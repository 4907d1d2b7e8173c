"""reionemu tune"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from .choices import ModelOption, SeedOption, SetOption, SplitOption, training_options
from .output import JsonOption, print_errors, print_json, print_table, progress_line, say, short


def tune(
    training_h5: Annotated[Path, typer.Argument(metavar="H5", help="File with /training.")],
    num_samples: Annotated[int, typer.Option(help="Number of trials.")] = 40,
    concurrent: Annotated[int, typer.Option(help="Trials at the same time.")] = 4,
    epochs: Annotated[int, typer.Option(help="At most this many epochs a trial.")] = 200,
    storage: Annotated[Path | None, typer.Option(help="Where Ray keeps its files.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of artifacts.")] = None,
    name: Annotated[str | None, typer.Option(help="Train with the best and save this.")] = None,
    model: ModelOption = None,
    split: SplitOption = None,
    seed: SeedOption = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Search for a good architecture and optimizer (needs the extra `tune`)."""
    from ..data.splits import split_indices
    from ..pipeline.options import TuningOptions
    from ..pipeline.training import load_data, search, train_artifact

    if (out is None) != (name is None):
        raise ConfigError("--out and --name go together: where to save the best model, and as what")
    options = replace(
        training_options(model, split, seed, None, settings),
        tuning=TuningOptions(num_samples, concurrent, epochs, storage),
    )
    if out is not None and name is not None:
        with progress_line() as line:
            artifact = train_artifact(training_h5, name, out, options, progress=line)
        summary = artifact.results["summary"]
        found = summary["tuning"]
    else:
        data = load_data(training_h5)[0]
        parts = split_indices(len(data.X), options.split, options.dataloader.seed)
        artifact, found = None, search(data, parts, options)
    if json:
        print_json({**found, "path": artifact.path if artifact else None})
        return
    keys = list(found["best"]["config"])
    rows = [
        [
            f"{trial['val_loss']:.4g}",
            str(trial["epochs"]),
            *(_short(trial["config"][k]) for k in keys),
        ]
        for trial in found["trials"][:10]
    ]
    print_table(["val loss", "epochs", *(key.replace("_", " ") for key in keys)], rows)
    if artifact:
        print_errors(artifact.results["metrics"]["errors"], artifact.results["summary"]["held_out"])
        print(f"saved {short(artifact.path)}")
    else:
        best = found["best"]["config"]
        chosen = ("hidden_dim", "num_hidden_layers", "activation")
        settings = [f"--set model.{key}={best[key]}" for key in chosen]
        say(
            f"now: reionemu train {training_h5} --out artifacts --name best "
            f"{' '.join(settings)} --set optimizer.name={best['optimizer']} "
            f"--set optimizer.lr={best['lr']:.3g} "
            f"--set optimizer.weight_decay={best['weight_decay']:.3g} "
            f"--set dataloader.batch_size={best['batch_size']}"
        )


def _short(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
