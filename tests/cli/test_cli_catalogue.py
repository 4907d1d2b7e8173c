"""reionemu artifact list, find, compare, diff: what they print, and how they end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from reionemu.cli.artifact.columns import initials
from reionemu.cli.artifact.tables import (
    age,
    cell,
    common_folder,
    number,
    printable,
    shortened,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


@pytest.fixture
def root(tmp_path, write_record, monkeypatch) -> Path:
    """Three records, newest c, and a damaged one; the working folder is the one above."""
    for i, name in enumerate("abc"):
        write_record(
            tmp_path / "artifacts" / "sweep" / name,
            info={"created_at": f"2026-11-23T1{i}:00:00+00:00", "description": name},
            configs={
                "model": {
                    "class_name": "FourParamEmulator",
                    "hidden_dim": 8 * (i + 1),
                    "num_hidden_layers": 2,
                },
                "optimizer": {"lr": 0.001},
            },
            results={
                "metrics": {"val_loss": 0.0123456 / (i + 1), "test_mean_relative_error": 0.0512},
                "history": {"val_loss": [1.0] * 40},
            },
        )
    write_record(tmp_path / "artifacts" / "torn", results="{")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "artifacts"


def first_words(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()]


def test_list(reionemu, root):
    outcome = reionemu("artifact", "list", root)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == (
        "name     status     created              model           epochs  val_loss  error  note\n"
        "sweep/c  completed  2026-11-23 12:00:00  FourParam 24x2      40   0.00412  5.12%\n"
        "sweep/b  completed  2026-11-23 11:00:00  FourParam 16x2      40   0.00617  5.12%\n"
        "sweep/a  completed  2026-11-23 10:00:00  FourParam 8x2       40    0.0123  5.12%\n"
        "torn     damaged    2026-11-23 10:00:00                                           "
        "results.json is not JSON: Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)\n"
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--reverse"], ["name", "torn", "sweep/a", "sweep/b", "sweep/c"]),
        (["--limit", "2"], ["name", "sweep/c", "sweep/b"]),
        (["--sort", "metrics.val_loss"], ["name", "sweep/c", "sweep/b", "sweep/a", "torn"]),
        (
            ["--sort", "model.hidden_dim", "--reverse", "--limit", "1"],
            ["name", "sweep/c"],
        ),
        (["--sort", "name"], ["name", "sweep/a", "sweep/b", "sweep/c", "torn"]),
    ],
)
def test_order_and_number(options, expected, reionemu, root):
    if options == ["--reverse"]:
        expected = [expected[0], *sorted(expected[1:], key=lambda n: (n != "torn", n))]
    outcome = reionemu("artifact", "list", root, *options)
    assert first_words(outcome.out) == expected


def test_columns(reionemu, root):
    outcome = reionemu(
        "artifact", "list", root, "--columns", "optimizer.lr, metrics.val_loss,created_at"
    )
    assert outcome.out.splitlines()[:2] == [
        "name     optimizer.lr  metrics.val_loss  created_at",
        "sweep/c         0.001           0.00412  2026-11-23 12:00:00",
    ]


def test_a_group_of_columns_is_all_that_is_in_it(reionemu, root):
    outcome = reionemu("artifact", "list", root, "--columns", "model,configs.optimizer,metrics")
    header = outcome.out.splitlines()[0].split()
    assert header == [
        *("name", "model", "optimizer.lr", "metrics.test_mean_relative_error"),
        "metrics.val_loss",
    ]
    outcome = reionemu("artifact", "list", root, "--sort", "metrics")
    assert (outcome.code, outcome.out) == (2, "")
    assert "'metrics' is a group of values, not a value: name one of those in it" in outcome.err
    assert "'metrics.val_loss'" in outcome.err


def test_the_names_of_columns_are_columns(reionemu, root):
    columns = "error,val_loss,created,status"
    outcome = reionemu("artifact", "list", root, "--columns", columns, "--sort", "val_loss")
    assert outcome.out.splitlines()[:2] == [
        "name     error  val_loss  created              status",
        "sweep/c  5.12%   0.00412  2026-11-23 12:00:00  completed",
    ]
    outcome = reionemu("artifact", "list", root, "--json", "--columns", columns)
    assert json.loads(outcome.out)[0]["values"] == {
        "error": 0.0512,
        "val_loss": 0.0123456 / 3,
        "created": "2026-11-23T12:00:00+00:00",
        "status": "completed",
    }


def test_the_best_of_the_history_stands_in_for_a_loss(reionemu, root, write_record):
    write_record(root / "best" / "x", results={"history": {"val_loss": [3.0, 0.5, 2.0]}})
    out = reionemu("artifact", "list", root / "best").out
    assert out.splitlines()[1].split()[-2:] == ["3", "0.500"]


def test_paths_are_listed(reionemu, root):
    outcome = reionemu("artifact", "list", root, "--paths")
    lines = [line.split(maxsplit=1) for line in outcome.out.splitlines()]
    listed = {words[0]: words[-1] for words in lines[1:]}
    assert lines[1:4] == [
        ["created", "2026-11-23 12:00:00"],
        ["model", "FourParamEmulator"],
        ["val_loss", "0.004115"],
    ]
    assert listed["model.hidden_dim"] == "24"
    assert "val_error" not in listed
    assert json.loads(reionemu("artifact", "list", root, "--paths", "--json").out) == list(listed)
    every = ",".join(listed)
    outcome = reionemu("artifact", "list", root, "--json", "--columns", every)
    assert sorted(json.loads(outcome.out)[0]["values"]) == sorted(listed)
    (root.parent / "none").mkdir()
    outcome = reionemu("artifact", "list", root.parent / "none", "--paths")
    assert (outcome.code, outcome.out) == (0, "")


def test_folders_that_are_no_artifacts_are_told_of(reionemu, root):
    (root / "\x1bnotes").mkdir()
    (root / "\x1bnotes" / "a.txt").touch()
    outcome = reionemu("artifact", "list", root)
    assert outcome.err == "note: 1 folder that is no artifact: \\x1bnotes\n"


def test_columns_that_are_empty_are_left_out(reionemu, root, write_record):
    write_record(root / "bare" / "x", info={"created_at": None})
    write_record(root / "bare" / "y", info={"created_at": None})
    assert reionemu("artifact", "list", root / "bare").out == (
        "name  status\nx     completed\ny     completed\n"
    )


@pytest.mark.parametrize(
    "options", [["--sort", "model.hiden_dim"], ["--columns", "model.hiden_dim"]]
)
def test_unknown_paths_name_the_nearest(options, reionemu, root):
    outcome = reionemu("artifact", "list", root, *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert reionemu("artifact", "find", root, "name", *options) == outcome
    assert "no record here has 'model.hiden_dim' (did you mean 'model.hidden_dim'?)" in outcome.err


def test_json(reionemu, root):
    document = json.loads(reionemu("artifact", "list", root, "--json").out)
    assert [item["name"] for item in document] == ["sweep/c", "sweep/b", "sweep/a", "torn"]
    assert document[0]["path"] == str(root / "sweep" / "c")
    assert document[0]["values"]["model.hidden_dim"] == 24
    assert document[3]["status"] == "damaged"
    assert "results.json" in document[3]["problem"]
    few = json.loads(reionemu("artifact", "list", root, "--json", "--columns", "epochs").out)
    assert few[0]["values"] == {"epochs": 40}


def test_the_root_is_artifacts_if_there_is_such_a_folder(reionemu, root, tmp_path, monkeypatch):
    assert len(reionemu("artifact", "list").out.splitlines()) == 5
    assert first_words(reionemu("artifact", "find", "model.hidden_dim=8").out) == [
        "name",
        "sweep/a",
    ]
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for command in (["list"], ["find", "epochs=40"]):
        outcome = reionemu("artifact", *command)
        assert outcome.code in (1, 2)
        assert "name the folder of the artifacts" in outcome.err


def test_nothing_there(reionemu, tmp_path):
    (tmp_path / "empty").mkdir()
    outcome = reionemu("artifact", "list", tmp_path / "empty")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == f"no artifacts in {tmp_path / 'empty'}\n"
    assert json.loads(reionemu("artifact", "list", tmp_path / "empty", "--json").out) == []


# ---------------------------------------------------------------------- find


@pytest.mark.parametrize(
    ("conditions", "code", "found"),
    [
        (["model.hidden_dim>=16"], 0, ["name", "sweep/c", "sweep/b"]),
        (["model.hidden_dim>=16", "metrics.val_loss>0.005"], 0, ["name", "sweep/b"]),
        (["status=damaged"], 0, ["name", "torn"]),
        (["metrics"], 0, ["name", "sweep/c", "sweep/b", "sweep/a"]),
        (["model.hidden_dim>1000"], 1, []),
        (["model.hidden_dim>"], 2, []),
        (["hidden_dim=8"], 2, []),
        (["val_loss<.005"], 0, ["name", "sweep/c"]),
        (["error<6%"], 2, []),
        (["created>yesterday"], 2, []),
        (["created>99y", "error"], 0, ["name", "sweep/c", "sweep/b", "sweep/a"]),
        (["metrics<1"], 2, []),
    ],
)
def test_find_ends_like_grep(conditions, code, found, reionemu, root):
    outcome = reionemu("artifact", "find", root, *conditions)
    assert (outcome.code, first_words(outcome.out)) == (code, found)
    assert "Traceback" not in outcome.err


def test_find_says_why_it_found_nothing(reionemu, root):
    assert reionemu("artifact", "find", root, "epochs=1").err == "nothing found\n"
    outcome = reionemu("artifact", "find", root, "epochs=1", "--json")
    assert (outcome.code, json.loads(outcome.out)) == (1, [])
    assert "error: 'epochs<' is not a condition" in reionemu("artifact", "find", "epochs<").err
    assert "did you mean" in reionemu("artifact", "find", root, "hidden_dim=8").err
    for arguments in (["nofolder", "name=first"], ["nofolder"]):
        outcome = reionemu("artifact", "find", *arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith("error: there is no folder 'nofolder'; if a condition is")
    outcome = reionemu("artifact", "find", "nowhere=1")
    assert (outcome.code, "no record here has 'nowhere'" in outcome.err) == (2, True)


def test_find_without_a_folder(reionemu, root, monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    outcome = reionemu("artifact", "find", "nowhere", "epochs=1")
    assert (outcome.code, "there is no folder nowhere" in outcome.err) == (2, True)


# ---------------------------------------------------------------------- compare and diff


def test_compare(reionemu, root):
    outcome = reionemu("artifact", "compare", root / "sweep" / "a", root / "sweep" / "c")
    assert outcome.code == 0
    assert outcome.out == (
        "                                       a        c\n"
        "description                            a        c\n"
        "model.hidden_dim                       8       24\n"
        "metrics.test_mean_relative_error  0.0512   0.0512\n"
        "metrics.val_loss                  0.0123  0.00412\n"
    )


def test_compare_everything_and_as_json(reionemu, root):
    paths = [root / "sweep" / name for name in "abc"]
    assert "optimizer.lr" in reionemu("artifact", "compare", *paths, "--all").out
    document = json.loads(reionemu("artifact", "compare", *paths, "--json").out)
    assert [record["path"] for record in document["records"]] == list(map(str, paths))
    assert document["rows"][1] == {
        "path": "model.hidden_dim",
        "section": "configs",
        "values": [8, 16, 24],
    }


def test_compare_with_a_damaged_one(reionemu, root):
    outcome = reionemu("artifact", "compare", root / "sweep" / "a", root / "torn")
    assert outcome.code == 0
    assert re.search(r"^status +completed +damaged$", outcome.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "artifacts/sweep/a"], "compare needs two artifacts or more"),
        (["compare", "artifacts/sweep/a", "nowhere"], "there is no artifact at nowhere"),
        (["compare", "artifacts/sweep/a", "artifacts"], "artifacts is not an artifact"),
        (["diff", "artifacts/sweep/a", "nowhere"], "there is no artifact at nowhere"),
        (["diff", "artifacts/sweep/a", "artifacts/torn"], "results.json is not JSON"),
        (["list", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_errors_are_one_line(arguments, message, reionemu, root):
    outcome = reionemu("artifact", *arguments)
    assert (outcome.code, outcome.out) == (1, "")
    assert message in outcome.err
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1


def test_diff(reionemu, root):
    outcome = reionemu("artifact", "diff", root / "sweep" / "a", root / "sweep" / "c")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[0].startswith(f"A  {root / 'sweep' / 'a'}  (completed")
    assert lines[3:] == [
        "record",
        "  description               a -> c",
        "configs",
        "  model.hidden_dim          8 -> 24",
        "metrics",
        "  test_mean_relative_error  0.0512             =",
        "  val_loss                  0.0123 -> 0.00412  -66.7%",
    ]


def test_diff_shows_a_number_once(reionemu, root, write_record):
    for name, loss in {"x": 0.5, "y": 0.25}.items():
        write_record(
            root / name,
            results={
                "metrics": {"val_loss": loss, "errors": {"n": 13}},
                "summary": {"best_val_loss": loss, "n_samples": 45, "best_epoch": int(9 * loss)},
            },
        )
    out = reionemu("artifact", "diff", root / "x", root / "y").out
    assert out.splitlines()[-3:] == [
        "metrics",
        "  val_loss            0.500 -> 0.250  -50%",
        "  summary.best_epoch  4 -> 2          -50%",
    ]
    out = reionemu("artifact", "diff", root / "x", root / "y", "--all").out
    for path in ("errors.n", "summary.best_val_loss", "summary.n_samples"):
        assert f"  {path} " in out


def test_diff_of_what_only_one_has(reionemu, root, write_record):
    other = write_record(root / "other", configs={"kfold": {"k": 5, "seed": 1}, "tuning": {"n": 2}})
    write_record(other, info={"dataset": {"ell": [1.0, 20000.0]}}, configs=None)
    out = reionemu("artifact", "diff", root / "sweep" / "a", other).out
    for line in (
        "  kfold                     only in B: k=5, seed=1",
        "  tuning.n                  only in B: 2",
        "  dataset.ell               only in B: [1, 20000]",
        "  training arrays           not recorded in A",
        "  val_loss                  0.0123 -> -",
    ):
        assert line in out.splitlines()


def test_diff_of_a_record_and_itself(reionemu, root):
    outcome = reionemu("artifact", "diff", root / "sweep" / "a", root / "sweep" / "a")
    assert outcome.out.splitlines()[2:] == ["", "no difference is known"]
    document = json.loads(
        reionemu("artifact", "diff", "artifacts/sweep/a", "artifacts/sweep/b", "--json").out
    )
    assert document["configs"] == [
        {"path": "model.hidden_dim", "kind": "changed", "a": 8, "b": 16, "ratio": 2.0}
    ]


# ---------------------------------------------------------------------- what names may do


HOSTILE = [
    "a\nb",
    "\x1b[31mred\x1b]0;title\x07",
    "[red]x[/red]",
    "\u202egnp.exe",
    os.fsdecode(b"\xff"),
]


@pytest.mark.parametrize("name", HOSTILE, ids=["newline", "escape", "markup", "rtl", "byte"])
def test_hostile_names_and_values_are_shown_as_they_are(name, reionemu, root, write_record):
    path = write_record(
        root / name,
        info={"description": name},
        configs={"model": {"class_name": name, name: name}},
        results={"status": name, "metrics": {name: 1.0}},
    )
    commands = (
        ["list", root],
        ["list", root, "--columns", "model.class_name"],
        ["find", root, "name~e", f"name={json.dumps(name)}"],
        ["compare", root / "sweep" / "a", path],
        ["diff", root / "sweep" / "a", path],
        ["diff", path, root / "sweep" / "a", "--all"],
    )
    for command in commands:
        outcome = reionemu("artifact", *command)
        assert outcome.code in (0, 1, 2)
        text = (outcome.out + outcome.err).replace("\n", "")
        assert text.isprintable()
        assert "internal error" not in outcome.err
    assert printable(name).replace("\n", "").isprintable()
    if name.startswith("[red]"):
        assert name in reionemu("artifact", "list", root).out


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\tb\\", "a\\tb\\"),
        ("\x1b[0m", "\\x1b[0m"),
        ("\u202e\u200b", "\\u202e\\u200b"),
        ("\udcff", "\\udcff"),
        ("é 日本", "é 日本"),
        (5, "5"),
    ],
)
def test_printable(value, text):
    assert printable(value) == text
    assert len(printable("x" * 10_000)) == 500


@pytest.mark.parametrize(
    ("value", "as_measured", "as_chosen"),
    [
        (0.00206814, "0.00207", "0.002068"),
        (0.1, "0.100", "0.1"),
        (12.345678, "12.3", "12.35"),
        (1463.68, "1464", "1464"),
        (20481.5, "20482", "20482"),
        (1e-30, "1.00e-30", "1e-30"),
        (1e12, "1.00e+12", "1e+12"),
        (0.0, "0.00", "0"),
        (float("nan"), "nan", "nan"),
        (float("-inf"), "-inf", "-inf"),
        (7, "7", "7"),
        (10**20, "1" + "0" * 20, "1" + "0" * 20),
        (True, "true", "true"),
        (None, "", ""),
        ("2026-11-23T10:00:00.123456+00:00", "2026-11-23 10:00:00", "2026-11-23 10:00:00"),
    ],
)
def test_numbers_have_the_right_precision(value, as_measured, as_chosen):
    assert (number(value), cell(value)) == (as_measured, as_chosen)


def test_a_number_of_too_many_digits():
    assert (number(10**5000), cell(-(10**5000))) == ("(too long)", "(too long)")


@pytest.mark.parametrize(
    ("span", "text"),
    [
        ({"seconds": 0.5}, "just now"),
        ({"seconds": 59}, "59 s ago"),
        ({"minutes": 59, "seconds": 59}, "59 min ago"),
        ({"hours": 3, "minutes": 59}, "3 h ago"),
        ({"days": 13, "hours": 23}, "13 d ago"),
        ({"days": 14}, "2026-11-09"),
        ({"seconds": -90}, "2026-11-23 12:01"),
    ],
)
def test_ages(span, text):
    assert age(NOW - timedelta(**span), NOW) == text


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        (["a/x", "a/y"], "a/"),
        (["a/b/x", "a/b/y", "a/c"], "a/"),
        (["ab/x", "ac/x"], ""),
        (["a/x", "b"], ""),
        (["/r/a", "/r/b"], "/r/"),
        (["a/x"], ""),
        (["a/x", "a/x"], ""),
        ([], ""),
    ],
)
def test_common_folders(names, folder):
    assert common_folder(names) == folder


def test_wide_characters_count_twice():
    assert shortened("日本語", 5) == "日本…"
    assert shortened("日本語", 6) == "日本語"


# ---------------------------------------------------------------------- on a terminal


def on_terminal(width: int, *arguments: object, **variables: str) -> str:
    """What a command prints on a terminal of that width."""
    import fcntl
    import pty
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "reionemu", "artifact", *map(str, arguments)],
        stdout=slave,
        stderr=slave,
        env={**environment, "TERM": "xterm-256color", **variables},
    )
    os.close(slave)
    printed = b""
    while True:
        try:
            block = os.read(master, 65536)
        except OSError:  # the other side is closed
            break
        if not block:
            break
        printed += block
    os.close(master)
    assert process.wait(timeout=60) == 0
    return printed.decode().replace("\r\n", "\n")


def test_models_are_shortened_before_they_are_cut(root, write_record):
    sizes = {"hidden_dim": 20, "num_hidden_layers": 2}
    for name, kind in {
        "fp/tanh-h64-lr5e-3": "FourParam",
        "mc/tanh-h64-lr5e-3": "MCDropout",
    }.items():
        write_record(
            root / "wide" / name,
            configs={"model": {"class_name": f"{kind}Emulator", **sizes}},
            results={
                "metrics": {"val_loss": 0.00123, "test_mean_relative_error": 0.1},
                "history": {"val_loss": [1.0] * 150},
            },
        )
    printed = on_terminal(120, "list", root / "wide", NO_COLOR="1")
    assert ("MCDropout 20x2" in printed, "FourParam 20x2" in printed) == (True, True)
    printed = on_terminal(77, "list", root / "wide", NO_COLOR="1")
    assert "  MC 20x2  " in printed
    assert "  Four 20x2  " in printed
    assert "\u2026" not in printed


@pytest.mark.parametrize(
    ("models", "short"),
    [
        (["MCDropout 20x2", "FourParam 8x1", ""], ["MC 20x2", "Four 8x1", ""]),
        (["MCDropout 20x2", "MCDropout 8x2"], ["MC 20x2", "MC 8x2"]),
        (["MCDropout 20x2", "MCNet 20x2"], ["MCDropout 20x2", "MCNet 20x2"]),
        (["my_model 3x2", "net"], ["my_model 3x2", "net"]),
    ],
)
def test_models_are_shortened_only_where_that_tells_them_apart(models, short):
    assert initials(models) == short


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_list_fits_the_terminal(width, root, write_record):
    write_record(root / "sweep" / ("long-name-" * 8))
    printed = on_terminal(width, "list", root / "sweep")
    lines = re.sub(r"\x1b\[\d+m", "", printed).splitlines()
    assert max(map(len, lines)) <= width
    assert "\x1b[32mcompleted" in printed
    assert lines[-1] == "4 artifacts: 4 completed"
    assert re.search(r"^c +completed", "\n".join(lines), re.MULTILINE)


def test_a_terminal_is_told_problems_below_and_ages(root, write_record):
    created = (datetime.now(timezone.utc) - timedelta(hours=3, minutes=1)).isoformat()
    write_record(root / "sweep" / "now", info={"created_at": created})
    printed = on_terminal(80, "list", root, NO_COLOR="1")
    assert "\x1b" not in printed
    lines = printed.splitlines()
    assert re.match(r"sweep/now +completed +3 h ago", lines[1])
    assert lines[-2].startswith("torn: results.json is not JSON")
    assert lines[-1] == "5 artifacts: 4 completed, 1 damaged"


def test_side_by_side_goes_on_below_where_it_is_too_wide(root, write_record):
    for i in range(12):
        write_record(root / "many" / f"run-{i}", results={"metrics": {"loss": i + 0.5}})
    paths = [root / "many" / f"run-{i}" for i in range(12)]
    printed = on_terminal(60, "compare", *paths, TERM="dumb")
    assert "\x1b" not in printed
    assert max(map(len, printed.splitlines())) <= 60
    assert printed.split("\n\n")[1].splitlines()[0].split()[0] != "run-0"
    assert [f"run-{i}" for i in range(12)] == re.findall(r"run-\d+", printed)


def test_heads_that_would_look_alike_are_numbered(root, write_record):
    names = [f"a-long-beginning-{i}-and-the-same-long-end-of-all" for i in range(3)]
    for i, name in enumerate(names):
        write_record(root / "many" / name, results={"metrics": {"loss": i + 0.5}})
    paths = [root / "many" / name for name in names]
    lines = on_terminal(60, "compare", *paths, TERM="dumb").splitlines()
    assert lines[:3] == [f"{i}  {name}" for i, name in enumerate(names, start=1)]
    assert (lines[3], lines[4].split()) == ("", ["1", "2", "3"])
    assert lines[-1].split() == ["loss", "0.500", "1.50", "2.50"]
    assert names[0] in on_terminal(300, "compare", *paths, TERM="dumb").splitlines()[0]


def test_a_reader_that_has_seen_enough(root):
    command = f"{sys.executable} -m reionemu artifact list {root} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert (done.stdout.split()[0], done.stderr) == ("name", "")


def test_output_that_cannot_hold_a_name_gets_an_escape(root, write_record):
    write_record(root / "sweep" / "é")
    done = subprocess.run(
        [sys.executable, "-m", "reionemu", "artifact", "list", str(root)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=True,
    )
    assert b"sweep/\\xe9" in done.stdout
