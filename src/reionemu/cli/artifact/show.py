"""reionemu artifact show"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..output import JsonOption, print_errors, print_json

if TYPE_CHECKING:
    from ...artifact.read import Artifact


def show(
    path: Annotated[Path, typer.Argument(help="Folder of an artifact.")], json: JsonOption = False
) -> None:
    """Show what an artifact records."""
    from ...artifact.read import load_artifact

    artifact = load_artifact(path)
    if json:
        print_json(
            {"info": artifact.info, "configs": artifact.configs, "results": artifact.results}
        )
        return
    for label, text in _lines(artifact):
        print(f"{label:<12}{text}")
    errors = _table(_table(artifact.results, "metrics"), "errors")
    held_out = _table(artifact.results, "summary").get("held_out")
    if {"ell", "n", "mean", "median", "p95", "max"} <= set(errors) and held_out:
        print()
        print_errors(errors, held_out)


def _table(document: dict[str, Any], key: str) -> dict[str, Any]:
    """A part of a document, or nothing where the record is not as this project writes it."""
    part = document.get(key)
    return part if isinstance(part, dict) else {}


def _lines(artifact: Artifact) -> list[tuple[str, str]]:
    info, configs, results = artifact.info, artifact.configs, artifact.results
    dataset = _table(info, "dataset")
    fingerprint = _table(dataset, "fingerprint")
    lines = [
        ("artifact", str(artifact.path)),
        ("name", artifact.name),
        ("description", info.get("description") or ""),
        ("created", str(info.get("created_at", "not recorded"))[:19].replace("T", " ") + " UTC"),
        ("status", str(results.get("status", "not recorded"))),
        ("dataset", fingerprint.get("path", "not recorded")),
    ]
    if "n_samples" in dataset:
        counts = f"{dataset['n_samples']} simulations, {dataset['n_targets']} bins of "
        lines.append(
            ("", counts + f"{dataset.get('y_source', '?')} ({dataset.get('y_transform', '?')})")
        )
    model = _table(configs, "model")
    options = ", ".join(f"{k}={v}" for k, v in model.items() if k != "class_name")
    lines.append(
        ("model", f"{model.get('class_name', 'not recorded')} {f'({options})' * bool(options)}")
    )
    ranges = _table(info, "training_box") or _table(dataset, "parameter_ranges")
    label = "trained for"
    for name in dataset.get("param_names") or ranges:
        ends = ranges.get(name)
        if isinstance(ends, list) and len(ends) == 2:
            lines.append((label, f"{name} in [{ends[0]:.4g}, {ends[1]:.4g}]"))
            label = ""
    metrics = _table(results, "metrics")
    scalars = [f"{k} {v:.4g}" for k, v in metrics.items() if isinstance(v, (int, float))]
    lines.append(("metrics", ", ".join(scalars) or "none"))
    lines.append(("files", ", ".join(["info.json", *map(str, _table(info, "artifacts").values())])))
    return [(label, text) for label, text in lines if text]
