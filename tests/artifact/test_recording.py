"""start_artifact: a record that is written as the run goes."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import reionemu
from reionemu.artifact import placing, pulse, run_folder, runs
from reionemu.errors import ConfigError, RecordError, ReionemuWarning, UnrecordableError
from reionemu.parameters import PARAMETER_NAMES


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


def unfinished(root: Path) -> list[Path]:
    return sorted(root.glob(".runs/**/info.json"))


def test_configs_are_there_at_the_start(root: Path) -> None:
    run = reionemu.start_artifact("first", root, model_config={"class_name": "X", "depth": 3})
    with run:
        assert run.path.parent == root / ".runs" / "first"
        assert not (root / "first").exists()
        seen = reionemu.load_artifact(root / "first")
        assert seen.path == run.path
        assert seen.configs["model"] == {"class_name": "X", "depth": 3}
        assert seen.status == "running"
        assert seen.provenance["started_at"]
        assert seen.provenance["ended_at"] is None


def test_history_can_be_read_as_it_grows(root: Path) -> None:
    with reionemu.start_artifact("first", root) as run:
        for epoch in range(1, 4):
            run.log(epoch, {"train_loss": 1 / epoch, "val_loss": float("nan")})
            history = reionemu.load_artifact(root / "first").results["history"]
            assert history["train_loss"] == [1 / n for n in range(1, epoch + 1)]
            assert all(value != value for value in history["val_loss"])
    assert run.history["train_loss"] == history["train_loss"]


def test_a_run_that_ends_is_a_record_like_any_other(
    root: Path, four_param: torch.nn.Module, dataset: Path, theta: object
) -> None:
    config = reionemu.DataLoaderConfig(batch_size=8)
    split = {"train": 0.5, "val": 0.5}
    loaders, normalizers, _ = reionemu.make_dataloaders(dataset, split=split, config=config)
    fit_config = reionemu.FitConfig(epochs=3, seed=1)
    with reionemu.start_artifact(
        "first",
        root,
        dataset_path=dataset,
        dataloader_config=config,
        fit_config=fit_config,
        split=split,
        description="of a test",
    ) as run:
        history = reionemu.fit(
            four_param,
            loaders["train"],
            loaders["val"],
            torch.optim.Adam(four_param.parameters()),
            torch.nn.MSELoss(),
            fit_config,
            record=run,
        )
        run.record(
            checkpoint=four_param.state_dict(), normalizers=normalizers, metrics={"val_rmse": 0.1}
        )
    assert run.path == root / "first"
    assert list(root.iterdir()) == [root / "first"]  # nothing is left of the run
    artifact = reionemu.load_artifact(run.path)
    assert artifact.status == "completed"
    assert artifact.info["description"] == "of a test"
    assert artifact.results["history"] == history
    assert artifact.results["metrics"] == {"val_rmse": 0.1}
    provenance = artifact.provenance
    assert provenance["started_at"] < provenance["ended_at"]
    assert provenance["wall_time_s"] > 0
    (rows,) = [s["indices"] for s in provenance["lineage"] if s["step"] == "split"]
    assert sorted(rows["train"] + rows["val"]) == list(range(24))
    assert artifact.verify().findings == ()
    assert artifact.emulator().predict(theta).mean.shape == (7, 5)


def test_the_name_leads_to_the_earlier_record_until_the_run_has_ended(root: Path) -> None:
    reionemu.save_artifact("first", root, metrics={"x": 1})
    with reionemu.start_artifact("first", root) as run:
        assert reionemu.load_artifact(root / "first").results["metrics"] == {"x": 1}
        run.record(metrics={"x": 2})
    assert reionemu.load_artifact(root / "first").results["metrics"] == {"x": 2}
    (earlier,) = (root / ".history" / "first").iterdir()
    assert reionemu.load_artifact(earlier).results["metrics"] == {"x": 1}


def test_a_run_that_raises_has_failed_and_says_how(root: Path) -> None:
    reionemu.save_artifact("first", root, metrics={"x": 1})
    with pytest.raises(ZeroDivisionError), reionemu.start_artifact("first", root) as run:  # noqa: PT012
        run.log(1, {"train_loss": 3.0})
        run.record(metrics={"so_far": 7})
        1 / 0  # noqa: B018
    failed = reionemu.load_artifact(run.path)
    assert failed.status == "failed"
    assert failed.results["error"]["type"] == "ZeroDivisionError"
    assert failed.results["error"]["message"] == "division by zero"
    assert "1 / 0" in failed.results["error"]["traceback"]
    assert failed.results["history"] == {"train_loss": [3.0]}
    assert failed.results["metrics"] == {"so_far": 7}
    assert failed.verify().ok
    assert reionemu.load_artifact(root / "first").results["metrics"] == {"x": 1}


def test_an_interrupted_run_says_so(root: Path) -> None:
    with pytest.raises(KeyboardInterrupt), reionemu.start_artifact("first", root) as run:  # noqa: PT012
        run.log(1, {"train_loss": 3.0})
        raise KeyboardInterrupt
    assert reionemu.load_artifact(root / "first").status == "interrupted"
    assert reionemu.load_artifact(root / "first").results["history"] == {"train_loss": [3.0]}


def test_a_torn_last_line_is_left_out(root: Path) -> None:
    with pytest.raises(KeyboardInterrupt), reionemu.start_artifact("first", root) as run:  # noqa: PT012
        run.log(1, {"train_loss": 3.0})
        journal = run.path / "history.jsonl"
        journal.write_bytes(journal.read_bytes() + b'{"epoch": 2, "train_l')
        assert reionemu.load_artifact(run.path).results["history"] == {"train_loss": [3.0]}
        raise KeyboardInterrupt


def test_a_disk_full_at_the_end_leaves_a_failed_run(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), reionemu.start_artifact("x", root) as run:  # noqa: PT012
        run.log(1, {"train_loss": 3.0})
        monkeypatch.setattr("reionemu.artifact.write.fill", full)
    assert reionemu.load_artifact(root / "x").status == "failed"
    assert reionemu.load_artifact(root / "x").results["history"] == {"train_loss": [3.0]}
    assert not (root / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0, {"a": 1.0}), ConfigError),
        ((1.5, {"a": 1.0}), ConfigError),
        ((2, {"a": 1.0}), ConfigError),  # after epoch 3
        ((4, {"a": "low"}), ValueError),
        ((4, {"epoch": 4.0, "a": 1.0}), ConfigError),
    ],
)
def test_what_cannot_be_logged(arguments: tuple, error: type, root: Path) -> None:
    with reionemu.start_artifact("x", root) as run:
        run.log(3, {"a": 1.0})
        with pytest.raises(error):
            run.log(*arguments)
    history = reionemu.load_artifact(root / "x").results["history"]
    assert history == {"epoch": [3], "a": [1.0]}  # not 1, 2, ...: so it says which


def test_what_cannot_be_recorded_is_refused_at_once(root: Path) -> None:
    with reionemu.start_artifact("x", root) as run:
        with pytest.raises(UnrecordableError, match=r"metrics\.f"):
            run.record(metrics={"f": open})
        with pytest.raises(ConfigError, match=r"metric.*did you mean 'metrics'"):
            run.record(metric={"f": 1})
        run.record(metrics={"f": 1})
    assert reionemu.load_artifact(root / "x").results["metrics"] == {"f": 1}


def test_an_ended_run_takes_nothing_more(root: Path) -> None:
    with reionemu.start_artifact("x", root) as run:
        pass
    for call in (lambda: run.log(1, {}), lambda: run.record(metrics={}), run.finish):
        with pytest.raises(RecordError, match="has ended"):
            call()


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a//b"])
def test_impossible_names_are_refused_at_the_start(name: str, root: Path) -> None:
    with pytest.raises(RecordError):
        reionemu.start_artifact(name, root)
    assert not root.exists() or list(root.iterdir()) == []


# Resuming


def begin_and_die(root: Path, epochs: int, state_at: int | None = None, **options: object) -> Path:
    """Leave a run as a killed process does."""
    run = reionemu.start_artifact("x", root, **options)
    for epoch in range(1, epochs + 1):
        run.log(epoch, {"train_loss": float(epoch)})
        if epoch == state_at:
            run.save_state(epoch, {"w": torch.ones(2), "n": epoch})
    run._folder.close()
    return run.path


def test_resuming_goes_on_after_the_last_state(root: Path) -> None:
    begin_and_die(root, 5, state_at=3)
    assert reionemu.load_artifact(root / "x").status == "interrupted"
    with reionemu.start_artifact("x", root, resume=True) as run:
        assert run.resumed
        assert run.saved_state()["n"] == 3
        assert run.saved_state()["w"].tolist() == [1, 1]
        assert run.history == {"train_loss": [1.0, 2.0, 3.0]}
        assert len(unfinished(root)) == 1
        run.log(4, {"train_loss": 40.0})
    record = reionemu.load_artifact(root / "x")
    assert record.results["history"] == {"train_loss": [1.0, 2.0, 3.0, 40.0]}
    assert [session["from_epoch"] for session in record.provenance["sessions"]] == [0, 3]
    assert unfinished(root) == []


def test_without_a_state_resuming_starts_from_the_first_epoch(root: Path) -> None:
    begin_and_die(root, 5)
    with reionemu.start_artifact("x", root, resume=True) as run:
        assert run.resumed
        assert run.saved_state() is None
        assert run.history == {}
        run.log(1, {"train_loss": 9.0})
    assert reionemu.load_artifact(root / "x").results["history"] == {"train_loss": [9.0]}


def test_what_was_recorded_before_is_known_after(root: Path) -> None:
    with pytest.raises(ZeroDivisionError), reionemu.start_artifact("x", root) as run:  # noqa: PT012
        run.record(results_summary={"search": [1, 2]}, model_config={"depth": 4})
        1 / 0  # noqa: B018
    with reionemu.start_artifact("x", root, resume=True) as run:
        assert run.results["summary"] == {"search": [1, 2]}
    record = reionemu.load_artifact(root / "x")
    assert record.configs["model"] == {"depth": 4}
    assert record.status == "completed"
    assert "error" not in record.results


def test_nothing_to_resume_is_a_new_run(root: Path) -> None:
    with reionemu.start_artifact("x", root, resume=True) as run:
        assert not run.resumed


def test_a_run_is_not_resumed_unasked(root: Path) -> None:
    died = begin_and_die(root, 2, state_at=2)
    with reionemu.start_artifact("x", root) as run:
        assert not run.resumed
    assert died.exists()


def test_other_configurations_are_another_run(root: Path) -> None:
    died = begin_and_die(root, 2, state_at=2, fit_config=reionemu.FitConfig(epochs=10))
    with pytest.warns(ReionemuWarning, match=r"configs\.fit_config\.epochs was 10 and is 20"):
        run = reionemu.start_artifact(
            "x", root, fit_config=reionemu.FitConfig(epochs=20), resume=True
        )
    with run:
        assert not run.resumed
    assert died.exists()


def test_other_data_are_another_run(
    root: Path, write_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    data = write_dataset(tmp_path / "a.h5")
    begin_and_die(root, 1, dataset_path=data)
    other = write_dataset(tmp_path / "b.h5", y_transform="log10")
    with pytest.warns(ReionemuWarning, match="content_sha256"):
        reionemu.start_artifact("x", root, dataset_path=other, resume=True).finish()


def test_a_living_run_is_not_taken_over(root: Path) -> None:
    with reionemu.start_artifact("x", root) as first:
        with pytest.warns(ReionemuWarning, match="another process seems to be at it"):
            second = reionemu.start_artifact("x", root, resume=True)
        assert not second.resumed
        assert first.path.exists()
        second.finish()


def test_a_run_that_was_taken_over_notices(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = reionemu.start_artifact("x", root)
    first.log(1, {"a": 1.0})
    with monkeypatch.context() as patch:
        patch.setattr(runs, "is_alive", lambda folder: False)  # another machine may think so
        patch.setattr(pulse, "_lock", lambda descriptor, path: None)
        second = reionemu.start_artifact("x", root, resume=True)
    assert second.resumed
    with pytest.raises(RecordError, match="took this run over"):
        first.record(metrics={"a": 1})
    with pytest.raises(RecordError, match="took this run over"):
        first.finish()
    first._folder.close()
    second.log(1, {"a": 2.0})
    second.finish()
    assert reionemu.load_artifact(root / "x").results["history"] == {"a": [2.0]}


def test_a_damaged_state_is_no_obstacle(root: Path) -> None:
    died = begin_and_die(root, 5, state_at=3)
    state = died / "state.pt"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.warns(ReionemuWarning, match="starts again from its first epoch"):
        run = reionemu.start_artifact("x", root, resume=True)
    assert run.history == {}
    run.finish()


def test_a_state_that_would_run_code_is_not_run(root: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "pwned"),)

    died = begin_and_die(root, 5)
    torch.save({"epoch": 1, "state": Evil()}, died / "state.pt")
    with pytest.warns(ReionemuWarning, match="is damaged"):
        reionemu.start_artifact("x", root, resume=True).finish()
    assert not (tmp_path / "pwned").exists()


def test_of_two_that_resume_one_gets_the_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin_and_die(root, 5, state_at=3)
    real = os.rename

    def slower(old: object, new: object) -> None:
        """Another process claims the run just before."""
        if Path(str(old)).name.startswith("20") and not getattr(slower, "done", False):
            slower.done = True  # type: ignore[attr-defined]
            other.append(reionemu.start_artifact("x", root, resume=True))
        real(old, new)

    other: list = []
    monkeypatch.setattr(os, "rename", slower)
    with pytest.warns(ReionemuWarning, match="another process seems to be at it"):
        mine = reionemu.start_artifact("x", root, resume=True)
    assert mine.resumed  # it has the lock already
    assert not other[0].resumed
    other[0].finish()
    mine.finish()


def test_a_run_that_died_after_its_record_was_in_place_is_gone(root: Path) -> None:
    run = reionemu.start_artifact("x", root)
    run.record(metrics={"a": 1})
    discard = run._folder.discard
    run._folder.discard = run._folder.close  # killed here
    run.finish()
    assert len(unfinished(root)) == 1
    assert reionemu.load_artifact(root / "x").results["metrics"] == {"a": 1}
    with reionemu.start_artifact("x", root, resume=True) as again:
        assert not again.resumed
    assert unfinished(root) == []
    assert discard is not None


# Who is alive


def test_a_copy_on_another_machine_is_running_as_long_as_it_stirs(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = begin_and_die(root, 1)
    monkeypatch.setattr(pulse, "this_machine", lambda: "another")
    assert reionemu.load_artifact(died).status == "running"  # as far as can be told
    long_ago = time.time() - pulse.STALE_S - 1
    os.utime(died / ".alive", (long_ago, long_ago))
    assert reionemu.load_artifact(died).status == "interrupted"


def test_a_run_stirs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "HEARTBEAT_S", 0.01)
    with reionemu.start_artifact("x", root) as run:
        os.utime(run.path / ".alive", (1, 1))
        deadline = time.monotonic() + 10
        while (run.path / ".alive").stat().st_mtime < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_without_locks_the_heartbeat_decides(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int) -> bool:
        raise OSError(95, "not supported")

    monkeypatch.setattr(pulse, "_lock", lambda descriptor, path: None)
    monkeypatch.setattr(pulse, "_is_locked", no_locks)
    with reionemu.start_artifact("x", root) as run:
        assert reionemu.load_artifact(run.path).status == "running"
        os.utime(run.path / ".alive", (1, 1))
        assert reionemu.load_artifact(run.path).status == "interrupted"


def test_the_history_is_flushed_now_and_then(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = []
    monkeypatch.setattr(run_folder, "_SYNC_S", 0.0)
    with reionemu.start_artifact("x", root) as run:
        monkeypatch.setattr(run_folder.os, "fsync", lambda fd: flushed.append(fd))
        run.log(1, {"a": 1.0})
        assert len(flushed) == 1
        monkeypatch.undo()


def test_the_journal_is_json_a_line(root: Path) -> None:
    with reionemu.start_artifact("x", root) as run:
        run.log(1, {"b": 0.5, "a": float("inf")})
        lines = (run.path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"epoch": 1, "b": 0.5, "a": {"$float": "inf"}}]


# What a review found


def test_another_split_is_another_run(root: Path) -> None:
    begin_and_die(root, 1, split={"train": [0, 1, 2], "val": [3]})
    with pytest.warns(ReionemuWarning, match=r"split\.indices\.train"):
        run = reionemu.start_artifact("x", root, split={"train": [3, 4], "val": [0]}, resume=True)
    assert not run.resumed
    run.finish()


def test_infinite_and_nan_options_are_no_obstacle(root: Path) -> None:
    options = {"clip": float("inf"), "other": float("nan")}
    begin_and_die(root, 2, state_at=2, model_config=options)
    with reionemu.start_artifact("x", root, model_config=options, resume=True) as run:
        assert run.resumed


def test_numpy_numbers_in_a_state_can_be_read_back(root: Path) -> None:
    run = reionemu.start_artifact("x", root)
    run.log(1, {"a": 1.0})
    run.save_state(
        1, {"lr": np.float64(1e-3), "steps": [np.int64(3)], np.str_("k"): (np.bool_(1),)}
    )
    run._folder.close()
    with reionemu.start_artifact("x", root, resume=True) as again:
        assert again.saved_state() == {"lr": 1e-3, "steps": [3], "k": (True,)}


def test_a_state_that_could_not_be_read_back_is_refused_at_once(root: Path) -> None:
    run = reionemu.start_artifact("x", root)
    with pytest.raises(UnrecordableError, match="tensors, numbers, texts"):
        run.save_state(1, {"path": Path("x")})
    run.finish()


def test_weights_are_saved_even_if_nobody_says_so(
    root: Path, four_param: torch.nn.Module, theta: object
) -> None:
    data = [(torch.randn(8, 4), torch.randn(8, 5))]
    with reionemu.start_artifact("x", root) as run:
        optimizer = torch.optim.Adam(four_param.parameters())
        config = reionemu.FitConfig(epochs=2)
        reionemu.fit(four_param, data, data, optimizer, torch.nn.MSELoss(), config, record=run)
    record = reionemu.load_artifact(root / "x")
    assert record.configs["model"] == four_param.record()
    model = record.model()
    x = torch.randn(3, 4)
    assert torch.equal(model(x), four_param(x))


@pytest.mark.parametrize(
    "wrong",
    [
        {"metrics": 3},
        {"metrics": {"x": object()}},
        {"history": {"x": object()}},
        {"description": 4},
        {"normalizers": {"X": 5}},
        {"split": 7},
        {"split": {"train": 0.5, "val": 0.5}},  # of which dataset?
        {"fit_config": 7},
        {"training_box": {"a": 3}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_is_recorded_wrongly_is_refused_at_once_and_does_no_harm(
    wrong: dict, root: Path
) -> None:
    with reionemu.start_artifact("x", root) as run:
        run.record(metrics={"a": 1})
        with pytest.raises((ConfigError, UnrecordableError)):
            run.record(**wrong)
        run.record(results_summary={"b": 2})
    record = reionemu.load_artifact(root / "x")
    assert record.results["metrics"] == {"a": 1}
    assert record.results["summary"] == {"b": 2}
    assert record.verify().ok


def test_a_forked_child_has_no_part_in_the_run(root: Path) -> None:
    run = reionemu.start_artifact("x", root)
    told, tell = os.pipe()
    wait, end = os.pipe()
    child = os.fork()
    if child == 0:  # goes on living when the parent has let go
        code = 1
        try:
            with contextlib.suppress(RecordError):
                run.log(1, {"a": 1.0})
                os._exit(2)
            run.__exit__(None, None, None)  # which leaves the run alone
            os.write(tell, b"x")
            os.read(wait, 1)
            code = 0
        finally:
            os._exit(code)
    assert os.read(told, 1) == b"x"
    assert reionemu.load_artifact(root / "x").status == "running"
    run._folder._pulse.stop()  # as the end of the parent would
    assert reionemu.load_artifact(root / "x").status == "interrupted"
    os.write(end, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    run.finish()
    for descriptor in (told, tell, wait, end):
        os.close(descriptor)


def test_a_run_that_is_forgotten_is_dead(root: Path) -> None:
    reionemu.start_artifact("x", root)
    gc.collect()
    assert reionemu.load_artifact(root / "x").status == "interrupted"


def test_a_damaged_dead_run_is_passed_over(root: Path) -> None:
    good = begin_and_die(root, 3, state_at=3)
    bad = begin_and_die(root, 3, state_at=3)
    (bad / "results.json").write_text("{")
    with reionemu.start_artifact("x", root, resume=True) as run:
        assert run.resumed
        assert not good.exists()
    begin_and_die(root, 1)
    (max(root.glob(".runs/x/2*")) / "configs.json").write_text("{")
    with pytest.warns(ReionemuWarning, match="record is damaged"):
        reionemu.start_artifact("x", root, resume=True).finish()


def test_a_disk_that_fails_for_a_moment_costs_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = begin_and_die(root, 5, state_at=3)
    before = (died / "history.jsonl").read_bytes()

    def stale(*args: object, **options: object) -> None:
        raise OSError(116, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", stale)
        with pytest.raises(OSError, match="Stale"):
            reionemu.start_artifact("x", root, resume=True)
    (folder,) = root.glob(".runs/x/2*")
    assert (folder / "history.jsonl").read_bytes() == before
    with reionemu.start_artifact("x", root, resume=True) as run:
        assert run.saved_state()["n"] == 3


def test_each_process_that_worked_on_a_run_is_recorded(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["first.py"])
    died = begin_and_die(root, 3, state_at=3)
    run_id = reionemu.load_artifact(died).provenance["run"]
    os.utime(died / ".alive", (time.time(), time.time() + 40))  # it lived 40 s
    monkeypatch.setattr(sys, "argv", ["second.py"])
    monkeypatch.setattr("reionemu.artifact.provenance.software", lambda: {"torch": "99"})
    with pytest.warns(ReionemuWarning, match=r"other software.*torch .* -> 99"):
        run = reionemu.start_artifact("x", root, resume=True)
    run.finish()
    provenance = reionemu.load_artifact(root / "x").provenance
    assert provenance["run"] == run_id
    assert [session["command"] for session in provenance["sessions"]] == [
        ["first.py"],
        ["second.py"],
    ]
    assert provenance["sessions"][1]["software"] == {"torch": "99"}
    assert 39 < provenance["wall_time_s"] < 60
    assert reionemu.load_artifact(root / "x").verify().ok


def test_a_full_disk_does_not_stop_training(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, full = os.write, [False]

    def write(descriptor: int, content: bytes) -> int:
        if full[0]:
            raise OSError(28, "No space left on device")
        return real(descriptor, content[: max(1, len(content) // 2)])  # short writes, too

    monkeypatch.setattr(run_folder.os, "write", write)
    with reionemu.start_artifact("x", root) as run:
        run.log(1, {"a": 1.0})
        full[0] = True
        with pytest.warns(ReionemuWarning, match="No space left"):
            run.log(2, {"a": 2.0})
        run.log(3, {"a": 3.0})
        full[0] = False
        run.log(4, {"a": 4.0})
        assert reionemu.load_artifact(root / "x").results["history"] == {"a": [1.0, 2.0, 3.0, 4.0]}


def test_a_full_disk_does_not_cost_the_state_before(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    run = reionemu.start_artifact("x", root)
    run.log(1, {"a": 1.0})
    run.save_state(1, {"n": 1})
    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "write_bytes", full)
        with pytest.warns(ReionemuWarning, match="No space left on device. Training goes on"):
            run.save_state(2, {"n": 2})
    run._folder.close()
    with reionemu.start_artifact("x", root, resume=True) as again:
        assert again.saved_state() == {"n": 1}


def test_saving_states_takes_a_small_part_of_the_time(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reionemu.start_artifact("x", root, state_seconds=0.001) as run:
        slow = run._folder.save_state
        monkeypatch.setattr(
            run._folder, "save_state", lambda *args: (time.sleep(0.05), slow(*args))
        )
        run.save_state(1, {})
        time.sleep(0.1)
        assert not run.state_is_due()


def test_the_training_box_is_that_of_the_training_rows(root: Path, dataset: Path) -> None:
    split = {"train": [0, 1, 2], "val": [3, 4]}
    with reionemu.start_artifact("x", root, dataset_path=dataset, split=split):
        pass
    with h5py.File(dataset) as h5:
        X = h5["training/X"][:3]
    box = reionemu.load_artifact(root / "x").info["training_box"]
    assert [box[name] for name in PARAMETER_NAMES] == [
        [float(low), float(high)] for low, high in zip(X.min(0), X.max(0), strict=True)
    ]


def test_a_record_inside_that_of_a_run_that_goes_on_is_refused(root: Path) -> None:
    with reionemu.start_artifact("a", root), pytest.raises(RecordError, match="a run of 'a'"):
        reionemu.start_artifact("a/b", root)


def test_a_record_that_was_never_put_in_place_is_when_the_next_run_starts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between moving the new record into the history and exchanging it with the old one."""
    reionemu.save_artifact("x", root, metrics={"n": 1})
    run = reionemu.start_artifact("x", root)
    run.record(metrics={"n": 2})

    class Killed(BaseException):
        pass

    def exchange(one: object, other: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(placing, "_exchange", exchange)
        patch.setattr(run._folder, "close", lambda: None)
        patch.setattr(run, "_close", lambda *args: None)
        with pytest.raises(Killed):
            run.finish()
    run._folder.close()
    if not placing._can_exchange():
        pytest.skip("this system cannot exchange folders")
    assert reionemu.load_artifact(root / "x").results["metrics"] == {"n": 1}
    reionemu.start_artifact("x", root)
    assert reionemu.load_artifact(root / "x").results["metrics"] == {"n": 2}
