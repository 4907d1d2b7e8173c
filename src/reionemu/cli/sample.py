"""reionemu sample"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..config import require_choice
from ..errors import AlreadyExistsError, ConfigError
from .output import JsonOption, print_json, say, short

if TYPE_CHECKING:
    from ..design import Design


def sample(
    n: Annotated[
        int,
        typer.Option(
            "-n", "--points", help="Number of points; of levels a parameter, with --method oat."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The text file to write.")],
    method: Annotated[
        str | None,
        typer.Option(
            help="lhs (optimized Latin hypercube, the default), sobol (scrambled; best with a "
            "power of 2), or oat (the centre, and each parameter alone at evenly spaced levels)."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random numbers; oat has none.")] = 0,
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            metavar="NAME=LOW:HIGH",
            help="Bounds of a parameter, such as zmean_zre=6:10; by default those of the "
            "published suite. Repeatable.",
        ),
    ] = None,
    augment: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep the points of this file and add -n new ones where it left room.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Choose the points of parameter space to simulate."""
    from ..design import METHODS, PUBLISHED_SPACE, write_design

    if out.exists() and not overwrite:
        raise AlreadyExistsError(
            f"{out} is there already; give another name (--out), or replace it (--overwrite)"
        )
    if augment:
        if method is not None:
            raise ConfigError("--augment fills strata that are empty: leave out --method")
        design = _augmented(augment, n, seed, ranges or [])
    else:
        method = method or "lhs"
        require_choice("sample", "method", method, METHODS)
        design = METHODS[method](PUBLISHED_SPACE.with_ranges(ranges or []), n, seed)
    write_design(out, design, overwrite=overwrite)
    summary = _summary(design)
    if json:
        print_json({"path": out.resolve(), **summary})
        return
    gap = summary["largest_gap"]
    print(
        f"{short(out)}: {len(design)} points ({design.method}), "
        f"discrepancy {summary['discrepancy']:.3g}, largest gap {100 * gap['fraction']:.2g}% of "
        f"the range of {gap['parameter']}"
    )


def _augmented(path: Path, n: int, seed: int, ranges: list[str]) -> Design:
    """The design in a file with new points; bounds are its own unless others are given."""
    from ..design import PUBLISHED_SPACE, augment_design, read_design

    old = read_design(path)
    if old.space is None:
        say(f"{path} does not say its bounds; those not given by --range are the published ones")
    return augment_design(old, n, seed, (old.space or PUBLISHED_SPACE).with_ranges(ranges))


def _summary(design: Design) -> dict[str, Any]:
    space = design.require_space()
    parameter, fraction = design.largest_gap()
    return {
        "points": len(design),
        "steps": [step._asdict() for step in design.steps],
        "ranges": space.box.to_mapping(),
        "units": dict(zip(space.names, space.units, strict=True)),
        "discrepancy": design.discrepancy(),
        "largest_gap": {"parameter": parameter, "fraction": fraction},
    }
