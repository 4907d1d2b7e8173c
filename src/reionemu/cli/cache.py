"""reionemu cache"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..files import human_size
from .output import JsonOption, print_json, print_table


def cache(
    folder: Annotated[
        Path | None, typer.Argument(help="The cache; by default the user's own.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove all of it.")] = False,
    json: JsonOption = False,
) -> None:
    """Show, or remove, what simulations share on disk; it is made again when needed."""
    from ..simulation import cache as kept

    folder = folder or kept.default_cache()
    if clear:
        freed = kept.clear(folder)
        if json:
            print_json({"path": folder, "freed_bytes": freed})
        else:
            print(f"{human_size(freed)} freed in {folder}")
        return
    entries = kept.entries(folder)
    total = sum(entry.size_bytes for entry in entries)
    if json:
        print_json(
            {
                "path": folder,
                "size_bytes": total,
                "entries": [
                    {"path": entry.path, "size_bytes": entry.size_bytes, **entry.made_of}
                    for entry in entries
                ],
            }
        )
        return
    rows = [
        [
            human_size(entry.size_bytes),
            *(str(entry.made_of.get(key, "?")) for key in ("box", "n_cells", "seed", "axis")),
            entry.path.name,
        ]
        for entry in entries
    ]
    if rows:
        print_table(["size", "box", "cells", "seed", "axis", "folder"], rows)
    print(f"{folder}: {len(entries)} realizations, {human_size(total)}")
