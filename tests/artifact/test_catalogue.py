"""Many records: what is listed, found, sorted, and never hidden by what lies beside it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import pytest

import reionemu
from reionemu.artifact.collection import glance
from reionemu.errors import ConfigError, MissingFileError, RecordError


@pytest.fixture(autouse=True)
def _no_waiting():
    """A listing that waits for a named pipe ends the test instead of hanging it."""

    def stop(*_):
        raise TimeoutError("the listing waits for something")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder for records."""
    return tmp_path / "artifacts"


def names(entries) -> list[str]:
    return [entry.name for entry in entries]


def test_records_are_listed_by_name_with_numbers_as_numbers(root, write_record):
    for name in ("run-10", "run-2", "sweep/lr-1/a", "Run-3"):
        write_record(root / name)
    found = reionemu.catalogue(root)
    assert names(found) == ["run-2", "Run-3", "run-10", "sweep/lr-1/a"]
    assert [entry.path for entry in found] == [root / name for name in names(found)]
    assert {entry.status for entry in found} == {"completed"}
    assert repr(found) == f"<Catalogue of 4 records in {root}: 4 completed>"


def test_values_of_all_documents_are_in_one_namespace(root, write_record):
    write_record(
        root / "run",
        info={
            "run_id": "run",
            "description": "a test",
            "dataset": {"n_samples": 24, "ell": [1500.0, 2500.0], "eps": None},
            "training_box": {"zmean_zre": [6.0, 10.0]},
            "artifacts": {"weights": "weights.safetensors"},
        },
        configs={"model": {"hidden_dim": 64}, "kfold": None, "training": {"epochs": 3}},
        results={
            "created_at": "2026-11-23T10:00:01+00:00",
            "metrics": {"val_loss": {"$float": "nan"}, "errors": {"mean": [0.1, 0.2]}},
            "summary": {"held_out": "test"},
            "history": {"train_loss": [3.0, 2.0, 1.0], "val_loss": [4.0, 3.0, 2.5]},
        },
        provenance={
            "run": "id",
            "wall_time_s": 12.5,
            "software": {"torch": "2.10.0"},
            "code": {"commit": "ab" * 20, "dirty": True, "diff": "x" * 5000},
            "command": ["reionemu", "train", "my file.h5"],
            "seeds": {"fit": 42},
            "lineage": [{"step": "split", "indices": {"train": [1, 2]}}],
        },
    )
    entry = reionemu.catalogue(root)["run"]
    expected = {
        "name": "run",
        "path": str(root / "run"),
        "status": "completed",
        "problem": None,
        "created_at": "2026-11-23T10:00:00+00:00",
        "results.created_at": "2026-11-23T10:00:01+00:00",
        "info.schema_version": 1,
        "info.run_id": "run",
        "description": "a test",
        "dataset.n_samples": 24,
        "dataset.ell.0": 1500.0,
        "dataset.ell.1": 2500.0,
        "dataset.eps": None,
        "training_box.zmean_zre.0": 6.0,
        "training_box.zmean_zre.1": 10.0,
        "model.hidden_dim": 64,
        "kfold": None,
        "training.epochs": 3,
        "metrics.errors.mean.0": 0.1,
        "metrics.errors.mean.1": 0.2,
        "summary.held_out": "test",
        "epochs": 3,
        "last.train_loss": 1.0,
        "last.val_loss": 2.5,
        "best.val_loss": 2.5,
        "kind": "emulator",
        "run": "id",
        "wall_time_s": 12.5,
        "software.torch": "2.10.0",
        "code.commit": "ab" * 20,
        "code.dirty": True,
        "command": "reionemu train 'my file.h5'",
        "seeds.fit": 42,
    }
    values = dict(entry.values)
    assert math.isnan(values.pop("metrics.val_loss"))
    assert values == expected
    assert len(entry.values) == len(expected) + 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.hidden_dim", 64),
        ("configs.model.hidden_dim", 64),
        ("results.status", "completed"),
        ("info.run_id", "r"),
        ("run_id", "r"),
        ("info.model.hidden_dim", None),
        ("results.model.hidden_dim", None),
        ("model", None),
        ("nowhere", None),
        ("", None),
    ],
)
def test_paths_may_be_written_with_the_document(path, value, root, write_record):
    write_record(root / "run", info={"run_id": "r"}, configs={"model": {"hidden_dim": 64}})
    assert reionemu.catalogue(root)[0].get(path) == value


def test_long_lists_and_texts_are_not_kept(root, write_record):
    write_record(
        root / "run",
        info={"description": "d" * 5000},
        results={
            "metrics": {
                "short": list(range(32)),
                "long": list(range(33)),
                "folds": [{"a": [0.0] * 17, "b": 1}, {"a": [0.0] * 17, "b": 2}],
                "text": "t" * 2001,
            }
        },
    )
    entry = reionemu.catalogue(root)[0]
    assert entry.get("metrics.short.31") == 31
    assert not [path for path in entry.values if path.startswith(("metrics.long", "metrics.f"))]
    assert "metrics.text" not in entry.values
    assert entry.get("description") == "d" * 2000


def test_too_many_values_are_cut_and_said_to_be(root, write_record):
    write_record(root / "run", results={"metrics": {f"m{i}": i for i in range(9000)}})
    entry = reionemu.catalogue(root)[0]
    assert entry.status == "completed"
    assert entry.problem == "more than 2000 values; the others are not listed"
    assert len(entry.values) == 2004


def test_software_of_an_earlier_release_is_found(root, write_record):
    write_record(root / "old", info={"software": {"torch": "2.4"}}, provenance=None)
    assert reionemu.catalogue(root)[0].get("software.torch") == "2.4"


def test_the_peers_records_are_listed():
    golden = Path(__file__).parent / "golden" / "peer-0.4.0"
    found = reionemu.catalogue(golden)
    assert {entry.status for entry in found} == {"completed"}
    assert found["with_dataset"].get("model.class_name") == "FourParamEmulator"
    assert found["with_dataset"].get("epochs") == 40


def test_a_real_record_is_listed(save, four_param):
    path = save(four_param, "real", metrics={"val_loss": 0.25})
    entry = reionemu.catalogue(path.parent)["real"]
    assert (entry.status, entry.problem) == ("completed", None)
    assert entry.get("metrics.val_loss") == 0.25
    assert entry.get("dataset.n_samples") == 24
    assert entry.get("software.reionemu") == reionemu.__version__


def test_an_entry_can_be_loaded(save, four_param, root, write_record):
    path = save(four_param, "real", metrics={"val_loss": 0.25})
    artifact = reionemu.catalogue(path.parent)["real"].load()
    assert (artifact.path, artifact.results["metrics"]["val_loss"]) == (path, 0.25)
    write_record(root / "torn", results="{")
    with pytest.raises(RecordError, match=r"results\.json is not JSON"):
        reionemu.catalogue(root)["torn"].load()


def test_replaced_records_are_not_listed(save, four_param):
    path = save(four_param, "real", metrics={"val_loss": 1.0})
    save(four_param, "real", metrics={"val_loss": 2.0})
    found = reionemu.catalogue(path.parent)
    assert [entry.get("metrics.val_loss") for entry in found] == [2.0]


def test_a_record_may_be_listed_by_itself(root, write_record):
    folder = write_record(root / "run")
    found = reionemu.catalogue(folder)
    assert (names(found), found[0].path) == (["run"], folder)


def test_a_folder_that_is_not_there(root, tmp_path):
    with pytest.raises(MissingFileError, match="there is no folder"):
        reionemu.catalogue(root)
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="is not a folder"):
        reionemu.catalogue(tmp_path / "file")


def test_nothing_to_list(root):
    root.mkdir()
    found = reionemu.catalogue(root)
    assert list(found) == []
    assert list(found.find("x=1").sort("y")) == []
    assert repr(found) == f"<Catalogue of 0 records in {root}>"


def test_a_record_that_a_writer_who_died_had_moved_out_is_listed(root, write_record):
    stamp = "20261124T000000.000000Z-00000000"
    for name in ("lost", "deep/lost", "there"):
        write_record(root / ".history" / name / stamp, info={"description": name})
        (root / ".history" / name / f".{stamp}.moved-out").touch()
    write_record(root / "there", info={"description": "new"})
    (root / "deep").mkdir()
    found = reionemu.catalogue(root)
    described = {entry.name: entry.get("description") for entry in found}
    assert described == {"deep/lost": "deep/lost", "lost": "lost", "there": "new"}


# ---------------------------------------------------------------------- runs under way


def test_runs_that_have_not_completed_are_listed(root):
    with reionemu.start_artifact("done", root) as run:
        run.log(1, {"val_loss": 3.0})
    run = reionemu.start_artifact("deep/going", root, fit_config={"epochs": 9})
    run.log(1, {"val_loss": 2.0, "train_loss": 1.0})
    run.log(2, {"val_loss": float("nan")})
    found = reionemu.catalogue(root)
    assert [(entry.name, entry.status) for entry in found] == [
        ("deep/going", "running"),
        ("done", "completed"),
    ]
    going = found["deep/going"]
    assert going.path == run.path
    assert (going.get("epochs"), going.get("training.epochs")) == (2, 9)
    assert math.isnan(going.get("last.val_loss"))
    assert (going.get("best.val_loss"), going.get("run")) == (2.0, run.path.name)
    run.fail(ValueError("no [room]"))
    failed = reionemu.catalogue(root)["deep/going"]
    assert (failed.status, failed.problem) == ("failed", "ValueError: no [room]")
    assert failed.get("error.type") == "ValueError"


def test_a_run_that_nobody_is_at_is_interrupted(root, tmp_path):
    run = reionemu.start_artifact("going", root)
    run.log(1, {"val_loss": 2.0})
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".alive"))
    journal = copy / ".runs" / "going" / run.path.name / "history.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"epoch": 2, "val_l')
    entry = reionemu.catalogue(copy)["going"]
    assert (entry.status, entry.get("epochs"), entry.get("last.val_loss")) == ("interrupted", 1, 2)
    run.fail(ValueError("end"))


def test_a_name_means_the_completed_record_and_else_the_latest_run(root, write_record):
    def unfinished(name, run, hour):
        info = {"created_at": f"2026-11-23T{hour}:00:00+00:00"}
        write_record(root / ".runs" / name / run, info=info, results={"status": "failed"})

    write_record(root / "both")
    unfinished("both", "20261123T110000.000000Z-00000000", 11)
    unfinished("twice", "20261123T120000.000000Z-00000000", 12)
    unfinished("twice", "20261123T130000.000000Z-00000000", 13)
    found = reionemu.catalogue(root)
    assert names(found) == ["both", "both", "twice", "twice"]
    assert found["both"].status == "completed"
    assert found["twice"].created_at == "2026-11-23T13:00:00+00:00"
    with pytest.raises(RecordError, match=r"called 'twic' \(did you mean 'twice'\?\)"):
        found["twic"]


@pytest.mark.parametrize("place", ["name", ".history/name/20261124T000000.000000Z-00000000"])
def test_a_run_that_died_when_its_record_was_in_place_has_completed(place, root, write_record):
    for run in ("20261123T110000.000000Z-00000000", "20261123T120000.000000Z-00000000"):
        write_record(
            root / ".runs" / "name" / run, results={"status": "running"}, provenance={"run": run}
        )
    write_record(root / "name", provenance={"run": "another"})
    write_record(root / place, provenance={"run": "20261123T110000.000000Z-00000000"})
    found = reionemu.catalogue(root)
    runs = [entry.path.name for entry in found if entry.status == "interrupted"]
    assert runs == ["20261123T120000.000000Z-00000000"]
    assert sorted(names(found)) == ["name", "name"]


def test_runs_of_a_root_in_a_folder_are_named_as_its_records(root, write_record):
    write_record(root / "inner" / ".runs" / "a" / "b" / "id", results={"status": "failed"})
    assert names(reionemu.catalogue(root)) == ["inner/a/b"]


# ---------------------------------------------------------------------- damage and strangers


def deep(levels: int) -> str:
    return '{"schema_version": 1, "x": ' + "[" * levels + "]" * levels + "}"


DAMAGE = {
    "torn": ({"info": '{"schema_ver'}, "info.json is not JSON"),
    "empty": ({"info": ""}, "info.json is not JSON"),
    "a list": ({"info": "[1]"}, "info.json is not a record: it is not a JSON object"),
    "another program's": ({"info": '{"name": "x"}'}, "has no schema_version: not a record"),
    "version true": ({"info": {"schema_version": True}}, "has no schema_version"),
    "version 0": ({"info": {"schema_version": 0}}, "has no schema_version"),
    "version in text": ({"info": {"schema_version": "1"}}, "has no schema_version"),
    "no info": ({"info": None}, "no info.json"),
    "torn configs": ({"configs": "{"}, "configs.json is not JSON"),
    "torn results": ({"results": '{"a": 1'}, "results.json is not JSON"),
    "list of results": ({"results": "[]"}, "results.json is not a record"),
    "torn provenance": ({"provenance": "x"}, "provenance.json is not JSON"),
    "latin-1": ({"info": '{"schema_version": 1, "x": "\xe9"}'.encode("latin-1")}, "info.json"),
    "zeros": ({"results": b"\0" * 1000}, "results.json is not JSON"),
    "deep": ({"info": deep(10_000)}, "info.json is nested too deeply"),
    "very deep": ({"info": deep(1_000_000)}, "info.json"),
}


@pytest.mark.parametrize(("documents", "problem"), DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_record_is_listed_with_its_problem(documents, problem, root, write_record):
    write_record(root / "a")
    write_record(root / "damaged", **documents)
    write_record(root / "z")
    found = reionemu.catalogue(root)
    assert [(entry.name, entry.status) for entry in found] == [
        ("a", "completed"),
        ("damaged", "damaged"),
        ("z", "completed"),
    ]
    assert problem in found["damaged"].problem
    assert found["damaged"].path == root / "damaged"


def test_the_whole_documents_of_a_damaged_record_are_still_told(root, write_record):
    write_record(root / "run", configs={"model": {"hidden_dim": 8}}, results='{"metrics": {')
    entry = reionemu.catalogue(root)["run"]
    assert (entry.status, entry.get("model.hidden_dim")) == ("damaged", 8)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_large(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(2**36)


@pytest.mark.parametrize("file", ["info.json", "results.json"])
@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (Path.mkdir, "is not a file"),
        (make_pipe, "is not a file"),
        (make_loop, "is a symbolic link, which is not followed"),
        (make_endless, "is a symbolic link, which is not followed"),
        (make_large, "is larger than 64 MB"),
    ],
)
def test_what_is_not_a_file_is_neither_read_nor_waited_for(make, problem, file, root, write_record):
    write_record(root / "good")
    write_record(root / "odd", **{file.removesuffix(".json"): None})
    make(root / "odd" / file)
    found = reionemu.catalogue(root)
    assert found["good"].status == "completed"
    assert (found["odd"].status, found["odd"].problem) == ("damaged", f"{file} {problem}")


def test_a_stranger_hides_no_record_below_it(root, write_record):
    write_record(root / "stranger", info='{"name": "x"}')
    write_record(root / "stranger" / "inside")
    (root / "plain" / "deeper").mkdir(parents=True)
    write_record(root / "plain" / "deeper" / "run")
    (root / "plain" / "notes.txt").write_text("x")
    found = reionemu.catalogue(root)
    assert names(found) == ["plain/deeper/run", "stranger", "stranger/inside"]


def test_folders_that_are_no_artifacts_are_counted(root, write_record):
    for folder in ("notes", "group/plots", "outer/inner/x-10", "hidden", "empty"):
        (root / folder).mkdir(parents=True)
    write_record(root / "group" / "run")
    for file in ("notes/a.txt", "group/plots/b.png", "outer/inner/x-10/c", "hidden/.DS_Store"):
        (root / file).touch()
    for file in ("loose.txt", "group/loose.txt", "group/run/figure.png", "outer/loose.txt"):
        (root / file).touch()
    (note,) = reionemu.catalogue(root).notes
    assert note == "3 folders that are no artifacts: group/plots, notes, outer/inner/x-10"
    for i in range(4):
        (root / "many" / f"{i}").mkdir(parents=True)
        (root / "many" / f"{i}" / "file").touch()
    (note,) = reionemu.catalogue(root).notes
    assert (
        note
        == "7 folders that are no artifacts: group/plots, many/0, many/1, many/2, many/3 "
        + ("and 2 more")
    )
    (note,) = reionemu.catalogue(root / "group").notes
    assert note == "1 folder that is no artifact: plots"


def test_a_copied_record_is_remarked_on(root, write_record):
    run = "20261123T110000.000000Z-00000000"
    for place, name in {
        "sweep/same": "sweep/same",
        "copy": "sweep/same",
        "odd": "",
        "number": 5,
        "near-same": "same",
        f".runs/going/{run}": "going",
    }.items():
        write_record(root / place, info={"run_id": name})
    found = reionemu.catalogue(root)
    remark = "its info.json calls it {}: was it copied or renamed?"
    assert {entry.name: entry.problem for entry in found} == {
        "copy": remark.format("'sweep/same'"),
        "going": None,
        "near-same": remark.format("'same'"),
        "number": None,
        "odd": None,
        "sweep/same": None,
    }
    assert found["copy"].status == "completed"
    assert reionemu.catalogue(root / "sweep")["same"].problem is None
    write_record(root / "above" / "sweep" / "same", info={"run_id": "sweep/same"})
    assert reionemu.catalogue(root)["above/sweep/same"].problem is None
    write_record(root / ".history" / "sweep" / "same" / run, info={"run_id": "sweep/same"})
    assert [entry.problem for entry in reionemu.catalogue(root / ".history")] == [None]


def test_folders_inside_records_and_hidden_ones_are_passed_over(root, write_record):
    write_record(root / "run")
    for place in ("run/copy", ".hidden/run", ".run.host_1-2-00000000.tmp", ".history/run/x"):
        write_record(root / place)
    assert names(reionemu.catalogue(root)) == ["run"]


def test_links_are_not_followed(root, tmp_path, write_record):
    write_record(root / "run")
    write_record(tmp_path / "elsewhere" / "other")
    (root / "latest").symlink_to("run")
    (root / "loop").symlink_to(".")
    (root / "outside").symlink_to(tmp_path / "elsewhere")
    (root / "dangling").symlink_to("nowhere")
    (root / "file").symlink_to("run/info.json")
    found = reionemu.catalogue(root)
    assert names(found) == ["run"]
    outside = f"{root / 'outside'} is a link to {tmp_path / 'elsewhere'}: not followed"
    assert found.notes == (outside,)


def test_the_root_may_be_a_link(root, tmp_path, write_record):
    write_record(root / "run")
    (tmp_path / "link").symlink_to(root)
    found = reionemu.catalogue(tmp_path / "link")
    assert found[0].path == tmp_path / "link" / "run"


@pytest.mark.parametrize("function", ["scandir", "lstat"])
def test_a_folder_that_cannot_be_read_is_named(function, root, write_record, monkeypatch):
    (root / "locked" / "inner").mkdir(parents=True)
    write_record(root / "run")
    real = getattr(os, function)

    def refuse(path, **options):
        if "locked" in os.fspath(path):
            raise PermissionError(13, "Permission denied", path)
        return real(path, **options)

    monkeypatch.setattr(os, function, refuse)
    found = reionemu.catalogue(root)
    assert names(found)[0] == "locked"
    assert (found["locked"].status, found["run"].status) == ("damaged", "completed")
    assert found["locked"].problem.endswith("cannot be read: Permission denied")


def test_a_file_that_cannot_be_read_is_named(root, write_record, monkeypatch):
    write_record(root / "run")
    real = os.open

    def refuse(path, *rest, **options):
        if path == "results.json":
            raise PermissionError(13, "Permission denied", path)
        return real(path, *rest, **options)

    monkeypatch.setattr(os, "open", refuse)
    entry = reionemu.catalogue(root)["run"]
    assert (entry.status, entry.problem) == (
        "damaged",
        "results.json cannot be read: Permission denied",
    )


def test_a_newer_record_is_listed_as_such(root, write_record):
    write_record(root / "new", info={"schema_version": 9}, results={"metrics": {"m": 1}})
    entry = reionemu.catalogue(root)["new"]
    assert (entry.status, entry.get("metrics.m")) == ("completed", 1)
    assert entry.problem == "written by a newer release (schema_version 9)"


@pytest.mark.parametrize(
    "name", ["a\nb", "\x1b[31mred", "[red]x[/red]", "-rf", "é", b"\xff\xfe", "x" * 200, " "]
)
def test_any_name_is_listed(name, root, write_record):
    text = os.fsdecode(name)
    write_record(root / text)
    write_record(root / "plain")
    assert sorted(names(reionemu.catalogue(root))) == sorted([text, "plain"])
    assert reionemu.catalogue(root)[text].path == root / text


def test_odd_values_are_no_problem(root, write_record):
    write_record(
        root / "run",
        info={"created_at": 5, "description": {"a": []}, "dataset": [], "new": {"deep": [[1]]}},
        configs={"model": "text", "status": 7},
        results={"status": ["x"], "history": {"a": "b", "c": []}, "metrics": {"": {"": 1}}},
        provenance={"run": None, "command": "text", "software": None},
    )
    entry = reionemu.catalogue(root)["run"]
    assert (entry.status, entry.created_at, entry.problem) == ("not recorded", None, None)
    assert entry.get("new.deep.0.0") == 1
    assert entry.get("configs.status") == 7
    assert entry.get("metrics..") == 1


# ---------------------------------------------------------------------- finding and sorting


@pytest.fixture
def sweep(root, write_record):
    """Four records: a 0.3, b NaN, c without loss, d 0.1."""
    losses = {"a": 0.3, "b": {"$float": "nan"}, "c": None, "d": 0.1}
    for i, (name, loss) in enumerate(losses.items()):
        metrics = {} if loss is None else {"val_loss": loss}
        write_record(root / name, configs={"model": {"h": i}}, results={"metrics": metrics})
    return reionemu.catalogue(root)


def test_find_keeps_what_meets_all_conditions(sweep):
    assert names(sweep.find("metrics.val_loss<0.5")) == ["a", "d"]
    assert names(sweep.find("metrics.val_loss<0.5", "model.h>0")) == ["d"]
    assert names(sweep.find("metrics.val_loss=nan")) == ["b"]
    assert names(sweep.find("metrics.val_loss")) == ["a", "b", "d"]
    assert names(sweep.find()) == ["a", "b", "c", "d"]
    assert names(sweep.find("val_loss<0.5")) == ["a", "d"]
    with pytest.raises(ConfigError, match=r"no record here has 'h' .*'model\.h'"):
        sweep.find("h<1")


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (["metrics.val_loss<6%"], "must be a number"),
        (["name=nobody", "val_loss<6%"], "must be a number"),
        (["metrics<1"], "'metrics' is a group of values.*: name one of those in it"),
    ],
)
def test_find_refuses_what_makes_no_sense_whatever_else_it_finds(conditions, message, sweep):
    with pytest.raises(ConfigError, match=message):
        sweep.find(*conditions)


def test_sort_puts_what_has_no_value_last(sweep):
    assert names(sweep.sort("metrics.val_loss")) == ["d", "a", "b", "c"]
    assert names(sweep.sort("metrics.val_loss", descending=True)) == ["a", "d", "b", "c"]
    assert names(sweep.sort("results.metrics.val_loss")) == ["d", "a", "b", "c"]
    with pytest.raises(ConfigError, match=r"did you mean 'model\.h'"):
        sweep.sort("model.w")
    with pytest.raises(ConfigError, match="'metrics' is a group of values"):
        sweep.sort("metrics")


def test_the_names_of_columns_are_paths(root, write_record):
    write_record(
        root / "a",
        info={"created_at": "2026-11-23T10:00:00+00:00"},
        configs={"model": {"class_name": "FourParamEmulator"}},
        results={"metrics": {"val_loss": 1, "test_mean_relative_error": 0.05}},
    )
    write_record(root / "b", results={"history": {"val_loss": [4.0, 0.5, 3.0]}})
    write_record(root / "c", results={"summary": {"best_val_loss": 0.25}})
    write_record(root / "d", results={"metrics": {"val_mean_relative_error": 0.1}})
    found = reionemu.catalogue(root)
    assert [entry.get("val_loss") for entry in found] == [1, 0.5, 0.25, None]
    assert names(found.sort("val_loss")) == ["c", "b", "a", "d"]
    assert names(found.find("error<0.06")) == ["a"]
    assert names(found.find("val_error")) == ["d"]
    assert names(found.find("created=2026-11-23", "model~fourparam")) == ["a"]


def test_error_is_the_column_and_not_what_failed_runs_record(root, write_record):
    write_record(root / "failed", results={"error": {"type": "ValueError"}, "status": "failed"})
    write_record(root / "good", results={"metrics": {"test_mean_relative_error": 0.1}})
    found = reionemu.catalogue(root)
    assert names(found.find("error")) == ["good"]
    assert names(found.find("error.type")) == ["failed"]


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([3.0, 1.0, 2.0], 1.0),
        ([{"$float": "nan"}, 2.0, {"$float": "inf"}], 2.0),
        ([3, 2], 2),
        ([{"$float": "nan"}], None),
        (["x", None], None),
    ],
)
def test_the_best_loss_of_a_history(losses, best, root, write_record):
    write_record(root / "run", results={"history": {"val_loss": losses}})
    assert reionemu.catalogue(root)["run"].get("best.val_loss") == best


def test_sort_of_values_of_all_types(root, write_record):
    values = [True, "b10", "b9", 3, 2.5, None, {"$float": "inf"}, "2026-11-23T00:00:00+00:00"]
    for i, value in enumerate(values):
        write_record(root / f"{i}", configs={"model": {"v": value}})
    ordered = [entry.get("model.v") for entry in reionemu.catalogue(root).sort("model.v")]
    expected = [True, 2.5, 3, math.inf, "2026-11-23T00:00:00+00:00", "b9", "b10", None]
    assert ordered == expected


def test_a_catalogue_is_a_sequence_that_does_not_change(sweep):
    assert len(sweep[1:3]) == 2
    assert type(sweep[1:3]) is type(sweep)
    assert sweep[-1].name == "d"
    assert sweep[0] in sweep
    assert ("a" in sweep, "e" in sweep, 5 in sweep, sweep[0] in sweep[1:]) == (True,) + (False,) * 3
    with pytest.raises(IndexError):
        sweep[4]
    with pytest.raises(TypeError):
        sweep[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        sweep[0].name = "x"
    with pytest.raises(TypeError):
        sweep[0].values["name"] = "x"
    with pytest.raises(AttributeError):
        sweep.root = Path()
    assert repr(sweep[0]) == "<Entry 'a', completed>"


def test_to_pandas(sweep):
    pandas = pytest.importorskip("pandas")
    frame = sweep.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns[:3]) == ["name", "status", "created_at"]
    assert sorted(frame.columns) == sorted(sweep.paths)
    assert str(frame["created_at"].dtype).endswith("UTC]")
    assert frame["created_at"][0] == pandas.Timestamp("2026-11-23T10:00:00Z")
    assert frame["name"].tolist() == ["a", "b", "c", "d"]
    assert frame.loc[frame["metrics.val_loss"] < 0.5, "name"].tolist() == ["a", "d"]
    assert frame["model.h"].sum() == 6


def test_to_pandas_where_no_time_is_recorded(root, write_record):
    pandas = pytest.importorskip("pandas")
    write_record(root / "run", info={"created_at": "some day"})
    (created,) = reionemu.catalogue(root).to_pandas()["created_at"]
    assert created is pandas.NaT
    (root / "empty").mkdir()
    frame = reionemu.catalogue(root / "empty").to_pandas()
    assert (len(frame), str(frame["created_at"].dtype)[-4:]) == (0, "UTC]")


def test_without_pandas_it_is_said_what_is_missing(sweep, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match="pip install pandas"):
        sweep.to_pandas()


def test_listing_loads_nothing_heavy(root, write_record):
    import subprocess

    write_record(root / "run")
    code = (
        f"import sys, reionemu; print(len(reionemu.catalogue({str(root)!r})), "
        "*(name for name in ('torch', 'h5py', 'pandas', 'rich') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]


def test_progress_is_told(root, write_record):
    for i in range(200):
        write_record(root / f"{i}")
    told = []
    reionemu.catalogue(root, progress=lambda *step: told.append(step))
    assert [done for _, done, _ in told] == [64, 128, 192]
    assert all(what == "looking through the artifacts" and n == 201 for what, _, n in told)


def test_quick_and_careful_reading_agree(root, write_record, monkeypatch):
    metrics = {"a": 0.1, "b": {"$float": "-inf"}, "c": 10**30, "d": 5e-324, "e": "\u00e9\ud83d"}
    text = json.dumps({"schema_version": 1, "status": "completed", "metrics": metrics})
    write_record(root / "run", results=text)
    quick = dict(reionemu.catalogue(root)["run"].values)
    monkeypatch.setattr(glance, "_QUICK_BYTES", -1)
    careful = dict(reionemu.catalogue(root)["run"].values)
    assert quick == careful
    assert quick["metrics.b"] == -math.inf


def test_while_records_are_replaced_none_is_missing_or_damaged(root):
    def save(number: int) -> None:
        with reionemu.start_artifact("name", root) as run:
            run.log(1, {"val_loss": float(number)})
            run.record(metrics={"m": number}, model_config={"m": number})

    save(0)
    seen, errors = [], []

    def write() -> None:
        try:
            for number in range(1, 15):
                save(number)
        except BaseException as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        seen.append(list(reionemu.catalogue(root)))
    writer.join()
    assert errors == []
    assert len(seen) > 10
    for entries in seen:
        completed = [entry for entry in entries if entry.status == "completed"]
        assert len(completed) == 1
        assert completed[0].get("metrics.m") == completed[0].get("model.m")
        assert {entry.status for entry in entries} <= {"completed", "running"}
        assert {entry.problem for entry in entries} == {None}
