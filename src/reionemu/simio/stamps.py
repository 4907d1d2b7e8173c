"""What each stage did to a file, in one attribute of the file: `reionemu_stages`, JSON.

A stage stamps its options when it has written its part, and takes away the stamps of the stages
after it, whose results then no longer follow from what is in the file. `reionemu run` skips a
stage whose stamp is what it would write.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import h5py

ATTRIBUTE = "reionemu_stages"
STAGES = ("condense", "spectra", "training_set")

_LATER = ("estimator", "edges", "window", "pixel_window", "noise_cl", "realizations")
"""Options that files stamped before these existed lack; stamped where not at their defaults."""


def read_stamps(h5: h5py.File) -> dict[str, Any]:
    """The stamps of an open file by stage; none where another program wrote it."""
    try:
        stamps = json.loads(h5.attrs.get(ATTRIBUTE, "{}"))
    except (TypeError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def write_stamp(h5: h5py.File, stage: str, options: dict[str, Any] | None) -> None:
    """Stamp a stage (None: its result is a mixture, stamp nothing), and unstamp later ones."""
    kept = STAGES[: STAGES.index(stage)]
    stamps = {name: stamp for name, stamp in read_stamps(h5).items() if name in kept}
    if options is not None:
        stamps[stage] = options
    h5.attrs[ATTRIBUTE] = json.dumps(stamps, sort_keys=True)


def options_of(config: Any) -> dict[str, Any]:
    """A configuration as a stamp holds it: what it makes of the data, not whether it may."""
    options = json.loads(json.dumps(dataclasses.asdict(config)))
    options.pop("overwrite", None)
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for name in _LATER:
        if name in options and getattr(config, name) == defaults[name]:
            del options[name]
    return options


def inventory(folders: list[Path]) -> str:
    """A hash of the names, sizes and times of all files of raw simulations."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.iterdir() if os.access(folder, os.R_OK) else ()):
            status = path.stat() if path.exists() else path.lstat()
            line = f"{folder.name}/{path.name} {status.st_size} {status.st_mtime_ns}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
