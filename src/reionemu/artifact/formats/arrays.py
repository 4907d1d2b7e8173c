"""Arrays from the bytes of .npz and safetensors files, which may have been made to do harm.

Both formats are simple, and only what this project needs of them is read: plain numbers. What a
header claims is compared with what is there before anything is made of it, so that a few bytes
cannot ask for gigabytes, and nothing is executed.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import RecordError
from .jsonio import decode

MAX_MEMBERS = 100_000
_NPY_HEADER = re.compile(
    rb"\{'descr': '(?P<type>[<>|=](?:b1|[iu][1248]|f[248]))', "
    rb"'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>(?:\d{1,18}, ?)*(?:\d{1,18})?)\), ?\} *\n?"
)
_TYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "BF16": "<u2",
    "F32": "<f4",
    "F64": "<f8",
}
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    NotImplementedError,
    OSError,
    OverflowError,
    ValueError,
)


def zip_members(content: bytes, *, limit: int, compressed: bool) -> dict[str, bytes]:
    """The files in a zip file by name.

    Parameters
    ----------
    content : bytes
    limit : int
        The most bytes that they may have in all, unpacked.
    compressed : bool
        Whether files may be compressed (by deflate).

    Raises
    ------
    ValueError or another of ZIP_ERRORS
        If the zip file is damaged or unusual.
    """
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) if compressed else (zipfile.ZIP_STORED,)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        names = {member.filename for member in members}
        if len(members) > MAX_MEMBERS or len(names) < len(members):
            raise ValueError("it holds two files of one name, or too many files")
        total = sum(member.file_size for member in members)
        if total > limit:
            raise ValueError(f"it claims to hold {total} bytes; at most {limit} are expected")
        for member in members:
            if member.flag_bits & 0x1 or member.compress_type not in methods:
                raise ValueError(f"{member.filename} is encrypted or packed in an unexpected way")
        contents = {member.filename: archive.read(member) for member in members}
    if any(len(contents[member.filename]) != member.file_size for member in members):
        raise ValueError("a file in it does not have the size that it claims")
    return contents


def npz_arrays(content: bytes, limit: int) -> dict[str, np.ndarray]:
    """The arrays of numbers in an .npz file by name; raises one of ZIP_ERRORS.

    Arrays of objects, text and records are refused, and `limit` is the most bytes in all.
    """
    members = zip_members(content, limit=limit, compressed=True)
    return {name.removesuffix(".npy"): _npy_array(name, data) for name, data in members.items()}


def safetensors_arrays(
    content: bytes, where: str
) -> tuple[dict[str, np.ndarray], Mapping[str, str]]:
    """The tensors, by name, and the metadata in a safetensors file.

    Arrays share the memory of `content` and cannot be written; bfloat16 becomes float32.

    Raises
    ------
    RecordError (ValueError)
        If the header is not as the format wants it, or does not describe every byte of the file
        exactly once.
    """
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > len(content) - 8:
        raise RecordError(f"{where} is not a safetensors file: it ends inside its header")
    header = decode(content[8 : 8 + size], f"the header of {where}")
    if not isinstance(header, dict):
        raise RecordError(f"{where} is not a safetensors file: its header is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise RecordError(f"{where}: __metadata__ of a safetensors file holds text by name")
    arrays, end = {}, 8 + size
    try:
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            if 8 + size + entry["data_offsets"][0] != end:
                raise ValueError("there is a gap or an overlap before it")
            arrays[name] = _tensor(content, end, entry)
            end = 8 + size + entry["data_offsets"][1]
    except (KeyError, TypeError, IndexError, ValueError, OverflowError) as error:
        name = f"tensor {name!r:.60}: " if arrays else ""
        raise RecordError(f"{where}: its header is damaged: {name}{error}") from None
    if end != len(content):
        raise RecordError(f"{where}: its header describes {end} bytes of {len(content)}")
    return arrays, metadata


def widened(bits: np.ndarray) -> np.ndarray:
    """float32 of the same value as bfloat16 given as its bits (uint16)."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _tensor(content: bytes, start: int, entry: Mapping[str, Any]) -> np.ndarray:
    begin, end = entry["data_offsets"]
    dtype, shape = _TYPES.get(entry["dtype"]), entry["shape"]
    if dtype is None:
        raise ValueError(f"the type {entry['dtype']!r:.40} is not known")
    if not all(type(n) is int and n >= 0 for n in (begin, end, *shape)):
        raise ValueError("sizes must be whole numbers >= 0")
    count = math.prod(shape)
    if count * np.dtype(dtype).itemsize != end - begin or start + end - begin > len(content):
        raise ValueError("it does not have the size that it claims")
    array = np.frombuffer(content, dtype, count, start if count else 0).reshape(shape)
    return widened(array) if entry["dtype"] == "BF16" else array


def _npy_array(name: str, content: bytes) -> np.ndarray:
    """The array in the bytes of an .npy file, if it is one of numbers and exactly as claimed."""
    wide = content[6:7] != b"\x01"
    begin = 12 if wide else 10
    end = begin + int.from_bytes(content[8:begin], "little")
    header = _NPY_HEADER.fullmatch(content[begin:end]) if end <= len(content) else None
    if content[:6] != b"\x93NUMPY" or header is None:
        raise ValueError(f"{name} is not an array of numbers")
    dtype = np.dtype(header["type"].decode())
    shape = tuple(int(n) for n in header["shape"].replace(b" ", b"").split(b",") if n)
    if math.prod(shape) * dtype.itemsize != len(content) - end:
        raise ValueError(f"{name} does not hold what its header claims")
    order = "F" if header["fortran"] == b"True" else "C"
    return np.frombuffer(content, dtype, offset=end).reshape(shape, order=order)  # type: ignore[call-overload]
