"""Reading what a record of the kind "inference" holds: samples, and the band powers they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import RecordError
from .formats.posterior import StoredPosterior, decode_band_powers, decode_posterior
from .layout import BAND_POWERS, INFERENCE, POSTERIOR
from .unfinished import shortfall

if TYPE_CHECKING:
    from .read import Artifact


def stored_posterior(artifact: Artifact) -> StoredPosterior:
    """The samples in a record, as arrays by name.

    Raises
    ------
    RecordError (ValueError)
        If it holds none, or they are damaged.
    """
    content = _part(artifact, "posterior", POSTERIOR)
    return decode_posterior(content, str(artifact.path / POSTERIOR))


def stored_band_powers(artifact: Artifact) -> dict[str, Any]:
    """The band powers that the samples are of, as `BandPowers.from_mapping` takes them.

    Raises
    ------
    RecordError (ValueError)
        If it holds none, or they are damaged.
    """
    content = _part(artifact, "data", BAND_POWERS)
    return decode_band_powers(content, str(artifact.path / BAND_POWERS))


def _part(artifact: Artifact, part: str, default: str) -> bytes:
    if artifact.kind != INFERENCE:
        raise RecordError(
            f"{artifact.path} holds no posterior: it is a record of the kind {artifact.kind!r:.60}"
        )
    content = artifact.unchanged(part, default)
    if content is None:
        lacking = shortfall(artifact) or f"it lacks its {part}. Copy the whole folder"
        raise RecordError(f"{artifact.path}: {lacking}")
    return content
