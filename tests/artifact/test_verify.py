"""verify: what is wrong with a record, where, and how bad that is."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import reionemu
from reionemu.artifact.checking import verify as module
from reionemu.artifact.checking.findings import Finding
from reionemu.artifact.checking.verify import Verification, verify_artifact
from reionemu.artifact.formats.sidecars import save_model_checkpoint, save_weights
from reionemu.errors import MissingFileError, RecordError

GOLDEN = Path(__file__).parent / "golden"
FILES = (
    "configs.json",
    "info.json",
    "model.pt",
    "normalizers.npz",
    "provenance.json",
    "results.json",
    "weights.safetensors",
)
OLD = "is not there (an older record?), so that no changes in files can be found"


@pytest.fixture(autouse=True)
def _outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["x"])


@pytest.fixture
def record(save: Callable) -> Path:
    """A small record, whole."""
    torch.manual_seed(0)
    path = save(reionemu.FourParamEmulator(hidden_dim=2, num_hidden_layers=1))
    assert sorted(item.name for item in path.iterdir()) == sorted(FILES)
    assert verify_artifact(path).findings == ()
    return path


def found(path: Path) -> list[tuple[str, str, str]]:
    return [(f.level, f.where, f.message) for f in verify_artifact(path).findings]


def edit(path: Path, change: Callable[[dict], object]) -> None:
    """Change a JSON document of a record."""
    document = reionemu.read_json(path)
    change(document)
    path.write_text(json.dumps(document))


def forget_provenance(path: Path) -> None:
    """What is left is like a record of an earlier release."""
    (path / "provenance.json").unlink()
    edit(path / "info.json", lambda info: info["artifacts"].pop("provenance"))


# Every byte


def corruptions(path: Path, masks: Callable[[], Iterator[int]]) -> Iterator[tuple[str, int, int]]:
    """Change every byte of every file in turn: yields (file, position, what it was xor-ed with)."""
    for name in FILES:
        with open(path / name, "r+b", buffering=0) as file:
            content = file.read()
            for position, byte in enumerate(content):
                for mask in masks():
                    os.pwrite(file.fileno(), bytes([byte ^ mask]), position)
                    yield name, position, mask
                os.pwrite(file.fileno(), bytes([byte]), position)


def missed(path: Path, masks: Callable[[], Iterator[int]]) -> list[tuple[str, int, int]]:
    return [
        damage
        for damage in corruptions(path, masks)
        if damage[0] not in {finding.where for finding in verify_artifact(path).errors}
    ]


def test_a_change_of_any_one_byte_is_found(record: Path) -> None:
    rng = random.Random(1)
    assert missed(record, lambda: iter([rng.randint(1, 255)])) == []
    assert verify_artifact(record).findings == ()


@pytest.mark.slow
def test_any_flipped_bit_is_found(record: Path) -> None:
    assert missed(record, lambda: (1 << bit for bit in range(8))) == []


# Files


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone(record: Path, name: str) -> None:
    (record / name).unlink()
    errors = [(where, message) for level, where, message in found(record) if level == "error"]
    why = "info.json lists it" if name == "provenance.json" else "it was saved"
    assert errors == [(name, f"is not there, though {why}")]


@pytest.mark.parametrize("size", [0, 0.5, -1])
@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short(record: Path, name: str, size: float) -> None:
    content = (record / name).read_bytes()
    (record / name).write_bytes(content[: int(size * len(content)) if size >= 0 else -1])
    result = verify_artifact(record)
    assert {finding.where for finding in result.errors} == {name}


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_more_in_it(record: Path, name: str) -> None:
    with open(record / name, "ab") as file:
        file.write(b"\n")
    assert {finding.where for finding in verify_artifact(record).errors} == {name}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("info.json", "configs.json"),
        ("model.pt", "weights.safetensors"),
        ("results.json", "info.json"),
    ],
)
def test_two_files_in_each_others_place(record: Path, one: str, other: str) -> None:
    os.rename(record / one, record / "spare")
    os.rename(record / other, record / one)
    os.rename(record / "spare", record / other)
    assert {finding.where for finding in verify_artifact(record).errors} >= {one, other}


def test_a_file_of_another_record(save: Callable, record: Path) -> None:
    other = save(reionemu.FourParamEmulator(hidden_dim=2, num_hidden_layers=1), "other")
    for name in ("model.pt", "weights.safetensors"):
        shutil.copy(other / name, record / name)
    changed = "is not the file that was saved: it has changed"
    assert found(record) == [
        ("error", "model.pt", changed),
        ("error", "weights.safetensors", changed),
    ]


def put_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


OTHERS = {
    "folder": (Path.mkdir, "is a folder"),
    "fifo": (os.mkfifo, "is not a file but a pipe"),
    "socket": (put_socket, "is not a file but a socket"),
    "link": (lambda path: path.symlink_to("/etc/hostname"), "is a symbolic link"),
    "dangling link": (lambda path: path.symlink_to("nowhere"), "is a symbolic link"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", OTHERS)
def test_a_file_that_is_none(record: Path, name: str, kind: str) -> None:
    make, message = OTHERS[kind]
    (record / name).unlink()
    make(record / name)
    errors = verify_artifact(record).errors
    assert [error.where for error in errors] == [name]
    assert message in errors[0].message


def test_a_link_to_the_very_file_is_none_of_the_record_either(record: Path) -> None:
    os.rename(record / "results.json", record.parent / "results.json")
    (record / "results.json").symlink_to(record.parent / "results.json")
    (error,) = verify_artifact(record).errors
    assert "is a symbolic link" in error.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(record: Path) -> None:
    (record / "model.pt").chmod(0)
    (error,) = verify_artifact(record).errors
    assert (error.where, "no permission" in error.message) == ("model.pt", True)


def test_what_is_added_is_a_warning_and_what_is_hidden_is_ignored(record: Path) -> None:
    (record / "notes.txt").write_text("mine")
    (record / ".DS_Store").write_text("")
    (record / "plots").mkdir()
    warnings = [(level, where) for level, where, _ in found(record)]
    assert warnings == [("warning", "plots"), ("warning", "notes.txt")]


@pytest.mark.parametrize("name", ["", "0" * 64])
def test_a_broken_seal_is_all_that_is_said_of_it(record: Path, name: str) -> None:
    edit(record / "provenance.json", lambda document: document.update(seal=name))
    errors = verify_artifact(record).errors
    assert {error.where for error in errors} == {"provenance.json"}
    assert "is not as it was sealed" in " ".join(error.message for error in errors)


def test_a_checksum_may_say_more_in_a_later_release(record: Path, reseal: Callable) -> None:
    reseal(record, lambda found: found["files"]["model.pt"].update(blake3="x"))
    assert [(level, where) for level, where, _ in found(record)] == [("note", "provenance.json")]
    reseal(record, lambda found: found["files"]["model.pt"].update(size_bytes=1, blake3="x"))
    assert ("error", "model.pt", "is not the file that was saved: it has changed") in found(record)


def test_checksums_count_also_where_the_end_of_the_run_is_not_known(
    record: Path, reseal: Callable
) -> None:
    reseal(record, lambda found: found.update(ended_at=None))
    assert found(record) == []
    with open(record / "results.json", "ab") as file:
        file.write(b" ")
    assert [where for _, where, _ in found(record)] == ["results.json"]


# Documents, with checksums that fit


@pytest.mark.parametrize(
    ("name", "content", "level", "message"),
    [
        ("configs.json", b"{", "error", "is not JSON"),
        ("configs.json", b"[]", "error", "is not a JSON object"),
        ("configs.json", b"\xff", "error", "is not JSON in UTF-8"),
        ("configs.json", b'{"a": 1, "a": 2}', "error", "is there twice"),
        ("results.json", b"[" * 9999, "error", "is nested too deeply"),
        ("info.json", b"{}", "error", "run_id: is not there"),
    ],
)
def test_a_document_that_is_none(
    record: Path, reseal: Callable, name: str, content: bytes, level: str, message: str
) -> None:
    (record / name).write_bytes(content)
    reseal(record)
    assert any((f[0], f[1]) == (level, name) and message in f[2] for f in found(record))
    assert "changed" not in str(found(record))


def test_fields(record: Path, reseal: Callable) -> None:
    edit(record / "configs.json", lambda configs: configs.update(training=5, extra=1))
    edit(record / "results.json", lambda results: results.update(schema_version=99))
    reseal(record)
    known = "is 99, of a newer release; this one knows 1"
    assert found(record) == [
        ("error", "configs.json", "training: must be an object; it is 5"),
        (
            "note",
            "configs.json",
            "extra: is kept, but not understood: written by a newer release?",
        ),
        ("note", "results.json", f"schema_version: {known}"),
    ]


def test_a_newer_record_is_read_without_a_warning_being_raised(
    record: Path, reseal: Callable
) -> None:
    for name in ("configs.json", "results.json", "info.json"):
        edit(record / name, lambda document: document.update(schema_version=2, new={}))
    reseal(record)
    assert verify_artifact(record).ok
    assert {level for level, _, _ in found(record)} == {"note"}


# What info.json names, in a record without checksums


def test_an_older_record(record: Path) -> None:
    forget_provenance(record)
    assert found(record) == [
        ("warning", "provenance.json", OLD),
        ("note", "self-test", "no predictions were recorded that could be compared"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("normalizers.npz", b"no", "is not a file of normalizers"),
        ("weights.safetensors", b"no", "header"),
        ("model.pt", b"no", "is not a PyTorch checkpoint"),
    ],
)
def test_a_damaged_file_of_an_older_record(
    record: Path, name: str, content: bytes, message: str
) -> None:
    forget_provenance(record)
    (record / name).write_bytes(content)
    (error,) = verify_artifact(record).errors
    assert error.where == name
    assert message in error.message


def test_a_lost_file_of_an_older_record(record: Path) -> None:
    forget_provenance(record)
    (record / "normalizers.npz").unlink()
    assert found(record)[0] == (
        "error",
        "normalizers.npz",
        "is not there, though info.json has it as normalizers",
    )


def test_info_that_is_lost_together_with_provenance(record: Path) -> None:
    for name in ("info.json", "provenance.json"):
        (record / name).unlink()
    assert found(record)[0] == ("error", "info.json", "is not there")


# Weights


def test_a_checkpoint_with_other_weights(record: Path, reseal: Callable) -> None:
    save_model_checkpoint(record, reionemu.FourParamEmulator(2, num_hidden_layers=1).state_dict())
    reseal(record)
    assert found(record) == [("error", "model.pt", "has other weights than weights.safetensors")]


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.pop("w"),
        lambda x: x.update(v=x["w"]),
        lambda x: x.update(w=x["w"][:1]),
        lambda x: x.update(w=x["w"].double()),
        lambda x: x.update(w=2 * x["w"]),
    ],
)
def test_a_checkpoint_with_other_tensors(
    tmp_path: Path, reseal: Callable, change: Callable
) -> None:
    weights = {"w": torch.ones(2), "b": torch.ones(1)}
    path = reionemu.save_artifact("run", tmp_path, checkpoint=weights)
    assert verify_artifact(path).ok
    change(weights)
    save_model_checkpoint(path, weights)
    reseal(path)
    assert found(path)[0] == ("error", "model.pt", "has other weights than weights.safetensors")


def test_weights_that_the_lineage_does_not_know(record: Path, reseal: Callable) -> None:
    other = reionemu.FourParamEmulator(hidden_dim=2, num_hidden_layers=1).state_dict()
    save_model_checkpoint(record, other)
    save_weights(record, other, filename="weights.safetensors")
    reseal(record)
    assert found(record) == [("error", "weights.safetensors", "is not what the lineage ends in")]


@pytest.mark.parametrize(
    "dtype", ["float64", "float16", "bfloat16", "int64", "int8", "uint8", "bool"]
)
def test_weights_of_any_type_are_equal_to_themselves(tmp_path: Path, dtype: str) -> None:
    values = torch.tensor([[0, 1, 2**62 + 1]]).to(getattr(torch, dtype)).t()
    path = reionemu.save_artifact("run", tmp_path, checkpoint={"w": values, "none": values[:0]})
    assert verify_artifact(path).ok


def test_weights_that_are_not_finite_are_equal_to_themselves(tmp_path: Path) -> None:
    path = reionemu.save_artifact(
        "run", tmp_path, checkpoint={"w": torch.tensor([float("nan"), float("inf")])}
    )
    assert verify_artifact(path).ok


def test_a_whole_model_is_not_looked_at(save: Callable, four_param: torch.nn.Module) -> None:
    path = save(four_param, checkpoint=four_param)
    assert found(path) == [
        (
            "note",
            "model.pt",
            "holds more than weights, and reading that would run code: not looked at",
        )
    ]


def test_a_checkpoint_without_weights(tmp_path: Path) -> None:
    path = reionemu.save_artifact("run", tmp_path, checkpoint={"epoch": 3})
    assert found(path)[0] == (
        "note",
        "model.pt",
        "holds no state dict of plain values, so it was not compared with anything",
    )


def test_configs_that_contradict_the_model(save: Callable, four_param: torch.nn.Module) -> None:
    model = {"class_name": "FourParamEmulator", "hidden_dim": 7, "activation": "tanh"}
    ((level, where, message),) = found(save(four_param, model_config=model))
    assert (level, where) == ("warning", "model")
    assert "configs.json has model.hidden_dim = 7, but the model that was saved had 6" in message


def rewrite_metadata(path: Path, change: Callable[[dict], object]) -> None:
    """Change what weights.safetensors says of its model, and nothing else."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    document = json.loads(header["__metadata__"]["reionemu"])
    change(document)
    header["__metadata__"]["reionemu"] = json.dumps(document)
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + content[8 + size :])


@pytest.mark.parametrize(
    ("change", "level", "message"),
    [
        ({"version": 3}, "note", "version: is 3, of a newer release; this one knows 1"),
        ({"version": "1"}, "error", "version: must be a whole number >= 0, not '1'"),
        ({"model": []}, "error", "model: must be an object; it is []"),
        ({"new": 1}, "note", "new: is kept, but not understood: written by a newer release?"),
    ],
)
def test_what_weights_say_of_their_model(
    record: Path, reseal: Callable, change: dict, level: str, message: str
) -> None:
    rewrite_metadata(record / "weights.safetensors", lambda document: document.update(change))
    reseal(record)
    assert (level, "weights.safetensors", message) in found(record)
    assert verify_artifact(record).ok is (level == "note")


# The split


@pytest.fixture
def split_record(dataset: Path, tmp_path: Path) -> Callable[..., Path]:
    """`split_record(split, **arguments)`: the folder of a record with this split."""

    def make(split: dict, **arguments: object) -> Path:
        root = tmp_path / "artifacts"
        with reionemu.start_artifact("run", root, dataset_path=dataset, split=split) as run:
            run.record(**arguments)
        return run.path

    return make


IN_COMMON = "have rows in common: errors on them flatter"


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"train": [0, 1, 2], "val": [2, 3]}, f"train and val {IN_COMMON}"),
        (
            {"train": [0, 1], "val": [2, 0], "test": [1]},
            f"test and train, train and val {IN_COMMON}",
        ),
        ({"train": [0, 1, 1], "val": [2]}, "a row is there twice: errors on them flatter"),
    ],
)
def test_rows_in_common(split_record: Callable, split: dict, message: str) -> None:
    assert found(split_record(split)) == [("error", "split", message)]


@pytest.mark.parametrize("row", [24, -1])
def test_rows_that_are_none(split_record: Callable, reseal: Callable, row: int) -> None:
    path = split_record({"train": [0, 23], "val": [2]})
    assert verify_artifact(path).ok
    reseal(path, lambda found: found["lineage"][-1]["indices"]["val"].append(row))
    assert ("error", "split", "has rows that the dataset (24) has not") in found(path)


def test_rows_that_make_no_sense(split_record: Callable, reseal: Callable) -> None:
    path = split_record({"train": [0]})
    for indices in ({"train": 5}, {"train": [[1]]}, {"train": ["a"]}, [1]):
        reseal(path, lambda found, new=indices: found["lineage"][-1].update(indices=new))
        assert "provenance.json" in {error.where for error in verify_artifact(path).errors}


# The dataset


def test_a_dataset_that_has_moved(record: Path, dataset: Path) -> None:
    os.rename(dataset, dataset.with_name("moved.h5"))
    assert found(record) == [("note", "dataset", f"{dataset} is not here, so it was not compared")]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "fifo"])
def test_something_else_in_its_place(record: Path, dataset: Path, make: Callable) -> None:
    dataset.unlink()
    make(dataset)
    assert [(level, where) for level, where, _ in found(record)] == [("note", "dataset")]


def test_a_dataset_that_was_written_again_is_the_same(
    record: Path, dataset: Path, write_dataset: Callable
) -> None:
    write_dataset(dataset)
    with h5py.File(dataset, "a") as h5:
        h5["more"] = np.zeros(1000)
    os.utime(dataset, (1, 1))
    assert found(record) == []


def test_a_dataset_with_other_arrays(record: Path, dataset: Path) -> None:
    with h5py.File(dataset, "a") as h5:
        h5["training/Y"][3, 2] += 1e-5
    assert found(record) == [
        (
            "warning",
            "dataset",
            f"{dataset} holds other training arrays than those this was trained on",
        )
    ]


@pytest.mark.parametrize("content", [b"", b"not HDF5"])
def test_a_dataset_that_is_damaged(record: Path, dataset: Path, content: bytes) -> None:
    dataset.write_bytes(content)
    ((level, where, message),) = found(record)
    assert (level, where) == ("warning", "dataset")
    assert f"{dataset} cannot be read any more" in message


def test_a_dataset_without_arrays(record: Path, dataset: Path) -> None:
    with h5py.File(dataset, "a") as h5:
        del h5["training"]
    ((level, _, message),) = found(record)
    assert level == "warning"
    assert "cannot be read any more" in message


def test_of_a_dataset_without_a_content_hash_size_and_time_are_compared(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as h5:
        h5["x"] = 1
    path = reionemu.save_artifact("run", tmp_path / "artifacts", dataset_path=tmp_path / "d.h5")
    no_test = ("note", "self-test", "no predictions were recorded that could be compared")
    assert found(path) == [no_test]
    os.utime(tmp_path / "d.h5", (1, 1))
    message = f"{tmp_path / 'd.h5'} has changed since, in size or time"
    assert found(path) == [("warning", "dataset", message), no_test]


def box_over(dataset: Path, rows: list[int]) -> dict[str, list[float]]:
    with h5py.File(dataset) as h5:
        X, names = h5["training/X"][()][rows], h5["training/param_names"].asstr()[()]
    return {
        name: [float(column.min()), float(column.max())]
        for name, column in zip(names, X.T, strict=True)
    }


def test_the_training_box(split_record: Callable, reseal: Callable, dataset: Path) -> None:
    rows = {"train": [3, 5, 7, 9], "val": [0, 1]}
    path = split_record(rows)
    assert verify_artifact(path).ok
    info = reionemu.read_json(path / "info.json")
    assert info["training_box"] == box_over(dataset, rows["train"])
    wider = box_over(dataset, [3, 5, 7, 9, 0])
    edit(path / "info.json", lambda info: info.update(training_box=wider))
    reseal(path)
    assert found(path)[0] == (
        "error",
        "info.json",
        "training_box is not the range of the parameters over the training rows",
    )


def test_rows_that_cannot_be_told_from_the_record(split_record: Callable, reseal: Callable) -> None:
    path = split_record({"train": [3, 5]})
    edit(path / "info.json", lambda info: info["dataset"].pop("n_samples"))
    reseal(path, lambda found: found["lineage"][-1]["indices"]["train"].append(99))
    assert any(f[:2] == ("error", "split") and "99" in f[2] for f in found(path))


# Runs


def test_a_run_that_goes_on_and_one_that_was_killed(tmp_path: Path, dataset: Path) -> None:
    with reionemu.start_artifact("run", tmp_path / "root", dataset_path=dataset) as run:
        run.log(1, {"loss": 1.0})
        goes_on = verify_artifact(tmp_path / "root" / "run")
        shutil.copytree(run.path, tmp_path / "killed")
    (tmp_path / "killed" / ".alive").unlink()
    killed = verify_artifact(tmp_path / "killed")
    message = "the run did not end, or goes on: its files have no checksums"
    for result in (goes_on, killed):
        assert result.findings == (Finding("note", "provenance.json", message),)
    edit(tmp_path / "killed" / "results.json", lambda results: results.update(status="completed"))
    assert ("error", "provenance.json", message) in found(tmp_path / "killed")


def test_a_line_of_the_history_that_is_lost(tmp_path: Path) -> None:
    with reionemu.start_artifact("run", tmp_path / "root") as run:
        for epoch in range(1, 5):
            run.log(epoch, {"loss": 1.0})
        shutil.copytree(run.path, tmp_path / "killed")
    path = tmp_path / "killed" / "history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines)[:-5])
    assert len(found(path.parent)) == 1
    for bad in (b"{\n", b"[1]\n", b"\n", b'{"epoch": "2"}\n'):
        path.write_bytes(b"".join([lines[0], bad, *lines[2:]]))
        message = "line 2 of 4 cannot be read; it and what follows are left out"
        assert found(path.parent)[0] == ("warning", "history.jsonl", message)
        assert verify_artifact(path.parent).ok


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_run_that_failed_or_was_interrupted_has_checksums(
    tmp_path: Path, error: type[BaseException]
) -> None:
    run = reionemu.start_artifact("run", tmp_path)
    run.log(1, {"loss": 1.0})
    with pytest.raises(error), run:
        raise error("out of luck")
    notes = found(run.path)
    failed = [("note", "results.json", "the run failed: RuntimeError: out of luck")]
    assert notes == (failed if error is RuntimeError else [])
    with open(run.path / "history.jsonl", "ab") as file:
        file.write(b" ")
    changed = ("error", "history.jsonl", "is not the file that was saved: it has changed")
    assert found(run.path) == [changed, *notes]


# Older releases, the peer, and later ones


def records_in(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.rglob("info.json"))


@pytest.mark.parametrize(
    "path",
    [*records_in(GOLDEN / "peer-0.4.0"), *records_in(GOLDEN / "v1")],
    ids=lambda path: path.name,
)
def test_records_of_the_peer_and_of_earlier_releases(path: Path, tmp_path: Path) -> None:
    result = verify_artifact(path)
    assert [f for f in result.findings if f.level != "note"] == [
        Finding("warning", "provenance.json", OLD)
    ]
    copy = Path(shutil.copytree(path, tmp_path / "copy"))
    (copy / "model.pt").write_bytes((path / "model.pt").read_bytes()[:-30])
    assert {error.where for error in verify_artifact(copy).errors} == {"model.pt"}


# The result


def test_the_worst_comes_first_and_can_be_read(record: Path, dataset: Path) -> None:
    assert str(reionemu.load_artifact(record).verify()) == f"{record}: whole"
    (record / "more").write_text("")
    dataset.unlink()
    result = reionemu.load_artifact(record).verify()
    assert result.ok
    assert result.errors == ()
    assert str(result).splitlines() == [
        f"{record}: whole",
        "  warning: more: is not a part of the record as it was saved",
        f"  note: dataset: {dataset} is not here, so it was not compared",
    ]
    (record / "model.pt").unlink()
    result = reionemu.load_artifact(record).verify()
    assert not result.ok
    assert [finding.level for finding in result.findings] == ["error", "warning"]
    assert str(result).startswith(f"{record}: NOT as it was saved\n  error: model.pt: ")


def test_a_name_and_a_string_will_do(record: Path, tmp_path: Path) -> None:
    assert verify_artifact(str(record)) == Verification(record, ())
    with pytest.raises(ValueError), reionemu.start_artifact("x/y", tmp_path / "r") as run:
        raise ValueError
    assert verify_artifact(tmp_path / "r" / "x" / "y").path == run.path


def test_what_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "folder" / "configs.json").parent.mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingFileError, match="nowhere"):
        verify_artifact(tmp_path / "nowhere")
    for name in ("folder", "file"):
        with pytest.raises(RecordError, match=f"{name} is not an artifact"):
            verify_artifact(tmp_path / name)


def test_a_record_that_is_moved_meanwhile_is_not_called_damaged(
    record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_all = module._read_all

    def move_and_read(folder: object) -> object:
        os.rename(record, record.with_name("elsewhere"))
        return read_all(folder)

    monkeypatch.setattr(module, "_read_all", move_and_read)
    with pytest.raises(MissingFileError, match="was moved while it was read"):
        verify_artifact(record)
