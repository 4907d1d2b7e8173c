"""What is found about a record when it is checked.

Findings are errors (the record is not what was saved, or contradicts itself), warnings (something
about it cannot be relied upon any more, or never could be checked) and notes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...errors import ReionemuError

ERROR, WARNING, NOTE = "error", "warning", "note"
ABSENT = "is not there"


@dataclass(frozen=True)
class Finding:
    """Something about a record that its reader should know.

    Attributes
    ----------
    level : {"error", "warning", "note"}
    where : str
        A file of the record, or what else was looked at, such as "dataset".
    message : str
    """

    level: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.level}: {self.where}: {self.message}"


def said_once(findings: Sequence[Finding]) -> list[Finding]:
    """Findings without those that a file is not there, if something was said of it before."""
    said: set[str] = set()
    kept = []
    for finding in findings:
        if finding.where not in said or not finding.message.startswith(ABSENT):
            kept.append(finding)
        said.add(finding.where)
    return kept


@contextlib.contextmanager
def as_finding(findings: list[Finding], where: str) -> Iterator[None]:
    """Turn what a damaged file raises into a finding about it."""
    try:
        yield
    except (ReionemuError, TypeError, ValueError, AttributeError) as error:
        findings.append(Finding(ERROR, where, str(error).removeprefix(f"{where} ")))
