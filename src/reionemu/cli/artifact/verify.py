"""reionemu artifact verify"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import MissingFileError, RecordError
from ..output import JsonOption, print_json, progress_line, say, short

if TYPE_CHECKING:
    from ...artifact.checking.verify import Verification


def verify(
    path: Annotated[Path, typer.Argument(help="An artifact, or a folder of artifacts.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Count warnings as errors in the exit code.")
    ] = False,
    notes: Annotated[bool, typer.Option("--notes", help="Print notes, too.")] = False,
    json: JsonOption = False,
) -> None:
    """Check that records are whole, and still predict what they did when they were saved.

    In a folder of artifacts all are checked, earlier records and unfinished runs, too. Exit code:
    0 if there are no errors, 1 if there are, 2 if there is no record at the path.
    """
    from ...artifact.checking.verify import verify_artifact as check
    from ...artifact.past import records_below

    with progress_line() as line, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say of a record is among the findings
        try:
            folders = records_below(path)
        except (MissingFileError, RecordError) as error:
            say(f"error: {error}")
            raise typer.Exit(2) from None
        found = []
        for done, folder in enumerate(folders, start=1):
            verification = _checked(check, folder, len(folders) > 1)
            found += [verification] if verification else []
            line("verifying", done, len(folders))
    failed = [v for v in found if not v.ok or (strict and _count(v, "warning"))]
    if json:
        print_json({"ok": not failed, "records": [_plain(verification) for verification in found]})
    else:
        for verification in found:
            _print(verification, notes or len(found) == 1)
        if len(found) > 1:
            bad = sum(not verification.ok for verification in found)
            warned = sum(v.ok and _count(v, "warning") > 0 for v in found)
            say(f"{len(found)} records, {bad} damaged, {warned} more with warnings")
    if failed:
        raise typer.Exit(1)


def _checked(check: Any, folder: Path, among_others: bool) -> Verification | None:
    """A verification, also of what cannot be read at all; None of what has gone meanwhile."""
    from ...artifact.checking.findings import ERROR, Finding
    from ...artifact.checking.verify import Verification
    from ...errors import ReionemuError

    try:
        return _with_densities(check(folder))
    except FileNotFoundError:
        if among_others:
            return None
        raise
    except (ReionemuError, OSError) as error:
        return Verification(folder, (Finding(ERROR, "record", str(error)),))


def _with_densities(verification: Verification) -> Verification:
    """With what is found when densities of samples are computed again, of a whole posterior."""
    from dataclasses import replace

    from ...artifact.layout import INFERENCE
    from ...artifact.read import load_artifact
    from ...artifact.unfinished import UNFINISHED
    from ...inference.records import verify_posterior

    if not verification.ok:
        return verification
    artifact = load_artifact(verification.path)
    if artifact.kind != INFERENCE or artifact.status in UNFINISHED:
        return verification
    return replace(verification, findings=(*verify_posterior(artifact), *verification.findings))


def _print(verification: Verification, with_notes: bool) -> None:
    verdict = "ok" if verification.ok else "DAMAGED"
    counts = [
        f"{n} {level}{'s' * (n != 1)}"
        for level in ("error", "warning")
        if (n := _count(verification, level))
    ]
    print(f"{short(verification.path)}: {', '.join([verdict, *counts])}")
    for finding in verification.findings:
        if finding.level != "note" or with_notes:
            print(f"  {finding}")


def _count(verification: Verification, level: str) -> int:
    return sum(finding.level == level for finding in verification.findings)


def _plain(verification: Verification) -> dict[str, Any]:
    return {
        "path": verification.path,
        "ok": verification.ok,
        "findings": [vars(finding) for finding in verification.findings],
    }
