"""`reionemu cobaya`."""

from __future__ import annotations

import pytest
import yaml
from cobaya.model import get_model

from reionemu.inference import EmceeOptions
from reionemu.inference.cobaya import input as made

THEORY = "reionemu.inference.cobaya.ReionizationTheory"
LIKELIHOOD = "reionemu.inference.cobaya.KSZLikelihood"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """A chain before the run that is too short to be of use."""
    monkeypatch.setattr(made, "_PILOT", EmceeOptions(steps=20))


@pytest.fixture
def total(tmp_path):
    """A file of two band powers, with the late-time part."""
    path = tmp_path / "data.csv"
    lines = ["# name: toy", "# units: uK^2", "# is_total: true", "ell,dl,sigma"]
    path.write_text("\n".join([*lines, "1500,3.0,0.4", "2400,3.2,0.4", ""]))
    return path


@pytest.fixture
def artifact(reionemu, condensed_h5, tmp_path):
    outcome = reionemu("train", condensed_h5, "--out", tmp_path / "art", "--name", "gp")
    assert outcome.code == 0, outcome.err
    return tmp_path / "art" / "gp"


def test_the_input_is_printed(reionemu, artifact, total):
    outcome = reionemu("cobaya", artifact, "--data", total, "--prior", "b0=normal(0.5,0.1)")
    assert outcome.code == 0, outcome.err
    info = yaml.safe_load(outcome.out)
    assert info["theory"] == {THEORY: {"artifact": str(artifact)}}
    assert info["likelihood"] == {LIKELIHOOD: {"data": str(total)}}
    assert info["params"]["b0_zre"]["prior"]["scale"] == 0.1
    assert info["output"] == "chains/gp-toy"
    model = get_model(info | {"debug": 50})
    point = {name: param["ref"]["loc"] for name, param in info["params"].items() if "ref" in param}
    assert list(point)[-1] == "late_time_dl3000"
    assert model.loglike(point)[0] > -5


def test_the_input_is_written(reionemu, artifact, total, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["cobaya", artifact, "--data", total, "-o", "kinetic.yaml"]
    options = ["--tau", "0.06,0.01", "--late-time", "2,0.5", "--chains", "here/a", "--seed", 7]
    outcome = reionemu(*command, *options)
    assert outcome.code == 0, outcome.err
    assert outcome.out == ""
    assert "cobaya-run kinetic.yaml" in outcome.err
    text = (tmp_path / "kinetic.yaml").read_text()
    info = yaml.safe_load(text)
    assert info["likelihood"][LIKELIHOOD] == {"data": str(total), "tau": [0.06, 0.01]}
    late_time = info["params"]["late_time_dl3000"]["prior"]
    assert (late_time["loc"], late_time["scale"]) == (2.0, 0.5)
    assert info["output"] == "here/a"
    assert info["sampler"]["mcmc"]["seed"] == 7

    again = reionemu(*command)
    assert again.code == 1
    assert "--overwrite" in again.err
    assert (tmp_path / "kinetic.yaml").read_text() == text
    assert reionemu(*command, "--overwrite").code == 0
    info = yaml.safe_load((tmp_path / "kinetic.yaml").read_text())
    assert info["likelihood"][LIKELIHOOD] == {"data": str(total)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give one of --data FILE and --measurement NAME"),
        (["--data", "x.csv", "--measurement", "gorce_2022"], "give one of --data FILE"),
        (["--measurement", "reichard"], "did you mean 'reichardt_2021'"),
        (["--measurement", "reichardt_2021", "--tau", "planck"], "did you mean 'planck2018'"),
        (["--measurement", "reichardt_2021", "--tau", "0.05,x"], "expected MEAN,STD"),
        (["--measurement", "reichardt_2021", "--late-time", "2,-1"], "standard deviation"),
        (["--measurement", "reichardt_2021", "--prior", "b0"], "expected NAME=DIST(A,B)"),
        (["--data", "nowhere.csv"], "nowhere.csv"),
        (
            ["--data", "x.csv", "--prior", "b0=uniform(0,1)", "--prior", "b0_zre=uniform(0,1)"],
            "two priors of b0_zre",
        ),
    ],
)
def test_what_cannot_be_ends_in_one_line(reionemu, artifact, options, message):
    outcome = reionemu("cobaya", artifact, *options)
    assert outcome.code == 1
    assert message in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert outcome.out == ""
