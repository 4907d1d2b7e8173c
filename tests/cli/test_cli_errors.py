"""Bad input ends in one line that names it, never in a traceback, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from reionemu import simio

BAD = {
    "missing raw folder": (("condense", "nowhere", "out.h5"), "nowhere does not exist"),
    "no simulations": (("condense", ".", "out.h5"), "no folder sim*"),
    "missing file": (("spectra", "nowhere.h5"), "nowhere.h5 does not exist"),
    "not HDF5": (("spectra", "text.txt"), "it is not an HDF5 file"),
    "a folder": (("training-set", "."), "is a folder"),
    "no /training": (("train", "empty.h5", "--out", "a", "--name", "n"), "no group /training"),
    "bad name": (("train", "good.h5", "--out", "a", "--name", "../n"), "cannot name an artifact"),
    "bad split": (
        ("train", "good.h5", "--out", "a", "--name", "n", "--split", "train"),
        "expected train=0.7",
    ),
    "split without validation": (
        ("train", "good.h5", "--out", "a", "--name", "n", "--split", "train=1"),
        "needs a part 'val'",
    ),
    "split that is no whole": (
        ("train", "good.h5", "--out", "a", "--name", "n", "--split", "train=.5,val=.1"),
        "must sum to 1",
    ),
    "unknown model": (
        ("train", "good.h5", "--out", "a", "--name", "n", "--model", "mcdropout"),
        "did you mean 'mc-dropout'?",
    ),
    "unknown setting": (
        ("train", "good.h5", "--out", "a", "--name", "n", "--set", "fit.epoch=3"),
        "did you mean 'epochs'?",
    ),
    "unknown table": (
        ("train", "good.h5", "--out", "a", "--name", "n", "--set", "fits.epochs=3"),
        "did you mean 'fit'?",
    ),
    "setting of the wrong type": (
        ("train", "good.h5", "--out", "a", "--name", "n", "--set", "fit.epochs=many"),
        "epochs",
    ),
    "divergence": (
        (
            "train",
            "good.h5",
            "--out",
            "a",
            "--name",
            "n",
            "--model",
            "mc-dropout",
            "--set",
            "optimizer.lr=1e30",
        ),
        "training has diverged",
    ),
    "more folds than rows": (("crossval", "good.h5", "--folds", "99"), "at least 99 samples"),
    "no artifact": (("predict", "nowhere", "--zmean", "8"), "there is no artifact at nowhere"),
    "not an artifact": (("artifact", "show", "."), "is not an artifact"),
    "missing TOML": (("run", "nowhere.toml"), "nowhere.toml does not exist"),
    "not TOML": (("run", "text.txt"), "is not a TOML file"),
    "bad choice": (
        ("training-set", "good.h5", "--y-transform", "log"),
        "y_transform must be one of",
    ),
    "bad number": (("spectra", "good.h5", "--nbins", "0"), "nbins must be a whole number >= 1"),
    "ell_cut beyond the map": (("spectra", "good.h5", "--ell-cut", "1e9"), "ell_cut"),
    "search saved nowhere": (("tune", "good.h5", "--name", "n"), "--out and --name go together"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD.keys())
def test_one_line(arguments, message, reionemu, condensed_h5, tmp_path, monkeypatch):
    import h5py

    condensed_h5.rename(tmp_path / "good.h5")
    (tmp_path / "text.txt").write_text("this is not data")
    h5py.File(tmp_path / "empty.h5", "w").close()
    before = {path.name for path in tmp_path.iterdir()}
    monkeypatch.chdir(tmp_path)
    outcome = reionemu(*arguments)
    assert outcome.code in (1, 2)
    assert outcome.out == ""
    lines = outcome.err.splitlines()
    assert lines[-1].startswith("error: ")
    assert message in lines[-1]
    assert "Traceback" not in outcome.err
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")}
    assert left - before <= {"a"}
    records = [path.parent for path in (tmp_path / "a").rglob("info.json")]
    assert all(".runs" in record.parts for record in records)  # a run that failed says how


def test_nothing_usable_is_a_failure(reionemu, tmp_path):
    (tmp_path / "raw" / "sim0").mkdir(parents=True)
    outcome = reionemu("condense", tmp_path / "raw", tmp_path / "out.h5")
    assert outcome.code == 1
    assert "left out sim0" in outcome.err


def test_internal_errors_say_how_to_see_more(reionemu, condensed_h5, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(simio, "add_cl_to_condensed_h5", broken)
    outcome = reionemu("spectra", condensed_h5)
    assert outcome.code == 70
    assert "internal error: ZeroDivisionError: oops" in outcome.err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_standard_output(condensed_h5):
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "reionemu", "training-set", str(condensed_h5)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
