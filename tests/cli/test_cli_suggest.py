"""`reionemu learning-curve` and `reionemu suggest`."""

from __future__ import annotations

import json

import pytest

from reionemu.design import latin_hypercube, read_design, write_design
from reionemu.design.space import PUBLISHED_SPACE

SIZES = ["--sizes", "15,16,17,19", "--split", "train=0.8,val=0.2"]


@pytest.fixture
def artifact(reionemu, condensed_h5, tmp_path):
    outcome = reionemu("train", condensed_h5, "--out", tmp_path / "art", "--name", "gp")
    assert outcome.code == 0, outcome.err
    return tmp_path / "art" / "gp"


def test_suggested_points_are_a_design(reionemu, artifact, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = reionemu("suggest", artifact, "-n", 4, "-o", "more.txt", "--seed", 3)
    design = read_design("more.txt")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("more.txt: 4 points; mean error bar over the box ")
    assert [tuple(step) for step in design.steps] == [("suggest", 4, 3)]

    written = (tmp_path / "more.txt").read_bytes()
    again = reionemu("suggest", artifact, "-n", 4, "-o", "more.txt")
    assert again.code == 1
    assert "--overwrite" in again.err
    assert (tmp_path / "more.txt").read_bytes() == written


def test_a_design_that_grows(reionemu, artifact, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old = latin_hypercube(PUBLISHED_SPACE, 6, 0)
    write_design("old.txt", old)
    outcome = reionemu(
        "suggest", artifact, "-n", 2, "-o", "more.txt", "--augment", "old.txt", "--json"
    )
    design, document = read_design("more.txt"), json.loads(outcome.out)
    assert design.rows[:6].tolist() == old.rows.tolist()
    assert design.space == PUBLISHED_SPACE
    assert document["points"] == 8
    assert document["new"] == 2
    bars = document["mean_error_bar"]
    assert bars["then"] < bars["with_design"] < bars["now"]


def test_a_network_cannot_suggest(reionemu, condensed_h5, tmp_path):
    train = ("train", condensed_h5, "--out", tmp_path, "--name", "net", "--epochs", 2)
    assert reionemu(*train, "--model", "four-param").code == 0
    outcome = reionemu("suggest", tmp_path / "net", "-n", 4, "-o", tmp_path / "more.txt")
    assert outcome.code == 1
    assert "--model gp" in outcome.err
    assert not (tmp_path / "more.txt").exists()


def test_a_learning_curve_as_a_table(reionemu, condensed_h5):
    outcome = reionemu("learning-curve", condensed_h5, *SIZES, "--repeats", 1, "--target", "1e-7%")
    assert outcome.code == 0, outcome.err
    assert "out-of-fold" in outcome.out
    first = [line.split()[0] for line in outcome.out.splitlines() if line.strip()]
    assert [word for word in first if word.isdigit()] == ["15", "16", "17", "19"]
    assert "expected with 38 to train on: " in outcome.out
    assert "1e-07% is out of reach: the floor is" in outcome.out


def test_a_learning_curve_as_json(reionemu, condensed_h5):
    outcome = reionemu(
        "learning-curve", condensed_h5, *SIZES, "--repeats", 2, "--target", "90%", "--json"
    )
    document = json.loads(outcome.out)
    assert document["sizes"] == [15, 16, 17, 19]
    assert document["held_out"] == "out-of-fold"
    assert [len(row) for row in document["mean_relative_error"]] == [4, 4]
    assert set(document["expected"]) == {"38", "95"}
    assert document["target"] == 0.9
    assert document["needed"]["value"] < 1000
    assert document["floor"]["low"] <= document["floor"]["high"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "0.5"], "in per cent, such as 0.5%"),
        (["--target", "0%"], "in per cent"),
        (["--target", "100%"], "in per cent"),
        (["--target", "x%"], "in per cent"),
        (["--sizes", "15,a"], "expected whole numbers"),
        (["--sizes", "15,16"], "4 different sizes"),
    ],
)
def test_bad_options_are_one_line(arguments, message, reionemu, condensed_h5):
    outcome = reionemu("learning-curve", condensed_h5, *arguments)
    assert outcome.code == 1
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
