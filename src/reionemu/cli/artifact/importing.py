"""reionemu artifact import"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..output import JsonOption, print_json, short


def import_(
    file: Annotated[Path, typer.Argument(help="A zip file written by `artifact export`.")],
    root: Annotated[Path, typer.Argument(help="Folder of artifacts.")] = Path("artifacts"),
    name: Annotated[
        str | None, typer.Option(help="For the artifact; by default the one it was saved under.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Unpack an exported artifact, after checking every byte of it.

    The file may come from anyone: nothing in it is executed, and nothing is replaced.
    """
    from ...artifact.sharing.bundle import import_artifact

    artifact = import_artifact(file, root, name=name)
    if json:
        print_json({"path": artifact.path, "name": artifact.name, "status": artifact.status})
    else:
        print(short(artifact.path))
