"""The command line: one file a command, options in, messages out, no science.

Results go to standard output, everything else to standard error. Modules of commands import what
they need when they run, so that `reionemu --help` is quick.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from ..errors import ReionemuError, ReionemuWarning
from .app import app


def main() -> None:
    """Run the command line; bad input ends in one line on standard error, never in a traceback."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        app(prog_name="reionemu")
    except ReionemuError as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except MemoryError:
        _fail("out of memory", 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}", 1)
    except Exception as error:
        if os.environ.get("REIONEMU_TRACEBACK"):
            raise
        _fail(
            f"internal error: {type(error).__name__}: {error}. This should not happen; with "
            "REIONEMU_TRACEBACK=1 in the environment the command shows where it did",
            70,
        )


def _fail(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def _show_warning(
    message: Any, category: type[Warning], filename: str, lineno: int, *rest: Any
) -> None:
    if issubclass(category, ReionemuWarning):
        print(f"warning: {message}", file=sys.stderr)
    elif not issubclass(category, (DeprecationWarning, FutureWarning)):
        print(f"warning: {category.__name__}: {message} ({filename}:{lineno})", file=sys.stderr)
