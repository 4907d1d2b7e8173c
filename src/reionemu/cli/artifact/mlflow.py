"""reionemu artifact mlflow"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..output import JsonOption, print_json, say


def mlflow(
    path: Annotated[Path, typer.Argument(help="Folder of an artifact.")],
    tracking_uri: Annotated[
        str | None,
        typer.Option(help="Such as http://server:5000; by default what MLflow is set to."),
    ] = None,
    experiment: Annotated[str, typer.Option(help="Made if it is not there.")] = "reionemu",
    json: JsonOption = False,
) -> None:
    """Copy an artifact to MLflow: options, metrics, history and files."""
    from ...artifact.read import load_artifact
    from ...artifact.sharing.mlflow import log_to_mlflow

    run_id = log_to_mlflow(load_artifact(path), tracking_uri=tracking_uri, experiment=experiment)
    if json:
        print_json({"run_id": run_id, "experiment": experiment})
        return
    say(f"a new run in the experiment {experiment}:")
    print(run_id)
