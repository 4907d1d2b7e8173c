"""Versions of the documents in a record, and the steps from each to the next.

A step is a pure function from a document of version n to one of version n + 1. Documents on the
disk are never changed: they are brought up to date as they are read. A document of a newer version
than this release knows is taken as it is, with a warning that names what is not understood.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import RecordError, ReionemuWarning

Step = Callable[[Mapping[str, Any]], dict[str, Any]]


def _weights_0_to_1(document: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of weights, which had no version at first, get one."""
    return {**document, "version": 1}


FIRST_VERSION = {
    "info": 1,
    "configs": 1,
    "results": 1,
    "provenance": 1,
    "weights": 0,
    "companions": 1,
    "posterior": 1,
    "data": 1,
}
"""The version of the first documents of each kind; later ones state theirs."""

MIGRATIONS: dict[str, tuple[Step, ...]] = {
    "info": (),
    "configs": (),
    "results": (),
    "provenance": (),
    "weights": (_weights_0_to_1,),
    "companions": (),
    "posterior": (),
    "data": (),
}
"""Steps by kind: the first leads from `FIRST_VERSION[kind]` to the next version, and so on."""

IN_METADATA = ("weights", "companions", "posterior")

VERSION_KEY = {kind: "version" if kind in IN_METADATA else "schema_version" for kind in MIGRATIONS}


def known_version(kind: str) -> int:
    """The newest version of a kind of document that this release knows, and writes."""
    return FIRST_VERSION[kind] + len(MIGRATIONS[kind])


def version_of(kind: str, document: Mapping[str, Any], where: str) -> int:
    """The version that a document states.

    Raises
    ------
    RecordError (ValueError)
        If it states none that there can be.
    """
    key, first = VERSION_KEY[kind], FIRST_VERSION[kind]
    version = document.get(key, first)
    if not isinstance(version, int) or isinstance(version, bool) or version < first:
        raise RecordError(f"{where}: {key} must be a whole number >= {first}, not {version!r:.40}")
    return version


def migrate(kind: str, document: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A document as this release writes it.

    Parameters
    ----------
    kind : {"info", "configs", "results", "provenance", "weights", "companions", "posterior",
        "data"}
    document : mapping
        As read; not changed.
    where : str
        What messages call it.

    Returns
    -------
    dict
        With the version `known_version(kind)`; or, of a newer one, with all its fields as it is.

    Raises
    ------
    RecordError (ValueError)
        If its version is none that there can be.
    """
    version = version_of(kind, document, where)
    if version > known_version(kind):
        _warn(kind, document, where, version)
    current = dict(document)
    for step in MIGRATIONS[kind][version - FIRST_VERSION[kind] :]:
        current = step(current)
    return current


def _warn(kind: str, document: Mapping[str, Any], where: str, version: int) -> None:
    from .schema import unknown_fields  # only a record from the future needs it

    unknown = unknown_fields(kind, document)
    named = ", ".join(unknown[:20]) + ("..." if len(unknown) > 20 else "")
    warnings.warn(
        f"{where} was written by a newer release ({VERSION_KEY[kind]} {version}; this one knows "
        f"{known_version(kind)}). "
        + (f"Not understood, but kept: {named}" if unknown else "It has no unknown fields"),
        ReionemuWarning,
        stacklevel=4,
    )
