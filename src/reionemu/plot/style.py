"""The look of every figure: widths of journal columns, fonts, and colours that print in grey."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..config import require_choice
from ..extras import needed

WIDTHS: dict[str, float] = {"one": 3.4, "two": 7.0}
"""Width [inch] of one and of two columns of a journal."""


@dataclass(frozen=True)
class Look:
    """How one posterior among several is drawn.

    Attributes
    ----------
    line, wide, narrow : str
        Colours of lines, of bands and contours of 95%, and of those of 68%. The luminances of the
        three are apart, so that they stay apart in grey.
    dashes : str
        Style of the lines, which tells posteriors apart without colour.
    """

    line: str
    wide: str
    narrow: str
    dashes: Any


LOOKS = (
    Look(line="#004f7f", wide="#b9d8ea", narrow="#6aaed6", dashes="-"),
    Look(line="#a94400", wide="#f6d3bb", narrow="#e89a6a", dashes="--"),
    Look(line="#00604a", wide="#b8e0d4", narrow="#63b8a0", dashes="-."),
    Look(line="#5c5c5c", wide="#dddddd", narrow="#aaaaaa", dashes=":"),
)
"""Blue, vermilion, bluish green and grey: hues of Okabe and Ito (2008), told apart by all eyes."""

TRUTH: dict[str, Any] = {"color": "black", "linewidth": 0.9, "linestyle": (0, (4, 2))}
"""Lines at the true values of a simulated observation."""

_SETTINGS: dict[str, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "axes.formatter.use_mathtext": True,
    "font.size": 8,
    "axes.labelsize": 9,
    "axes.titlesize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.1,
    "patch.linewidth": 0.6,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
    "svg.fonttype": "path",
    "svg.hashsalt": "reionemu",  # or else the names inside an SVG are drawn at random
}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's settings for the figures of this package; those in force come back after it.

    Raises
    ------
    ConfigError
        When Matplotlib is not installed.
    """
    with needed("drawing figures", "infer"):
        import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's own file says
        settings: Any = matplotlib.rcParams
        settings.update(_SETTINGS)
        yield


def width_of(columns: str) -> float:
    """Width [inch] of a figure over "one" or "two" columns."""
    require_choice("figure", "columns", columns, WIDTHS)
    return WIDTHS[columns]


def plain(text: str) -> str:
    """Text as Matplotlib must be given it to show it in a legend as it is, if it is not too long.

    Dollar signs would begin mathematics, and a leading underscore would hide the entry.
    """
    short = text if len(text) <= 40 else text[:37] + "..."
    hidden = "\u2009" if short.startswith("_") else ""  # a thin space
    return hidden + short.replace("$", r"\$")
