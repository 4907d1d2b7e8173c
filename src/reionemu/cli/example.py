"""reionemu example"""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from ..errors import AlreadyExistsError
from .output import say


def example(
    folder: Annotated[Path, typer.Argument(help="A folder to make.")] = Path("reionemu-example"),
) -> None:
    """Copy a small suite of real-layout simulations, and the TOML file of a run on them."""
    if folder.exists():
        raise AlreadyExistsError(f"{folder} exists; name a folder that does not")
    with resources.as_file(resources.files("reionemu") / "example_suite") as source:
        partial = folder.with_name(f".{folder.name}.tmp")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
        partial.rename(folder)
    say(f"copied to {folder}; now: reionemu run {folder / 'run.toml'}")
