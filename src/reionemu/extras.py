"""Packages that only some of this needs: optional dependencies, imported where they are used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import ConfigError


@contextmanager
def needed(purpose: str, extra: str) -> Iterator[None]:
    """Imports in this block that fail say which extra of this package to install.

    ::

        with needed("sampling with NUTS", "nuts"):
            import nutpie

    Raises
    ------
    ConfigError
        Naming the package that is missing.
    """
    try:
        yield
    except ImportError as error:
        package = (error.name or str(error)).split(".")[0]
        raise ConfigError(
            f"{purpose} needs {package}, which is not installed: pip install 'reionemu[{extra}]'"
        ) from error
