"""The bytes of one file, whoever made it: a plain file, of bounded size, and never a wait.

What is in a record's folder may come from anyone. A pipe would block its reader, a device has no
end, and a link may lead anywhere, so that none of them is opened as if it were a file.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ...errors import MissingFileError, RecordError, UnreadableFileError

_LINK_ERRORS = (errno.ELOOP, errno.EMLINK)


def read_file(
    path: Path,
    limit: int,
    *,
    folder: int | None = None,
    follow_links: bool = True,
    growing: bool = False,
) -> bytes:
    """Contents of a plain file.

    Parameters
    ----------
    path : Path
        What errors call the file; and where it is, unless `folder` is given.
    limit : int
        The most bytes that it may have.
    folder : int, optional
        Descriptor of an open directory, in which the last part of `path` is looked up.
    follow_links : bool
        Whether `path` may be a symbolic link.
    growing : bool
        Whether the file may grow meanwhile; what is added is left out.

    Raises
    ------
    MissingFileError (FileNotFoundError)
        If there is no such file.
    RecordError (ValueError)
        If it is no plain file, a link where none may be, or larger than `limit`.
    UnreadableFileError (OSError)
        If the system does not let it be read.
    """
    descriptor = _open(path, folder, follow_links)
    try:
        size = _size_of(descriptor, path, limit)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(size if growing else size + 1)
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(content) > size:
        raise UnreadableFileError(f"{path} is being written; read it again when it is complete")
    return content


def _size_of(descriptor: int, path: Path, limit: int) -> int:
    """Size of an open file, after checking that it is a plain one and not too large."""
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise RecordError(f"{path} is a folder; a file was expected")
    if not stat.S_ISREG(status.st_mode):
        raise RecordError(f"{path} is not a file but a pipe, a socket or a device")
    if status.st_size > limit:
        raise RecordError(
            f"{path} is larger than {limit // 2**20} MB ({status.st_size} bytes): too large to be "
            "a part of a record"
        )
    return status.st_size


def _open(path: Path, folder: int | None, follow_links: bool) -> int:
    flags = os.O_RDONLY | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)
    try:
        return os.open(path if folder is None else path.name, flags, dir_fd=folder)
    except FileNotFoundError:
        raise MissingFileError(f"{path} does not exist") from None
    except PermissionError:
        raise UnreadableFileError(f"{path} cannot be read: no permission") from None
    except OSError as error:
        if error.errno in _LINK_ERRORS:
            raise RecordError(
                f"{path} is a symbolic link, and a record is made of plain files only; put a copy "
                "of the file in the link's place"
            ) from None
        if error.errno == errno.ENXIO:
            raise RecordError(f"{path} is not a file but a socket or a device") from None
        raise UnreadableFileError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # a zero byte in the name
        raise RecordError(f"{str(path)!r} cannot be the name of a file: {error}") from None
