"""reionemu artifact ..."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import JsonOption, print_errors, print_json

if TYPE_CHECKING:
    from ..artifact.read import Artifact

app = typer.Typer(help="Look at saved experiments.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def commands() -> None:
    """Look at saved experiments."""


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help="Folder of an artifact.")], json: JsonOption = False
) -> None:
    """Show what an artifact records."""
    from ..artifact.read import load_artifact

    artifact = load_artifact(path)
    if json:
        print_json(
            {"info": artifact.info, "configs": artifact.configs, "results": artifact.results}
        )
        return
    for label, text in _lines(artifact):
        print(f"{label:<12}{text}")
    metrics = artifact.results.get("metrics") or {}
    if "errors" in metrics:
        print()
        print_errors(metrics["errors"], artifact.results["summary"]["held_out"])


def _lines(artifact: Artifact) -> list[tuple[str, str]]:
    info, configs, results = artifact.info, artifact.configs, artifact.results
    dataset = info.get("dataset") or {}
    fingerprint = dataset.get("fingerprint") or {}
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
    model = configs.get("model") or {}
    options = ", ".join(f"{k}={v}" for k, v in model.items() if k != "class_name")
    lines.append(
        ("model", f"{model.get('class_name', 'not recorded')} {f'({options})' * bool(options)}")
    )
    for name, (low, high) in (
        info.get("training_box") or dataset.get("parameter_ranges") or {}
    ).items():
        lines.append(("", f"{name} in [{low:.4g}, {high:.4g}]"))
    metrics = results.get("metrics") or {}
    scalars = [f"{k} {v:.4g}" for k, v in metrics.items() if isinstance(v, (int, float))]
    lines.append(("metrics", ", ".join(scalars) or "none"))
    lines.append(("files", ", ".join(["info.json", *(info.get("artifacts") or {}).values()])))
    return [(label, text) for label, text in lines if text]
