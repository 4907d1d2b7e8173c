"""Figures as files."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import require_choice
from ..errors import ConfigError
from ..files import write_bytes
from .corners import corner
from .histories import history
from .spectra import spectrum
from .style import style

if TYPE_CHECKING:
    from ..inference.posterior import Posterior

_METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None},
    "png": {},
    "svg": {"Date": None},
}
"""Formats, and what would differ from one time to the next, to be left out."""


def save_figures(
    posterior: Posterior,
    folder: str | Path,
    *,
    formats: Sequence[str] = ("pdf", "png"),
    truth: Any = None,
) -> list[Path]:
    """Draw what there is of corner, spectrum and history, and write it.

    A file that is there is replaced, whole. The same posterior gives the same bytes, with one
    version of Matplotlib.

    Parameters
    ----------
    posterior : Posterior
    folder : str or Path
        Made if it is not there.
    formats : sequence of {"pdf", "png", "svg"}
        Each figure is written in all of them.
    truth : Truth or mapping, optional
        See `corner`, `spectrum` and `history`.

    Returns
    -------
    list of Path
        ``corner.pdf``, ``corner.png``, ``spectrum.pdf`` and so on. There is no history if the
        emulator knows none.

    Raises
    ------
    ConfigError (ValueError)
        For another format, or none.
    OSError
        If the folder cannot be made or written.
    """
    formats = _checked(formats)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    draw: dict[str, Callable[..., Any]] = {"corner": corner, "spectrum": spectrum}
    if posterior.history is not None:
        draw["history"] = history
    written = []
    for name, function in draw.items():
        figure = function(posterior, truth=truth)
        for form in formats:
            path = folder / f"{name}.{form}"
            write_bytes(path, rendered(figure, form))
            written.append(path)
    return written


def rendered(figure: Any, form: str) -> bytes:
    """A figure as the bytes of a file, without the time at which it was made."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=form, metadata=_METADATA[form])
    return buffer.getvalue()


def _checked(formats: Sequence[str]) -> list[str]:
    formats = [formats] if isinstance(formats, str) else list(formats)
    for form in formats:
        require_choice("figures", "formats", form, _METADATA)
    if not formats:
        raise ConfigError(f"figures.formats is empty; choose from {', '.join(_METADATA)}")
    return list(dict.fromkeys(formats))
