"""Results as tables, between the marks of docs/inference-validation.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agreement import largest_differences
from ranks import INTERVALS, expected

Results = dict[str, Any]

MARKS = "<!-- measured -->", "<!-- end of measured -->"
MIN_P, MAX_MEAN, MAX_WIDTH, MAX_LIMIT = 0.01, 0.1, 0.05, 0.01


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    header = list(header)
    lines = [header, ["---"] * len(header), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def verdict(ok: bool) -> str:
    """A word for it."""
    return "ok" if ok else "BELOW"


def tables(results: Results) -> str:
    """All of them."""
    parts = {
        "Simulation-based calibration": calibration(results["calibration"]),
        "Unseen simulations": coverage(results["observed"]),
        "The Gaussian limit": limit(results["limit"]),
        "Samplers side by side": samplers(results["agreement"]),
    }
    head = f"{results['date']}, {results['suite']}."
    return "\n\n".join([head, *(f"### {title}\n\n{text}" for title, text in parts.items())])


def calibration(found: Results) -> str:
    """Uniformity of ranks, and what central intervals hold of the truths drawn."""
    rows = [
        [name, f"{p:.3f}", *_percents(found["coverage"][name]), verdict(p > MIN_P)]
        for name, p in found["p"].items()
    ]
    header = ["", "p of the ranks", *(f"in {key}" for key in INTERVALS), ""]
    return f"{table(header, rows)}\n\n{_expected(found['n'])} {_effort(found)}"


def coverage(found: dict[str, Results]) -> str:
    """What central intervals hold, with the emulator's covariance / without."""
    first = next(iter(found.values()))
    header = ["", *(f"{case}: {key}" for case in found for key in INTERVALS)]
    rows = []
    for name in first["with"]:
        cells = []
        for one in found.values():
            pairs = zip(_percents(one["with"][name]), _percents(one["without"][name]), strict=True)
            cells += [f"{with_} / {without}" for with_, without in pairs]
        rows.append([name, *cells])
    lines = [f"- {case}: {_effort(one)}" for case, one in found.items()]
    return "\n\n".join([table(header, rows), _expected(first["n"]), "\n".join(lines)])


def limit(found: Results) -> str:
    """Errors of means and widths against the exact posterior, in sigma."""
    rows = [
        [
            name,
            f"{one['mean']:+.4f}",
            f"{one['width']:+.4f}",
            f"{one['chance']:.4f}",
            verdict(max(abs(one["mean"]), abs(one["width"])) < MAX_LIMIT),
        ]
        for name, one in found.items()
        if name != "correlation"
    ]
    header = ["", "mean, off by [sigma]", "width, off by [sigma]", "of the mean, by chance", ""]
    off = found["correlation"]["largest"]
    return f"{table(header, rows)}\n\nCorrelations are off by {off:.1e} at most."


def samplers(found: Results) -> str:
    """Means +- widths by sampler, how far they are apart, and the evidence."""
    every = found["samplers"]
    apart = largest_differences(every)
    rows = [
        [
            name,
            *(f"{one['mean'][name]:.4f} +- {one['std'][name]:.4f}" for one in every.values()),
            f"{worst['mean']:.3f} sigma",
            f"{100 * worst['width']:.1f}%",
            verdict(worst["mean"] < MAX_MEAN and worst["width"] < MAX_WIDTH),
        ]
        for name, worst in apart.items()
    ]
    evidence = [
        f"{one['log_evidence']:.3f} +- {one['log_evidence_error']:.3f}"
        if "log_evidence" in one
        else ""
        for one in every.values()
    ]
    rows.append(["ln evidence", *evidence, "", "", ""])
    rows.append(["effective samples", *(f"{one['ess']:.0f}" for one in every.values()), "", "", ""])
    header = [found["sim"], *every, "means apart by", "widths apart by", ""]
    return table(header, rows)


def write(path: Path, results: Results) -> None:
    """Put the tables between the marks of a page."""
    page = path.read_text()
    begin, end = (re.escape(mark) for mark in MARKS)
    found = re.search(f"(?<={begin}).*?(?={end})", page, re.DOTALL)
    if not found:
        raise SystemExit(f"{path} has no place for the tables: {MARKS[0]} ... {MARKS[1]}")
    path.write_text(f"{page[: found.start()]}\n{tables(results)}\n{page[found.end() :]}")


def _percents(levels: dict[str, float]) -> list[str]:
    return [f"{100 * level:.0f}%" for level in levels.values()]


def _expected(n: int) -> str:
    wanted = [f"{100 * p:.0f} +- {100 * std:.1f}%" for p, std in expected(n).values()]
    return f"Of {n}, {' and '.join(wanted)} are expected."


def _effort(found: Results) -> str:
    least, median = found["ess"]
    text = f"Effective samples of a posterior: {median:.0f} in the median, {least:.0f} at least"
    if "kept" not in found:
        return f"{text}."
    return f"{text}; {100 * found['kept']:.0f}% of them or more are left by reweighting."
