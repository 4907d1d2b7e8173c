"""`reionemu sample`: points to simulate, in a file."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from reionemu.design import PUBLISHED_SPACE, latin_hypercube, read_design, write_design

HEADER = "# zmean_zre alpha_zre kb_zre b0_zre\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_hypercube_in_the_published_space(reionemu, here):
    outcome = reionemu("sample", "-n", 20, "-o", "p.txt", "--seed", 7)
    design = read_design("p.txt")
    assert design.rows.tolist() == latin_hypercube(PUBLISHED_SPACE, 20, 7).rows.tolist()
    name, gap = design.largest_gap()
    assert outcome == (
        0,
        f"p.txt: 20 points (lhs), discrepancy {design.discrepancy():.3g}, "
        f"largest gap {100 * gap:.2g}% of the range of {name}\n",
        "",
    )


@pytest.mark.parametrize(("method", "points"), [("lhs", 8), ("sobol", 8), ("oat", 33)])
def test_methods_ranges_and_json(method, points, reionemu, here):
    outcome = reionemu(
        "sample", "-n", 8, "-o", "p.txt", "--method", method, "--json",
        "--range", "zmean_zre=6:10", "--range", "kb_zre=0.5:1",
    )  # fmt: skip
    design = read_design("p.txt")
    document = json.loads(outcome.out)
    assert document["path"] == str(here / "p.txt")
    assert document["points"] == len(design) == points
    seed = None if method == "oat" else 0
    assert document["steps"] == [{"method": method, "points": points, "seed": seed}]
    assert document["ranges"] == design.space.box.to_mapping()
    assert document["ranges"]["zmean_zre"] == [6, 10]
    assert document["ranges"]["b0_zre"] == [0.1, 0.8]
    assert document["units"]["kb_zre"] == "h/Mpc"
    assert document["discrepancy"] == pytest.approx(design.discrepancy())
    assert document["largest_gap"]["fraction"] == pytest.approx(design.largest_gap()[1])


@pytest.mark.filterwarnings("default")
def test_a_number_of_sobol_points_that_is_no_power_of_2_is_warned_of(reionemu, here):
    outcome = reionemu("sample", "-n", 10, "-o", "p.txt", "--method", "sobol")
    assert outcome.code == 0
    assert outcome.err.startswith("warning: 10 Sobol points are not balanced")
    assert len(read_design("p.txt")) == 10


def test_augmenting_a_file_in_place(reionemu, here):
    old = latin_hypercube(PUBLISHED_SPACE.with_ranges(["b0_zre=0.2:0.3"]), 10, 1)
    write_design("p.txt", old)
    outcome = reionemu(
        "sample", "--augment", "p.txt", "-n", 10, "--seed", 2, "-o", "p.txt", "--overwrite"
    )
    design = read_design("p.txt")
    assert outcome.code == 0
    assert outcome.err == ""
    assert "p.txt: 20 points (lhs+augment)" in outcome.out
    assert design.space == old.space
    assert design.rows[:10].tolist() == old.rows.tolist()
    assert (np.sort(np.floor(design.unit() * 20), axis=0) == np.arange(20)[:, None]).all()


def test_augmenting_into_a_wider_range(reionemu, here):
    write_design("p.txt", latin_hypercube(PUBLISHED_SPACE, 10, 1))
    reionemu("sample", "--augment", "p.txt", "-n", 10, "-o", "q.txt", "--range", "zmean_zre=6:10")
    new = read_design("q.txt").rows[10:, 0]
    assert ((new < 7) | (new > 9)).all()
    assert len(read_design("p.txt")) == 10


def test_augmenting_a_file_without_bounds_says_which_it_takes(reionemu, here):
    (here / "p.txt").write_text(HEADER + "8 0.5 1 0.5\n")
    outcome = reionemu("sample", "--augment", "p.txt", "-n", 3, "-o", "q.txt")
    assert outcome.code == 0
    assert "p.txt does not say its bounds; those not given by --range" in outcome.err
    assert read_design("q.txt").space == PUBLISHED_SPACE
    assert read_design("q.txt").method == "given+augment"


BAD = {
    "there already": (("-o", "old.txt"), "old.txt is there already"),
    "unknown method": (("--method", "lsh"), "did you mean 'lhs'?"),
    "no points": (("-n", "0"), "must be a whole number >= 1"),
    "negative seed": (("--seed", "-1"), "design.seed must be a whole number >= 0"),
    "bad range": (("--range", "kb_zre=2"), "expected NAME=LOW:HIGH"),
    "unknown parameter": (("--range", "kb=1:2"), "did you mean 'kb_zre'?"),
    "no folder": (("-o", "nowhere/p.txt"), "nowhere does not exist"),
    "no old file": (("--augment", "nowhere.txt"), "nowhere.txt does not exist"),
    "not a design": (("--augment", "old.txt"), "old.txt, line 1: unknown column 'a'"),
    "augmented how": (("--augment", "old.txt", "--method", "sobol"), "leave out --method"),
    "outside": (
        ("--augment", "good.txt", "--range", "zmean_zre=7:8"),
        "point 0: zmean_zre = 8.5 is outside its range 7.0 to 8.0",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_ends_in_one_line_and_leaves_nothing(arguments, message, reionemu, here):
    (here / "old.txt").write_text("# a b\n1 2\n")
    (here / "good.txt").write_text(HEADER + "8.5 0.5 1 0.5\n")
    outcome = reionemu("sample", "-n", 4, "-o", "p.txt", *arguments)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines()[-1].startswith("error: ")
    assert message in outcome.err.splitlines()[-1]
    assert sorted(path.name for path in here.iterdir()) == ["good.txt", "old.txt"]
    assert (here / "old.txt").read_text() == "# a b\n1 2\n"


def test_sampling_loads_no_torch_and_no_h5py(here):
    code = (
        "import sys; from reionemu.cli.app import app\n"
        "try: app(['sample', '-n', '4', '-o', 'p.txt'], prog_name='reionemu')\n"
        "except SystemExit as stop: assert not stop.code\n"
        "print(sorted({'torch', 'h5py', 'ray', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"
