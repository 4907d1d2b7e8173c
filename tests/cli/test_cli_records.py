"""reionemu artifact verify, history, restore and prune."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import torch

import reionemu as package
from reionemu.artifact.placing import entries
from reionemu.cli.artifact import tables

GOLDEN = Path(__file__).parents[1] / "artifact" / "golden"


def save(root: Path, name: str, number: int) -> Path:
    return package.save_artifact(
        name, root, metrics={"val_loss": number / 8}, checkpoint={"w": torch.ones(2)}
    )


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`artifacts` in the current folder: a (3 records), group/b (1), and a run that failed."""
    monkeypatch.chdir(tmp_path)
    for i in range(3):
        save(Path("artifacts"), "a", i)
    save(Path("artifacts"), "group/b", 5)
    run = package.start_artifact("failed", Path("artifacts"))
    with pytest.raises(ValueError), run:
        raise ValueError("out of luck")
    return Path("artifacts")


def strict(text: str) -> dict:
    """Parse JSON, refusing the NaN that JSON does not have."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def cells(line: str) -> list[str]:
    return re.split(r" {2,}", line.strip())


def table(text: str) -> list[list[str]]:
    """Rows of a table, the header first."""
    rows = [cells(line) for line in text.splitlines() if line.strip() and "──" not in line]
    return [row for row in rows if len(row) > 1]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


# verify


def test_verify_one_that_is_whole(reionemu: Callable, root: Path) -> None:
    outcome = reionemu("artifact", "verify", root / "a")
    assert outcome == (
        0,
        "artifacts/a: ok\n  note: self-test: no predictions were recorded that could be compared\n",
        "",
    )


def test_verify_a_root_lists_every_record(reionemu: Callable, root: Path) -> None:
    (run,) = entries(root / ".runs" / "failed")
    outcome = reionemu("artifact", "verify", root)
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "artifacts/a: ok",
        f"{run}: ok",
        "artifacts/group/b: ok",
        *(f"{entry}: ok" for entry in entries(root / ".history" / "a")),
    ]
    assert outcome.err == "5 records, 0 damaged, 0 more with warnings\n"
    outcome = reionemu("artifact", "verify", root, "--notes")
    assert "note: results.json: the run failed: ValueError: out of luck" in outcome.out


def test_verify_names_what_is_damaged_and_goes_on(reionemu: Callable, root: Path) -> None:
    damage(root / "a" / "model.pt")
    (root / "group" / "b" / "notes.txt").write_text("")
    (root / "torn").mkdir()
    (root / "torn" / "results.json").write_text("{")
    outcome = reionemu("artifact", "verify", root)
    assert outcome.code == 1
    lines = outcome.out.splitlines()
    assert lines[0].startswith("artifacts/a: DAMAGED, ")
    assert "  error: model.pt: is not the file that was saved: it has changed" in lines
    assert "artifacts/group/b: ok, 1 warning" in lines
    assert any(line.startswith("artifacts/torn: DAMAGED, 2 errors") for line in lines)
    assert "  error: info.json: is not there" in lines
    assert outcome.err == "6 records, 2 damaged, 1 more with warnings\n"


def test_verify_a_root_finds_damage_in_earlier_records(reionemu: Callable, root: Path) -> None:
    first, _ = entries(root / ".history" / "a")
    damage(first / "model.pt")
    for stray in (False, True):
        if stray:
            (root / "info.json").write_text("{}")
        outcome = reionemu("artifact", "verify", root)
        assert outcome.code == 1
        assert f"{first}: DAMAGED, 1 error\n" in outcome.out
        assert "artifacts/group/b: ok" in outcome.out
        assert outcome.err.startswith(f"{5 + stray} records, {1 + stray} damaged")


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--strict",), 1)])
def test_warnings_count_if_asked(
    reionemu: Callable, root: Path, options: tuple[str, ...], code: int
) -> None:
    (root / "a" / "notes.txt").write_text("")
    for path in (root / "a", root):
        outcome = reionemu("artifact", "verify", path, *options)
        assert outcome.code == code
        assert "warning: notes.txt: is not a part of the record as it was saved" in outcome.out
    assert reionemu("artifact", "verify", root / "group", "--strict").code == 0


def test_verify_as_json(reionemu: Callable, root: Path) -> None:
    damage(root / "a" / "model.pt")
    outcome = reionemu("artifact", "verify", root, "--json")
    assert (outcome.code, outcome.err) == (1, "")
    document = strict(outcome.out)
    assert document["ok"] is False
    assert [set(record) for record in document["records"]] == [{"path", "ok", "findings"}] * 5
    by_path = {record["path"]: record for record in document["records"]}
    assert not by_path["artifacts/a"]["ok"]
    assert {
        "level": "error",
        "where": "model.pt",
        "message": "is not the file that was saved: it has changed",
    } in by_path["artifacts/a"]["findings"]
    assert by_path["artifacts/group/b"]["ok"]
    document = strict(reionemu("artifact", "verify", root / "group" / "b", "--json").out)
    assert document["ok"] is True


def test_verify_older_records_and_those_of_the_peer(reionemu: Callable) -> None:
    for folder in ("peer-0.4.0", "v1"):
        outcome = reionemu("artifact", "verify", GOLDEN / folder)
        assert outcome.code == 0
        assert "error" not in outcome.out
        assert outcome.out.count("is not there (an older record?)") == outcome.out.count(": ok, 1 ")
        assert reionemu("artifact", "verify", GOLDEN / folder, "--strict").code == 1


def test_what_goes_while_it_is_verified_is_passed_over(
    reionemu: Callable, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reionemu.artifact import past

    below = past.records_below(root)
    monkeypatch.setattr(past, "records_below", lambda path: [*below, root / "completed-since"])
    outcome = reionemu("artifact", "verify", root)
    assert outcome.code == 0
    assert "completed-since" not in outcome.out
    assert outcome.err.startswith("5 records, 0 damaged")


# history


def test_history(reionemu: Callable, root: Path) -> None:
    first, second = (entry.name for entry in entries(root / ".history" / "a"))
    outcome = reionemu("artifact", "history", root / "a")
    assert outcome.code == 0
    assert outcome.out.splitlines()[0] == "a"
    header, *rows = table(outcome.out)
    assert header == ["record", "status", "saved", "size", "val_loss"]
    assert [row[0] for row in rows] == ["current", second, first]
    assert {row[1] for row in rows} == {"completed"}
    assert [float(row[-1]) for row in rows] == [2 / 8, 1 / 8, 0]
    assert all(re.fullmatch(r"just now|\d+ s ago", row[2]) for row in rows)
    assert all(re.fullmatch(r"[\d.]+ kB", row[3]) for row in rows)
    assert outcome.err == "to bring one back: reionemu artifact restore artifacts/a RECORD\n"


def test_history_of_what_did_not_complete(reionemu: Callable, root: Path) -> None:
    outcome = reionemu("artifact", "history", root / "failed")
    _, row = table(outcome.out)
    assert row[:2] == [entries(root / ".runs" / "failed")[0].name, "failed"]
    assert outcome.err == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), ("low", ""), ([1], ""), (float("nan"), "nan"), (10**3000, ""), (1 / 3, "0.3333")],
    ids=["null", "text", "list", "nan", "huge", "number"],
)
def test_history_shows_the_loss_if_it_is_a_number(
    reionemu: Callable, tmp_path: Path, value: object, shown: str
) -> None:
    package.save_artifact("odd", tmp_path, metrics={"val_loss": value})
    outcome = reionemu("artifact", "history", tmp_path / "odd")
    assert (outcome.code, outcome.err) == (0, "")
    _, row = table(outcome.out)
    assert row[0] == "current"
    assert row[4:] == ([shown] if shown else [])


def test_history_as_json(reionemu: Callable, root: Path) -> None:
    outcome = reionemu("artifact", "history", root / "a", "--json")
    found = strict(outcome.out)["versions"]
    assert [version["place"] for version in found] == ["current", "earlier", "earlier"]
    for version in found:
        path = Path(version["path"])
        assert version["name"] == "a"
        assert version["status"] == "completed"
        assert version["size_bytes"] == sum(item.stat().st_size for item in path.iterdir())
        info = json.loads((path / "info.json").read_text())
        saved = datetime.fromisoformat(version["saved_at"])
        assert saved == datetime.fromisoformat(info["created_at"])


# restore


def val_loss(path: Path) -> float:
    return json.loads((path / "results.json").read_text())["metrics"]["val_loss"]


def test_restore(reionemu: Callable, root: Path) -> None:
    first, _ = entries(root / ".history" / "a")
    outcome = reionemu("artifact", "restore", root / "a", first.name)
    assert (outcome.code, outcome.err) == (0, "")
    pattern = r"restored artifacts/a as saved (just now|\d+ s ago); 2 more in its history\n"
    assert re.fullmatch(pattern, outcome.out)
    assert val_loss(root / "a") == 0
    outcome = reionemu("artifact", "restore", root / "a", "--json")
    document = strict(outcome.out)
    assert document["path"] == str(root.absolute() / "a")
    assert document["restored"]["place"] == "current"
    assert document["restored"]["status"] == "completed"
    assert val_loss(root / "a") == 2 / 8


# prune


def test_prune_only_lists_unless_told_to(reionemu: Callable, root: Path) -> None:
    names = [entry.name for entry in entries(root / ".history" / "a")]
    outcome = reionemu("artifact", "prune", root)
    header, *rows = table(outcome.out)
    assert header == ["name", "record", "status", "replaced", "size"]
    assert [row[:3] for row in rows] == [["a", name, "completed"] for name in names]
    last = outcome.out.splitlines()[-1]
    assert re.fullmatch(r"2 records, [\d.]+ kB; nothing was removed \(--yes removes them\)", last)
    assert [entry.name for entry in entries(root / ".history" / "a")] == names

    outcome = reionemu("artifact", "prune", root, "--keep", "1", "--yes")
    assert re.search(r"\nremoved 1 of 1 record, [\d.]+ kB\n$", outcome.out)
    assert [entry.name for entry in entries(root / ".history" / "a")] == names[1:]
    assert val_loss(root / "a") == 2 / 8


def test_prune_nothing(reionemu: Callable, root: Path) -> None:
    for options in (("--name", "group/b"), ("--older-than", "1h"), ("--keep", "9")):
        outcome = reionemu("artifact", "prune", root, *options)
        assert outcome == (0, "0 records, 0 B; nothing was removed\n", "")


@pytest.mark.parametrize(
    ("age", "older"), [("3d", True), ("100h", False), ("1 w", False), ("5000m", False)]
)
def test_prune_by_age(reionemu: Callable, root: Path, age: str, older: bool) -> None:
    moment = datetime.now(timezone.utc) - timedelta(days=3, hours=1)
    entry = entries(root / ".history" / "a")[0]
    entry = entry.rename(entry.with_name(f"{moment:%Y%m%dT%H%M%S.%fZ}-0123abcd"))
    found = strict(reionemu("artifact", "prune", root, "--older-than", age, "--json").out)["found"]
    assert [Path(version["path"]).name for version in found] == [entry.name] * older


def test_prune_runs_but_never_a_live_one(reionemu: Callable, root: Path) -> None:
    with package.start_artifact("live", root) as run:
        outcome = reionemu("artifact", "prune", root, "--runs", "--yes", "--all", "--json")
        document = strict(outcome.out)
        assert [(v["name"], v["place"]) for v in document["found"]] == [
            ("a", "earlier"),
            ("a", "earlier"),
            ("failed", "unfinished"),
        ]
        assert document["removed"] == 3
        assert all(version["size_bytes"] > 0 for version in document["found"])
        assert run.path.exists()
    assert (root / "live" / "info.json").exists()
    assert not (root / ".runs" / "failed").exists()


def test_prune_does_not_remove_all_history_unless_told_to(reionemu: Callable, root: Path) -> None:
    before = entries(root / ".history" / "a")
    for options in (("--yes",), ("--yes", "--runs")):
        outcome = reionemu("artifact", "prune", root, *options)
        assert (outcome.code, outcome.out) in ((1, ""), (2, ""))
        assert "--yes alone would remove all earlier records" in outcome.err
        assert entries(root / ".history" / "a") == before
    assert reionemu("artifact", "prune", root, "--yes", "--all").code == 0
    assert not (root / ".history").exists()
    assert val_loss(root / "a") == 2 / 8


@pytest.mark.parametrize("width", [60, 40])
def test_on_a_narrow_terminal_no_id_is_cut(
    reionemu: Callable, root: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    long = "a-name-that-takes-more-room-than-there-is"
    for i in range(2):
        save(root, long, i)
    monkeypatch.setattr(tables, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    (entry,) = entries(root / ".history" / long)
    for arguments in (("history", root / long), ("prune", root, "--name", long)):
        outcome = reionemu("artifact", *arguments)
        (line,) = (line for line in outcome.out.splitlines() if entry.name in line)
        assert len(line) <= max(width, 44)


def test_a_name_that_is_free_again_can_be_restored(reionemu: Callable, root: Path) -> None:
    shutil.rmtree(root / "a")
    for command in (("artifact", "show"), ("predict",)):
        outcome = reionemu(*command, root / "a")
        assert outcome.code == 1
        assert "`reionemu artifact restore artifacts/a` brings the latest back" in outcome.err
    assert reionemu("artifact", "restore", root / "a").code == 0
    assert val_loss(root / "a") == 1 / 8


# What is no record


BAD = {
    "verify": {
        "nowhere": "no artifact at nowhere",
        "file": "file is not an artifact: it is not a folder",
        "empty": "empty is not an artifact, and there is none in it",
        "foreign": "foreign is not an artifact, and there is none in it",
        "artifacts/b": "no artifact at artifacts/b; in artifacts there are a",
        "artifacts/a/model.pt": "model.pt is not an artifact: it is not a folder",
    },
    "history": {
        "nowhere": "no artifact 'nowhere' in",
        "file": "no artifact 'file' in",
        "empty": "no artifact 'empty' in",
        "artifacts": "artifacts is a folder of artifacts; name one of them, such as a",
        "artifacts/group": "group is a folder of artifacts; name one of them, such as b",
        "artifacts/a/model.pt": "no artifact 'model.pt' in",
        "/": "no artifact '' in /",
    },
    "restore": {
        "nowhere": "no artifact 'nowhere' in",
        "artifacts": "'artifacts' is a folder of other artifacts",
        "artifacts/group/b": "no earlier record of 'group/b'",
        "artifacts/failed": "no earlier record of 'failed'",
        "artifacts/a/model.pt": "no earlier record of 'model.pt'",
        "/": "cannot name an artifact",
    },
    "prune": {
        "nowhere": "there is no folder nowhere",
        "file": "there is no folder file",
        "artifacts/a": "artifacts/a is an artifact; give its root,",
    },
}


@pytest.mark.parametrize("command", BAD)
def test_a_path_that_leads_to_none(reionemu: Callable, root: Path, command: str) -> None:
    code = 2 if command == "verify" else 1  # as damage is told apart from a wrong path
    Path("file").write_text("")
    Path("empty").mkdir()
    Path("foreign").mkdir()
    (Path("foreign") / "data.json").write_text("{}")
    for path, message in BAD[command].items():
        outcome = reionemu("artifact", command, path)
        assert (outcome.code, outcome.out) == (code, "")
        assert outcome.err.startswith("error: ")
        assert outcome.err.count("\n") == 1
        assert message in outcome.err
        assert "internal error" not in outcome.err


def test_the_current_folder_will_do(reionemu: Callable, root: Path, monkeypatch) -> None:
    outcome = reionemu("artifact", "verify", ".")
    assert outcome.err == "5 records, 0 damaged, 0 more with warnings\n"
    monkeypatch.chdir(root / "a")
    assert table(reionemu("artifact", "history", ".").out)[1][:2] == ["current", "completed"]
    assert reionemu("artifact", "history", "..").code == 1


IMPOSSIBLE = {
    ("restore", "artifacts/a", "zzz"): "no earlier record 'zzz' of 'a' in",
    ("restore", "artifacts/a", "2"): "'2' fits 2 earlier records of 'a'; say more",
    ("prune", "artifacts", "--older-than", "soon"): "expected an age, such as 45s",
    ("prune", "artifacts", "--older-than", "-1d"): "expected an age, such as 45s",
    ("prune", "artifacts", "--older-than", "9" * 99 + "d"): "there was no such time",
    ("prune", "artifacts", "--older-than", "999999w"): "there was no such time",
}


def test_an_option_that_cannot_be(reionemu: Callable, root: Path) -> None:
    for arguments, message in IMPOSSIBLE.items():
        outcome = reionemu("artifact", *arguments, *(["--yes"] if "prune" in arguments else []))
        assert (outcome.code, outcome.out) == (1, "")
        assert message in outcome.err
        assert outcome.err.count("\n") == 1
    assert len(entries(root / ".history" / "a")) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_root_in_which_nothing_may_be_written(reionemu: Callable, root: Path) -> None:
    folders = [root, root / ".history" / "a"]
    try:
        for folder in folders:
            folder.chmod(0o555)
        assert reionemu("artifact", "verify", root).code == 0
        assert reionemu("artifact", "history", root / "a").code == 0
        for arguments in (("restore", root / "a"), ("prune", root, "--yes")):
            outcome = reionemu("artifact", *arguments)
            assert outcome.code == 1
            assert "internal error" not in outcome.err
    finally:
        for folder in folders:
            folder.chmod(0o755)
