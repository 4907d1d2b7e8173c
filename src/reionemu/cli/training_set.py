"""reionemu training-set"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import JsonOption, print_json, print_skipped, progress_line, say


def training_set(
    h5_path: Annotated[Path, typer.Argument(metavar="H5", help="Condensed file with spectra.")],
    y_source: Annotated[str, typer.Option(help="dl_ksz or cl_ksz.")] = "dl_ksz",
    y_transform: Annotated[str, typer.Option(help="ln, log10 or none.")] = "ln",
    eps: Annotated[float, typer.Option(help="Added before the logarithm [uK^2].")] = 1e-30,
    realizations: Annotated[
        str, typer.Option(help="separate rows, or the mean of simulations with equal parameters.")
    ] = "separate",
    overwrite: Annotated[bool, typer.Option(help="Replace arrays that are there.")] = True,
    json: JsonOption = False,
) -> None:
    """Collect the arrays to train on, and store them in the same file."""
    from ..simio import BuildXYConfig
    from ..simio.build_xy import counts, write_training_set

    config = BuildXYConfig(
        y_source=y_source, y_transform=y_transform, eps=eps, realizations=realizations
    )
    with progress_line() as progress:
        stats = write_training_set(
            h5_path,
            config,
            overwrite=overwrite,
            copy_callback=lambda done, total: progress("copying the file", done, total),
        )
    print_skipped(stats.skipped)
    if stats.skipped_inconsistent_ell > stats.processed:
        say(
            "warning: most simulations have other ell bins than the first one used, which is "
            "likely the odd one; leave it out of the suite"
        )
    for line in stats.missing:
        say(f"note: {line}")
    averaged = stats.realizations_averaged
    if averaged and max(averaged) == 1:
        say("note: nothing was averaged: no two simulations have the same parameters")
    if json:
        means = {"realizations_averaged": averaged} if averaged else {}
        print_json({"path": h5_path, **counts(stats), **means})
    else:
        rows = f" in {len(averaged)} rows" if averaged else ""
        print(f"{h5_path}: {stats.processed} simulations{rows}, {stats.skipped_total} left out")
