"""reionemu artifact show"""

from __future__ import annotations

import shlex
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...artifact.layout import EMULATOR
from ..output import JsonOption, print_errors, print_json, short
from . import show_posterior
from .tables import Column, cell, on_terminal, print_columns, printable, write

if TYPE_CHECKING:
    from ...artifact.read import Artifact
    from ...artifact.sharing.contents import Documents

_WIDTH = 12
_MOST = 20  # parameters, of the thousands that a record may claim to have
_NOT_RECORDED = "not recorded"


def show(
    path: Annotated[Path, typer.Argument(help="Folder of an artifact.")], json: JsonOption = False
) -> None:
    """Show what an artifact records: what made it, from what, and how good it is."""
    from ...artifact.read import load_artifact
    from ...artifact.sharing.contents import documents_of
    from ...artifact.sharing.recorded import held_out_errors

    artifact = load_artifact(path)
    if json:
        parts = ("info", "configs", "results", "provenance")
        print_json({part: getattr(artifact, part) for part in parts})
        return
    record = documents_of(artifact)
    lines = [*_identity(artifact), *_origin(artifact)]
    if record.is_posterior:
        lines += show_posterior.lines(record)
    else:
        lines += [*_data(record), *_training(record)]
    lines += _outcome(artifact)
    write(line for label, text in lines for line in _wrapped(label, text))
    if record.is_posterior and (rows := show_posterior.rows(record)):
        print_columns(
            [
                Column(head, [printable(row[i]) for row in rows], right=i > 0)
                for i, head in enumerate(("parameter", "median", "68%", "95%"))
            ]
        )
    held_out = _part(artifact.results, "summary").get("held_out")
    if (errors := held_out_errors(record)) and held_out:
        write([""])
        print_errors(errors, printable(held_out))


def _identity(artifact: Artifact) -> Iterator[tuple[str, str]]:
    from ...artifact.unfinished import UNFINISHED, epochs_done, error_of

    info = artifact.info
    yield "artifact", str(artifact.path)
    yield "name", artifact.name
    if artifact.kind != EMULATOR:
        yield "kind", artifact.kind
    if info.get("description"):
        yield "description", " ".join(str(info["description"]).split())
    completed = artifact.status == "completed"
    so_far = "" if completed or not (done := epochs_done(artifact)) else f", {done}"
    yield "status", f"{artifact.status}{so_far}"
    if error := error_of(artifact):
        yield "error", error
        yield "", f"(traceback: reionemu artifact show {shlex.quote(short(artifact.path))} --json)"
    if artifact.status in UNFINISHED:
        return
    created = str(info.get("created_at", _NOT_RECORDED))
    yield "saved", f"{created[:19].replace('T', ' ')} UTC" if "T" in created else created


def _origin(artifact: Artifact) -> Iterator[tuple[str, str]]:
    """Who made it: command, code, software, machine, seeds."""
    provenance = artifact.provenance
    if provenance:
        yield "run", ", ".join(_run(provenance))
    command = provenance.get("command")
    if isinstance(command, list) and command:
        program, *arguments = map(str, command)
        yield "command", shlex.join([PurePath(program).name, *arguments])
        if provenance.get("working_directory"):
            yield "", f"in {provenance['working_directory']}"
    code = _part(provenance, "code")
    if code.get("commit"):
        dirty = ", with changes not committed" if code.get("dirty") else ""
        yield "commit", f"{str(code['commit'])[:12]}{dirty} ({code.get('directory')})"
    elif provenance:
        yield "commit", f"{_NOT_RECORDED} (not run from a repository)"
    software = _part(provenance, "software") or _part(artifact.info, "software")
    if software:
        yield "software", ", ".join(f"{name} {version}" for name, version in software.items())
    if seeds := _part(provenance, "seeds"):
        yield "seeds", _options(seeds)


def _run(provenance: Mapping[str, Any]) -> Iterator[str]:
    """When a run began, how long it took, where, and how often it was resumed."""
    started = provenance.get("started_at") or provenance.get("ended_at")
    yield f"began {cell(str(started))} UTC" if started else f"beginning {_NOT_RECORDED}"
    wall = provenance.get("wall_time_s")
    if isinstance(wall, (int, float)):
        yield f"took {_duration(float(wall))}"
    sessions = provenance.get("sessions")
    sessions = [s for s in sessions if isinstance(s, dict)] if isinstance(sessions, list) else []
    machine = _part(provenance, "platform")
    names = [session.get("host") for session in sessions] or [machine.get("host")]
    hosts = ", ".join(dict.fromkeys(str(host) for host in names if host))
    device = machine.get("gpus") or machine.get("cpu")
    if hosts:
        yield f"on {hosts}" + (f" ({_plain(device)})" if device else "")
    if len(sessions) > 1:
        epochs = [str(epoch) for s in sessions[1:] if (epoch := s.get("from_epoch"))]
        yield f"resumed after epoch {' and '.join(epochs)}" if epochs else "resumed"


def _data(record: Documents) -> Iterator[tuple[str, str]]:
    from ...artifact.sharing.recorded import box_of, facts_of_data, parameter_names, split_sizes

    dataset = _part(record.info, "dataset")
    yield "dataset", str(_part(dataset, "fingerprint").get("path", _NOT_RECORDED))
    facts = facts_of_data(record)
    counts = [f"{dataset['n_samples']} simulations"] if "n_samples" in dataset else []
    if "n_targets" in dataset:
        kind = f"{facts.get('y_source', '?')} ({facts.get('y_transform', '?')})"
        counts.append(f"{dataset['n_targets']} bins of {kind}")
    if counts:
        yield "", ", ".join(counts)
    sizes = split_sizes(record)
    yield "split", ", ".join(f"{n} {part}" for part, n in sizes.items()) or _NOT_RECORDED
    box, label = box_of(record), "trained for"
    for name in parameter_names(record)[:_MOST]:
        if name in box:
            yield label, f"{name} in [{box[name][0]:.4g}, {box[name][1]:.4g}]"
            label = ""


def _training(record: Documents) -> Iterator[tuple[str, str]]:
    from ...artifact.sharing.recorded import is_surrogate, model_options

    parts = [
        ("model", model_options(record), "class_name"),
        ("optimizer", _part(record.configs, "optimizer"), "name"),
        ("training", _part(record.configs, "training"), None),
    ]
    for label, part, title in parts[:1] if is_surrogate(record) else parts:
        options = {k: v for k, v in part.items() if k != title and v is not None}
        name = str(part.get(title, _NOT_RECORDED)) if title else ""
        if title and options:
            yield label, f"{name} ({_options(options)})"
        else:
            yield label, name or _options(options) or _NOT_RECORDED
    yield from _beside(record)
    summary = _part(record.results, "summary")
    epochs = summary.get("epochs_run")
    if epochs is not None:
        best = summary.get("best_epoch")
        yield "epochs", f"{epochs}" + (f"; weights of epoch {best}" if best is not None else "")


def _beside(record: Documents) -> Iterator[tuple[str, str]]:
    """What goes with the model."""
    from ...artifact.sharing.recorded import calibrated_on, has_history, realizations_of

    kind, n = realizations_of(record)
    if kind == "own":
        yield "simulations", "each has a realization of its own"
    elif kind is not None:
        yield "simulations", f"all share {f'{n} realizations' if n > 1 else 'one realization'}"
    if has_history(record):
        yield "history", "tau and x_HI(z) are emulated, too"
    if (unseen := calibrated_on(record)) is not None:
        yield "error bars", f"calibrated on {unseen} simulations that were not trained on"


def _outcome(artifact: Artifact) -> Iterator[tuple[str, str]]:
    metrics = _part(artifact.results, "metrics")
    scalars = [f"{k} {_plain(v)}" for k, v in metrics.items() if isinstance(v, (int, float))]
    yield "metrics", ", ".join(scalars) or "none"
    files = map(str, _part(artifact.info, "artifacts").values())
    yield "files", ", ".join(["info.json", *files])


def _part(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A part of a document, or nothing where the record is not as this project writes it."""
    part = document.get(key)
    return part if isinstance(part, dict) else {}


def _options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={_plain(value)}" for key, value in options.items())


def _plain(value: Any) -> str:
    return ", ".join(map(_plain, value)) if isinstance(value, list) else cell(value)


def _duration(seconds: float) -> str:
    for limit, unit, length in ((120, "s", 1), (7200, "min", 60)):
        if seconds < limit:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds / 3600:.3g} h"


def _wrapped(label: str, text: str) -> list[str]:
    """A labelled text, broken at blanks on a terminal that is too narrow for it."""
    text, indent = printable(text), " " * _WIDTH
    width = shutil.get_terminal_size().columns if on_terminal() else 0
    if _WIDTH + len(text) <= max(width, 40) or not width:
        return [f"{label:<{_WIDTH}}{text}"]
    lines = textwrap.wrap(text, max(width - _WIDTH, 28), break_on_hyphens=False)
    heads = [f"{label:<{_WIDTH}}", *[indent] * len(lines)]
    return [head + line for head, line in zip(heads, lines, strict=False)]
