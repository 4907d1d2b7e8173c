"""How long jobs speak to whoever runs them."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], None]
"""Called with a line of text."""

Progress = Callable[[str, int, int], None]
"""Called with (what is going on, steps done, steps in all)."""


def counted(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    """A callback (steps done, steps in all) that says what is going on."""
    return (lambda done, total: progress(what, done, total)) if progress else None
