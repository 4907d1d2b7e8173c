"""reionemu learning-curve"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from .choices import EpochsOption, ModelOption, SeedOption, SetOption, SplitOption, training_options
from .output import JsonOption, print_json, print_table, progress_line

if TYPE_CHECKING:
    from ..pipeline.learning import Estimate, LearningCurve
    from ..pipeline.options import TrainingOptions

FACTORS = (2, 5)
"""By how many times as many simulations the curve is extended."""


def learning_curve(
    training_h5: Annotated[Path, typer.Argument(metavar="H5", help="File with /training.")],
    sizes: Annotated[
        str | None,
        typer.Option(
            help="How many simulations to train on, such as 50,100,200,400; four or more."
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option(help="How many times, with simulations in another order.")
    ] = 3,
    target: Annotated[
        str | None, typer.Option(help="How many would have this error, such as 0.5%?")
    ] = None,
    model: ModelOption = None,
    split: SplitOption = None,
    seed: SeedOption = None,
    epochs: EpochsOption = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Tell how the error falls with the number of simulations, and how many are needed."""
    from ..pipeline.learning import learning_curve as measure

    wanted = None if target is None else _fraction(target)
    options = training_options(model, split, seed, epochs, settings)
    with progress_line() as line:
        curve = measure(training_h5, options, _numbers(sizes), repeats, progress=line)
    if json:
        print_json(_document(curve, wanted))
        return
    _print_errors(curve)
    _print_law(curve)
    if wanted is not None:
        print(_answer(curve, wanted, options))


def _print_errors(curve: LearningCurve) -> None:
    bars = ["-"] * len(curve.sizes)
    if curve.bars is not None:
        bars = [_percent(bar) for bar in curve.bars.mean(axis=0)]
    rows = [
        [str(n), _percent(error), _percent(scatter), _percent(float(curve.law(n))), bar]
        for n, error, scatter, bar in zip(curve.sizes, curve.mean, curve.scatter, bars, strict=True)
    ]
    print_table(
        ["simulations", "mean error", "+-", "law", "error bar"],
        rows,
        f"Error of the spectrum ({curve.held_out}), mean and scatter of {len(curve.errors)} runs",
    )


def _print_law(curve: LearningCurve) -> None:
    floor, exponent = curve.floor, curve.exponent
    print(
        f"error(n) = floor + a n^-s: floor {_interval(floor)}, "
        f"s = {exponent.value:.2f} ({exponent.low:.2f} to {exponent.high:.2f})"
    )
    largest = int(curve.sizes[-1])
    for factor in FACTORS:
        expected = _interval(curve.expected(factor * largest))
        print(f"expected with {factor * largest} to train on: {expected}")


def _answer(curve: LearningCurve, target: float, options: TrainingOptions) -> str:
    needed = curve.needed(target)
    if math.isinf(needed.value):
        least = f"; {needed.low:,.0f} or more if it is lower" if math.isfinite(needed.low) else ""
        return (
            f"{_percent(target)} is out of reach: the floor is {_interval(curve.floor)}{least}. A "
            "preset of less noise, or the mean of several realizations, lowers it"
        )
    share = options.split["train"]
    high = "no number" if math.isinf(needed.high) else f"{needed.high:,.0f}"
    return (
        f"{_percent(target)} takes {needed.value:,.0f} simulations to train on ({needed.low:,.0f} "
        f"to {high}), {needed.value / share:,.0f} in all with this split"
    )


def _document(curve: LearningCurve, target: float | None) -> dict[str, Any]:
    largest = int(curve.sizes[-1])
    document = {
        "held_out": curve.held_out,
        "sizes": curve.sizes.tolist(),
        "mean_relative_error": curve.errors.tolist(),
        "mean_relative_std": None if curve.bars is None else curve.bars.tolist(),
        "law": vars(curve.law),
        "floor": _finite(curve.floor),
        "exponent": _finite(curve.exponent),
        "expected": {
            str(factor * largest): _finite(curve.expected(factor * largest)) for factor in FACTORS
        },
    }
    if target is not None:
        document |= {"target": target, "needed": _finite(curve.needed(target))}
    return document


def _finite(estimate: Estimate) -> dict[str, float | None]:
    """As JSON has it: null for infinity."""
    return {
        name: value if math.isfinite(value) else None for name, value in estimate._asdict().items()
    }


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.3g}%"


def _interval(estimate: Estimate) -> str:
    return f"{_percent(estimate.value)} ({_percent(estimate.low)} to {_percent(estimate.high)})"


def _numbers(text: str | None) -> list[int] | None:
    try:
        return [int(part) for part in text.split(",")] if text is not None else None
    except ValueError:
        raise ConfigError(f"--sizes {text}: expected whole numbers, such as 50,100,200") from None


def _fraction(text: str) -> float:
    """0.005 from "0.5%"."""
    number, percent, rest = text.strip().partition("%")
    try:
        value = float(number) / 100
    except ValueError:
        value = math.nan
    if not percent or rest or not 0 < value < 1:
        raise ConfigError(f"--target {text}: expected an error in per cent, such as 0.5%")
    return value
