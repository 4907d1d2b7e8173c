"""reionemu run"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import JsonOption, print_errors, print_json, print_skipped, progress_line, say, short

if TYPE_CHECKING:
    from ..artifact.read import Artifact


def run(
    config: Annotated[Path, typer.Argument(help="TOML file; `reionemu example` makes one.")],
    fresh: Annotated[bool, typer.Option("--fresh", help="Do every stage again.")] = False,
    json: JsonOption = False,
) -> None:
    """Go from raw simulations to a saved emulator, resuming where an earlier run stopped."""
    from .. import pipeline

    options = pipeline.load_run_options(config)
    with progress_line() as line:

        def speak(text: str) -> None:
            line.close()
            say(text)

        try:
            result = pipeline.run(options, fresh=fresh, progress=line, say=speak)
        except KeyboardInterrupt:
            speak("interrupted; the same command goes on with the stage it was in")
            raise typer.Exit(130) from None
    print_skipped(result.skipped)
    artifact = result.artifact
    summary, metrics = artifact.results["summary"], artifact.results["metrics"]
    if json:
        print_json({"path": artifact.path, "summary": summary, "metrics": metrics})
        return
    print_errors(metrics["errors"], summary["held_out"])
    print(f"artifact: {short(artifact.path)}")
    say(f"now: {_suggestion(artifact)}")


def _suggestion(artifact: Artifact) -> str:
    """A command that predicts at the middle of the training box."""
    box = artifact.info["training_box"]
    names = artifact.info["dataset"]["param_names"]
    middle = {name.removesuffix("_zre"): sum(box[name]) / 2 for name in names}
    options = " ".join(f"--{name} {value:.2f}" for name, value in middle.items())
    return f"reionemu predict {short(artifact.path)} {options}"
