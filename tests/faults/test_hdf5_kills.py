"""A stage that is killed at any moment leaves the old file or the new one, complete."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

TRIES = 100

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.mark.parametrize("stage", ["condense", "spectra", "training"])
def test_killed_at_a_hundred_random_moments(
    stage: str, workplace: tuple, run_stages: Callable
) -> None:
    target, old, raw = workplace
    found = run_stages("kill", target, raw, stage=stage, old=str(old), tries=TRIES, seed=7)
    assert found["states"] == 2  # or old and new could not be told apart
    assert (found["torn"], found["blocked"]) == (0, 0)
    assert found["old"] + found["new"] == TRIES
    assert found["then new"]
    assert found["left"] == []  # the writer that followed removed what the killed ones left
    # The kills did hit: while the stage ran, and while there was half a file to be taken for whole.
    assert found["killed"] >= TRIES // 4
    assert found["with leftovers"] >= TRIES // 20
    assert found["new"] >= 1
