"""reionemu crossval"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from .choices import EpochsOption, ModelOption, SeedOption, SetOption, training_options
from .output import JsonOption, print_json, print_table, progress_line


def crossval(
    training_h5: Annotated[Path, typer.Argument(metavar="H5", help="File with /training.")],
    k: Annotated[int | None, typer.Option("--folds", "-k", help="Number of folds; 5.")] = None,
    model: ModelOption = None,
    seed: SeedOption = None,
    epochs: EpochsOption = None,
    settings: SetOption = None,
    workers: Annotated[
        int | None, typer.Option(help="Folds of a network at a time; as many as there are cores.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Cross-validate a model: train on all folds but one, measure on that one."""
    from ..pipeline.crossval import cross_validate
    from ..pipeline.loading import load_data
    from ..training.kfold_cv import KFoldConfig

    options = training_options(model, None, seed, epochs, settings)
    folds = options.kfold or KFoldConfig()
    folds = replace(folds, k=folds.k if k is None else k)
    options = replace(options, kfold=replace(folds, seed=folds.seed if seed is None else seed))
    with progress_line() as line:
        data = load_data(training_h5)[0]
        result = cross_validate(training_h5, data, options, line, workers=workers)
    if json:
        print_json(result)
        return
    rows = [
        [
            str(i + 1),
            str(errors["n"]),
            f"{loss:.4g}",
            f"{100 * errors['mean_relative_error']:.2f}%",
            f"{100 * errors['worst_relative_error']:.2f}%",
        ]
        for i, (loss, errors) in enumerate(
            zip(result["fold_best_val"], result["errors"], strict=True)
        )
    ]
    print_table(["fold", "simulations", "best loss", "mean error", "worst simulation"], rows)
    print(f"best loss {result['mean_best_val']:.4g} +- {result['std_best_val']:.2g} over the folds")
