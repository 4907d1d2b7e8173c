"""Text from a record inside Markdown, where it must stay text.

Names and descriptions come from whoever made the record. A page that shows them must not get a
link, an image, a heading or HTML from them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_PUNCTUATION = re.compile(
    r"(?<=[A-Za-z0-9])([-+_=])(?=[A-Za-z0-9])"  # inside a word, where these mean nothing
    r"|(?<=[0-9])(\.)(?=[0-9])"  # in a number or a version
    r"|(?<=[A-Za-z])([.:])(?=\s|$)"  # after a word
    r"|([!#$&()*+\-.:<=>@\[\\\]^_`{|}~])"
)
_PLAIN = re.compile(r"[A-Za-z0-9_.+=-]+(?: [A-Za-z0-9_.+=-]+)*")
_LONGEST = 2000


def text(value: object) -> str:
    """A value as one line of text that is shown as it is and means nothing else.

    Characters that do not print, or change the direction of writing, become their escapes.
    """
    words = " ".join(str(value).split())
    if len(words) > _LONGEST:
        words = words[:_LONGEST] + "..."
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)
    escaped = _PUNCTUATION.sub(lambda found: "\\" * bool(found[4]) + found[0], visible)
    return escaped.replace("\\<", "&lt;").replace("\\>", "&gt;")


def code(value: object) -> str:
    """A name or a number in the type of code; where that could not hold it, as text."""
    words = str(value)
    return f"`{words}`" if len(words) <= 200 and _PLAIN.fullmatch(words) else text(words)


def literal(value: str) -> str:
    """A string as Python source of ASCII characters, none of which ends a block of code."""
    return ascii(value).replace("`", "\\x60")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, all columns to the right. Cells must be Markdown already."""
    lines = [columns, ["---:"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def short(value: float) -> str:
    """A number in four digits."""
    return f"{value:.4g}"
