"""reionemu spectra"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from .output import JsonOption, print_json, progress_line


def spectra(
    h5_path: Annotated[Path, typer.Argument(metavar="H5", help="Condensed file.")],
    nbins: Annotated[int, typer.Option(help="Number of ell bins.")] = 5,
    ell_cut: Annotated[float, typer.Option(help="Lowest multipole.")] = 1000.0,
    overwrite: Annotated[bool, typer.Option(help="Compute again what is there.")] = True,
    estimator: Annotated[
        str, typer.Option(help="flat-sky (as published) or bandpower (D_ell averaged in bins).")
    ] = "flat-sky",
    edges: Annotated[
        str | None,
        typer.Option(
            metavar="ELL,ELL,...", help="Edges of the bins, in place of --nbins and --ell-cut."
        ),
    ] = None,
    window: Annotated[str, typer.Option(help="hann, or none for a periodic map.")] = "hann",
    pixel_window: Annotated[
        bool, typer.Option("--pixel-window", help="Divide out the window of the pixels.")
    ] = False,
    noise_cl: Annotated[float, typer.Option(help="White noise C_ell to subtract [uK^2].")] = 0.0,
    json: JsonOption = False,
) -> None:
    """Compute the power spectrum of every map in a condensed file.

    --edges, --window, --pixel-window and --noise-cl are options of --estimator bandpower.
    """
    from ..simio import ClConfig, add_cl_to_condensed_h5

    config = ClConfig(
        nbins=nbins,
        ell_cut=ell_cut,
        overwrite=overwrite,
        estimator=estimator,
        edges=None if edges is None else parse_edges(edges),
        window=window,
        pixel_window=pixel_window,
        noise_cl=noise_cl,
    )
    with progress_line() as line:
        n = add_cl_to_condensed_h5(
            h5_path,
            config=config,
            progress_callback=lambda done, total: line("computing spectra", done, total),
            copy_callback=lambda done, total: line("copying the file", done, total),
        )
    if json:
        print_json({"path": h5_path, "updated": n})
    else:
        print(f"{h5_path}: {n} spectra computed")


def parse_edges(text: str) -> tuple[float, ...]:
    """(1000.0, 2000.0) from "1000,2000"."""
    try:
        return tuple(float(item) for item in text.split(","))
    except ValueError:
        raise ConfigError(
            f"--edges {text}: expected multipoles with commas between them, such as 1000,2000,3000"
        ) from None
