"""Text files of designs; what is in them, `reionemu.design.text` says."""

from __future__ import annotations

from pathlib import Path

from ..errors import AlreadyExistsError, MissingFileError, UnreadableFileError
from ..files import exclusive, require_space, write_bytes
from ..parameters import PARAMETER_NAMES
from .points import Design
from .text import format_design, parse_design

MAX_BYTES = 2**23
"""Larger files are refused unread; the most points a design may have take 5 MB."""


def write_design(path: Path | str, design: Design, *, overwrite: bool = False) -> None:
    """Write a design to a text file, whole or not at all; `numpy.loadtxt` reads the rows.

    Raises
    ------
    AlreadyExistsError (FileExistsError)
        If there is a file and `overwrite` is false.
    MissingFileError, ReadOnlyError, NotEnoughSpaceError, FileBusyError
        If nothing can be written there, or another process is doing so.
    """
    path = Path(path).expanduser()
    content = format_design(design).encode()
    with exclusive(path):
        if path.exists() and not overwrite:
            raise AlreadyExistsError(
                f"{path} is there already; give another name, or allow overwriting"
            )
        require_space(path.resolve().parent, len(content), str(path))
        write_bytes(path, content)


def read_design(path: Path | str, names: tuple[str, ...] = PARAMETER_NAMES) -> Design:
    """Read a design from a text file, columns by their names.

    Parameters
    ----------
    path : path
        A file as `reionemu.design.text` describes.
    names : tuple of str
        The columns that it must have, and the order they get.

    Returns
    -------
    Design
        Its `space` is None, and its one step "given", where the file does not say.

    Raises
    ------
    MissingFileError (FileNotFoundError)
        If there is no such file.
    UnreadableFileError (OSError)
        If it is not a text file in UTF-8, empty, too large, torn, or of a newer format.
    DatasetError (ValueError)
        Naming the line, for a column that is unknown, missing or there twice, a row with too few
        or too many fields or with something other than finite numbers, bounds that cannot be, a
        point outside them, or points other in number than the header says.
    """
    path = Path(path).expanduser()
    return parse_design(_read_text(path), names, str(path))


def _read_text(path: Path) -> str:
    if not path.exists():
        raise MissingFileError(f"{path} does not exist")
    if not path.is_file():
        raise UnreadableFileError(f"{path} is not a file; a text file of points was expected")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise UnreadableFileError(
            f"{path} is larger than {MAX_BYTES // 2**20} MB: too large for a file of points"
        )
    if not content.strip():
        raise UnreadableFileError(f"{path} is empty; a text file of points was expected")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(
            f"{path} is not a text file in UTF-8 (byte {error.start} is not); a text file of "
            "points was expected"
        ) from None
