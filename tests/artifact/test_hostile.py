"""Records made to do harm are refused, or read, in bounded time and memory, and run nothing.

All of them are read by one other process, which reports what it raised, how long it took and how
much memory it ever had.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reionemu.artifact.formats import jsonio
from reionemu.artifact.formats.jsonio import decode, encode
from reionemu.artifact.formats.sidecars import decode_checkpoint, decode_normalizers, decode_weights
from reionemu.errors import RecordError, ReionemuError, UnrecordableError

RECORD = Path(__file__).parent / "golden" / "v1" / "four_param"
SECONDS, MEGABYTES = 20, 700

READER = """
import json, re, signal, sys, time, warnings
from pathlib import Path
import reionemu

def stop(*_):
    raise TimeoutError

warnings.simplefilter("ignore")
signal.signal(signal.SIGALRM, stop)
for path in sorted(Path(sys.argv[1]).iterdir()):
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory starts again
    signal.alarm(%d)
    start = time.perf_counter()
    outcome = "read"
    try:
        artifact = reionemu.load_artifact(path)
        json.dumps([artifact.info, artifact.configs, artifact.results], ensure_ascii=False).encode()
        artifact.emulator().predict([8.0, 0.5, 0.9, 0.5], out_of_range="nan")
    except reionemu.ReionemuError as error:
        outcome = type(error).__name__ + ": " + str(error)
    except BaseException as error:
        outcome = "NOT OURS " + type(error).__name__ + ": " + str(error)
    signal.alarm(0)
    peak = int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    print(json.dumps([path.name, outcome, time.perf_counter() - start, peak]), flush=True)
print(json.dumps(["torch", str("torch" in sys.modules), 0, 0]))
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured as Linux does it"
)

CASES: dict[str, tuple[Callable[[Path], None], str]] = {}


def case(expected: str, name: str = "") -> Callable[[Callable[[Path], None]], Any]:
    """Add a function that damages the record in a folder, and what is then said of it."""

    def add(function: Callable[[Path], None]) -> Callable[[Path], None]:
        CASES[name or function.__name__] = function, expected
        return function

    return add


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float, float]]:
    """(what happened, seconds, greatest memory [MB]) of every case by name."""
    root = tmp_path_factory.mktemp("hostile")
    for name, (damage, _) in CASES.items():
        shutil.copytree(RECORD, root / name)
        damage(root / name)
    environment = {**os.environ, "MARKER": str(root.parent / "executed")}
    result = subprocess.run(
        [sys.executable, "-c", READER % SECONDS, str(root)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        cwd=root.parent,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert not (root.parent / "executed").exists()
    shutil.rmtree(root)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return {name: (outcome, seconds, peak) for name, outcome, seconds, peak in lines}


# JSON. Each is what results.json holds.

EMPTY = b'{"schema_version": 1, "metrics": %s}'
LISTS, OBJECTS = (b"[", b"]"), (b'{"a":', b"}")


def nested(depth: int, brackets: tuple[bytes, bytes]) -> bytes:
    return EMPTY % (brackets[0] * depth + b"1" + brackets[1] * depth)


def many(value: bytes, count: int) -> bytes:
    return EMPTY % (b"[" + (value + b",") * count + b"0]")


JSON = {
    "numbers": (lambda: many(b"0", 3_000_000), "more than 2000000 values"),
    "lists": (lambda: many(b"[]", 3_000_000), "more than 2000000 values"),
    "objects": (lambda: many(b'{"a":1}', 3_000_000), "more than 2000000 values"),
    "values-allowed": (lambda: many(b'{"a":0.5}', 500_000), "read"),
    "keys-allowed": (
        lambda: EMPTY % (b"{" + b",".join(b'"%d":%d' % (i, i) for i in range(500_000)) + b"}"),
        "read",
    ),
    "text-allowed": (lambda: EMPTY % (b'"' + "\U0001f600".encode() * 15_000_000 + b'"'), "read"),
    "spaces-allowed": (lambda: EMPTY % (b" " * 60_000_000 + b"1"), "read"),
    "digits-allowed": (lambda: EMPTY % (b"0." + b"1" * 60_000_000), "read"),
    "deep-list": (lambda: nested(10_000, LISTS), "nested too deeply"),
    "deep-object": (lambda: nested(10_000, OBJECTS), "nested too deeply"),
    "deeper-list": (lambda: nested(1_000_000, LISTS), "nested too deeply"),
    "deeper-object": (lambda: nested(1_000_000, OBJECTS), "nested too deeply"),
    "deepest": (lambda: nested(3_000_000, LISTS), "more than 2000000 values"),
    "rather-deep": (lambda: nested(300, LISTS), "nested too deeply"),
    "depth-allowed": (lambda: nested(200, OBJECTS), "read"),
    "whole-number": (lambda: EMPTY % (b"1" * 5000), "thousands of digits"),
    "whole-number-of-megabytes": (lambda: EMPTY % (b"1" * 50_000_000), "thousands of digits"),
    "infinite": (lambda: EMPTY % b"1e999999999999", "read"),
    "twice": (lambda: b'{"schema_version": 1, "status": "a", "status": "b"}', "'status' is there"),
    "twice-inside": (lambda: EMPTY % b'{"a": {"b": 1, "b": 1}}', "'b' is there twice"),
    "twice-of-many": (
        lambda: EMPTY % (b"{" + b",".join(b'"%d":1' % i for i in range(400_000)) + b',"399999":1}'),
        "'399999' is there twice",
    ),
    "twice-as-float": (lambda: EMPTY % b'{"$float": "nan", "$float": "inf"}', "twice"),
    "twice-once-legible": (lambda: EMPTY % rb'{"\ud800": 1, "\\ud800": 2}', "twice"),
    "half-a-pair": (lambda: EMPTY % rb'["\ud800", {"\udfff": 1}]', "read"),
    "a-pair": (lambda: EMPTY % rb'"\ud83d\ude00"', "read"),
    "surrogate-in-utf-8": (lambda: EMPTY % b'"\xed\xa0\x80"', "not JSON in UTF-8"),
    "not-utf-8": (lambda: EMPTY % b'"\xff"', "not JSON in UTF-8"),
    "overlong": (lambda: EMPTY % b'"\xc0\xaf"', "not JSON in UTF-8"),
    "utf-16": (lambda: (EMPTY % b"1").decode().encode("utf-16"), "not JSON in UTF-8"),
    "utf-16-unmarked": (lambda: (EMPTY % b"1").decode().encode("utf-16-le"), "not JSON"),
    "byte-order-mark": (lambda: b"\xef\xbb\xbf" + EMPTY % b"1", "BOM"),
    "zero-byte": (lambda: EMPTY % b'"\x00"', "not JSON"),
    "zero-bytes-after": (lambda: EMPTY % b"1" + bytes(1000), "not JSON"),
    "zero-escaped": (lambda: EMPTY % rb'"\u0000"', "read"),
    "line-break-in-text": (lambda: EMPTY % b'"\n"', "not JSON"),
    "two-documents": (lambda: EMPTY % b"1" + EMPTY % b"1", "not JSON"),
    "comment": (lambda: EMPTY % b"1 /* */", "not JSON"),
}


def write_json(content: Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda path: (path / "results.json").write_bytes(content()) and None


for key, (content, expected) in JSON.items():
    case(expected, f"json-{key}")(write_json(content))


JOURNAL = {
    "flood": (lambda: b'{"epoch":1}\n' * 2_100_000, "more than 2000000 values"),
    "wide": (lambda: b'{"epoch":1,"a":[' + b"0," * 3_000_000 + b"0]}\n", "than 2000000 values"),
    "allowed": (lambda: b'{"epoch":1,"a":0.5}\n' * 200_000, "read"),
    "line-breaks": (lambda: b"\n" * 60_000_000, "than 2000000 values"),
    "no-line-break": (lambda: b"0" * 60_000_000, "read"),
    "other-values": (lambda: b'{"epoch":1,"a":{"b":[]}}\n{"epoch":true}\n[]\n', "read"),
}


def write_journal(content: Callable[[], bytes]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        (path / "results.json").write_text('{"schema_version": 1, "status": "running"}')
        (path / "history.jsonl").write_bytes(content())

    return damage


for key, (content, expected) in JOURNAL.items():
    case(expected, f"journal-{key}")(write_journal(content))


@case("larger than 64 MB", "json-sparse")
def sparse(path: Path) -> None:
    os.truncate(path / "info.json", 2**40)


# The folder.


def instead(name: str, put: Callable[[Path], object], expected: str, label: str) -> None:
    """A case in which something else stands where a file belongs."""

    def damage(path: Path) -> None:
        (path / name).unlink()
        put(path / name)

    case(expected, f"folder-{label}-{name}")(damage)


def listen(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


for file in ("info.json", "results.json", "normalizers.npz", "weights.safetensors", "model.pt"):
    instead(file, lambda path: path.symlink_to("/dev/zero"), "is a symbolic link", "device")
    instead(file, lambda path: path.symlink_to(RECORD / path.name), "is a symbolic link", "link")
    instead(file, lambda path: path.symlink_to(path.name), "is a symbolic link", "loop")
    instead(file, lambda path: os.mkfifo(path), "is not a file but a pipe", "pipe")
    instead(file, lambda path: path.mkdir(), "is a folder", "folder")
    instead(file, listen, "is not a file but a socket", "socket")


def names(value: Any, expected: str, label: str) -> None:
    """A case in which info.json names something else as the file of the weights."""

    def damage(path: Path) -> None:
        info = json.loads((path / "info.json").read_text())
        info["artifacts"]["weights"] = value
        (path / "info.json").write_text(json.dumps(info))

    case(expected, f"names-{label}")(damage)


names("\0", "not in the artifact's folder", "zero")
names("a" * 100_000, "not in the artifact's folder", "long")
names("..", "not in the artifact's folder", "above")
names(".", "not in the artifact's folder", "itself")
names("", "not in the artifact's folder", "nothing")
names("/dev/zero", "not in the artifact's folder", "device")
names("x\udc80", "read", "surrogate")  # becomes legible, and is not there
names(["weights.safetensors"], "not in the artifact's folder", "list")
names("info.json", "RecordError", "other")


# What the documents say of model and data.


def says(file: str, *keys: Any, value: Any, expected: str, label: str) -> None:
    """A case in which a document says something that is not so."""

    def damage(path: Path) -> None:
        document = json.loads((path / file).read_text())
        target = document
        for key in keys[:-1]:
            target = target[key]
        target[keys[-1]] = value
        (path / file).write_text(json.dumps(document))

    case(expected, f"says-{label}")(damage)


BIG = 10**400
for label, keys, value in (
    ("eps", ("eps",), BIG),
    ("ell", ("ell",), [BIG] * 5),
    ("ranges", ("parameter_ranges", "kb_zre"), [0, BIG]),
    ("ranges-deep", ("parameter_ranges",), json.loads("[" * 200 + "]" * 200)),
    ("ranges-none", ("parameter_ranges",), None),
    ("transform", ("y_transform",), ["ln"]),
    ("source", ("y_source",), {"dl_ksz": 1}),
    ("names", ("param_names",), ["x"] * 500_000),
    ("names-nested", ("param_names",), [[], {}, 3, None]),
    ("path", ("fingerprint",), "x"),
    ("path-zero", ("fingerprint",), {"path": "\0"}),
):
    expected = "MissingRecordError" if label == "ranges-none" else "RecordError"
    expected = "ConfigError" if label in ("transform", "source") else expected
    expected = "read" if label.startswith("path") else expected
    says("info.json", "dataset", *keys, value=value, expected=expected, label=label)
for label, option, value in (
    ("layers", "num_hidden_layers", 10**9),
    ("width", "hidden_dim", 10**9),
    ("width-more", "hidden_dim", BIG),
    ("activation", "activation", [[[]]]),
    ("class", "class_name", ["os.system"]),
):
    says("configs.json", "model", option, value=value, expected="read", label=label)


# normalizers.npz

HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }"


def npy(header: str = HEADER, data: bytes = bytes(32), length: int | None = None) -> bytes:
    encoded = header.encode() + b"\n"
    size = len(encoded) if length is None else length
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", size) + encoded + data


def npz(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def array(header: str = HEADER, data: bytes = bytes(32), **how: Any) -> Callable[[], bytes]:
    """A file of which one array is as given."""
    return lambda: npz({"X_mean.npy": npy(header, data, **how), "X_std.npy": npy()})


def claiming(size: int) -> bytes:
    """A file whose list of contents claims a size that is not there."""
    content = bytearray(npz({"X_mean.npy": npy(), "X_std.npy": npy()}, zipfile.ZIP_DEFLATED))
    place = content.index(b"PK\x01\x02")
    content[place + 24 : place + 28] = struct.pack("<I", size)
    return bytes(content)


def flagged(place: int, value: int) -> bytes:
    """A file with a number changed in the list of contents."""
    content = bytearray(npz({"X_mean.npy": npy(), "X_std.npy": npy()}))
    start = content.index(b"PK\x01\x02") + place
    content[start : start + 2] = struct.pack("<H", value)
    return bytes(content)


def twice() -> bytes:
    content = npz({"X_mean.npy": npy(), "X_nean.npy": npy(), "X_std.npy": npy()})
    return content.replace(b"X_nean", b"X_mean")


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Touch()], dtype=object), allow_pickle=True)
    return npz({"X_mean.npy": buffer.getvalue(), "X_std.npy": npy()})


class Touch:
    """A pickle that leaves a file behind if it is executed."""

    def __reduce__(self) -> Any:
        return os.system, ('touch "$MARKER"',)


DEEP = HEADER.replace("(4,)", "(" * 9000 + ")" * 9000)
SIGNS = HEADER.replace("(4,)", "(" + "-" * 9000 + "4,)")
CALL = HEADER.replace("(4,)", "(__import__('os').system('touch $MARKER'),)")
NPZ = {
    "huge-array": (array(HEADER.replace("4,", "134217728,")), "what its header claims"),
    "huge-shape": (array(HEADER.replace("4,", "9" * 17 + ", " + "9" * 17)), "header claims"),
    "huge-number": (array(HEADER.replace("4,", "9" * 5000)), "not an array of numbers"),
    "empty-and-huge": (array(HEADER.replace("4,", "0, " + "9" * 17), b""), "RecordError"),
    "nan": (array(HEADER.replace("4,", "nan,")), "not an array of numbers"),
    "negative": (array(HEADER.replace("4,", "-4,")), "not an array of numbers"),
    "objects": (pickled, "not an array of numbers"),
    "text": (array(HEADER.replace("<f8", "<U2")), "not an array of numbers"),
    "fields": (array(HEADER.replace("'<f8'", "[('a', '<f8')]")), "not an array of numbers"),
    "times": (array(HEADER.replace("<f8", "<M8[s]")), "not an array of numbers"),
    "odd-type": (array(HEADER.replace("<f8", "<f7")), "not an array of numbers"),
    "deep-header": (array(DEEP), "not an array of numbers"),
    "many-signs": (array(SIGNS), "not an array of numbers"),
    "code": (array(CALL), "not an array of numbers"),
    "header-lies": (array(length=60_000), "not an array of numbers"),
    "long-header": (array(HEADER + " " * 60_000), "RecordError"),
    "size-lies": (lambda: claiming(2**30), "claims to hold"),
    "size-lies-a-little": (lambda: claiming(2**25), "does not have the size that it claims"),
    "bomb": (lambda: npz({"X_mean.npy": bytes(100_000_000)}, zipfile.ZIP_DEFLATED), "claims to"),
    "bombs": (
        lambda: npz({f"{i}_mean.npy": bytes(4_000_000) for i in range(30)}, zipfile.ZIP_DEFLATED),
        "claims to hold",
    ),
    "bomb-allowed": (
        lambda: npz({"X_mean.npy": npy(data=bytes(60_000_000))}, zipfile.ZIP_DEFLATED),
        "header claims",
    ),
    "many": (lambda: npz({f"{i}_mean.npy": b"" for i in range(10_000)}), "not an array"),
    "encrypted": (lambda: flagged(8, 1), "encrypted"),
    "lzma": (lambda: npz({"X_mean.npy": npy()}, zipfile.ZIP_LZMA), "unexpected way"),
    "method-99": (lambda: flagged(10, 99), "unexpected way"),
    "twice": (twice, "two files of one name"),
    "lacking": (lambda: npz({"X_mean.npy": npy()}), "lacks the array X_std"),
    "nothing": (lambda: npz({}), "RecordError"),
}


def write(name: str, content: Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda path: (path / name).write_bytes(content()) and None


for key, (content, expected) in NPZ.items():
    case(expected, f"npz-{key}")(write("normalizers.npz", content))


# weights.safetensors


def tensors(
    header: dict[str, Any] | bytes, data: bytes = bytes(16), length: int | None = None
) -> Callable[[], bytes]:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(encoded) if length is None else length
    return lambda: size.to_bytes(8, "little") + encoded + data


def tensor(begin: Any = 0, end: Any = 16, shape: Any = (4,), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


TWICE = b'{"a": %s, "a": %s}' % ((json.dumps(tensor()).encode(),) * 2)
SAFETENSORS = {
    "length-lies": (tensors({"a": tensor()}, length=2**63), "ends inside its header"),
    "length-longer": (tensors({"a": tensor()}, length=10_000), "ends inside its header"),
    "length-zero": (tensors({"a": tensor()}, length=0), "not JSON"),
    "huge": (tensors({"a": tensor(0, 2**30, (2**28,))}), "does not have the size"),
    "huger": (tensors({"a": tensor(0, 2**66, (2**64,))}), "does not have the size"),
    "overflowing": (tensors({"a": tensor(0, 0, (2**62, 4))}), "does not have the size"),
    "empty-and-huge": (tensors({"a": tensor(0, 0, (0, 2**62))}, b""), "RecordError"),
    "many-dimensions": (tensors({"a": tensor(0, 4, (1,) * 1000)}, bytes(4)), "RecordError"),
    "overlapping": (tensors({"a": tensor(), "b": tensor()}), "gap or an overlap"),
    "overlapping-partly": (tensors({"a": tensor(), "b": tensor(8, 16, (2,))}), "an overlap"),
    "gap": (tensors({"a": tensor(8, 16, (2,))}), "gap or an overlap"),
    "rest": (tensors({"a": tensor(0, 8, (2,))}), "describes"),
    "twice": (tensors(TWICE), "'a' is there twice"),
    "negative": (tensors({"a": tensor(0, 16, (-2, -2))}), "whole numbers"),
    "fraction": (tensors({"a": tensor(0, 16.0)}), "damaged"),
    "true": (tensors({"a": tensor(0, 4, (True,))}, bytes(4)), "whole numbers"),
    "backwards": (tensors({"a": tensor(0, -16)}), "whole numbers"),
    "text": (tensors({"a": tensor("0", "16")}), "damaged"),
    "type": (tensors({"a": tensor(dtype="F8_E4M3")}), "is not known"),
    "type-list": (tensors({"a": tensor(dtype=["F32"])}), "damaged"),
    "entry": (tensors({"a": 3}), "damaged"),
    "entries": (tensors(b"[]"), "no JSON object"),
    "deep": (tensors(b"[" * 10_000 + b"]" * 10_000), "nested too deeply"),
    "metadata": (tensors({"__metadata__": {"a": 1}, "a": tensor()}), "holds text by name"),
    "metadata-list": (tensors({"__metadata__": [], "a": tensor()}), "holds text by name"),
    "record-deep": (
        tensors({"__metadata__": {"reionemu": "[" * 10_000 + "]" * 10_000}, "a": tensor()}),
        "nested too deeply",
    ),
    "record-list": (tensors({"__metadata__": {"reionemu": "[]"}, "a": tensor()}), "not a JSON obj"),
    "record-text": (
        tensors({"__metadata__": {"reionemu": '{"model": "x"}'}, "a": tensor()}),
        "not a JSON object",
    ),
    "record-version": (
        tensors({"__metadata__": {"reionemu": '{"version": "2"}'}, "a": tensor()}),
        "version must be a whole number",
    ),
    "none": (tensors({}, b""), "RecordError"),
}


def modelled(**options: Any) -> tuple[Callable[[], bytes], str]:
    """Weights of no known name, whose metadata describe a model."""
    record = {"class_name": "FourParamEmulator", "activation": "relu", **options}
    metadata = {"reionemu": json.dumps({"model": record})}
    return tensors({"__metadata__": metadata, "a": tensor()}), "RecordError"


SAFETENSORS |= {
    "many-layers": modelled(num_hidden_layers=10**9, hidden_dim=1),
    "wide": modelled(num_hidden_layers=2, hidden_dim=10**9),
    "wider": modelled(num_hidden_layers=2, hidden_dim=BIG),
    "poc": modelled(class_name="POCEmulatorFourParamsV1"),
    "no-class": modelled(class_name={}),
}
for key, (content, expected) in SAFETENSORS.items():
    case(expected, f"safetensors-{key}")(write("weights.safetensors", content))


# model.pt, which is read where there is no weights.safetensors


def saved(value: Any, **how: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **how)
    return buffer.getvalue()


def program(code: bytes, data: bytes = bytes(16), method: int = zipfile.ZIP_STORED) -> bytes:
    """A checkpoint with a pickle of our own and one storage, "0"."""
    return npz({"x/data.pkl": code, "x/byteorder": b"little", "x/data/0": data}, method)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    size = (value.bit_length() + 8) // 8
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor_code(shape: bytes, strides: bytes, offset: int = 0, length: int = 4) -> bytes:
    """The instructions of pickle that make a tensor."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
    storage += number(length) + b"tQ"
    arguments = b"(" + storage + number(offset) + shape + strides + b"\x89Nt"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


def one_tensor(*how: Any, **more: Any) -> bytes:
    """The pickle of a dictionary of one tensor."""
    return b"\x80\x02}" + text("a") + tensor_code(*how, **more) + b"s."


def doubled(times: int, make: bytes = b"\x86") -> bytes:
    """A pair of pairs of pairs ... that is 2^times values in a few bytes."""
    code = text("x")
    for i in range(times):
        code += b"q" + bytes([i]) + b"h" + bytes([i]) + make
    return code


def with_record(record: bytes) -> bytes:
    """A state dict whose metadata hold a record of the model, made by instructions of pickle."""
    code = b"\x80\x02ccollections\nOrderedDict\n)R"
    code += text("a") + tensor_code(numbers(4), numbers(1)) + b"s"
    code += b"}" + text("_metadata") + b"}" + text("") + b"}" + text("reionemu_model") + record
    return program(code + b"sssb.")


HUGE = 2**40
LEGACY = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
LEGACY += b"\x80\x02(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
LEGACY += number(2**28) + b"NtQ." + pickle.dumps(["0"], 2) + struct.pack("<q", 2**28)


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    return buffer.getvalue()


CHECKPOINT = {
    "system": (lambda: saved(Touch()), "would run code"),
    "system-inside": (lambda: saved({"state_dict": {}, "x": Touch()}), "would run code"),
    "system-protocol-4": (lambda: saved(Touch(), pickle_protocol=4), "would run code"),
    "eval": (lambda: program(b"cbuiltins\neval\n(" + text("1") + b"tR."), "would run code"),
    "getattr": (lambda: program(b"cbuiltins\ngetattr\n."), "would run code"),
    "instance": (lambda: program(b"(cos\nsystem\n" + text("true") + b"o."), "would run code"),
    "inst": (lambda: program(b"(" + text("true") + b"ios\nsystem\n."), "would run code"),
    "extension": (lambda: program(b"\x82\x01."), "would run code"),
    "storage-called": (lambda: program(b"ctorch\nFloatStorage\n" + numbers(HUGE) + b"R."), "code"),
    "stride-zero": (lambda: program(one_tensor(numbers(HUGE), numbers(0))), "more than the file"),
    "stride-zero-many": (
        lambda: program(one_tensor(numbers(2**20, 2**20, 2**20), numbers(0, 0, 0))),
        "more than the file",
    ),
    "beyond": (lambda: program(one_tensor(numbers(4), numbers(1), offset=1)), "not a PyTorch"),
    "far-beyond": (lambda: program(one_tensor(numbers(2), numbers(HUGE))), "not a PyTorch"),
    "overflowing": (lambda: program(one_tensor(numbers(2), numbers(2**62))), "not a PyTorch"),
    "overflowing-more": (lambda: program(one_tensor(numbers(2), numbers(2**70))), "not a PyTorch"),
    "before": (lambda: program(one_tensor(numbers(2), numbers(1), offset=-1)), "no sizes"),
    "backwards": (lambda: program(one_tensor(numbers(2), numbers(-1), offset=3)), "no sizes"),
    "empty-and-huge": (
        lambda: program(one_tensor(numbers(0, 2**62), numbers(1, 1))),
        "RecordError",
    ),
    "storage-lies": (
        lambda: program(one_tensor(numbers(4), numbers(1), length=2**28)),
        "not as large",
    ),
    "bomb": (
        lambda: program(one_tensor(numbers(4), numbers(1)), bytes(2**27), zipfile.ZIP_DEFLATED),
        "claims to hold",
    ),
    "deflated": (
        lambda: program(one_tensor(numbers(4), numbers(1)), method=zipfile.ZIP_DEFLATED),
        "unexpected way",
    ),
    "legacy": (lambda: saved({"a": torch.ones(2)}, _use_new_zipfile_serialization=False), "1.6"),
    "legacy-lies": (lambda: LEGACY, "since PyTorch 1.6"),
    "tar": (tar, "since PyTorch 1.6"),
    "pickle": (lambda: pickle.dumps(Touch()), "since PyTorch 1.6"),
    "no-pickle": (lambda: npz({"x/data/0": b""}), "no data.pkl"),
    "two-pickles": (lambda: npz({"x/data.pkl": b"N.", "y/data.pkl": b"N."}), "or several"),
    "endless": (lambda: program(b"\x80\x02N"), "not a PyTorch"),
    "underflow": (lambda: program(b"\x87."), "not a PyTorch"),
    "underflow-more": (lambda: program(b"s."), "not a PyTorch"),
    "no-mark": (lambda: program(b"t."), "not a PyTorch"),
    "no-memory": (lambda: program(b"h\x07."), "not a PyTorch"),
    "text-lies": (lambda: program(b"X" + struct.pack("<I", 2**31) + b"a."), "not a PyTorch"),
    "number-lies": (lambda: program(b"\x8b" + struct.pack("<i", 2**30) + b"1."), "RecordError"),
    "million-steps": (lambda: program(b"\x80\x02" + b"N0" * 500_000 + b"N."), "RecordError"),
    "many-lists": (lambda: program(b"\x80\x02" + b"]" * 200_000 + b"."), "no state dict"),
    "key-of-pairs": (
        lambda: program(b"\x80\x02}" + doubled(60) + b"Ns."),
        "neither text nor a number",
    ),
    "itself": (lambda: program(b"\x80\x02}q\x00" + text("state_dict") + b"h\x00s."), "no state"),
    "record-of-pairs": (
        lambda: with_record(b"}" + text("activation") + doubled(60) + b"s"),
        "plain val",
    ),
    "record-itself": (lambda: with_record(b"}q\x00" + text("a") + b"h\x00s"), "plain values"),
    "record-key": (lambda: with_record(b"}" + number(3) + b"Ns"), "RecordError"),
    "metadata": (
        lambda: program(b"\x80\x02ccollections\nOrderedDict\n)R}" + text("_metadata") + b"Nsb."),
        "no state dict",
    ),
    "build": (lambda: program(b"\x80\x02]}b."), "would run code"),
    "none": (lambda: program(b"N."), "no state dict"),
}


def as_checkpoint(content: Callable[[], bytes]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        (path / "weights.safetensors").unlink()
        (path / "model.pt").write_bytes(content())

    return damage


for key, (content, expected) in CHECKPOINT.items():
    case(expected, f"checkpoint-{key}")(as_checkpoint(content))


@case("read", "harmless")
def harmless(path: Path) -> None:
    (path / "weights.safetensors").unlink()


@case("larger than 1024 MB", "checkpoint-sparse")
def sparse_checkpoint(path: Path) -> None:
    os.truncate(path / "model.pt", 2**40)


@pytest.mark.parametrize("name", sorted(CASES))
def test_it_is_refused_or_read_in_bounded_time_and_memory(
    name: str, outcomes: dict[str, tuple[str, float, float]]
) -> None:
    outcome, seconds, peak = outcomes[name]
    expected = CASES[name][1]
    assert (outcome == "read") == (expected == "read"), outcome
    assert expected in outcome
    assert "NOT OURS" not in outcome
    assert len(outcome) < 1000
    assert seconds < SECONDS / 2
    assert peak < MEGABYTES


def test_reading_records_of_known_models_needs_no_pytorch(
    outcomes: dict[str, tuple[str, float, float]],
) -> None:
    assert outcomes["torch"][0] == "False"


@pytest.mark.parametrize("file", ["normalizers.npz", "weights.safetensors", "model.pt"])
def test_a_changed_byte_anywhere_never_raises_anything_else(file: str) -> None:
    """It is refused, or read as other numbers; which of them it is, checksums tell."""
    decoders = {"npz": decode_normalizers, "safetensors": decode_weights, "pt": decode_checkpoint}
    decoder = decoders[file.rpartition(".")[2]]
    content = (RECORD / file).read_bytes()
    refused = 0
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        try:
            decoder(bytes(changed), file)
        except ReionemuError as error:
            refused += file in str(error)
    assert refused > len(content) / 10


def test_what_is_written_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonio, "MAX_VALUES", 1000)
    monkeypatch.setattr(jsonio, "MAX_BYTES", 2**20)
    at_limit = {"a": [0] * 998}
    assert decode(encode(at_limit), "it") == at_limit
    for document, what in (
        ({"small": 1, "history": [0] * 1000}, "more than 1000 values"),
        ({"small": 1, "history": "x" * 2**20}, "larger than 1 MB"),
    ):
        with pytest.raises(UnrecordableError, match=f"{what}.*'history'"):
            encode(document)


def test_a_folder_that_is_a_link_is_read(tmp_path: Path) -> None:
    """Only the files inside a record must not be links; where it is kept is the user's choice."""
    import reionemu

    (tmp_path / "link").symlink_to(RECORD)
    assert reionemu.load_artifact(tmp_path / "link").name == "four_param"
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises((RecordError, FileNotFoundError)):
        reionemu.load_artifact(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordError, match="not a folder"):
        reionemu.load_artifact(tmp_path / "pipe")
    with pytest.raises(RecordError, match="pipe"):
        reionemu.read_json(tmp_path / "pipe")
