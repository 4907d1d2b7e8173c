"""reionemu artifact crate"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..output import print_json


def crate(path: Annotated[Path, typer.Argument(help="Folder of an artifact.")]) -> None:
    """Print RO-Crate metadata (JSON-LD), as `export` puts it in its file."""
    from ...artifact.read import load_artifact
    from ...artifact.sharing.crate import ro_crate

    print_json(ro_crate(load_artifact(path)))
