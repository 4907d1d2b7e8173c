"""reionemu artifact card"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def card(path: Annotated[Path, typer.Argument(help="Folder of an artifact.")]) -> None:
    """Print a model card: what it predicts, how well, and what it must not be used for."""
    from ...artifact.read import load_artifact
    from ...artifact.sharing.card import model_card

    print(model_card(load_artifact(path)), end="")
