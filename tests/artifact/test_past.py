"""Earlier records of a name, and its unfinished runs: looking up, bringing back, removing."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import reionemu
from reionemu.artifact import past, placing
from reionemu.artifact.past import (
    Version,
    locate,
    prunable,
    records_below,
    remove,
    restore,
    size_of,
    versions,
)
from reionemu.artifact.placing import ENTRY, entries
from reionemu.errors import MissingFileError, ReadOnlyError, RecordError


@pytest.fixture(autouse=True)
def _outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=[True, False], ids=["exchange", "two renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether folders can be exchanged in one step."""
    if not request.param:
        monkeypatch.setattr(placing, "_can_exchange", lambda: False)
    return request.param


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


def save(root: Path, name: str, number: int) -> Path:
    return reionemu.save_artifact(name, root, metrics={"number": number})


def fail(root: Path, name: str) -> Path:
    """A run that failed."""
    run = reionemu.start_artifact(name, root)
    with pytest.raises(ValueError), run:
        raise ValueError("out of luck")
    return run.path


def number(path: Path) -> int:
    return json.loads((path / "results.json").read_text())["metrics"]["number"]


def earlier(root: Path, name: str) -> list[int]:
    """What is in the history of a name, the oldest first; nothing else may be there."""
    folder = root / ".history" / name
    assert [item for item in folder.iterdir() if not ENTRY.fullmatch(item.name)] == []
    return [number(entry) for entry in entries(folder)]


# Looking up


@pytest.mark.parametrize("name", ["run", "group/run", "a/b/c"])
def test_the_root_and_the_name_of_a_path(root: Path, name: str, tmp_path: Path) -> None:
    for i in range(2):
        save(root, name, i)
    run = fail(root, name)
    (entry,) = entries(root / ".history" / name)
    for path in (root / name, entry, run, entry.parent, run.parent):
        assert locate(path) == (root, name)
    assert locate(Path("artifacts", "..", "artifacts", *name.split("/"))) == (root, name)


@pytest.mark.parametrize("name", ["run", "group/run", "odd/日本/語"])
def test_without_a_past_a_record_tells_its_name(root: Path, name: str) -> None:
    path = save(root, name, 0)
    assert locate(path) == (root, name)
    assert versions(path)[0].name == name
    moved = shutil.move(path, root / "moved")
    assert locate(moved) == (root, "moved")
    (moved / "info.json").write_text('{"run_id": 3}')
    assert locate(moved) == (root, "moved")


def test_without_a_past_or_a_record_the_root_is_the_folder_around_it(root: Path) -> None:
    assert locate(root / "group" / "nothing") == (root / "group", "nothing")


@pytest.mark.parametrize("name", ["run", "group/run"])
def test_versions_are_listed_the_newest_first(root: Path, name: str) -> None:
    before = datetime.now(timezone.utc)
    for i in range(3):
        save(root, name, i)
    failed = fail(root, name)
    save(root, "other", 9)
    found = versions(root / name)
    assert [version.place for version in found] == ["current", "unfinished", "earlier", "earlier"]
    assert {version.name for version in found} == {name}
    assert [version.status for version in found] == [
        "completed",
        "failed",
        "completed",
        "completed",
    ]
    assert found[0].path == root / name
    assert found[1].path == failed
    assert [number(version.path) for version in found if version is not found[1]] == [2, 1, 0]
    times = [version.saved_at for version in (found[3], found[2], found[0], found[1])]
    assert times == sorted(times)
    assert before <= times[0]
    assert times[-1] <= datetime.now(timezone.utc)
    for version in found:
        assert versions(version.path) == found


def test_a_run_that_goes_on(root: Path) -> None:
    with reionemu.start_artifact("run", root) as run:
        (found,) = versions(root / "run")
        assert (found.place, found.status, found.path) == ("unfinished", "running", run.path)


def test_times_in_other_notations(root: Path) -> None:
    path = save(root, "run", 0)
    moment = datetime(2026, 4, 27, 18, 30, 12, tzinfo=timezone.utc)
    for text in ("2026-04-27T18:30:12Z", "2026-04-27T18:30:12", "2026-04-27T20:30:12+02:00"):
        info = json.loads((path / "info.json").read_text())
        (path / "info.json").write_text(json.dumps({**info, "created_at": text}))
        assert versions(path)[0].saved_at == moment


def test_damaged_records_are_listed(root: Path) -> None:
    for i in range(5):
        save(root, "run", i)
    oldest, second, third, fourth = entries(root / ".history" / "run")
    (oldest / "info.json").write_text("{")
    (second / "results.json").write_text("[]")
    shutil.rmtree(third)
    third.write_text("a file")
    (fourth / "results.json").unlink()
    (root / "run" / "info.json").unlink()
    found = versions(root / "run")
    assert [version.status for version in found] == [
        "damaged",
        "not recorded",
        "damaged",
        "damaged",
        "damaged",
    ]
    assert found[0].place == "current"
    named = datetime.strptime(oldest.name[:23], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=timezone.utc)
    assert found[-1].saved_at == named


def test_what_never_was_an_artifact(root: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no artifact 'run' in .*, and never was one"):
        versions(root / "run")
    save(root, "group/run", 0)
    with pytest.raises(MissingFileError, match=r"is a folder of artifacts; .* such as run"):
        versions(root / "group")
    (root / "file").write_text("")
    with pytest.raises(MissingFileError, match="no artifact 'file'"):
        versions(root / "file")


def test_records_below(root: Path, tmp_path: Path) -> None:
    one = save(root, "group/one", 0)
    failed = fail(root, "two")
    (root / "torn").mkdir()
    (root / "torn" / "results.json").write_text("{}")
    save(root, "group/one", 1)
    (before,) = entries(root / ".history" / "group" / "one")
    assert sorted(records_below(root)) == sorted([one, failed, root / "torn", before])
    (root / "info.json").write_text("{}")  # a stray file hides nothing
    assert sorted(records_below(root)) == sorted([root, one, failed, root / "torn", before])
    (root / "info.json").unlink()
    assert records_below(one) == [one]
    assert records_below(root / "two") == [failed]
    assert records_below(root / "torn") == [root / "torn"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match="empty is not an artifact, and there is none in it"):
        records_below(tmp_path / "empty")
    with pytest.raises(MissingFileError, match=r"no artifact at .*nowhere"):
        records_below(tmp_path / "nowhere")


# Bringing back


@pytest.mark.parametrize("name", ["run", "group/run"])
def test_restore_brings_back_every_byte(
    way: bool, root: Path, name: str, snapshot: Callable
) -> None:
    saved = [snapshot(save(root, name, i)) for i in range(3)]
    first, second = entries(root / ".history" / name)
    assert restore(root / name, first.name) == root / name
    assert snapshot(root / name) == saved[0]
    assert earlier(root, name) == [1, 2]
    assert snapshot(entries(root / ".history" / name)[-1]) == saved[2]
    assert second.exists()
    assert {item.name for item in root.iterdir()} == {name.split("/")[0], ".history"}


def test_two_restores_in_a_row_swap(way: bool, root: Path, snapshot: Callable) -> None:
    saved = [snapshot(save(root, "run", i)) for i in range(3)]
    for expected in (1, 2, 1):
        restore(root / "run")
        assert snapshot(root / "run") == saved[expected]
        assert earlier(root, "run") == [0, 3 - expected]


def test_an_earlier_record_can_be_named_by_its_path_or_its_beginning(root: Path) -> None:
    for i in range(3):
        save(root, "run", i)
    first, _ = entries(root / ".history" / "run")
    restore(first)
    assert number(root / "run") == 0
    assert earlier(root, "run") == [1, 2]
    second, _ = entries(root / ".history" / "run")
    restore(root / "run", second.name[:-1])
    assert number(root / "run") == 1


def test_restore_of_a_name_that_is_free(way: bool, root: Path, snapshot: Callable) -> None:
    saved = [snapshot(save(root, "run", i)) for i in range(2)]
    shutil.rmtree(root / "run")
    restore(root / "run")
    assert snapshot(root / "run") == saved[0]
    assert [item.name for item in root.iterdir()] == ["run"]


def test_restore_in_place_of_a_damaged_record_or_a_file(way: bool, root: Path) -> None:
    for i in range(3):
        save(root, "run", i)
    (root / "run" / "info.json").unlink()
    restore(root / "run")
    assert number(root / "run") == 1
    shutil.rmtree(root / "run")
    (root / "run").write_text("precious")
    oldest, latest = entries(root / ".history" / "run")
    restore(oldest)
    assert number(root / "run") == 0
    assert entries(root / ".history" / "run")[-1].read_text() == "precious"
    assert latest.exists()


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        ("2", RecordError, "'2' fits 2 earlier records of 'run'; say more"),
        ("1999", MissingFileError, r"no earlier record '1999' of 'run' in .*; there are: 2"),
        ("../run", MissingFileError, "no earlier record '../run'"),
    ],
)
def test_which_one_is_not_clear(
    root: Path, snapshot: Callable, entry: str, error: type[Exception], message: str
) -> None:
    for i in range(3):
        save(root, "run", i)
    before = snapshot(root)
    with pytest.raises(error, match=message):
        restore(root / "run", entry)
    assert snapshot(root) == before


def test_there_is_nothing_to_bring_back(root: Path) -> None:
    run = fail(root, "failed")
    for path in (save(root, "once", 0), root / "failed", run):
        with pytest.raises(MissingFileError, match="no earlier record"):
            restore(path)
    with pytest.raises(MissingFileError, match=r"no artifact 'never' in .*, and never was one"):
        restore(root / "never")
    save(root, "group/run", 0)
    with pytest.raises(RecordError, match="'group' is a folder of other artifacts"):
        restore(root / "group")


@pytest.mark.parametrize("damage", ["no info", "torn", "one bit", "no folder"])
def test_a_damaged_record_is_not_brought_back(root: Path, snapshot: Callable, damage: str) -> None:
    for i in range(2):
        save(root, "run", i)
    (entry,) = entries(root / ".history" / "run")
    if damage == "no info":
        (entry / "info.json").unlink()
    elif damage == "torn":
        (entry / "info.json").write_text("[")
    elif damage == "one bit":
        content = (entry / "results.json").read_bytes()
        (entry / "results.json").write_bytes(content.replace(b"number", b"numbeR"))
    else:
        shutil.rmtree(entry)
        entry.write_text("")
    before = snapshot(root)
    with pytest.raises(RecordError, match=f"{entry.name} is damaged, and was not brought back"):
        restore(root / "run")
    assert snapshot(root) == before


class Stop(BaseException):
    """What stands for a kill: nothing of this project catches it."""


@pytest.mark.parametrize("step", range(1, 5))
def test_a_kill_between_the_steps_of_restore_loses_nothing(
    way: bool, root: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(3):
        save(root, "run", i)
    steps = 0

    def killed_at(function: Callable) -> Callable:
        def call(*arguments: object, **options: object) -> object:
            nonlocal steps
            steps += 1
            if steps >= step:
                raise Stop
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(placing, "_exchange", killed_at(placing._exchange))
        patch.setattr(os, "rename", killed_at(os.rename))
        patch.setattr(Path, "unlink", killed_at(Path.unlink))
        try:
            restore(root / "run")
        except Stop:
            pass
        else:
            assert step > 3
    found = versions(root / "run")
    assert [version.status for version in found] == ["completed"] * 3
    assert found[0].place == "current"
    assert sorted(number(version.path) for version in found) == [0, 1, 2]
    assert {item.name for item in root.iterdir()} == {"run", ".history"}
    save(root, "run", 3)
    kept = entries(root / ".history" / "run")  # a note of what was to be done may be left
    assert sorted(map(number, [*kept, root / "run"])) == [0, 1, 2, 3]


# Removing


@pytest.fixture
def many(root: Path) -> Path:
    """Three names with 0, 2 and 4 earlier records, and two runs that failed."""
    for name, count in (("once", 1), ("group/run", 3), ("often", 5)):
        for i in range(count):
            save(root, name, i)
    for name in ("often", "failed"):
        fail(root, name)
    return root


def chosen(root: Path, **options: object) -> list[tuple[str, int]]:
    found = prunable(root, **options)
    assert {version.place for version in found} <= {"earlier"}
    return [(version.name, number(version.path)) for version in found]


def test_what_may_be_removed(many: Path, snapshot: Callable) -> None:
    before = snapshot(many)
    of_group, of_often = [("group/run", i) for i in (0, 1)], [("often", i) for i in range(4)]
    assert chosen(many) == of_group + of_often
    assert chosen(many, name="often") == of_often
    assert chosen(many, name="once") == chosen(many, name="nobody") == []
    assert chosen(many, keep=1) == of_group[:1] + of_often[:3]
    assert chosen(many, keep=3) == of_often[:1]
    assert chosen(many, keep=4) == chosen(many, keep=5) == chosen(many, keep=100) == []
    assert snapshot(many) == before


def test_only_what_is_older(many: Path) -> None:
    """Since it was replaced, whenever it was saved."""
    first, second, *_ = entries(many / ".history" / "often")
    info = json.loads((first / "info.json").read_text())
    info["created_at"] = (datetime.now(timezone.utc) - timedelta(days=300)).isoformat()
    (first / "info.json").write_text(json.dumps(info))
    moment = datetime.now(timezone.utc) - timedelta(days=30)
    second.rename(second.with_name(f"{moment:%Y%m%dT%H%M%S.%fZ}-0123abcd"))
    assert chosen(many, older_than=timedelta(days=29)) == [("often", 1)]
    assert chosen(many, older_than=timedelta(days=31)) == []
    assert chosen(many, older_than=timedelta.max) == []
    assert len(chosen(many, older_than=timedelta(0))) == 6


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_where_nothing_may_be_written_the_root_is_named(
    root: Path, snapshot: Callable, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    for i in range(2):
        save(root, "run", i)
    (version,) = prunable(root)
    before = snapshot(root)

    def refuse(source: Path, *arguments: object, **options: object) -> None:
        raise OSError(code, "refused", str(source))

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(ReadOnlyError, match=rf"cannot restore 'run' in {root}: no permission"):
        restore(root / "run")
    with pytest.raises(ReadOnlyError, match=rf"earlier records in {root}: no permission"):
        remove(version)
    assert snapshot(root) == before


def test_a_record_is_saved_while_its_empty_history_is_removed(
    way: bool, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(root, "group/run", 0)
    make, left = Path.mkdir, 3

    def made_and_removed(folder: Path, *arguments: object, **options: object) -> None:
        nonlocal left
        make(folder, *arguments, **options)
        if left and ".history" in folder.parts:
            left -= 1
            placing.remove_empty(root / ".history" / "group" / "run")

    monkeypatch.setattr(Path, "mkdir", made_and_removed)
    save(root, "group/run", 1)
    assert left == 0
    assert number(root / "group" / "run") == 1
    assert earlier(root, "group/run") == [0]


def test_a_damaged_one_is_as_old_as_its_name_says(many: Path) -> None:
    folder = many / ".history" / "often"
    old = folder / "20200102T030405.000006Z-0123abcd"
    shutil.copytree(entries(folder)[0], old)
    (old / "info.json").write_text("")
    (found,) = prunable(many, older_than=timedelta(days=300))
    assert (found.path, found.status) == (old, "damaged")


def test_runs_are_removed_only_on_request_and_only_dead_ones(many: Path) -> None:
    with reionemu.start_artifact("goes on", many) as run:
        found = [v for v in prunable(many, unfinished=True) if v.place == "unfinished"]
        assert [(v.name, v.status) for v in found] == [("failed", "failed"), ("often", "failed")]
        assert [v for v in prunable(many, keep=1, unfinished=True) if v.place == "unfinished"] == []
        live = Version("goes on", run.path, "unfinished", "failed", None)
        assert not remove(live)
        assert run.path.exists()
        for version in found:
            assert remove(version)
            assert not version.path.exists()
            assert not remove(version)
        run.log(1, {"loss": 1.0})
    assert reionemu.load_artifact(many / "goes on").results["history"] == {"loss": [1.0]}
    assert len(chosen(many)) == 6


def test_removing(many: Path, snapshot: Callable) -> None:
    current = {name: snapshot(many / name) for name in ("once", "group/run", "often")}
    for version in prunable(many, keep=1):
        assert remove(version)
        assert not remove(version)
    assert earlier(many, "often") == [3]
    assert earlier(many, "group/run") == [1]
    assert {name: snapshot(many / name) for name in current} == current
    with pytest.raises(RecordError, match="is a current record"):
        remove(versions(many / "often")[0])


def test_what_could_not_be_removed_does_not_count(
    many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "discard", lambda folder: None)  # as where nothing may be written
    run = prunable(many, name="failed", unfinished=True)[0]
    assert not remove(run)


def test_a_file_in_the_history_is_removed_too(root: Path) -> None:
    root.mkdir()
    (root / "run").write_text("was in the way")
    save(root, "run", 1)
    (version,) = prunable(root)
    assert version.status == "damaged"
    assert size_of(version.path) == 14
    assert remove(version)
    assert [item.name for item in root.iterdir()] == ["run"]


def test_what_a_killed_removal_left_is_removed_by_the_next(
    many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = prunable(many, name="group/run")
    with monkeypatch.context() as patch:
        patch.setattr(past.shutil, "rmtree", lambda *arguments, **options: None)
        remove(first)
    (left,) = (item for item in first.path.parent.iterdir() if item.name.startswith("."))
    dead = left.with_name(left.name.replace(f"-{os.getpid()}-", "-4194305-"))
    os.rename(left, dead)
    assert prunable(many, name="group/run") == [second]
    assert remove(second)
    assert not (many / ".history" / "group").exists()
    assert (many / ".history" / "often").exists()


def move_out(root: Path) -> None:
    """The state in which a process died between moving the old record out and the new one in."""
    history = root / ".history" / "run"
    history.mkdir(parents=True, exist_ok=True)
    entry = history / "29991231T183012.123456Z-0123abcd"
    (history / f".{entry.name}.moved-out").touch()
    os.rename(root / "run", entry)


def test_the_only_record_of_a_name_is_not_pruned_after_a_kill(root: Path) -> None:
    save(root, "run", 0)
    move_out(root)
    assert prunable(root) == []
    assert number(root / "run") == 0


def test_a_record_that_was_moved_out_is_the_current_one(root: Path) -> None:
    for i in range(2):
        save(root, "run", i)
    move_out(root)
    restore(root / "run")
    assert number(root / "run") == 0
    assert earlier(root, "run") == [1]


def test_what_lies_in_the_history_without_a_name_is_left_alone(root: Path) -> None:
    path = save(root, "run", 0)
    nameless = root / ".history" / "20260427T183012.123456Z-0123abcd"
    shutil.copytree(path, nameless)
    assert prunable(root) == []


def test_the_folder_of_artifacts_must_be_one(root: Path) -> None:
    with pytest.raises(MissingFileError, match="there is no folder"):
        prunable(root)
    save(root, "group/run", 0)
    save(root, "group/run", 1)
    with pytest.raises(RecordError, match=r"run is an artifact; give its root, .*artifacts, and"):
        prunable(root / "group" / "run")
    assert prunable(root / "group") == []


def test_sizes(root: Path) -> None:
    path = save(root, "run", 0)
    (path / "plots").mkdir()
    (path / "plots" / "a.png").write_bytes(bytes(1000))
    (path / "link").symlink_to(path / "plots")
    files = [item for item in path.rglob("*") if item.is_file() and not item.is_symlink()]
    link = len(str(path / "plots"))
    assert size_of(path) == sum(item.stat().st_size for item in files) + link
    assert size_of(path / "nowhere") == 0
