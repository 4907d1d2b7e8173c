"""reionemu condense"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .output import JsonOption, print_json, print_skipped, progress_line, say


def condense(
    sim_root: Annotated[Path, typer.Argument(help="Folder with one folder a simulation.")],
    out: Annotated[Path, typer.Argument(help="The HDF5 file to write.")],
    prefix: Annotated[str, typer.Option(help="What names of simulations begin with.")] = "sim",
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = True,
    require_obs_and_pk: Annotated[
        bool, typer.Option(help="Leave out a simulation that lacks one of its two files.")
    ] = True,
    json: JsonOption = False,
) -> None:
    """Collect raw simulations in one HDF5 file."""
    from ..simio import CondenseConfig, condense_sim_root

    with progress_line() as line:
        stats = condense_sim_root(
            sim_root,
            out,
            config=CondenseConfig(overwrite=overwrite, require_obs_and_pk=require_obs_and_pk),
            sim_prefix=prefix,
            progress_callback=lambda done, total: line("condensing", done, total),
        )
    print_skipped(stats.skipped)
    if json:
        print_json({"path": out, **asdict(stats)})
    else:
        print(f"{out}: {stats.written} simulations, {stats.skipped_total} left out")
    if stats.written == 0:
        say("error: no simulation was usable")
        raise typer.Exit(1)
