"""How posteriors are printed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import print_table, say

if TYPE_CHECKING:
    from ..artifact.read import Artifact
    from ..inference.posterior import ParameterSummary, Posterior

_DIGITS = 4


def print_posterior(posterior: Posterior, truth: Mapping[str, float]) -> None:
    """A table of the parameters, how well the best of them fits, and whether to rely on it."""
    columns = ["parameter", "median", "68%", "95%", "prior"] + ["truth"] * bool(truth)
    rows = []
    for row in posterior.summary():
        prior = posterior.priors.get(row.name, "derived")
        known = [f"{truth[row.name]:.{_DIGITS}g}"] if row.name in truth else ["-"]
        rows.append([*_interval(row), prior, *(known if truth else [])])
    print_table(columns, rows, f"Posterior of {posterior.data.name}")
    for line in _verdict(posterior):
        print(line)
    say("(intervals are central: half of what is outside lies on either side)")


def _interval(row: ParameterSummary) -> list[str]:
    """Name, median and intervals, to two digits of the error."""
    places = _places((row.high68 - row.low68) / 2)
    median, *ends = (
        f"{value:.{places}f}"
        for value in (row.median, row.low68, row.high68, row.low95, row.high95)
    )
    return [row.name, median, " to ".join(ends[:2]), " to ".join(ends[2:])]


def _places(width: float) -> int:
    """Decimal places that show two digits of a width."""
    if not (math.isfinite(width) and width > 0):
        return _DIGITS
    return min(max(1 - math.floor(math.log10(width)), 0), 8)


def _verdict(posterior: Posterior) -> Iterator[str]:
    found, n = posterior.predictive, posterior.data.n
    points = "1 band power" if n == 1 else f"{n} band powers"
    yield (
        f"best fit: chi^2 {found.chi2:.2f} of {points}; "
        f"posterior-predictive p = {found.p_value:.2g}"
    )
    chains = posterior.chains
    diagnostics = chains.diagnostics
    if "log_evidence" in diagnostics:
        error = diagnostics.get("log_evidence_error", float("nan"))
        yield f"ln evidence {diagnostics['log_evidence']:.2f} +- {error:.2f}"
    state = "converged" if chains.is_converged else "NOT CONVERGED"
    worth = [value for value in diagnostics.get("ess", {}).values() if value is not None]
    effective = f", worth {min(worth):.0f} independent ones" if worth else ""
    yield f"{chains.sampler}, {state}: {chains.log_prob.size} samples{effective}"


def warnings_about(posterior: Posterior, record: Artifact) -> Iterator[str]:
    """What someone who uses these numbers has to know."""
    if posterior.predictive.p_value < 1e-3:
        yield (
            f"no parameters describe these data (p = {posterior.predictive.p_value:.1g}): the "
            "posterior says little, whatever its intervals"
        )
    edges = {row.name: row.at_edge for row in posterior.summary() if row.at_edge is not None}
    limited = [f"{name} ({edge} end)" for name, edge in edges.items() if edge != "both"]
    if limited:
        yield (
            f"the posterior runs into the prior of {', '.join(limited)}: what stands there is a "
            "limit, not an interval"
        )
    open_ = [name for name, edge in edges.items() if edge == "both"]
    if open_:
        yield (
            f"the data hardly constrain {', '.join(open_)}: the posterior reaches both ends of the "
            "prior, and the interval is the prior's"
        )
    if record.companions().suite is None and posterior.data.realization != "emulator":
        yield (
            "the emulator does not record what realizations its simulations have: how far its "
            "mean is from that of many is not in the errors"
        )


def as_document(
    posterior: Posterior, path: Path, truth: Mapping[str, float], files: list[Path]
) -> dict[str, Any]:
    """A posterior as JSON, without its samples."""
    chains, predictive = posterior.chains, posterior.predictive
    return {
        "path": path,
        "parameters": {
            row.name: {key: value for key, value in vars(row).items() if key != "name"}
            for row in posterior.summary()
        },
        "priors": dict(posterior.priors),
        "truth": dict(truth) or None,
        "chi2": predictive.chi2,
        "p_value": predictive.p_value,
        "n_band_powers": posterior.data.n,
        "sampler": chains.sampler,
        "is_converged": chains.is_converged,
        "criterion": chains.criterion,
        "diagnostics": chains.diagnostics,
        "files": files,
    }
