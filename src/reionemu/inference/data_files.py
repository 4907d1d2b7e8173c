"""Files of band powers, in CSV and YAML: docs/formats.md, "Band powers", describes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..errors import AlreadyExistsError, ConfigError
from ..files import exclusive, require_space, write_bytes
from .band_powers import BandPowers
from .reading.csv import parse_csv
from .reading.fields import VERSION, Reader
from .reading.nodes import read_text
from .reading.plain_yaml import parse_yaml

CSV, YAML = (".csv", ".txt", ".dat"), (".yaml", ".yml")


def read_band_powers(path: Path | str) -> BandPowers:
    """Read band powers from a file, CSV or YAML by its suffix.

    Raises
    ------
    MissingFileError (FileNotFoundError), UnreadableFileError (OSError)
        If it, or a file beside it that it names, is not there, or is no text.
    InferenceDataError (ValueError)
        Naming the line and the field, or the bin, that cannot be used, and why.
    ConfigError (ValueError)
        For an unknown suffix, or if PyYAML is needed and not installed.
    """
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if suffix not in CSV + YAML:
        raise ConfigError(
            f"{path}: band powers are read from files in CSV ({', '.join(CSV)}) or YAML "
            f"({', '.join(YAML)}); the suffix {suffix!r} is of neither"
        )
    parse = parse_csv if suffix in CSV else parse_yaml
    fields = parse(read_text(path, "a file of band powers"), str(path))
    return Reader(path, fields).band_powers()


def write_band_powers(data: BandPowers, path: Path | str, *, overwrite: bool = False) -> None:
    """Write band powers to a YAML file, whole or not at all; read again, they are exactly equal.

    Raises
    ------
    ConfigError (ValueError)
        If the name of the file does not end in .yaml or .yml.
    AlreadyExistsError (FileExistsError)
        If there is a file and `overwrite` is false.
    MissingFileError, ReadOnlyError, NotEnoughSpaceError, FileBusyError
        If nothing can be written there, or another process is doing so.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() not in YAML:
        raise ConfigError(f"{path}: band powers are written to YAML; let its name end in .yaml")
    content = _format(data).encode()
    with exclusive(path):
        if path.exists() and not overwrite:
            raise AlreadyExistsError(
                f"{path} is there already; give another name, or allow overwriting"
            )
        require_space(path.resolve().parent, len(content), str(path))
        write_bytes(path, content)


def _format(data: BandPowers) -> str:
    lines = [
        f"version: {VERSION}",
        f"name: {json.dumps(data.name, ensure_ascii=False)}",
        f"source: {json.dumps(data.source, ensure_ascii=False)}",
        "units: uK^2",
        "quantity: dl",
        f"is_total: {str(data.is_total).lower()}",
        f"realization: {data.realization}",
    ]
    if data.map_area is not None:
        lines.append(f"map_area: {data.map_area!r} sr")
    lines += [f"ell: {data.ell.tolist()}", f"dl: {data.dl.tolist()}"]
    lines += ["covariance: |", *_table(data.covariance)]
    if data.windows is not None and data.window_ell is not None:
        lines.append("# A column of ell, and one for each bin:")
        lines += ["windows: |", *_table(np.column_stack([data.window_ell, data.windows.T]))]
    return "\n".join(lines) + "\n"


def _table(rows: np.ndarray) -> list[str]:
    return [f"  {' '.join(map(repr, row))}" for row in rows.tolist()]
