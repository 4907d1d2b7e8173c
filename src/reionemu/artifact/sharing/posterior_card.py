"""The card of a posterior: of what data, by which emulator, what came out, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .contents import Documents
from .markdown import code, literal, short, table, text
from .recorded import mapping, number, numbers

_NOT_RECORDED = "not recorded"
_INTERVAL = ("median", "low68", "high68", "low95", "high95")
_MOST = 100  # parameters


def _results(record: Documents) -> Iterator[str]:
    summary = mapping(record.results, "summary")
    found, priors = mapping(summary, "parameters"), mapping(summary, "priors")
    rows = []
    for name, values in intervals_of(record):
        middle, *ends = map(short, values)
        intervals = [f"{low} to {high}" for low, high in (ends[:2], ends[2:])]
        prior = priors.get(name)
        rows.append([code(name), middle, *intervals, code(prior) if prior else "derived"])
    if not rows:
        yield f"Intervals: {_NOT_RECORDED}."
        return
    yield table(["parameter", "median", "68%", "95%", "prior"], rows)
    edges = [name for name in found if mapping(found, name).get("at_edge")]
    if edges:
        yield (
            f"The posterior of {', '.join(map(code, edges[:_MOST]))} runs into the edge of the "
            "prior, or of where the emulator was trained: the interval there says where that is."
        )


def intervals_of(record: Documents) -> Iterator[tuple[str, list[float]]]:
    """(name, [median, ends of 68% and 95%]) of each parameter, in the order of the record."""
    summary = mapping(record.results, "summary")
    found, names = mapping(summary, "parameters"), summary.get("names")
    order = names if isinstance(names, list) else []
    known = [name for name in order if isinstance(name, str) and name in found]
    for name in list(dict.fromkeys([*known, *found]))[:_MOST]:
        if values := numbers([mapping(found, name).get(key) for key in _INTERVAL]):
            yield name, values


def _reliability(record: Documents) -> Iterator[str]:
    summary, metrics = mapping(record.results, "summary"), mapping(record.results, "metrics")
    criterion = summary.get("criterion")
    if isinstance(criterion, str):
        yield f"The samples are {text(criterion)}."
    else:
        yield f"Convergence: {_NOT_RECORDED}."
    chi2, p = number(metrics.get("chi2")), number(metrics.get("p_value"))
    n = metrics.get("n_band_powers")
    if chi2 is not None and isinstance(n, int):
        tail = f"; posterior-predictive p = {short(p)}" if p is not None else ""
        yield f"Goodness of fit: chi^2 = {short(chi2)} of {n} band powers{tail}."
    evidence = numbers([metrics.get("log_evidence"), metrics.get("log_evidence_error")])
    if evidence:
        yield f"ln evidence = {evidence[0]:.2f} +- {evidence[1]:.2f}."


def _inputs(record: Documents) -> Iterator[str]:
    chosen = mapping(record.configs, "inference")
    data, emulator = mapping(chosen, "data"), mapping(chosen, "emulator")
    sampler = {k: v for k, v in mapping(chosen, "sampler").items() if v is not None}
    lines = [
        f"- band powers: {_named(data)}, in `data.json`",
        f"- emulator: {_named(emulator)}; its record is not a part of this one",
        f"- constraint of tau: {_pair(chosen.get('tau'))}",
        f"- prior of the late-time amplitude [uK^2]: {_pair(chosen.get('late_time'))}",
        f"- sampler: {', '.join(code(f'{k}={v}') for k, v in sampler.items()) or _NOT_RECORDED}",
        f"- seed: {text(chosen.get('seed', _NOT_RECORDED))}",
    ]
    yield "\n".join(lines)
    if data.get("source"):
        yield f"Source of the band powers: {text(data['source'])}"


def _named(part: Mapping[str, Any]) -> str:
    return code(part["name"]) if part.get("name") else _NOT_RECORDED


def _pair(value: Any) -> str:
    mean_and_std = numbers(value)
    return " +- ".join(map(short, mean_and_std)) if len(mean_and_std) == 2 else "none"


def _loading(record: Documents) -> Iterator[str]:
    lines = [
        "from reionemu.inference import load_posterior",
        "",
        f"posterior = load_posterior({literal(f'artifacts/{record.run}')})",
        "print(posterior.summary())",
    ]
    yield (
        "From the file that this card came in, `reionemu artifact import FILE.zip artifacts` makes "
        "the folder first. Then:"
    )
    yield "```python\n" + "\n".join(lines) + "\n```"


SECTIONS = (
    ("What came out", _results),
    ("How sure it is", _reliability),
    ("What it is made of", _inputs),
    ("Loading it", _loading),
)
