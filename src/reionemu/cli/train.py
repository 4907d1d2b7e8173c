"""reionemu train"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .choices import EpochsOption, ModelOption, SeedOption, SetOption, SplitOption, training_options
from .output import JsonOption, print_errors, print_json, progress_line, say, short
from .predictions import realization_note


def train(
    training_h5: Annotated[Path, typer.Argument(metavar="H5", help="File with /training.")],
    out: Annotated[Path, typer.Option(help="Folder of artifacts.")],
    name: Annotated[str, typer.Option(help="Name of the artifact.")],
    model: ModelOption = None,
    split: SplitOption = None,
    seed: SeedOption = None,
    epochs: EpochsOption = None,
    settings: SetOption = None,
    description: Annotated[str | None, typer.Option(help="A line about this run.")] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the latest run of this name that was killed or failed."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Train an emulator and save it as an artifact, with its errors on unseen simulations.

    The run is recorded as it goes: `reionemu artifact list` shows it, and how far it is.
    """
    from ..artifact.runs import runs_of
    from ..pipeline import train_artifact

    options = training_options(model, split, seed, epochs, settings)
    with progress_line() as line:

        def speak(text: str) -> None:
            line.close()
            say(text)

        if resume and not runs_of(name, out) and not (out / name).exists():
            speak(f"there is no unfinished run of {name!r} to go on with: starting one")
        try:
            artifact = train_artifact(
                training_h5,
                name,
                out,
                options,
                description=description,
                progress=line,
                say=speak,
                resume=resume,
            )
        except KeyboardInterrupt:
            speak("interrupted; the same command with --resume goes on")
            raise typer.Exit(130) from None
    summary, metrics = artifact.results["summary"], artifact.results["metrics"]
    if json:
        print_json({"path": artifact.path, "summary": summary, "metrics": metrics})
        return
    print_errors(metrics["errors"], summary["held_out"])
    if note := realization_note(artifact.companions().suite):
        say(note)
    print(f"saved {short(artifact.path)}")
