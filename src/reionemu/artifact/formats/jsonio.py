"""JSON documents of an artifact: strict, sorted, indented, and true to NaN and infinity.

JSON has no NaN; Python's writer puts one there anyway, and then other readers refuse the file.
Here a float that is not finite is written as {"$float": "nan"}, "inf" or "-inf", and read back as
itself. Files with bare NaN, as other tools write them, are read too.

A document from an unknown hand costs little: its size, the number of its values and its depth are
bounded before and after it is parsed, and what two readers could understand in two ways (a key
that is there twice, text that is not UTF-8) is refused.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ...errors import RecordError, UnrecordableError
from .reading import read_file

MAX_BYTES = 2**26
MAX_VALUES = 2_000_000
MAX_DEPTH = 256  # on reading; what is written is less deep
_FLOAT = "$float"
_MAX_DEPTH = 200
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_MAX_BITS = 13_000  # Python reads no whole number of more than 4300 digits


def encode(document: Mapping[str, Any]) -> bytes:
    """A document as the bytes of a JSON file.

    Accepted are None, numbers, strings, sequences, sets and mappings of them, dataclasses, paths,
    dates, enumerations, NumPy numbers and arrays, and PyTorch tensors, devices and dtypes.

    Raises
    ------
    UnrecordableError (TypeError)
        Naming the place in the document and the type of a value that JSON cannot hold; or if
        there is more in the document than `decode` would read.
    """
    plain = to_plain(document)
    text = json.dumps(plain, indent=4, sort_keys=True, allow_nan=False) + "\n"
    content = text.encode()
    excess = _excess(content)
    if excess:
        largest = max(plain, key=lambda key: len(json.dumps(plain[key])))
        raise UnrecordableError(
            f"the document {excess}, and could not be read back. The largest part of it is "
            f"{largest!r}; keep arrays in a file of their own"
        )
    return content


def to_plain(value: Any, where: str = "") -> Any:
    """A value as dictionaries, lists, strings and finite numbers, as `encode` writes it."""
    if where.count(".") + where.count("[") > _MAX_DEPTH:
        raise UnrecordableError(f"{where[:60]}...: nested more than {_MAX_DEPTH} deep")
    if value is None or (isinstance(value, (bool, int, str)) and not isinstance(value, enum.Enum)):
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            raise UnrecordableError(f"{where or 'the document'} is a whole number of > 4000 digits")
        return _legible(value) if isinstance(value, str) else value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {_FLOAT: _name_of(value)}
    if isinstance(value, (np.generic, np.ndarray)) and value.dtype.kind in "biufSU":
        return _plain_array(np.asarray(value), where)
    if isinstance(value, enum.Enum):
        return to_plain(value.value, where)
    if isinstance(value, PurePath):
        return _legible(str(value))
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
    return decode(read_file(Path(path), MAX_BYTES), str(path))


def decode(content: bytes, where: str) -> Any:
    """The document in the bytes of a JSON file; `where` is what errors call it.

    Raises
    ------
    RecordError (ValueError)
        If it is not JSON in UTF-8, has a key twice in one object, or is too large (`MAX_BYTES`,
        `MAX_VALUES`) or too deep (`MAX_DEPTH`) to be a record.
    """
    excess = _excess(content)
    if excess:
        raise RecordError(f"{where} {excess}: not a record")
    try:
        document = json.loads(content.decode("utf-8"), object_pairs_hook=_restore)
        if _brackets(content) > MAX_DEPTH and _is_deep(document):
            raise RecursionError
        return _without_surrogates(document) if _SURROGATE.search(content) else document
    except RecursionError:
        raise RecordError(f"{where} is nested too deeply to be a record") from None
    except UnicodeDecodeError as error:
        raise RecordError(f"{where} is not JSON in UTF-8: {error}") from None
    except ValueError as error:
        digits = "holds a whole number with thousands of digits" if "digits" in str(error) else ""
        raise RecordError(f"{where} {digits or f'is not JSON: {error}'}") from None


def _excess(content: bytes) -> str:
    """What is too much in a JSON file, found without parsing it; empty if nothing is."""
    if len(content) > MAX_BYTES:
        return f"is larger than {MAX_BYTES // 2**20} MB"
    if content.count(b",") + _brackets(content) > MAX_VALUES:  # one before each value
        return f"holds more than {MAX_VALUES} values"
    return ""


def _brackets(content: bytes) -> int:
    return content.count(b"[") + content.count(b"{")


def _is_deep(document: Any) -> bool:
    """Whether a document is nested deeper than MAX_DEPTH; found without recursion."""
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        level = [part for part in level if type(part) in (dict, list)]
        if not level:
            return False
        inside = (part.values() if type(part) is dict else part for part in level)
        level = list(chain.from_iterable(inside))
    return True


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
        name = _legible(str(key))
        if name in plain:
            raise UnrecordableError(f"{where or 'the document'} has two keys that read {name!r}")
        plain[name] = to_plain(item, f"{where}.{name}" if where else name)
    if set(plain) == {_FLOAT}:
        raise UnrecordableError(f"{where or 'the document'}: the key {_FLOAT!r} is reserved")
    return plain


def _name_of(value: float) -> str:
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _restore(pairs: list[tuple[str, Any]]) -> Any:
    """The object, or the number, that pairs of a JSON object stand for."""
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r:.60} is there twice in one object")
    if len(pairs) == 1 and pairs[0][0] == _FLOAT and pairs[0][1] in ("nan", "inf", "-inf"):
        return float(pairs[0][1])
    return mapping


def _legible(text: str) -> str:
    """Text that every program can read: half a surrogate pair, as in the name of a file that is
    not UTF-8, becomes its escape sequence."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _without_surrogates(value: Any) -> Any:
    """A document whose text is legible, see `_legible`."""
    if isinstance(value, str):
        return _legible(value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return _restore([(_legible(k), _without_surrogates(v)) for k, v in value.items()])
    return value
