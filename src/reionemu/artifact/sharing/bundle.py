"""A record as one file to pass on, and back.

The file is a zip, not compressed, with nothing in it that depends on when, where or by whom it
was made: the files of the record in alphabetical order, and beside them `README.md` (a model card)
and `ro-crate-metadata.json`, both made of the record alone. The same record gives the same bytes.

Coming back, nothing in the file is believed: see `strictzip`. The record is unpacked aside,
compared with its checksums, read as any record is, and put in place only then.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ...errors import AlreadyExistsError, MissingFileError, RecordError, UnreadableFileError
from ...files import replacing, require_space
from ..formats.jsonio import MAX_BYTES, encode
from ..placing import artifact_path, placing
from ..read import Artifact, load_artifact
from ..unfinished import UNFINISHED
from .card import card
from .contents import CARD, CRATE, documents, read_contents
from .crate import crate
from .strictzip import MAX_MEMBERS, MAX_TOTAL_BYTES, StrictZip, bad_name
from .unpacking import described, name_of, require_whole, unpack

_EPOCH = (1980, 1, 1, 0, 0, 0)


def export_artifact(path: str | Path, out: str | Path, *, overwrite: bool = False) -> Path:
    """Write a record to one file, after checking that it is whole.

    Parameters
    ----------
    path : str or Path
        The artifact's folder.
    out : str or Path
        The zip file to write. The same record gives the same bytes, whenever and wherever (by
        one release: a later one may write another model card).
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    RecordError (ValueError)
        If the record is damaged, or the run has not completed.
    AlreadyExistsError (FileExistsError)
        If `out` is there and may not be replaced.
    FileNotFoundError
        If there is no such artifact, or no folder for `out`.
    """
    artifact = load_artifact(path)
    out = Path(out).expanduser()
    if out.exists() and not overwrite:
        raise AlreadyExistsError(f"{out} is there already; give another name, or allow overwriting")
    if out.resolve().is_relative_to(artifact.path.resolve()):
        raise RecordError(f"{out} is inside the record; write the file somewhere else")
    if artifact.status in UNFINISHED:
        raise RecordError(
            f"{artifact.path} has not completed (status: {artifact.status}); only a completed run "
            "can be exported"
        )
    found = read_contents(artifact.path)
    require_whole(found, artifact.path)
    files = {**found, **_additions(found, artifact.path)}
    _check_exportable(files, artifact.path)
    with replacing(out) as temporary:
        require_space(out.resolve().parent, sum(map(len, files.values())), str(out))
        _write(temporary, files)
    return out


def import_artifact(file: str | Path, root: str | Path, *, name: str | None = None) -> Artifact:
    """Unpack a file that `export_artifact` wrote, after checking all of it.

    The file may come from anyone: nothing in it is executed, nothing is written outside
    `root`/`name`, nothing that is there is replaced, and time, memory and disk that it can take
    are limited. If anything is wrong with it, `root` stays as it was.

    Parameters
    ----------
    file : str or Path
    root : str or Path
        Folder of artifacts; made if it is not there.
    name : str, optional
        For the artifact in `root`; by default the one it was saved under.

    Returns
    -------
    Artifact

    Raises
    ------
    RecordError (ValueError)
        If the file is not an exported record, or is damaged, saying where.
    AlreadyExistsError (FileExistsError)
        If the name is taken.
    FileNotFoundError
        If there is no such file.
    """
    with _opened(Path(file).expanduser()) as handle:
        archive = StrictZip(handle, str(file))
        files = described(archive, str(file))
        name = name_of(archive, str(file)) if name is None else name
        try:
            final = artifact_path(name, Path(root))
        except RecordError as error:
            raise RecordError(f"{file}: {error} (or give one: name=..., --name)") from None
        if os.path.lexists(final):
            raise _taken(final)
        with _no_new_folders(final.parent):
            try:
                with placing(name, Path(root), replace=False) as (folder, final):
                    unpack(archive, files, folder, str(file))
            except AlreadyExistsError:
                raise _taken(final) from None
    return load_artifact(final)


def _additions(found: Mapping[str, bytes], path: Path) -> dict[str, bytes]:
    """The model card and the crate's metadata."""
    record = documents(found, path)
    readme = card(record).encode()
    return {CARD: readme, CRATE: encode(crate(record, {**found, CARD: readme}))}


def _check_exportable(files: Mapping[str, bytes], path: Path) -> None:
    """Nothing is exported that would not be imported."""
    for name, content in files.items():
        reason = bad_name(name)
        if reason:
            raise RecordError(f"{path} cannot be exported: the file name {name!r} {reason}")
        if name.endswith(".json") and len(content) > MAX_BYTES:
            raise RecordError(f"{path} cannot be exported: {name} is too large for a JSON document")
    if len({name.casefold() for name in files}) != len(files) or len(files) > MAX_MEMBERS:
        raise RecordError(
            f"{path} cannot be exported: more than {MAX_MEMBERS} files, or file names that differ "
            "only in upper and lower case"
        )
    total = sum(map(len, files.values()))
    if total > MAX_TOTAL_BYTES:
        raise RecordError(
            f"{path} cannot be exported: {total / 2**20:.0f} MB are more than the "
            f"{MAX_TOTAL_BYTES // 2**20} MB that are imported"
        )


def _write(path: Path, files: Mapping[str, bytes]) -> None:
    """A zip file of which every byte is determined by names and contents."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, files[name])


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file, open for reading; opening a pipe or a device must not wait or do anything."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise MissingFileError(f"{path} does not exist") from None
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be read: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise RecordError(f"{path} is not a file; a zip file from `export` was expected")
        with os.fdopen(descriptor, "rb", closefd=False) as handle:
            yield handle
    finally:
        os.close(descriptor)


@contextmanager
def _no_new_folders(folder: Path) -> Iterator[None]:
    """If the block raises, remove those folders, up to `folder`, that were not there before."""
    new = [part for part in (folder, *folder.parents) if not os.path.lexists(part)]
    try:
        yield
    except BaseException:
        for part in new:
            with suppress(OSError):
                part.rmdir()
        raise


def _taken(final: Path) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"{final} is there already, and was not touched; import under another name (--name, or "
        "name=... in Python)"
    )
