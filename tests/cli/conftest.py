"""Running the command line inside the test process."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import NamedTuple

import pytest

from reionemu.cli import main


class Outcome(NamedTuple):
    """Exit status and what was printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def reionemu(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """A function (*arguments) -> Outcome that runs the command `reionemu`."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main replaces it
        monkeypatch.setattr(sys, "argv", ["reionemu", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return run
