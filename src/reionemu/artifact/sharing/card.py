"""The model card of a record: what the emulator predicts, how well, and what it is not for.

Markdown with YAML in front, as Hugging Face reads it. Everything is taken from the record, and
what is not recorded is said to be so. The licence is not recorded, and none is made up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timezone
from typing import TYPE_CHECKING, Any

from ...errors import RecordError
from ..unfinished import shortfall
from .contents import Documents, documents_of
from .flat import as_time, flat
from .markdown import code, literal, table, text
from .recorded import (
    box_of,
    facts_of_data,
    held_out_errors,
    mapping,
    missing_arguments,
    number,
    numbers,
    parameter_names,
    split_sizes,
)

if TYPE_CHECKING:
    from ..read import Artifact

_QUANTITIES = {
    "dl_ksz": "D_ell = ell (ell + 1) C_ell / (2 pi) of the patchy kinetic Sunyaev-Zel'dovich "
    "effect, in uK^2",
    "cl_ksz": "C_ell of the patchy kinetic Sunyaev-Zel'dovich effect, in uK^2",
}
_UNITS = {"kb_zre": "h/Mpc"}
_NOT_RECORDED = "not recorded"
_TELLING = 0.2
"""The widest interval of the 68% that shows an error bar to be right (to about a fifth)."""


def model_card(artifact: Artifact) -> str:
    """A model card, made of the record alone.

    Parameters
    ----------
    artifact : Artifact
        Of any release, or of the published package.

    Returns
    -------
    str
        Markdown, with YAML in front.

    Raises
    ------
    RecordError (ValueError)
        If the run has not completed.
    """
    lacking = shortfall(artifact)
    if lacking:
        raise RecordError(f"{artifact.path} has no card, as it has no emulator: {lacking}")
    return card(documents_of(artifact))


def card(record: Documents) -> str:
    """The same from documents."""
    parts = [_front_matter(record), f"# {text(record.run)}"]
    description = record.info.get("description")
    if isinstance(description, str) and description.strip():
        parts.append(text(description))
    sections: tuple[tuple[str, Callable[[Documents], Iterator[str]]], ...] = (
        ("What it predicts", _predicts),
        ("Where it may be asked", _box),
        ("Loading it", _loading),
        ("Training data", _data),
        ("Model and training", _training),
        ("How accurate it is", _accuracy),
        ("What it must not be used for", _limits),
        ("Where it comes from", _origin),
    )
    for title, write in sections:
        parts += [f"## {title}", *write(record)]
    return "\n\n".join(parts) + "\n"


def _front_matter(record: Documents) -> str:
    lines = [
        "---",
        "library_name: reionemu",
        "pipeline_tag: tabular-regression",
        "tags:",
        *(f"- {tag}" for tag in ("cosmology", "reionization", "sunyaev-zeldovich", "emulator")),
    ]
    if held_out_errors(record):
        lines += ["metrics:", "- mape"]
    return "\n".join([*lines, "---"])


def _predicts(record: Documents) -> Iterator[str]:
    facts = facts_of_data(record)
    quantity = _QUANTITIES.get(str(facts.get("y_source")))
    yield f"{quantity}." if quantity else f"Quantity: {_NOT_RECORDED}."
    ell = numbers(facts.get("ell"))
    if ell:
        yield f"In {len(ell)} bins of multipole, at ell = {', '.join(f'{x:.0f}' for x in ell)}."
    else:
        yield f"Bins of multipole: {_NOT_RECORDED}."
    model = record.model.get("class_name")
    if model == "MCDropoutEmulator":
        yield (
            "With an error bar: the standard deviation over Monte-Carlo dropout. It is meant to "
            "cover the uncertainty of the network, not that of the simulations."
        )
    elif model is not None:
        yield "Without an error bar."


def _box(record: Documents) -> Iterator[str]:
    ranges, names = box_of(record), parameter_names(record)
    if not names:
        yield f"Parameters: {_NOT_RECORDED}."
        return
    rows = [
        [
            code(name) + (f" [{_UNITS[name]}]" if name in _UNITS else ""),
            *(map(_short, ranges[name]) if name in ranges else (_NOT_RECORDED,) * 2),
        ]
        for name in names
    ]
    yield table(["parameter", "from", "to"], rows)
    if all(name in ranges for name in names):
        yield (
            "This is the box that the training simulations fill. Outside it the emulator refuses "
            "to predict, unless it is asked not to."
        )
    else:
        yield (
            "Where the training simulations lie is not recorded, so the emulator must be told the "
            "box by whoever loads it."
        )


def _loading(record: Documents) -> Iterator[str]:
    ranges, names = box_of(record), parameter_names(record)
    missing = ", ".join(f"{name}=..." for name in missing_arguments(record))
    lines = [
        "import reionemu",
        "",
        f"artifact = reionemu.load_artifact({literal(f'artifacts/{record.run}')})",
        f"emulator = artifact.emulator({missing})",
    ]
    if names and all(name in ranges for name in names):
        point = ", ".join(f"{literal(name)}: {_middle(*ranges[name])!r}" for name in names)
        lines += [
            f"prediction = emulator.predict({{{point}}})",
            "print(prediction.ell, prediction.mean, prediction.std)",
        ]
    yield (
        "From the file that this card came in, `reionemu artifact import FILE.zip artifacts` makes "
        "the folder first. Then, with reionemu 0.5 or later:"
    )
    yield "```python\n" + "\n".join(lines) + "\n```"
    if missing:
        yield "What stands as `...` is not recorded and must be known from elsewhere."


def _data(record: Documents) -> Iterator[str]:
    dataset = mapping(record.info, "dataset")
    lines = [f"- simulations: {_count(dataset.get('n_samples'))}"]
    parts = [f"{n} {text(part)}" for part, n in split_sizes(record).items()]
    lines.append(f"- split: {', '.join(parts) or _NOT_RECORDED}")
    transform = facts_of_data(record).get("y_transform")
    targets = "the spectrum itself" if transform == "none" else f"{code(transform)} of the spectrum"
    lines.append(f"- trained on: {targets if transform else _NOT_RECORDED}")
    content = dataset.get("content_sha256")
    lines.append(f"- SHA-256 of the arrays: {code(content) if content else _NOT_RECORDED}")
    prepared = mapping(record.configs, "dataset_prep")
    inventory = mapping(prepared, "condense").get("raw_inventory")
    if inventory:
        lines.append(f"- SHA-256 of the list of raw files: {code(inventory)}")
    for title, stage in (("condensed with", "condense"), ("spectra with", "cl")):
        options = flat(prepared.get(stage), skip=("raw_inventory",))
        if options:
            lines.append(f"- {title}: {_options(options)}")
    yield "\n".join(lines)
    yield "The data are not a part of the record."


def _training(record: Documents) -> Iterator[str]:
    configs, summary = record.configs, mapping(record.results, "summary")
    rows = []
    for title, recorded in (
        ("model", record.model),
        ("optimizer", mapping(configs, "optimizer")),
        ("training", mapping(configs, "training")),
    ):
        options = flat(recorded)
        rows.append(f"- {title}: {_options(options) if options else _NOT_RECORDED}")
    history = mapping(record.results, "history")
    epochs = max((len(v) for v in history.values() if isinstance(v, list)), default=0)
    if epochs:
        best = summary.get("best_epoch")
        kept = f", weights of epoch {best} kept" if isinstance(best, int) else ""
        rows.append(f"- epochs: {epochs}{kept}")
    loss = number(mapping(record.results, "metrics").get("val_loss"))
    if loss is not None:
        rows.append(f"- validation loss: {_short(loss)}")
    yield "\n".join(rows)


def _accuracy(record: Documents) -> Iterator[str]:
    errors = held_out_errors(record)
    if not errors:
        yield f"Errors on simulations that the network has not seen: {_NOT_RECORDED}."
        return
    held_out, n = mapping(record.results, "summary").get("held_out"), errors["n"]
    yield (
        f"Relative error of the spectrum, |predicted / simulated - 1|, over {n} simulations that "
        f"were not trained on ({code(held_out) if held_out else 'which part is not recorded'}):"
    )
    columns = {"mean": "mean", "median": "median", "p95": "95%", "max": "worst"}
    if "coverage_1sigma" in errors:
        columns |= {"mean_relative_std": "error bar", "coverage_1sigma": "in 1 sigma"}
        columns |= {"coverage_2sigma": "in 2 sigma"}
    rows = [
        [f"{ell:.0f}", *(_percent(errors[key][i], key) for key in columns)]
        for i, ell in enumerate(errors["ell"])
    ]
    yield table(["ell", *columns.values()], rows)
    yield from _caveats(errors, str(held_out))


def _caveats(errors: Mapping[str, Any], held_out: str) -> Iterator[str]:
    """What makes the errors look better, or less certain, than they are."""
    n = errors["n"]
    if held_out == "val":
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


def _limits(record: Documents) -> Iterator[str]:
    ell = numbers(facts_of_data(record).get("ell"))
    span = f", from {min(ell):.0f} to {max(ell):.0f}" if ell else ""
    lines = [
        "- parameters outside the box above: the network has seen nothing there",
        f"- multipoles other than the bins above{span}",
        "- simulations of another kind: another box or resolution, another cosmology, other "
        "physics of reionization than those it was trained on",
        "- the scatter between realizations of one universe: it predicts one spectrum for each set "
        "of parameters",
    ]
    if held_out_errors(record) and "coverage_1sigma" in held_out_errors(record):
        lines.append("- its error bar in a likelihood, unless what is said of it above will do")
    elif record.model.get("class_name") == "MCDropoutEmulator":
        lines.append("- its error bar in a likelihood: how far it can be trusted is not recorded")
    yield "\n".join(lines)


def _origin(record: Documents) -> Iterator[str]:
    provenance = record.provenance
    created = record.info.get("created_at")
    when = as_time(created)
    saved = f"{when.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC" if when else _NOT_RECORDED
    lines = [f"- saved: {saved}"]
    wall = number(provenance.get("wall_time_s"))
    if wall is not None:
        lines.append(f"- time taken: {_short(wall)} s")
    software = provenance.get("software") or record.info.get("software")
    versions = [f"{text(k)} {text(v)}" for k, v in sorted(flat(software).items())]
    lines.append(f"- software: {', '.join(versions[:20]) or _NOT_RECORDED}")
    version = mapping(provenance, "code")
    if version.get("commit"):
        dirty = ", with changes that were not committed" if version.get("dirty") else ""
        lines.append(f"- commit: {code(version['commit'])}{dirty}")
    else:
        lines.append(f"- commit: {_NOT_RECORDED}")
    if provenance.get("run"):
        lines.append(f"- run: {code(provenance['run'])}")
    yield "\n".join(lines)


def _options(options: Mapping[str, Any]) -> str:
    """Options by name in one line, as many as one reads."""
    shown = [code(f"{key}={value}") for key, value in options.items() if value is not None]
    return ", ".join(shown[:20]) + (", ..." if len(shown) > 20 else "")


def _count(value: Any) -> str:
    return str(value) if type(value) is int else _NOT_RECORDED


def _short(value: float) -> str:
    return f"{value:.4g}"


def _percent(value: float, key: str) -> str:
    return f"{100 * value:.{0 if key.startswith('coverage') else 2}f}%"


def _middle(low: float, high: float) -> float:
    """A round number inside a range, for an example."""
    middle = (low + high) / 2
    rounded = float(f"{middle:.3g}")
    return rounded if low <= rounded <= high else middle
