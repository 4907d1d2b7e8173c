"""Reading a zip file that may have been made to do harm.

Zip files say everything twice, and readers differ in what they believe: files may overlap, hide
before, between or after each other, have two names or two sizes, or unpack to a million times
their size. Here one reading is allowed: members follow each other without a gap from the first
byte to the central directory, which ends the file, and both descriptions of a member agree.
Everything is checked before the first member is unpacked, and members are unpacked as streams.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, NoReturn

from ...errors import RecordError
from ..formats.jsonio import MAX_BYTES as MAX_JSON_BYTES

MAX_MEMBERS = 64
MAX_TOTAL_BYTES = 2**30
MAX_NAME = 100
MAX_RATIO = 200
"""How many times its size in the zip file a member may have; what people compress has 10 or 20."""

_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _STREAMED = 0x2041, 0x0008
_KNOWN_FLAGS = 0x0806  # how hard deflate tried, and that the name is UTF-8
_HARMLESS_EXTRAS = (0x5455, 0x5855, 0x7875)  # times and owners, as `zip` writes them
_ZIP64, _UNICODE_NAME = 0x0001, 0x7075
_CHUNK = 2**16
_FORBIDDEN = frozenset('/\\:*?"<>|')


@dataclass(frozen=True)
class Member:
    """One file in a zip file: its name, and how and from which place its bytes are kept."""

    name: str
    size: int
    stored_size: int
    crc: int
    method: int
    flags: int
    offset: int
    raw_name: bytes


class StrictZip:
    """The members of a zip file, every one of which was looked at with suspicion.

    Parameters
    ----------
    handle : binary file
        Open for reading; a regular file.
    where : str
        What errors call the file.

    Raises
    ------
    RecordError (ValueError)
        For anything that is unusual in a zip file, naming the member.
    """

    def __init__(self, handle: BinaryIO, where: str) -> None:
        self._handle, self._where = handle, where
        size = os.fstat(handle.fileno()).st_size
        count, directory, start = self._end(size)
        self.members = self._located(self._directory(count, directory, start), start)

    def names(self) -> list[str]:
        """Names of the members, in the order of the central directory."""
        return [member.name for member in self.members]

    def member(self, name: str) -> Member | None:
        """The member of that name, or None."""
        return next((member for member in self.members if member.name == name), None)

    def read(self, member: Member) -> bytes:
        """All of a member."""
        return b"".join(self.stream(member))

    def stream(self, member: Member) -> Iterator[bytes]:
        """A member in pieces; never more of it than it claims to have.

        Raises
        ------
        RecordError (ValueError)
            At the piece by which it is found to be other than it claims.
        """
        self._handle.seek(member.offset)
        total = crc = 0
        for piece in self._unpacked(member):
            total += len(piece)
            crc = zlib.crc32(piece, crc)
            yield piece
        if total != member.size:
            self._refuse(member.name, f"unpacks to {total} bytes and claims {member.size}")
        if crc != member.crc:
            self._refuse(member.name, "is damaged: its checksum is wrong")

    def _unpacked(self, member: Member) -> Iterator[bytes]:
        if member.method == _STORED:
            yield from self._packed(member)
            return
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        left = member.size
        try:
            for block in self._packed(member):
                if inflate.eof:
                    self._refuse(member.name, "has bytes after its compressed data")
                full = True
                while (block or full) and not inflate.eof:
                    limit = min(left + 1, _CHUNK)  # one more shows that there is more
                    piece = inflate.decompress(block, limit)
                    block, full = inflate.unconsumed_tail, len(piece) == limit
                    left -= len(piece)
                    if left < 0:
                        self._refuse(member.name, "unpacks to more than it claims")
                    yield piece
                if block or inflate.unused_data:
                    self._refuse(member.name, "has bytes after its compressed data")
        except zlib.error as error:
            self._refuse(member.name, f"is damaged: {error}")
        if not inflate.eof:
            self._refuse(member.name, "is damaged: its compressed data end too soon")

    def _packed(self, member: Member) -> Iterator[bytes]:
        left = member.stored_size
        while left:
            block = self._handle.read(min(left, _CHUNK))
            if not block:
                self._refuse(member.name, "is cut short")
            left -= len(block)
            yield block

    def _end(self, size: int) -> tuple[int, int, int]:
        """(number of members, length and place of the central directory)."""
        if size < _END.size:
            raise RecordError(f"{self._where} is not a zip file: it has {size} bytes")
        record = _END.unpack(self._at(size - _END.size, _END.size))
        magic, disk, first_disk, here, count, length, start, comment = record
        if magic != b"PK\5\6":
            raise RecordError(
                f"{self._where} is not a zip file, or is cut short, or goes on after its end"
            )
        if disk or first_disk or here != count or comment:
            raise RecordError(f"{self._where} is a zip file in several parts, or with a comment")
        if 0xFFFF in (here, count) or 0xFFFFFFFF in (length, start):
            raise RecordError(f"{self._where} is a zip64 file, which no exported record is")
        if count > MAX_MEMBERS:
            raise RecordError(f"{self._where} holds {count} files; a record has few")
        if start + length != size - _END.size:
            raise RecordError(
                f"{self._where} is not a whole zip file: its parts do not add up to its size"
            )
        if length > count * (_CENTRAL.size + 4 * MAX_NAME):
            raise RecordError(f"{self._where} has a central directory of {length} bytes")
        return count, length, start

    def _directory(self, count: int, length: int, start: int) -> list[Member]:
        block = self._at(start, length)
        members: list[Member] = []
        position = 0
        for _ in range(count):
            if block[position : position + 4] != b"PK\1\2" or len(block) < position + _CENTRAL.size:
                raise RecordError(f"{self._where}: its central directory is damaged")
            member, position = self._central(block, position)
            self._check(member, members)
            members.append(member)
        if position != length:
            raise RecordError(f"{self._where}: its central directory is longer than its entries")
        total = sum(member.size for member in members)
        if total > MAX_TOTAL_BYTES:
            raise RecordError(
                f"{self._where} unpacks to {total / 2**20:.0f} MB, more than a record may have "
                f"({MAX_TOTAL_BYTES // 2**20} MB)"
            )
        return members

    def _central(self, block: bytes, position: int) -> tuple[Member, int]:
        """The entry of the central directory at a place in it, and where the next one begins."""
        fields = _CENTRAL.unpack_from(block, position)
        flags, method = fields[3], fields[4]
        crc, stored, size, name_size, extra_size, comment_size, disk = fields[7:14]
        attributes, offset = fields[15], fields[16]
        name_at = position + _CENTRAL.size
        extra_at = name_at + name_size
        end = extra_at + extra_size + comment_size
        raw_name, extra = block[name_at:extra_at], block[extra_at : extra_at + extra_size]
        name = self._name(raw_name)
        if end > len(block) or comment_size or disk:
            self._refuse(name, "has a damaged entry in the central directory, or a comment")
        self._check_extra(name, extra)
        self._check_kind(name, attributes)
        return Member(name, size, stored, crc, method, flags, offset, raw_name), end

    def _name(self, raw: bytes) -> str:
        """A name that means one plain file in one folder, on every system."""
        name = raw.decode("ascii", "backslashreplace")
        reason = bad_name(name) if raw.isascii() else "is not of plain ASCII characters"
        if reason:
            raise RecordError(f"{self._where}: the name {name[:80]!r} in it {reason}")
        return name

    def _check_extra(self, name: str, extra: bytes) -> None:
        while extra:
            kind, size = struct.unpack("<2H", extra[:4]) if len(extra) >= 4 else (None, 0)
            if kind == _ZIP64:
                self._refuse(name, "has zip64 sizes, which no file of a record needs")
            if kind == _UNICODE_NAME:
                self._refuse(name, "has a second name")
            if kind not in _HARMLESS_EXTRAS or len(extra) < 4 + size:
                self._refuse(name, "has an extra field that is damaged or not known")
            extra = extra[4 + size :]

    def _check_kind(self, name: str, attributes: int) -> None:
        mode, dos_folder = attributes >> 16, attributes & 0x10
        if stat.S_ISLNK(mode):
            self._refuse(name, "is a symbolic link")
        if dos_folder or stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            self._refuse(name, "is a folder, or something else that is not a file")

    def _check(self, member: Member, before: list[Member]) -> None:
        name = member.name
        if any(name.casefold() == other.name.casefold() for other in before):
            self._refuse(name, "is there twice, perhaps in upper and lower case")
        if member.flags & _ENCRYPTED:
            self._refuse(name, "is encrypted")
        if member.flags & _STREAMED:
            self._refuse(name, "was written as a stream, with its size after it")
        if member.flags & ~_KNOWN_FLAGS:
            self._refuse(name, f"has unknown flags {member.flags:#06x}")
        if member.method not in (_STORED, _DEFLATED):
            self._refuse(name, f"is compressed by method {member.method}; only deflate is read")
        if member.method == _STORED and member.size != member.stored_size:
            self._refuse(name, "has two sizes")
        if 0xFFFFFFFF in (member.size, member.stored_size, member.offset):
            self._refuse(name, "has zip64 sizes, which no file of a record needs")
        if name.endswith(".json") and member.size > MAX_JSON_BYTES:
            self._refuse(name, f"claims {member.size / 1e6:.0f} MB; JSON of a record has less")
        if member.size > MAX_RATIO * member.stored_size + _CHUNK:
            self._refuse(name, f"claims to unpack to {member.size} from {member.stored_size} bytes")

    def _located(self, members: list[Member], directory_start: int) -> tuple[Member, ...]:
        """The members with the places of their data, which follow each other without a gap.

        The header that each has of its own must agree with the list.
        """
        expected = 0
        located = {}
        for member in sorted(members, key=lambda member: member.offset):
            if member.offset != expected:
                self._refuse(member.name, "overlaps another file, or there is a gap before it")
            data = self._check_local(member)
            located[member.name] = replace(member, offset=data)
            expected = data + member.stored_size
        if expected != directory_start:
            raise RecordError(f"{self._where}: something stands between its files and their list")
        return tuple(located[member.name] for member in members)

    def _check_local(self, member: Member) -> int:
        """Where the data of a member begin, after comparing its own header with the list."""
        header = self._at(member.offset, _LOCAL.size)
        if len(header) < _LOCAL.size or header[:4] != b"PK\3\4":
            self._refuse(member.name, "is not where the list of files says")
        fields = _LOCAL.unpack(header)
        flags, method, crc, stored, size, name_size, extra_size = *fields[2:4], *fields[6:]
        rest = self._at(member.offset + _LOCAL.size, name_size + extra_size)
        stated = (flags, method, crc, stored, size, rest[:name_size])
        listed = (member.flags, member.method, member.crc, member.stored_size, member.size)
        if stated != (*listed, member.raw_name):
            self._refuse(member.name, "is described in two ways that differ")
        self._check_extra(member.name, rest[name_size:])
        return member.offset + _LOCAL.size + name_size + extra_size

    def _at(self, position: int, count: int) -> bytes:
        self._handle.seek(position)
        return self._handle.read(count)

    def _refuse(self, name: str, reason: str) -> NoReturn:
        raise RecordError(f"{self._where}: {name} in it {reason}; it was not imported")


def bad_name(name: str) -> str | None:
    """Why a name cannot be that of a file in an exported record; None if it can."""
    if not name or len(name) > MAX_NAME:
        return f"is empty, or longer than {MAX_NAME} characters"
    if not name.isascii() or not name.isprintable():
        return "is not of plain ASCII characters"
    if _FORBIDDEN & set(name):
        return "leads to another folder, or holds a character that some systems do not allow"
    if name.startswith((".", " ", "~", "-")) or name.endswith((".", " ")):
        return "begins or ends with a dot, a space or a sign"
    return None
