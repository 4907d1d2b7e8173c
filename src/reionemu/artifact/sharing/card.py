"""The model card of a record: what the emulator predicts, how well, and what it is not for.

That of a posterior is made in `posterior_card`.

Markdown with YAML in front, as Hugging Face reads it. Everything is taken from the record, and
what is not recorded is said to be so. The licence is not recorded, and none is made up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timezone
from typing import TYPE_CHECKING, Any

from ...errors import RecordError
from ..layout import INFERENCE
from ..unfinished import shortfall
from . import posterior_card
from .accuracy import accuracy
from .contents import Documents, documents_of
from .flat import as_time, flat
from .markdown import code, literal, short, table, text
from .recorded import (
    box_of,
    calibrated_on,
    facts_of_data,
    has_history,
    held_out_errors,
    is_surrogate,
    mapping,
    missing_arguments,
    model_options,
    number,
    numbers,
    parameter_names,
    realizations_of,
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
        what = "posterior" if artifact.kind == INFERENCE else "emulator"
        raise RecordError(f"{artifact.path} has no card, as it has no {what}: {lacking}")
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
        ("How accurate it is", accuracy),
        ("What it must not be used for", _limits),
    )
    if record.is_posterior:
        sections = posterior_card.SECTIONS
    for title, write in (*sections, ("Where it comes from", _origin)):
        parts += [f"## {title}", *write(record)]
    return "\n\n".join(parts) + "\n"


def _front_matter(record: Documents) -> str:
    lines = [
        "---",
        "library_name: reionemu",
        *([] if record.is_posterior else ["pipeline_tag: tabular-regression"]),
        "tags:",
        *(f"- {tag}" for tag in ("cosmology", "reionization", "sunyaev-zeldovich")),
        "- posterior" if record.is_posterior else "- emulator",
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
    if has_history(record):
        yield "And the optical depth and the neutral fraction x_HI(z), by `predict_history`."
    yield from _whose_spectrum(record)
    yield from _error_bar(record)


def _whose_spectrum(record: Documents) -> Iterator[str]:
    """What kind of suite it was trained on, and so what the mean is the mean of."""
    kind, n = realizations_of(record)
    if kind == "own":
        yield (
            "Each simulation has a realization of its own: what is predicted is the mean over "
            "realizations. How much a single map scatters around it is `sample_covariance`, and no "
            "part of the error bar."
        )
    elif kind is not None:
        shared = "one realization" if n == 1 else f"{n} realizations, of which each row is the mean"
        yield (
            f"All simulations share {shared}, and what is predicted is the spectrum of "
            f"{'that' if n == 1 else 'those'}: how far it is from the mean of many is no part of "
            "the error bar."
        )


def _error_bar(record: Documents) -> Iterator[str]:
    model, unseen = record.model.get("class_name"), calibrated_on(record)
    calibrated = (
        f", made right on average over {unseen} simulations that were not trained on"
        if unseen
        else ""
    )
    if is_surrogate(record):
        yield (
            f"With an error bar: how far the model may be from the mean{calibrated}, and its "
            "covariance between bins."
        )
    elif model == "MCDropoutEmulator":
        yield (
            f"With an error bar: the standard deviation over Monte-Carlo dropout{calibrated}. It "
            "is meant to cover the uncertainty of the network, not that of the simulations."
        )
    elif unseen:
        yield f"With an error bar: one for each bin, the same for all targets{calibrated}."
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
            *(map(short, ranges[name]) if name in ranges else (_NOT_RECORDED,) * 2),
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
    parts = [
        ("model", model_options(record)),
        ("optimizer", mapping(configs, "optimizer")),
        ("training", mapping(configs, "training")),
    ]
    for title, recorded in parts[:1] if is_surrogate(record) else parts:
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
        rows.append(f"- validation loss: {short(loss)}")
    yield "\n".join(rows)


def _limits(record: Documents) -> Iterator[str]:
    ell = numbers(facts_of_data(record).get("ell"))
    span = f", from {min(ell):.0f} to {max(ell):.0f}" if ell else ""
    lines = [
        "- parameters outside the box above: nothing was trained on there",
        f"- multipoles other than the bins above{span}",
        "- simulations of another kind: another box or resolution, another cosmology, other "
        "physics of reionization than those it was trained on",
    ]
    if realizations_of(record)[0] != "own":
        lines.append(
            "- the scatter between realizations of one universe: it predicts one spectrum for each "
            "set of parameters"
        )
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
        lines.append(f"- time taken: {short(wall)} s")
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


def _middle(low: float, high: float) -> float:
    """A round number inside a range, for an example."""
    middle = (low + high) / 2
    rounded = float(f"{middle:.3g}")
    return rounded if low <= rounded <= high else middle
