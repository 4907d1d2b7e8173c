"""JSON documents of an artifact: strict, sorted, indented, and true to NaN and infinity.

JSON has no NaN; Python's writer puts one there anyway, and then other readers refuse the file.
Here a float that is not finite is written as {"$float": "nan"}, "inf" or "-inf", and read back as
itself. Files with bare NaN, as other tools write them, are read too.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ..errors import MissingFileError, RecordError, UnrecordableError

MAX_BYTES = 2**28
_FLOAT = "$float"
_MAX_DEPTH = 200
_MAX_BITS = 13_000  # Python reads no whole number of more than 4300 digits


def encode(document: Mapping[str, Any]) -> bytes:
    """A document as the bytes of a JSON file.

    Accepted are None, numbers, strings, sequences, sets and mappings of them, dataclasses, paths,
    dates, enumerations, NumPy numbers and arrays, and PyTorch tensors, devices and dtypes.

    Raises
    ------
    UnrecordableError (TypeError)
        Naming the place in the document and the type of a value that JSON cannot hold.
    """
    plain = to_plain(document)
    return (json.dumps(plain, indent=4, sort_keys=True, allow_nan=False) + "\n").encode()


def to_plain(value: Any, where: str = "") -> Any:
    """A value as dictionaries, lists, strings and finite numbers, as `encode` writes it."""
    if where.count(".") + where.count("[") > _MAX_DEPTH:
        raise UnrecordableError(f"{where[:60]}...: nested more than {_MAX_DEPTH} deep")
    if value is None or (isinstance(value, (bool, int, str)) and not isinstance(value, enum.Enum)):
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            raise UnrecordableError(f"{where or 'the document'} is a whole number of > 4000 digits")
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {_FLOAT: _name_of(value)}
    if isinstance(value, (np.generic, np.ndarray)) and value.dtype.kind in "biufSU":
        return _plain_array(np.asarray(value), where)
    if isinstance(value, enum.Enum):
        return to_plain(value.value, where)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return _plain_mapping(value, where)
    if isinstance(value, (list, tuple)):
        return [to_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return to_plain(sorted(value, key=str), where)
    if type(value).__module__.split(".")[0] == "torch":
        if hasattr(value, "detach"):
            return to_plain(value.detach().cpu().tolist(), where)
        if type(value).__name__ in ("device", "dtype"):
            return str(value)
    raise UnrecordableError(
        f"{where or 'the document'} is of type {type(value).__name__}, which JSON cannot hold. "
        "Record a number, a string, a list or a dictionary instead"
    )


def read_json(path: Path) -> Any:
    """Read a JSON document of an artifact.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordError (ValueError)
        If it is not JSON, or too large or too deep to be a record.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise MissingFileError(f"{path} does not exist") from None
    except IsADirectoryError:
        raise RecordError(f"{path} is a folder; a JSON file was expected") from None
    return decode(content, str(path))


def decode(content: bytes, where: str) -> Any:
    """The document in the bytes of a JSON file; `where` is what errors call it."""
    if len(content) > MAX_BYTES:
        raise RecordError(f"{where} is larger than {MAX_BYTES // 2**20} MB: not a record")
    try:
        return json.loads(content, object_hook=_restore)
    except RecursionError:
        raise RecordError(f"{where} is nested too deeply to be a record") from None
    except ValueError as error:
        raise RecordError(f"{where} is not JSON: {error}") from None


def _plain_array(value: np.ndarray, where: str) -> Any:
    if value.dtype.kind == "S":
        value = np.char.decode(value, "utf-8", "backslashreplace")
    elif value.dtype.kind == "f":
        value = value.astype(np.float64)  # a long double has no counterpart in Python
    return to_plain(value.tolist(), where)


def _plain_mapping(value: Mapping[Any, Any], where: str) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, (str, int, float, bool, np.generic)) and key is not None:
            raise UnrecordableError(
                f"{where or 'the document'} has a key of type {type(key).__name__}"
            )
        name = str(key)
        if name in plain:
            raise UnrecordableError(f"{where or 'the document'} has two keys that read {name!r}")
        plain[name] = to_plain(item, f"{where}.{name}" if where else name)
    if set(plain) == {_FLOAT}:
        raise UnrecordableError(f"{where or 'the document'}: the key {_FLOAT!r} is reserved")
    return plain


def _name_of(value: float) -> str:
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _restore(mapping: dict[str, Any]) -> Any:
    if set(mapping) == {_FLOAT} and mapping[_FLOAT] in ("nan", "inf", "-inf"):
        return float(mapping[_FLOAT])
    return mapping
