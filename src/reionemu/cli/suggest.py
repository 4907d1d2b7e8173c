"""reionemu suggest"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import AlreadyExistsError
from .output import JsonOption, print_json, short


def suggest(
    artifact: Annotated[Path, typer.Argument(help="Folder of a trained Gaussian process.")],
    n: Annotated[int, typer.Option("-n", "--points", help="Number of new points.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The text file to write.")],
    seed: Annotated[int, typer.Option(help="Of the points among which to choose.")] = 0,
    augment: Annotated[
        Path | None,
        typer.Option(
            metavar="DESIGN",
            help="Keep the points of this file, which will all be trained on next time, and add "
            "-n new ones.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Choose the next points to simulate, where they most lower an emulator's error."""
    from ..artifact import load_artifact
    from ..design import read_design, write_design
    from ..pipeline.suggestion import expected_error
    from ..pipeline.suggestion import suggest as choose

    if out.exists() and not overwrite:
        raise AlreadyExistsError(
            f"{out} is there already; give another name (--out), or replace it (--overwrite)"
        )
    emulator = load_artifact(artifact).emulator()
    old = read_design(augment, emulator.parameter_names) if augment else None
    design = choose(emulator, n, seed, design=old)
    errors = {"now": expected_error(emulator)}
    if old is not None:
        errors["with_design"] = expected_error(emulator, old)
    errors["then"] = expected_error(emulator, design)
    write_design(out, design, overwrite=overwrite)
    if json:
        print_json(
            {
                "path": out.resolve(),
                "points": len(design),
                "new": n,
                "mean_error_bar": errors,
                "steps": [step._asdict() for step in design.steps],
            }
        )
        return
    kept = f" after the {len(old)} of {short(augment)}" if old is not None and augment else ""
    trained = (
        f", {100 * errors['with_design']:.3g}% trained on all of these" if old is not None else ""
    )
    print(
        f"{short(out)}: {n} points{kept}; mean error bar over the box {100 * errors['now']:.3g}% "
        f"now{trained}, {100 * errors['then']:.3g}% expected with the new ones"
    )
