"""What a model card says of the errors of an emulator, and of its error bar."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .contents import Documents
from .markdown import code, short, table
from .recorded import held_out_errors, is_surrogate, mapping

_TELLING = 0.2
"""The widest interval of the 68% that shows an error bar to be right (to about a fifth)."""


def columns_of(errors: Mapping[str, Any]) -> dict[str, str]:
    """Titles of the columns of a table of errors by bin, those that there are, by their keys."""
    columns = {"mean": "mean", "median": "median", "p95": "95%", "max": "worst"}
    if "coverage_1sigma" in errors:
        columns |= {"mean_relative_std": "error bar", "mean_relative_scatter": "scatter"}
        columns |= {f"coverage_{n}sigma": f"in {n} sigma" for n in (1, 2, 3)}
    return {key: title for key, title in columns.items() if key in errors}


def accuracy(record: Documents) -> Iterator[str]:
    """Paragraphs on the held-out errors, as far as they are recorded."""
    errors = held_out_errors(record)
    if not errors:
        yield "Errors on simulations that the network has not seen: not recorded."
        return
    held_out, n = mapping(record.results, "summary").get("held_out"), errors["n"]
    yield (
        f"Relative error of the spectrum, |predicted / simulated - 1|, over {n} simulations that "
        f"were not trained on ({code(held_out) if held_out else 'which part is not recorded'}):"
    )
    columns = columns_of(errors)
    rows = [
        [f"{ell:.0f}", *(_percent(errors[key][i], key) for key in columns)]
        for i, ell in enumerate(errors["ell"])
    ]
    yield table(["ell", *columns.values()], rows)
    yield from _in_all(errors)
    yield from _caveats(errors, str(held_out), is_surrogate(record))


def _in_all(errors: Mapping[str, Any]) -> Iterator[str]:
    """Errors over all bins, and of the history."""
    lines = []
    history = errors.get("history", {})
    if "p95_relative_error" in errors:
        worst = f"worst simulation {_percent(errors['worst_relative_error'])}"
        lines.append(
            f"- spectrum, all bins: {_three(errors, worst)}{_chi2(errors, 'reduced_chi2')}"
        )
    if tau := history.get("tau"):
        worst = f"worst {_percent(tau['worst_relative_error'])}"
        lines.append(f"- optical depth: {_three(tau, worst)}{_chi2(tau)}")
    if x_hi := history.get("x_hi"):
        values = (f"{x_hi[f'{key}_error']:.4f}" for key in ("mean", "p99", "worst"))
        lines.append("- x_HI: mean {}, 99% below {}, worst {}".format(*values) + _chi2(x_hi))
    if lines:
        yield "\n".join(lines)


def _three(errors: Mapping[str, float], worst: str) -> str:
    mean, most = errors["mean_relative_error"], errors["p95_relative_error"]
    return f"mean {_percent(mean)}, 95% below {_percent(most)}, {worst}"


def _chi2(errors: Mapping[str, Any], key: str = "chi2") -> str:
    if key not in errors:
        return ""
    inside = ", ".join(f"{100 * value:.1f}%" for value in errors["coverage"])
    return f"; reduced chi^2 {errors[key]:.2f}, {inside} within 1, 2 and 3 sigma"


def _caveats(errors: Mapping[str, Any], held_out: str, is_surrogate: bool) -> Iterator[str]:
    """What makes the errors look better, or less certain, than they are."""
    n = errors["n"]
    if held_out == "val" and is_surrogate:
        yield "**These simulations also calibrated the error bars**, which suit them therefore."
    elif held_out == "val":
        yield (
            "**These simulations also chose the weights** (those of the epoch with the lowest "
            "error on them were kept), so the errors are smaller than on new simulations."
        )
    if n < 30:
        yield f"{n} simulations are few: the tails of the errors are known only roughly."
    if "coverage_1sigma" not in errors:
        return
    coverage = [sum(errors[f"coverage_{k}sigma"]) / len(errors["ell"]) for k in (1, 2)]
    inside = [
        f"{100 * found:.0f}% (95% interval {100 * low:.0f}% to {100 * high:.0f}%)"
        for found in coverage
        for low, high in [_interval(found, n)]
    ]
    yield (
        f"**The error bar {_verdict(coverage, n)}**: of {n} simulations {inside[0]} lie within one "
        f"and {inside[1]} within two of them, where 68% and 95% would be right."
    )
    if part := errors.get("suspect"):
        yield (
            f"Where {code(part['parameter'])} is {short(part['low'])} to {short(part['high'])} "
            f"it is too {'narrow' if part['too_narrow'] else 'wide'}, more than chance explains."
        )


def _verdict(coverage: Sequence[float], n: int) -> str:
    """Whether an error bar is honest, as far as n simulations can tell."""
    intervals = [_interval(found, n) for found in coverage]
    expected = (0.683, 0.954)
    if any(high < right for (_, high), right in zip(intervals, expected, strict=True)):
        return "is too narrow"
    if any(low > right for (low, _), right in zip(intervals, expected, strict=True)):
        return "is too wide"
    low, high = intervals[0]
    return "is right" if high - low <= _TELLING else "cannot be told from a right one"


def _interval(found: float, n: int) -> tuple[float, float]:
    """The 95% interval of a probability of which a fraction was found in n trials (Wilson 1927).

    Values in different bins of one simulation are not independent, so that n counts simulations.
    """
    z, found = 1.96, min(max(found, 0.0), 1.0)
    middle = (found + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(found * (1 - found) / n + z**2 / (4 * n**2))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _percent(value: float, key: str = "") -> str:
    return f"{100 * value:.{0 if key.startswith('coverage') else 2}f}%"
