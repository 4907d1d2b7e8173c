"""Errors of this package, as Cobaya reports errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging import Logger

from cobaya.log import LoggedError

from ...errors import ReionemuError


@contextmanager
def reported(log: Logger) -> Iterator[None]:
    """Errors in this block end a run of Cobaya with their message, and without a traceback."""
    try:
        yield
    except ReionemuError as error:
        raise LoggedError(log, "%s", str(error)) from error
