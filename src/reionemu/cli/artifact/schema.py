"""reionemu artifact schema"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def schema(
    kind: Annotated[
        str | None, typer.Argument(help="Kind of document, such as info; without it, a list.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", help="Write all of them into this folder.")
    ] = None,
) -> None:
    """Print the JSON Schema of a document in a record.

    They are published in docs/schemas, and are the ones that `reionemu artifact verify` uses.
    """
    from ...artifact.formats.documents import MODELS
    from ...artifact.formats.schema import json_schema, schema_file

    if write is not None:
        from ...files import write_bytes

        write.mkdir(parents=True, exist_ok=True)
        for name in MODELS if kind is None else (kind,):
            write_bytes(write / schema_file(name), _text(json_schema(name)).encode())
        return
    if kind is not None:
        print(_text(json_schema(kind)), end="")
        return
    for name in MODELS:
        print(f"{name:<12}{schema_file(name):<27}{MODELS[name].__doc__}")


def _text(document: dict[str, Any]) -> str:
    import json

    return json.dumps(document, indent=2) + "\n"
