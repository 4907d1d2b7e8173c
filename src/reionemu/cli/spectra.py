"""reionemu spectra"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import JsonOption, print_json, progress_line


def spectra(
    h5_path: Annotated[Path, typer.Argument(metavar="H5", help="Condensed file.")],
    nbins: Annotated[int, typer.Option(help="Number of ell bins.")] = 5,
    ell_cut: Annotated[float, typer.Option(help="Lowest multipole.")] = 1000.0,
    overwrite: Annotated[bool, typer.Option(help="Compute again what is there.")] = True,
    json: JsonOption = False,
) -> None:
    """Compute the power spectrum of every map in a condensed file."""
    from ..simio import ClConfig, add_cl_to_condensed_h5

    with progress_line() as line:
        n = add_cl_to_condensed_h5(
            h5_path,
            config=ClConfig(nbins=nbins, ell_cut=ell_cut, overwrite=overwrite),
            progress_callback=lambda done, total: line("computing spectra", done, total),
            copy_callback=lambda done, total: line("copying the file", done, total),
        )
    if json:
        print_json({"path": h5_path, "updated": n})
    else:
        print(f"{h5_path}: {n} spectra computed")
