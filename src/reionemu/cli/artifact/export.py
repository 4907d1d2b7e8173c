"""reionemu artifact export"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...errors import AlreadyExistsError
from ..output import JsonOption, print_json, say, short


def export(
    path: Annotated[Path, typer.Argument(help="Folder of an artifact.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write; by default NAME.zip here."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write an artifact to one zip file, to pass on.

    With a model card and RO-Crate metadata in it. The same artifact gives the same bytes.
    """
    from hashlib import sha256

    from ...artifact.layout import PROVENANCE
    from ...artifact.sharing.bundle import export_artifact

    out = out or Path(f"{path.resolve().name}.zip")
    if out.exists() and not overwrite:
        raise AlreadyExistsError(
            f"{out} is there already; give another name (--out), or replace it (--overwrite)"
        )
    written = export_artifact(path, out, overwrite=overwrite)
    digest = sha256(written.read_bytes()).hexdigest()
    if json:
        size = written.stat().st_size
        print_json({"path": written.resolve(), "sha256": digest, "size_bytes": size})
        return
    print(short(written))
    say(f"SHA-256 {digest}")
    if (path / PROVENANCE).exists():
        say(f"{PROVENANCE} in it names the machine, the folders and the command of the run")
