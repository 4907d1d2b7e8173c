"""What a run that has not completed says to those who ask for its emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .facts import section
from .layout import INFERENCE
from .runs import FAILED, INTERRUPTED, RUNNING

if TYPE_CHECKING:
    from .read import Artifact

UNFINISHED = (RUNNING, INTERRUPTED, FAILED)


def shortfall(artifact: Artifact) -> str:
    """Why there is no emulator yet, or no posterior, and what to do; empty if there should be."""
    status = artifact.status
    if status not in UNFINISHED:
        return ""
    again = "the same command" + (" with --resume" if artifact.kind != INFERENCE else "")
    so_far = f" ({progress})" if (progress := epochs_done(artifact)) else ""
    if status == RUNNING:
        return f"the run is still running{so_far}; wait until it has completed"
    if status == INTERRUPTED:
        return f"the run was interrupted{so_far}; resume it ({again}) to complete it"
    error = error_of(artifact)
    return (
        f"the run failed{so_far}{f': {error}' if error else ''}; mend the cause and run it again, "
        f"or, if the cause lay outside, resume it ({again}) to complete it"
    )


def epochs_done(artifact: Artifact) -> str:
    """How far training is, as "epoch 12 of 400"; empty if it has not begun."""
    history = section(artifact.results, "history").values()
    done = max((len(values) for values in history if isinstance(values, list)), default=0)
    planned = section(artifact.configs, "training").get("epochs")
    return f"epoch {done}" + (f" of {planned}" if type(planned) is int else "") if done else ""


def error_of(artifact: Artifact) -> str:
    """The error that a run failed with, on one line; empty if it has none."""
    error = section(artifact.results, "error")
    words = ": ".join(str(error[key]) for key in ("type", "message") if error.get(key))
    return " ".join(words.split())
