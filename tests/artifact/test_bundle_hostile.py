"""Zip files made to do harm are refused in bounded time and memory, and nothing is left behind.

The files are made here byte by byte, since no honest program writes them.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import subprocess
import sys
import textwrap
import time
import tracemalloc
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reionemu.artifact import export_artifact, import_artifact
from reionemu.errors import RecordError, ReionemuError

GOLDEN = Path(__file__).parent / "golden" / "v1" / "four_param"
MB = 2**20


@dataclass
class Part:
    """One member of a zip file; `local` and `listed` overrule fields of its two headers."""

    name: bytes
    data: bytes
    method: int = 0
    packed: bytes | None = None
    local: dict = field(default_factory=dict)
    listed: dict = field(default_factory=dict)

    def fields(self, overruled: dict) -> dict:
        packed = self.stored()
        facts = {
            "name": self.name,
            "flags": 0,
            "method": self.method,
            "crc": zlib.crc32(self.data),
            "stored": len(packed),
            "size": len(self.data),
            "extra": b"",
            "comment": b"",
            "disk": 0,
            "attributes": (stat.S_IFREG | 0o644) << 16,
        }
        return {**facts, **overruled}

    def stored(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.data) if self.method == 8 else self.data

    def local_header(self) -> bytes:
        f = self.fields(self.local)
        head = (b"PK\3\4", 20, f["flags"], f["method"], 0, 33, f["crc"], f["stored"], f["size"])
        sizes = (len(f["name"]), len(f["extra"]))
        return struct.pack("<4s5H3L2H", *head, *sizes) + f["name"] + f["extra"]

    def entry(self, offset: int) -> bytes:
        f = self.fields(self.listed)
        head = (b"PK\1\2", 0x314, 20, f["flags"], f["method"], 0, 33)
        sizes = (f["crc"], f["stored"], f["size"], len(f["name"]), len(f["extra"]))
        rest = (len(f["comment"]), f["disk"], 0, f["attributes"], f.get("offset", offset))
        return struct.pack("<4s6H3L5H2L", *head, *sizes, *rest) + (
            f["name"] + f["extra"] + f["comment"]
        )


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def build(
    parts: list[Part], *, before: bytes = b"", between: bytes = b"", after: bytes = b"", **end: int
) -> bytes:
    """A zip file of these parts; `end` overrules fields of its last record."""
    body, listing = bytearray(before), bytearray()
    for part in parts:
        listing += part.entry(len(body))
        body += part.local_header() + part.stored()
    body += between
    last = {"disk": 0, "start_disk": 0, "here": len(parts), "count": len(parts)}
    last |= {"length": len(listing), "start": len(body), "comment": 0, **end}
    return bytes(body + listing) + struct.pack("<4s4H2LH", b"PK\5\6", *last.values()) + after


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> dict[bytes, bytes]:
    """Names and contents of an exported record."""
    file = export_artifact(GOLDEN, tmp_path_factory.mktemp("zip") / "record.zip")
    with zipfile.ZipFile(file) as archive:
        return {name.encode(): archive.read(name) for name in archive.namelist()}


@pytest.fixture
def parts(honest) -> list[Part]:
    """The members of an honest file, to be changed."""
    return [Part(name, data) for name, data in honest.items()]


@pytest.fixture
def refused(tmp_path):
    """`refused(content) -> message`: importing these bytes is refused and leaves nothing."""

    def refused(content: bytes | Path, **options: str) -> str:
        file = tmp_path / "hostile.zip"
        if isinstance(content, Path):
            file = content
        else:
            file.write_bytes(content)
        before = sorted(tmp_path.rglob("*"))
        started = time.monotonic()
        with pytest.raises(RecordError) as caught:
            import_artifact(file, tmp_path / "deep" / "root", **options)
        assert time.monotonic() - started < 10
        assert sorted(tmp_path.rglob("*")) == before
        return str(caught.value)

    return refused


def test_what_the_tests_build_is_imported_as_long_as_it_is_honest(parts, tmp_path):
    """So that the refusals below are for what was changed and not for the way of building."""
    for i, method in enumerate((0, 8)):
        for part in parts:
            part.method = method
        file = tmp_path / f"{i}.zip"
        file.write_bytes(build(parts))
        artifact = import_artifact(file, tmp_path / "root", name=f"run{i}")
        for part in parts:
            kept = artifact.path / part.name.decode()
            assert kept.exists() == (part.name not in (b"README.md", b"ro-crate-metadata.json"))
            assert not kept.exists() or kept.read_bytes() == part.data


def test_a_file_as_the_zip_command_writes_it_is_imported(honest, tmp_path):
    """Deflated, with times and owners in extra fields, in another order."""
    times = struct.pack("<HHBL", 0x5455, 5, 1, 1_700_000_000)
    owner = struct.pack("<HHBBLBL", 0x7875, 11, 1, 4, 1000, 4, 1000)
    extras = {"extra": times + owner}
    parts = [Part(n, d, 8, local=extras, listed=extras) for n, d in reversed(honest.items())]
    (tmp_path / "rezipped.zip").write_bytes(build(parts))
    artifact = import_artifact(tmp_path / "rezipped.zip", tmp_path / "root")
    assert (artifact.path / "info.json").read_bytes() == honest[b"info.json"]


NAMES = [
    b"../x",
    b"a/../b",
    b"/etc/passwd",
    b"sub/info.json",
    b"folder/",
    b"..",
    b".",
    b".hidden",
    b"C:\\x",
    b"C:x",
    b"a\\b",
    b"info.json\0",
    b"info.json\0.txt",
    b"a\nb",
    b"a\x1b[2Jb",
    b"",
    b" info.json",
    b"info.json ",
    b"info.json.",
    b"-rf",
    b"~root",
    b"a" * 200,
    b"a" * 60_000,
    "ınfo.json".encode(),
    "info\N{FULLWIDTH SOLIDUS}x.json".encode(),
    "e\N{COMBINING ACUTE ACCENT}".encode(),
    "a\N{RIGHT-TO-LEFT OVERRIDE}nosj".encode(),
    b"\xff\xfe",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
def test_names_that_could_lead_elsewhere_or_deceive(parts, refused, name):
    message = refused(build([*parts, Part(name, b"x")]))
    assert message.isprintable()
    assert len(message) < 500


@pytest.mark.parametrize("flags", [0x800, 0], ids=["said to be UTF-8", "not said"])
def test_names_beyond_ascii_whatever_their_encoding_is_said_to_be(parts, refused, flags):
    facts = {"flags": flags}
    message = refused(build([*parts, Part("é.txt".encode(), b"x", local=facts, listed=facts)]))
    assert "ASCII" in message


@pytest.mark.parametrize("name", [b"info.json", b"INFO.JSON", b"Info.json"])
def test_two_files_of_one_name(parts, refused, name):
    assert "twice" in refused(build([*parts, Part(name, b"{}")]))


KINDS = {
    "symbolic link": (stat.S_IFLNK | 0o777) << 16,
    "folder": (stat.S_IFDIR | 0o755) << 16,
    "folder of DOS": 0x10,
    "pipe": (stat.S_IFIFO | 0o644) << 16,
    "device": (stat.S_IFCHR | 0o644) << 16,
    "socket": (stat.S_IFSOCK | 0o644) << 16,
}


@pytest.mark.parametrize("attributes", KINDS.values(), ids=KINDS)
def test_entries_that_are_not_files(parts, refused, attributes):
    link = Part(b"info.json", b"/etc/passwd", listed={"attributes": attributes})
    rest = [part for part in parts if part.name != b"info.json"]
    message = refused(build([link, *rest]))
    assert "info.json" in message
    assert "link" in message or "folder" in message


def overruled(where: str, **facts):
    """A change to the headers of the first part: its own, that in the list, or both."""

    def change(part: Part) -> None:
        for place in ("local", "listed") if where == "both" else (where,):
            getattr(part, place).update(facts)

    return change


HEADERS = {
    "encrypted": (overruled("both", flags=0x1), "encrypted"),
    "strongly encrypted": (overruled("both", flags=0x41), "encrypted"),
    "masked": (overruled("both", flags=0x2000), "encrypted"),
    "size after the data": (overruled("both", flags=0x8), "stream"),
    "patched data": (overruled("both", flags=0x20), "flags"),
    "bzip2": (overruled("both", method=12), "method 12"),
    "lzma": (overruled("both", method=14), "method 14"),
    "zstandard": (overruled("both", method=93), "method 93"),
    "two methods": (overruled("local", method=8), "two ways"),
    "two names": (overruled("local", name=b"configs.xxxx"), "two ways"),
    "two names of different length": (overruled("local", name=b"x"), "two ways"),
    "two sizes": (overruled("local", size=1), "two ways"),
    "two stored sizes": (overruled("local", stored=1), "two ways"),
    "two checksums": (overruled("local", crc=1), "two ways"),
    "two kinds of flags": (overruled("local", flags=0x800), "two ways"),
    "wrong checksum": (overruled("both", crc=1), "checksum"),
    "zip64 size": (overruled("both", size=0xFFFFFFFF), "two sizes"),
    "zip64 sizes": (overruled("both", size=0xFFFFFFFF, stored=0xFFFFFFFF), "zip64"),
    "zip64 field": (overruled("listed", extra=struct.pack("<HHQ", 1, 8, 9)), "zip64"),
    "zip64 field of its own": (overruled("local", extra=struct.pack("<HHQ", 1, 8, 9)), "zip64"),
    "second name": (overruled("listed", extra=struct.pack("<HHBL", 0x7075, 5, 1, 0)), "second"),
    "unknown field": (overruled("listed", extra=struct.pack("<HH", 0x9999, 0)), "extra field"),
    "torn field": (overruled("listed", extra=struct.pack("<HH", 0x5455, 99)), "extra field"),
    "field too short": (overruled("listed", extra=b"ab"), "extra field"),
    "comment": (overruled("listed", comment=b"hello"), "comment"),
    "another disk": (overruled("listed", disk=1), "damaged"),
    "offset beyond the end": (overruled("listed", offset=0x7FFFFFFF), "overlaps"),
    "offset of zip64": (overruled("listed", offset=0xFFFFFFFF), "zip64"),
}


@pytest.mark.parametrize(("change", "reason"), HEADERS.values(), ids=HEADERS)
def test_headers_that_lie(parts, refused, change, reason):
    change(parts[0])
    message = refused(build(parts))
    assert reason in message
    assert "hostile.zip" in message


ENDS = {
    "nothing": (lambda good, parts: b"", "not a zip file"),
    "noise": (lambda good, parts: os.urandom(5000), "not a zip file"),
    "text": (lambda good, parts: b"hello " * 1000, "not a zip file"),
    "only an end": (lambda good, parts: build([]), "no info.json"),
    "cut in the middle": (lambda good, parts: good[: len(good) // 2], "not a zip file"),
    "cut by one byte": (lambda good, parts: good[:-1], "not a zip file"),
    "more at the end": (lambda good, parts: good + b"x", "not a zip file"),
    "a second zip at the end": (lambda good, parts: good + build([]), "do not add up"),
    "a program in front": (lambda good, parts: b"#!/bin/sh\n" + good, "do not add up"),
    "a program in front, offsets right": (
        lambda good, parts: build(parts, before=b"#!/bin/sh\n"),
        "gap",
    ),
    "something between": (lambda good, parts: build(parts, between=b"hidden"), "between"),
    "a comment": (lambda good, parts: build(parts, after=b"hi", comment=2), "not a zip file"),
    "several disks": (lambda good, parts: build(parts, disk=1), "several parts"),
    "fewer here than in all": (lambda good, parts: build(parts, here=1), "several parts"),
    "zip64 count": (lambda good, parts: build(parts, here=0xFFFF, count=0xFFFF), "zip64"),
    "zip64 start": (lambda good, parts: build(parts, start=0xFFFFFFFF), "zip64"),
    "zip64 length": (lambda good, parts: build(parts, length=0xFFFFFFFF), "zip64"),
    "fewer files listed": (lambda good, parts: build(parts, here=2, count=2), "central directory"),
    "more files listed": (lambda good, parts: build(parts, here=20, count=20), "damaged"),
    "list begins later": (lambda good, parts: build(parts, start=5), "do not add up"),
}


@pytest.mark.parametrize(("make", "reason"), ENDS.values(), ids=ENDS)
def test_files_that_are_not_one_whole_zip_file(parts, refused, make, reason):
    assert reason in refused(make(build(parts), parts))


def test_files_that_overlap(parts, refused):
    """The trick by which a small zip file unpacks to petabytes: all entries share one block."""
    shared = Part(b"a0", os.urandom(3000))
    block = shared.local_header() + shared.stored()
    listing = b"".join(Part(b"a%d" % i, shared.data).entry(0) for i in range(60))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 60, 60, len(listing), len(block), 0)
    assert "overlaps" in refused(block + listing + end)
    first, second = parts[:2]
    second.listed["offset"] = 0
    assert "overlaps" in refused(build([first, second]))


def test_a_file_inside_the_data_of_another(parts, refused):
    inner = Part(b"inner.txt", b"hidden")
    outer = Part(b"outer.txt", inner.local_header() + inner.data)
    inner_at = len(outer.local_header())
    listing = outer.entry(0) + inner.entry(inner_at)
    body = outer.local_header() + outer.data
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(listing), len(body), 0)
    assert "overlaps" in refused(body + listing + end)


@pytest.mark.parametrize("count", [65, 65_534])
def test_too_many_files(refused, count):
    assert f"{count} files" in refused(build([Part(b"%d" % i, b"") for i in range(count)]))


DEFLATE = {
    "more than claimed": (
        Part(b"big.bin", bytes(1000), 8, packed=deflated(bytes(9 * MB))),
        "more than it claims",
    ),
    "less than claimed": (
        Part(b"big.bin", bytes(1000), 8, packed=deflated(bytes(999))),
        "unpacks to 999",
    ),
    "torn": (Part(b"big.bin", os.urandom(900), 8), "too soon"),
    "bytes after the data": (
        Part(b"big.bin", b"x" * 99, 8, packed=deflated(b"x" * 99) + b"hidden"),
        "after its compressed data",
    ),
    "many bytes after the data": (
        Part(b"big.bin", b"x" * 99, 8, packed=deflated(b"x" * 99) + bytes(200_000)),
        "after its compressed data",
    ),
    "noise": (Part(b"big.bin", bytes(99), 8, packed=b"\xff" * 99), "damaged"),
}
DEFLATE["torn"][0].packed = deflated(DEFLATE["torn"][0].data)[:-9]


@pytest.mark.parametrize(("part", "reason"), DEFLATE.values(), ids=DEFLATE)
def test_compressed_data_that_are_not_what_they_claim(parts, refused, part, reason):
    renamed = Part(b"README.md", part.data, 8, packed=part.stored())
    rest = [other for other in parts if other.name != b"README.md"]
    assert reason in refused(build([*rest, renamed]))


def bomb(size: int) -> bytes:
    """`size` zeros, deflated, a megabyte at a time."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(MB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * (size // MB) + packer.flush()


CLAIMS = {
    "a gigabyte of weights": ({b"weights.safetensors": 1024 * MB}, "claims to unpack"),
    "a gigabyte of JSON": ({b"results.json": 1023 * MB}, "claims 1073 MB"),
    "two gigabytes": ({b"model.pt": 2047 * MB}, "claims to unpack"),
    "many large files": ({b"a%d" % i: 100 * MB for i in range(50)}, "claims to unpack"),
}


@pytest.mark.parametrize(("claims", "reason"), CLAIMS.values(), ids=CLAIMS)
def test_bombs_are_found_by_what_they_claim(parts, refused, claims, reason):
    rest = [part for part in parts if part.name not in claims]
    made = bomb(20 * MB)
    bombs = [
        Part(name, b"", 8, packed=made, local={"size": size}, listed={"size": size})
        for name, size in claims.items()
    ]
    tracemalloc.start()
    message = refused(build([*rest, *bombs]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reason in message or "MB" in message
    assert peak < 4 * MB


def test_a_gigabyte_in_all_of_honest_looking_sizes(refused, tmp_path):
    """Stored files that are a little too large together; the file has holes, so takes no disk."""
    file, size = tmp_path / "large.zip", 600 * MB
    parts = [Part(b"a", b""), Part(b"b", b"")]
    crc = 0x12345678
    listing = b""
    with open(file, "wb") as out:
        for part in parts:
            facts = {"size": size, "stored": size, "crc": crc}
            part.local, part.listed = facts, facts
            listing += part.entry(out.tell())
            out.write(part.local_header())
            out.seek(size, os.SEEK_CUR)
        start = out.tell()
        out.write(listing)
        out.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(listing), start, 0))
    assert "1200 MB" in refused(file)


def test_a_large_member_of_a_hostile_file_never_is_in_memory_as_a_whole(parts, tmp_path):
    """64 MB that compress 100 times pass the claims, and are refused by their checksum."""
    size = 64 * MB
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(os.urandom(10_000) + bytes(MB - 10_000))
    packed = (block + packer.flush(zlib.Z_FULL_FLUSH)) * 64 + packer.flush()
    facts = {"size": size, "crc": 1}
    large = Part(b"weights.safetensors", b"", 8, packed=packed, local=facts, listed=facts)
    rest = [part for part in parts if part.name != large.name]
    file = tmp_path / "large.zip"
    file.write_bytes(build([*rest, large]))
    tracemalloc.start()
    with pytest.raises(RecordError, match=r"weights\.safetensors in it is damaged"):
        import_artifact(file, tmp_path / "root")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * MB
    assert not (tmp_path / "root").exists()


def test_a_bomb_under_a_limit_of_memory(parts, tmp_path):
    """The whole program, import of PyTorch and all, within 400 MB more than it starts with."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc")
    facts = {"size": 1000 * MB, "crc": 0}
    large = Part(b"README.md", b"", 8, packed=bomb(1000 * MB), local=facts, listed=facts)
    rest = [part for part in parts if part.name != large.name]
    file = tmp_path / "bomb.zip"
    file.write_bytes(build([*rest, large]))
    code = f"""
        import resource, reionemu
        from reionemu.artifact.sharing import bundle
        from reionemu.artifact.checking import verify
        from reionemu.artifact.formats import schema
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 400 * 2**20,) * 2)
        try:
            reionemu.import_artifact({str(file)!r}, {str(tmp_path / "root")!r})
        except reionemu.ReionemuError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "claims to unpack" in done.stdout


CONTENTS = {
    "a file that is not a part of the record": (lambda p: [*p, Part(b"x.sh", b"")], "x.sh"),
    "a part is missing": (lambda p: [x for x in p if x.name != b"model.pt"], "model.pt"),
    "no info.json": (lambda p: [x for x in p if x.name != b"info.json"], "no info.json"),
    "no checksums": (lambda p: [x for x in p if b"crate" not in x.name], "to check its files"),
}


@pytest.mark.parametrize(("change", "reason"), CONTENTS.values(), ids=CONTENTS)
def test_zip_files_that_hold_something_else_than_a_record(parts, refused, change, reason):
    assert reason in refused(build(change(parts)))


@pytest.mark.parametrize(
    "crate",
    [
        b"",
        b"[]",
        b"{}",
        b'{"@graph": 3}',
        b'{"@graph": [3, null, {"name": ["info.json"]}]}',
        b'{"@graph": [{"name": "info.json", "sha256": 3, "contentSize": 3}]}',
        b'{"@graph": [{"name": "info.json", "sha256": "", "contentSize": "-1"}]}',
        b'{"@graph": [{"name": "info.json", "sha256": "", "contentSize": "' + b"9" * 9999 + b'"}]}',
        b'{"@graph": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    ],
    ids=range(9),
)
def test_a_crate_that_gives_no_checksums(parts, refused, crate):
    for part in parts:
        if part.name == b"ro-crate-metadata.json":
            part.data = crate
    refused(build(parts))


def test_files_other_than_those_the_crate_describes(parts, refused):
    for part in parts:
        if part.name == b"results.json":
            part.data = part.data.replace(b"completed", b"COMPLETED")
    assert "results.json is not what was recorded" in refused(build(parts))


RUN_IDS = ['"../x"', '"/tmp/x"', '"a/../../x"', '""', "3", "null", '".history/x"', '"a\\u0000b"']


@pytest.mark.parametrize("run_id", RUN_IDS)
def test_records_that_would_have_another_place(parts, refused, honest, run_id):
    """The name comes from the file, too; whoever imports may give another."""
    info = honest[b"info.json"].replace(b'"run_id": "four_param"', f'"run_id": {run_id}'.encode())
    assert info != honest[b"info.json"]
    for part in parts:
        if part.name == b"info.json":
            part.data = info
    assert "--name" in refused(build(parts))


@pytest.mark.parametrize("name", ["../x", "/abs", "", "a//b", ".runs/x", "x\n"])
def test_names_given_by_the_user_that_lead_out_of_the_root(parts, refused, name):
    refused(build(parts), name=name)


def test_what_is_not_a_file_is_refused_without_waiting(refused, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "not a file" in refused(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert "not a file" in refused(tmp_path / "folder")
    assert "not a file" in refused(Path("/dev/zero"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        with pytest.raises((ReionemuError, OSError)):
            import_artifact(tmp_path / "s", tmp_path / "root")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        import_artifact(tmp_path / "nothing.zip", tmp_path / "root")
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("step", [97, pytest.param(1, marks=pytest.mark.slow)])
def test_every_flipped_byte_is_refused_or_changes_nothing(parts, tmp_path, step):
    """What is imported is the record that was exported, whatever happened to the file."""
    good = build(parts)
    names = {part.name.decode(): part.data for part in parts}
    imported = 0
    for position in sorted({*range(0, len(good), step), *range(len(good) - 600, len(good), 2)}):
        broken = bytearray(good)
        broken[position] ^= 1 << position % 8
        (tmp_path / "broken.zip").write_bytes(broken)
        try:
            artifact = import_artifact(
                tmp_path / "broken.zip", tmp_path / "root", name=f"run{position}"
            )
        except RecordError:
            continue
        imported += 1
        for kept in artifact.path.iterdir():
            assert kept.read_bytes() == names[kept.name]
    assert imported < 250  # times and versions in headers may change; nothing else
