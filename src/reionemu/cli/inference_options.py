"""Options that commands about inference have in common, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ..errors import ConfigError

MeasurementOption = Annotated[
    str | None, typer.Option("--measurement", help="Published band powers, such as reichardt_2021.")
]
TauOption = Annotated[
    str | None,
    typer.Option("--tau", help="Constraint of the optical depth: planck2018, or MEAN,STD."),
]
LateTimeOption = Annotated[
    str | None,
    typer.Option(
        "--late-time",
        metavar="MEAN,STD",
        help="Prior of the late-time kSZ effect at ell = 3000 [uK^2], of data that include it.",
    ),
]
PriorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--prior",
        metavar="NAME=DIST(A,B)",
        help="Such as zmean=normal(8,0.5); uniform, loguniform, or one of scipy.stats. Without it "
        "flat over the training box. Repeatable.",
    ),
]


def parse_pair(option: str, text: str) -> tuple[float, float]:
    """A mean and a standard deviation, from "MEAN,STD"."""
    try:
        mean, std = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{option} {text}: expected MEAN,STD, such as 0.0544,0.0073") from None
    if not std > 0:
        raise ConfigError(f"{option} {text}: a standard deviation is above 0")
    return mean, std


def parse_priors(items: Sequence[str]) -> dict[str, str]:
    """Text of priors by parameter, from NAME=DIST(A,B) with long or short names."""
    from ..parameters import PARAMETER_NAMES

    full = {name.removesuffix("_zre"): name for name in PARAMETER_NAMES}
    priors: dict[str, str] = {}
    for item in items:
        name, _, text = (part.strip() for part in item.partition("="))
        if not name or not text:
            raise ConfigError(f"--prior {item}: expected NAME=DIST(A,B), as zmean=normal(8,0.5)")
        name = full.get(name, name)
        if name in priors:
            raise ConfigError(f"--prior {item}: there are two priors of {name}")
        priors[name] = text
    return priors
