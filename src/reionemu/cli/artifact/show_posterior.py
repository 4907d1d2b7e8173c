"""What `reionemu artifact show` says of a posterior."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .tables import cell

if TYPE_CHECKING:
    from ...artifact.sharing.contents import Documents

_NOT_RECORDED = "not recorded"


def lines(record: Documents) -> Iterator[tuple[str, str]]:
    """(label, text) of what it is made of, and of what came out."""
    from ...artifact.sharing.recorded import mapping

    chosen, summary = mapping(record.configs, "inference"), mapping(record.results, "summary")
    yield "emulator", _emulator(record, mapping(chosen, "emulator"))
    data = mapping(chosen, "data")
    yield "data", cell(data.get("name") or _NOT_RECORDED)
    if data.get("source"):
        yield "", str(data["source"])
    if priors := mapping(summary, "priors"):
        yield "priors", ", ".join(f"{name} {cell(text)}" for name, text in priors.items())
    for label, key in (("tau", "tau"), ("late time", "late_time")):
        if isinstance(chosen.get(key), list):
            yield label, " +- ".join(map(cell, chosen[key]))
    options = {k: v for k, v in mapping(chosen, "sampler").items() if v is not None}
    yield "sampler", ", ".join(f"{k}={cell(v)}" for k, v in options.items()) or _NOT_RECORDED
    if "criterion" in summary:
        yield "samples", cell(summary["criterion"])


def rows(record: Documents) -> list[list[str]]:
    """Name, median, 68% and 95% interval of each parameter."""
    from ...artifact.sharing.posterior_card import intervals_of

    table = []
    for name, values in intervals_of(record):
        median, *ends = (f"{value:.4g}" for value in values)
        table.append([name, median, " to ".join(ends[:2]), " to ".join(ends[2:])])
    return table


def _emulator(record: Documents, chosen: Mapping[str, Any]) -> str:
    from ...artifact.checking.inspection import steps_of

    steps = steps_of({"provenance": record.provenance}, "emulator")
    where = f" ({steps[0].get('path')})" if steps else ""
    return f"{cell(chosen.get('name') or _NOT_RECORDED)}{where}"
