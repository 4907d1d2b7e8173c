"""Options that commands about inference have in common, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ..errors import ConfigError

MeasurementOption = Annotated[
    str | None,
    typer.Option(
        "--measurement",
        metavar="NAME",
        help="Published band powers: reichardt_2021, gorce_2022, gorce_2022_patchy, spt3g_2026.",
    ),
]
TauOption = Annotated[
    str | None,
    typer.Option(
        "--tau",
        metavar="NAME|MEAN,STD",
        help="Constraint on the optical depth: planck2018, or numbers such as 0.054,0.007.",
    ),
]
LateTimeOption = Annotated[
    str | None,
    typer.Option(
        "--late-time",
        metavar="MEAN,STD",
        help="Prior of the late-time D_3000 [uK^2], of data that include it.  [default: 2.4,0.7]",
    ),
]
PriorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--prior",
        metavar="NAME=DIST(A,B)",
        help="Such as zmean=normal(8,0.5); uniform, loguniform, or one of scipy.stats. "
        "Repeatable.  [default: flat over the training box]",
    ),
]


def parse_tau(text: str | None) -> str | tuple[float, float] | None:
    """A constraint by its name, or a mean and a standard deviation."""
    if text is None or not (text[:1].isdecimal() or "," in text):
        return text
    return parse_pair("--tau", text)


def parse_pair(option: str, text: str) -> tuple[float, float]:
    """A mean and a standard deviation, from "MEAN,STD"."""
    try:
        mean, std = (float(part) for part in text.split(","))
    except ValueError:
        known = {"--tau": "0.0544,0.0073", "--late-time": "2.4,0.7"}[option]
        raise ConfigError(f"{option} {text}: expected MEAN,STD, such as {known}") from None
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
