"""How the commands speak: tables and JSON on standard output, progress on standard error."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def say(line: str) -> None:
    """A line for a person, on standard error."""
    print(line, file=sys.stderr, flush=True)


def print_json(document: Any) -> None:
    """A result for a program: strict JSON on standard output."""
    from ..artifact.formats.jsonio import encode

    sys.stdout.write(encode(document).decode())


def short(path: Path) -> str:
    """A path as a person would type it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A table on standard output, numbers to the right."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        numeric = bool(rows) and all(_is_number(row[i]) for row in rows)
        table.add_column(escape(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    # A table that goes to a file or a pipe is as wide as it needs to be.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 1000)
    if title:
        console.print(title, markup=False)
    console.print(table)


def print_errors(errors: dict[str, Any], held_out: str) -> None:
    """The table of held-out errors per ell bin, from `pipeline.assess`, and what it comes to."""
    from ..artifact.sharing.accuracy import columns_of

    columns = columns_of(errors)
    rows = [
        [f"{ell:.0f}", *(_percent(errors[key][i], key.startswith("coverage")) for key in columns)]
        for i, ell in enumerate(errors["ell"])
    ]
    flattering = "" if held_out == "test" else ", which training also used, to stop or to calibrate"
    print_table(
        ["ell", *columns.values()],
        rows,
        f"Error of the spectrum, {errors['n']} {held_out} simulations{flattering}",
    )
    for line in _summary_of_errors(errors):
        print(line)
    if "coverage_1sigma" in errors:
        say("(of an honest error bar 68% lie in 1 sigma, 95% in 2 and 99.7% in 3; chi^2 is 1)")


def _summary_of_errors(errors: dict[str, Any]) -> Iterator[str]:
    """Lines on all bins, on histories, and on a part of parameter space with wrong error bars."""
    if "p95_relative_error" in errors:
        yield (
            f"all bins: mean {_percent(errors['mean_relative_error'])}, "
            f"95% {_percent(errors['p95_relative_error'])}, worst simulation "
            f"{_percent(errors['worst_relative_error'])}{_coverage(errors, 'reduced_chi2')}"
        )
    history = errors.get("history", {})
    if tau := history.get("tau"):
        yield (
            f"tau: mean {_percent(tau['mean_relative_error'], places=3)}, "
            f"95% {_percent(tau['p95_relative_error'], places=3)}, "
            f"worst {_percent(tau['worst_relative_error'], places=3)}{_coverage(tau)}"
        )
    if x_hi := history.get("x_hi"):
        yield (
            f"x_HI: mean {x_hi['mean_error']:.4f}, 99% {x_hi['p99_error']:.4f}, "
            f"worst {x_hi['worst_error']:.4f}{_coverage(x_hi)}"
        )
    if suspect := errors.get("suspect"):
        width = "narrow" if suspect["too_narrow"] else "wide"
        inside = ", ".join(_percent(value, places=1) for value in suspect["coverage"])
        yield (
            f"error bars are too {width} where {suspect['parameter']} is {suspect['low']:.4g} to "
            f"{suspect['high']:.4g}: {inside} in 1, 2, 3 sigma, more than chance explains"
        )
    if not 0.4 < errors.get("reduced_chi2", 1.0) < 2.5:
        kind = "narrow" if errors["reduced_chi2"] > 1 else "wide"
        factor = errors["reduced_chi2"] ** 0.5
        yield f"warning: error bars are too {kind}: errors are {factor:.2g} times what they say"


def _coverage(errors: dict[str, Any], chi2: str = "chi2") -> str:
    """Chi^2 and coverage as the end of a line; nothing where they are not known."""
    if chi2 not in errors:
        return ""
    inside = ", ".join(_percent(value, places=1) for value in errors["coverage"])
    return f"; chi^2 {errors[chi2]:.2f}, {inside} in 1, 2, 3 sigma"


def _percent(value: float, whole: bool = False, *, places: int = 2) -> str:
    return f"{100 * value:.{0 if whole else places}f}%"


def print_skipped(skipped: Sequence[Any]) -> None:
    """Which simulations were left out and why, on standard error; many alike are cut short."""
    for sim in skipped[:20]:
        say(f"  left out {sim.sim}: {sim.reason}")
    if len(skipped) > 20:
        say(f"  and {len(skipped) - 20} more")


class ProgressLine:
    """A progress bar on a terminal; elsewhere a plain line now and then.

    Call it with (what is going on, steps done, steps in all); several things may go on at a time.
    Nothing is shown for work that is done within two seconds.
    """

    DELAY, INTERVAL = 2.0, 10.0

    def __init__(self) -> None:
        self._begun: dict[str, tuple[float, int]] = {}  # when, and how much was done by then
        self._shown: dict[str, float] = {}
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        started, first = self._begun.setdefault(what, (now, done))
        if now - started < self.DELAY:
            return
        if sys.stderr.isatty():
            self._update_bar(what, done, total)
        elif now - self._shown.get(what, -math.inf) >= self.INTERVAL:
            self._shown[what] = now
            left = (now - started) * (total - done) / max(done - first, 1)
            say(f"{what}: {100 * done / max(total, 1):.0f}%, about {left:.0f} s left")

    def _update_bar(self, what: str, done: int, total: int) -> None:
        from rich.console import Console
        from rich.progress import Progress, TimeRemainingColumn

        if self._bar is None:
            columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done, total=total, visible=done < total)

    def close(self) -> None:
        """Remove the bars."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._tasks = None, {}
        self._begun, self._shown = {}, {}


@contextmanager
def progress_line() -> Iterator[ProgressLine]:
    """A ProgressLine that is gone when the block ends."""
    line = ProgressLine()
    try:
        yield line
    finally:
        line.close()


def _is_number(text: str) -> bool:
    try:
        float(text.rstrip("%"))
    except ValueError:
        return text in ("", "-")
    return True
