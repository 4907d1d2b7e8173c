"""What the documents of one record say, at a glance: read without waiting, and without trust.

A file is opened only if it is a plain one, so that a named pipe stops nobody and no link leads
elsewhere; what cannot be read becomes the problem of the record, never an error.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from ...errors import RecordError
from ..formats.jsonio import decode
from ..layout import CONFIGS, INFO, JOURNAL, PROVENANCE, RESULTS, SCHEMA_VERSION
from ..runs import FAILED
from .entry import DAMAGED, MAX_VALUES, Value, best_epoch, facts_of, last_epoch

Signature = list[list[int] | None]
"""[inode, size, mtime, ctime (ns)] of each of a record's files, None for those not there."""

FILES = (INFO, CONFIGS, RESULTS, PROVENANCE)
RUN_FILES = (*FILES, JOURNAL)
_MAX_BYTES = 64 * 2**20
_QUICK_BYTES = 2**22
_YOUNG_S = 2.0


class Known(NamedTuple):
    """What was read in a folder; good as long as its files have the same signature."""

    signature: Signature
    is_record: bool
    status: str
    problem: str | None
    paths: tuple[str, ...]
    row: Sequence[Value]


def signature_of(folder: str, files: tuple[str, ...]) -> Signature:
    """What tells whether the files of a folder have changed; raises OSError."""
    signature: Signature = []
    for name in files:
        try:
            status = os.lstat(f"{folder}/{name}")
        except (FileNotFoundError, NotADirectoryError):
            signature.append(None)
        else:
            signature.append(_facts(status))
    return signature


def _facts(status: os.stat_result) -> list[int]:
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def is_young(signature: Signature, read_at: float) -> bool:
    """Whether a file changed so shortly before it was read that a later change may not show."""
    limit = int((read_at - _YOUNG_S) * 1e9)
    return any(max(facts[2:]) > limit for facts in signature if facts)


def read_folder(folder: str, files: tuple[str, ...]) -> tuple[Known | None, int]:
    """What the documents in a folder say, and how many bytes they are.

    They are read through one open folder, so that they are those of one record even if it is
    replaced meanwhile.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None, 0
    except OSError as error:
        return unreadable(error), 0
    signature: Signature = []
    documents: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    last: dict[str, Value] = {}
    try:
        for name in files:
            content, facts, problem = _read_file(descriptor, name)
            signature.append(facts)
            if problem is None and content is not None and name == JOURNAL:
                last = _of_journal(content)
            elif problem is None and content is not None:
                document, problem = _document(content, name)
                if document is not None:
                    documents[name.removesuffix(".json")] = document
            if problem:
                problems.append(problem)
    except OSError as error:
        return unreadable(error), 0
    finally:
        os.close(descriptor)
    if signature[0] is None:
        return None, 0
    known = _known(signature, documents, problems, last)
    return known, sum(facts[1] for facts in signature if facts)


def _known(
    signature: Signature,
    documents: Mapping[str, Mapping[str, Any]],
    problems: list[str],
    last: Mapping[str, Value],
) -> Known:
    info = documents.get("info")
    is_record = info is not None
    if info is not None and not _is_version(info.get("schema_version")):
        is_record = False
        problems = [f"{INFO} has no schema_version: not a record", *problems]
        documents = {}
    facts = {**facts_of(documents), **last}
    status = documents.get("results", {}).get("status", "not recorded")
    status = status if isinstance(status, str) else "not recorded"
    if problems:
        status = DAMAGED
    elif info is not None and info["schema_version"] > SCHEMA_VERSION:
        problems = [f"written by a newer release (schema_version {info['schema_version']})"]
    elif status == FAILED and "error.message" in facts:
        problems = [f"{facts.get('error.type')}: {facts['error.message']}"]
    elif len(facts) >= MAX_VALUES:
        problems = [f"more than {MAX_VALUES} values; the others are not listed"]
    problem = "; ".join(problems) or None
    return Known(signature, is_record, status, problem, tuple(facts), tuple(facts.values()))


def _is_version(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _read_file(folder: int, name: str) -> tuple[bytes | None, list[int] | None, str | None]:
    """(content, what its signature is, what is wrong with it) of a file in an open folder."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        status = os.lstat(name, dir_fd=folder)
        if stat.S_ISLNK(status.st_mode):
            return None, _facts(status), f"{name} is a symbolic link, which is not followed"
        if not stat.S_ISREG(status.st_mode):
            return None, _facts(status), f"{name} is not a file"
        descriptor = os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        return None, None, None
    with open(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None, _facts(status), f"{name} is not a file"
        if status.st_size > _MAX_BYTES:
            return None, _facts(status), f"{name} is larger than {_MAX_BYTES // 2**20} MB"
        return _read_all(file, status.st_size), _facts(status), None


def _read_all(file: Any, size: int) -> bytes:
    content = file.read(size + 1)
    while len(content) <= size:
        more = file.read(size + 1 - len(content))
        if not more:
            break
        content += more
    return content


def _document(content: bytes, name: str) -> tuple[dict[str, Any] | None, str | None]:
    try:
        document = _decode(content, name)
    except RecordError as error:
        return None, str(error)
    if not isinstance(document, dict):
        return None, f"{name} is not a record: it is not a JSON object"
    return document, None


def _decode(content: bytes, name: str) -> Any:
    """`decode`, but three times as fast, and {"$float": "nan"} stays as it is.

    It reads what `decode` would, and keys that occur twice; the rest is left to `decode`.
    """
    from pydantic_core import from_json

    if len(content) <= _QUICK_BYTES:
        with suppress(ValueError):
            return from_json(content)
    return decode(content, name)


def _of_journal(content: bytes) -> dict[str, Value]:
    """Facts from the history of a run that has not completed; a torn last line is passed over."""
    from pydantic_core import from_json

    lines = content.split(b"\n")[:-1]
    if not lines:
        return {}
    facts: dict[str, Value] = {"epochs": len(lines)}
    with suppress(RecordError):
        values = decode(lines[-1], JOURNAL)
        if isinstance(values, dict):
            epoch = values.get("epoch")
            facts = {"epochs": epoch if isinstance(epoch, int) else len(lines)}
            facts |= last_epoch(values)
    with suppress(ValueError):  # they are so many that only the quick reader will do
        epochs = from_json(b"[" + b",".join(lines) + b"]")
        facts |= best_epoch([e.get("val_loss") for e in epochs if isinstance(e, dict)])
    return facts


def damaged(problem: str) -> Known:
    """What is known of a folder that is no whole record."""
    return Known([], False, DAMAGED, problem, (), ())


def unreadable(error: OSError) -> Known:
    """What is known of a folder that the system does not let be read."""
    name = os.path.basename(os.fsdecode(error.filename or ""))
    what = f"{name} " if name in RUN_FILES else ""
    return damaged(f"{what}cannot be read: {error.strerror or error}")
