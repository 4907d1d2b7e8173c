"""What `predict` says of the suite behind an emulator, and of odd files of points."""

from __future__ import annotations

import numpy as np
import pytest

from reionemu.cli.output import ProgressLine
from reionemu.cli.predictions import realization_note
from reionemu.models.suite import Suite


def test_one_realization_is_said_to_be_one():
    note = realization_note(Suite("shared", ln_covariance=np.diag([0.04, 0.01])))
    assert "spectrum of one realization" in note
    assert "by 10 to 20%, 1 sigma" in note
    assert "known" not in note


def test_the_mean_of_several_is_surer():
    note = realization_note(Suite("shared", 4, ln_covariance=np.diag([0.04, 0.01])))
    assert "the mean of 4 realizations" in note
    assert "by 5 to 10%" in note
    assert "by how much is not known" in realization_note(Suite("shared"))


def test_of_own_realizations_there_is_nothing_to_say():
    assert realization_note(Suite("own")) == ""


def test_progress_of_several_things_at_a_time_is_shown(capsys, monkeypatch):
    """Two workers that take turns in what they do: neither is ever done within two seconds."""
    clock = iter(np.arange(0.0, 100.0, 0.5))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    line = ProgressLine()
    for step in range(30):
        line("preparing", step, 30)
        line("simulating", step, 30)
    line.close()
    shown = capsys.readouterr().err.splitlines()
    assert {words.split(":")[0] for words in shown} == {"preparing", "simulating"}
    assert 4 <= len(shown) <= 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# zmean kb kb b0 alpha\n8 1 2 0.6 0.5\n", "the column kb_zre stands there twice"),
        ("# zmean kb b0\n8 1 0.6\n", "alpha_zre is not among zmean_zre, kb_zre, b0_zre"),
    ],
)
def test_odd_tables_of_points_are_refused(tmp_path, text, message):
    from reionemu.cli.predict import _read_points
    from reionemu.errors import ConfigError
    from reionemu.parameters import PARAMETER_NAMES

    path = tmp_path / "points.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        _read_points(path, PARAMETER_NAMES)
