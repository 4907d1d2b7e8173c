"""What a posterior says about each parameter, in the notation of papers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..config import require_finite

if TYPE_CHECKING:
    from .posterior import ParameterSummary, Posterior

LABELS: dict[str, str] = {
    "zmean_zre": r"\bar{z}",
    "alpha_zre": r"\alpha",
    "kb_zre": r"k_\mathrm{b}",
    "b0_zre": r"b_0",
    "late_time_dl3000": r"D_{3000}^\mathrm{late}",
    "tau": r"\tau",
    "z50": r"z_{50}",
    "duration": r"\Delta z",
}
"""Symbols, in the notation of LaTeX's mathematics; after Battaglia et al. 2013 (ApJ 776, 81)."""

UNITS: dict[str, str] = {
    "kb_zre": r"h\,\mathrm{Mpc}^{-1}",
    "late_time_dl3000": r"\mu\mathrm{K}^2",
}
"""Units of those that have one."""

_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    character: rf"\{character}" for character in "&%$#_{}"
}

_PRIOR_SYMBOLS = {
    "uniform": r"\mathcal{U}",
    "normal": r"\mathcal{N}",
    "loguniform": r"\log\mathcal{U}",
}


def label(name: str, *, unit: bool = False) -> str:
    """The symbol of a parameter, without dollar signs; one that is not known is spelt upright."""
    symbol = LABELS.get(name) or rf"\mathrm{{{_spelt(name)}}}"
    return rf"{symbol}\ [{UNITS[name]}]" if unit and name in UNITS else symbol


def _spelt(name: str) -> str:
    """A name in letters, digits and underscores, which LaTeX and Matplotlib both can set."""
    return re.sub(r"[^A-Za-z0-9.]", r"\\_", name)


def escape(text: str) -> str:
    """Text as LaTeX must be given it."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def latex_table(posterior: Posterior, *, level: float = 0.68) -> str:
    r"""A table of the parameters, for ``\input`` in a paper that uses the package booktabs.

    Parameters
    ----------
    posterior : Posterior
    level : float
        Probability of the interval around the median that the third column gives.

    Returns
    -------
    str
        Columns: parameter, prior, median with the distances to the ends of the central interval,
        and the central interval of 95%. Numbers have two digits of the smaller of their errors. A
        parameter whose posterior runs into an edge of its prior has a limit in place of an
        interval, or is called unconstrained if it runs into both; derived parameters come last.

    Raises
    ------
    ConfigError
        If the level is not between 0 and 1.
    """
    require_finite("latex_table", "level", level, minimum=0, below=1, exclusive=True)
    summaries = {summary.name: summary for summary in posterior.summary()}
    blocks = [posterior.names, [n for n in posterior.all_names if n not in posterior.names]]
    body = "\\midrule\n".join(
        "".join(_row(posterior, summaries[name], level) for name in names)
        for names in blocks
        if names
    )
    return (
        "\\begin{tabular}{lccc}\n\\toprule\n"
        f"Parameter & Prior & {100 * level:g}\\% & 95\\% \\\\\n\\midrule\n"
        f"{body}\\bottomrule\n\\end{{tabular}}\n"
    )


def _row(posterior: Posterior, summary: ParameterSummary, level: float) -> str:
    name = summary.name
    prior = prior_symbol(posterior.priors[name]) if name in posterior.priors else "derived"
    wide = constraint(posterior, summary, 0.95)
    if summary.at_edge is None:
        places = decimals(summary.median - summary.low68, summary.high68 - summary.median)
        wide = f"[{fixed(summary.low95, places)},\\ {fixed(summary.high95, places)}]"
    cells = (f"${label(name, unit=True)}$", prior, f"${constraint(posterior, summary, level)}$")
    return " & ".join((*cells, f"${wide}$")) + " \\\\\n"


def constraint(posterior: Posterior, summary: ParameterSummary, level: float) -> str:
    """What is known of a parameter, such as ``7.85^{+0.12}_{-0.11}``, without dollar signs.

    Where the posterior runs into the lower (upper) edge of the prior, the upper (lower) limit that
    holds with probability `level`, given that prior.
    """
    if summary.at_edge == "both":
        return r"\mathrm{unconstrained}"
    if summary.at_edge is not None:
        probability = level if summary.at_edge == "low" else 1 - level
        (value,) = quantiles(posterior, summary.name, [probability])
        sign = "<" if summary.at_edge == "low" else ">"
        return f"{sign} {fixed(value, decimals(summary.std))}"
    tail = (1 - level) / 2
    low, median, high = quantiles(posterior, summary.name, [tail, 0.5, 1 - tail])
    places = decimals(median - low, high - median)
    below, above = fixed(median - low, places), fixed(high - median, places)
    errors = rf" \pm {above}" if above == below else rf"^{{+{above}}}_{{-{below}}}"
    return fixed(median, places) + errors


def prior_symbol(text: str) -> str:
    """A prior, such as "uniform(7, 9)", as LaTeX writes it."""
    match = re.fullmatch(r"(\w+)\((.*)\)", text)
    if match and match[1] in _PRIOR_SYMBOLS:
        return f"${_PRIOR_SYMBOLS[match[1]]}({match[2]})$"
    return escape(text)


def decimals(*errors: float) -> int:
    """How many decimals show two digits of the smaller error, but no more than three of the larger.

    Negative where digits before the point are not significant.
    """
    digits = [1 - _exponent(error) for error in errors if error > 0] or [2]
    return min(max(digits), min(digits) + 1)


def _exponent(error: float) -> int:
    return math.floor(math.log10(float(f"{error:.1e}")))  # 0.0996 is 0.10 by then


def fixed(value: float, places: int) -> str:
    """A number rounded to `places` decimals, never as -0."""
    return f"{round(float(value), places) + 0.0:.{max(places, 0)}f}"


def quantiles(posterior: Posterior, name: str, probabilities: Sequence[float]) -> np.ndarray:
    """Quantiles of a sampled or derived parameter, by its weights."""
    values, weights = posterior.column(name).ravel(), posterior.weights_flat
    order = np.argsort(values)
    order = order[weights[order] > 0]
    cumulative = np.cumsum(weights[order])
    middle = (cumulative - 0.5 * weights[order]) / cumulative[-1]
    return np.interp(probabilities, middle, values[order])
