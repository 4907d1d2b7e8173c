"""Where weights come from, as provenance.json tells it: raw -> ... -> split -> weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import reionemu
from reionemu import pipeline
from reionemu.artifact.lineage import split_record, weights_sha256
from reionemu.errors import ConfigError, DatasetError

RUN = """
[run]
name = "full"
raw = "raw"
dataset = "data/condensed.h5"
artifacts = "artifacts"

[split]
train = 0.7
val = 0.2
test = 0.1

[spectra]
nbins = 4

[model]
name = "mc-dropout"
hidden_dim = 3

[fit]
epochs = 2
seed = 3
"""


@pytest.fixture(autouse=True)
def _outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def steps(path: Path) -> list[dict[str, Any]]:
    return json.loads((path / "provenance.json").read_text())["lineage"]


def stages_in(h5_path: Path) -> dict[str, Any]:
    with h5py.File(h5_path) as h5:
        return json.loads(h5.attrs["reionemu_stages"])


def condensed_step(h5_path: Path) -> dict[str, Any]:
    status = h5_path.stat()
    return {
        "step": "condensed",
        "path": str(h5_path),
        "file_size_bytes": status.st_size,
        "modified_at": datetime.fromtimestamp(status.st_mtime, timezone.utc).isoformat(),
        "sha256": hashlib.sha256(h5_path.read_bytes()).hexdigest(),
    }


def hash_of_arrays(h5_path: Path) -> str:
    """The content hash as docs/formats.md has it."""
    digest = hashlib.sha256()
    with h5py.File(h5_path) as h5:
        for name, dtype in (("X", "<f4"), ("Y", "<f4"), ("ell", "<f8")):
            array = h5["training"][name][()].astype(dtype)
            digest.update(repr(array.shape).encode() + array.tobytes())
    return digest.hexdigest()


def hash_of_weights(path: Path) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(load_file(path / "weights.safetensors").items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode() + array.tobytes())
    return digest.hexdigest()


def test_a_full_run_has_every_step_with_its_configuration(raw_suite: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(RUN)
    options = pipeline.load_run_options(tmp_path / "run.toml")
    path = pipeline.run(options).artifact.path
    h5_path = tmp_path / "data" / "condensed.h5"
    stages = stages_in(h5_path)
    raw, condensed, spectra, training_set, split, weights = steps(path)
    assert raw == {
        "step": "raw",
        "path": str(raw_suite),
        "inventory_sha256": stages["condense"]["raw_inventory"],
    }
    assert len(raw["inventory_sha256"]) == 64
    assert condensed == {**condensed_step(h5_path), "config": stages["condense"]}
    assert spectra == {"step": "spectra", "config": stages["spectra"]}
    assert spectra["config"]["nbins"] == 4
    assert training_set == {
        "step": "training_set",
        "config": stages["training_set"],
        "content_sha256": hash_of_arrays(h5_path),
        "n_samples": 24,
        "n_parameters": 4,
        "n_targets": 4,
    }
    parts = split["indices"]
    assert {part: len(rows) for part, rows in parts.items()} == {"train": 17, "val": 5, "test": 2}
    assert sorted(row for rows in parts.values() for row in rows) == list(range(24))
    configs = json.loads((path / "configs.json").read_text())
    assert weights == {
        "step": "weights",
        "model": configs["model"],
        "optimizer": configs["optimizer"],
        "training": configs["training"],
        "content_sha256": hash_of_weights(path),
    }
    assert weights["model"]["class_name"] == "MCDropoutEmulator"
    assert weights["training"]["seed"] == 3


def test_the_inventory_of_the_raw_files_tells_one_suite_from_another(
    raw_suite: Path, tmp_path: Path
) -> None:
    seen = []
    for i in range(3):
        if i == 2:
            (raw_suite / "sim3" / "note.txt").write_text("more")
        out = tmp_path / f"{i}.h5"
        reionemu.condense_sim_root(raw_suite, out)
        seen.append(
            steps(reionemu.save_artifact("run", tmp_path / "artifacts", dataset_path=out))[0]
        )
    assert [step["step"] for step in seen] == ["raw"] * 3
    assert seen[0] == seen[1] != seen[2]


def test_a_dataset_of_another_program_has_what_is_known(dataset: Path, tmp_path: Path) -> None:
    path = reionemu.save_artifact("run", tmp_path / "artifacts", dataset_path=dataset)
    assert steps(path) == [
        {**condensed_step(dataset), "config": None},
        {
            "step": "training_set",
            "config": None,
            "content_sha256": hash_of_arrays(dataset),
            "n_samples": 24,
            "n_parameters": 4,
            "n_targets": 5,
        },
    ]


def test_a_file_without_training_arrays(condensed_h5: Path, tmp_path: Path) -> None:
    with h5py.File(condensed_h5, "a") as h5:
        del h5["training"]
    path = reionemu.save_artifact("run", tmp_path / "artifacts", dataset_path=condensed_h5)
    assert [step["step"] for step in steps(path)] == ["raw", "condensed", "spectra"]


def test_without_a_dataset(tmp_path: Path, four_param: torch.nn.Module) -> None:
    assert steps(reionemu.save_artifact("nothing", tmp_path)) == []
    model = {"class_name": "FourParamEmulator"}
    path = reionemu.save_artifact(
        "weights", tmp_path, checkpoint=four_param, model_config=model, optimizer_config={"lr": 1}
    )
    assert steps(path) == [
        {
            "step": "weights",
            "model": model,
            "optimizer": {"lr": 1},
            "training": None,
            "content_sha256": hash_of_weights(path),
        }
    ]


def test_what_the_caller_says_counts_more_than_what_the_file_says(
    condensed_h5: Path, tmp_path: Path
) -> None:
    given = {"nbins": 99}
    path = reionemu.save_artifact(
        "run", tmp_path / "artifacts", dataset_path=condensed_h5, cl_config=given
    )
    by_name = {step["step"]: step for step in steps(path)}
    assert by_name["spectra"]["config"] == given
    assert by_name["training_set"]["config"] == stages_in(condensed_h5)["training_set"]


@pytest.mark.parametrize(
    "stamps", ["nonsense", "[1]", '{"condense": 5, "spectra": ["x"], "training_set": "y"}']
)
def test_stamps_that_are_none_are_passed_over(
    stamps: str, condensed_h5: Path, tmp_path: Path
) -> None:
    with h5py.File(condensed_h5, "a") as h5:
        h5.attrs["reionemu_stages"] = stamps
        h5.attrs["source_root"] = np.arange(3)
    path = reionemu.save_artifact("run", tmp_path / "artifacts", dataset_path=condensed_h5)
    assert [step["step"] for step in steps(path)] == ["condensed", "training_set"]
    assert {step["config"] for step in steps(path)} == {None}
    assert reionemu.load_artifact(path).verify().ok


# The split


@pytest.mark.parametrize(
    "split", [{"train": 0.8, "val": 0.2}, {"train": 0.5, "val": 0.3, "test": 0.2}, {"train": 1.0}]
)
def test_fractions_become_the_rows_that_make_dataloaders_chose(
    split: dict, dataset: Path, tmp_path: Path
) -> None:
    config = reionemu.DataLoaderConfig(batch_size=8, seed=11)
    loaders, _, _ = reionemu.make_dataloaders(dataset, split=split, config=config)
    with reionemu.start_artifact(
        "run", tmp_path / "artifacts", dataset_path=dataset, dataloader_config=config, split=split
    ) as run:
        pass
    (step,) = (step for step in steps(run.path) if step["step"] == "split")
    assert step["fractions"] == split
    assert step["seed"] == 11
    rows = {part: np.asarray(loader.dataset.indices).tolist() for part, loader in loaders.items()}
    assert step["indices"] == rows


def test_rows_are_kept_as_given(dataset: Path, tmp_path: Path) -> None:
    split = {"train": np.arange(3, 20), "val": [1, 0], "test": torch.tensor([23]), "spare": []}
    with reionemu.start_artifact(
        "run", tmp_path / "artifacts", dataset_path=dataset, split=split
    ) as run:
        pass
    (step,) = (step for step in steps(run.path) if step["step"] == "split")
    indices = {"train": list(range(3, 20)), "val": [1, 0], "test": [23], "spare": []}
    assert step == {"step": "split", "fractions": None, "seed": None, "indices": indices}


@pytest.mark.parametrize(
    ("split", "n", "seed", "message"),
    [
        ({}, 10, 0, "a fraction, or a list of rows"),
        ({"train": 0.5, "val": [1]}, 10, 0, "a fraction, or a list of rows"),
        ({"train": [1], "val": 0.5}, 10, 0, "a fraction, or a list of rows"),
        ({"train": [[1]], "val": [[2]]}, 10, 0, "'train' must be a list of whole numbers"),
        ({"train": [[1], [2, 3]]}, 10, 0, "'train' must be a list of whole numbers"),
        ({"train": [0.5, 1.0]}, 10, 0, "'train' must be a list of whole numbers"),
        ({"train": [True, False]}, 10, 0, "'train' must be a list of whole numbers"),
        ({"train": "abc"}, 10, 0, "'train' must be a list of whole numbers"),
        ({"train": None}, 10, 0, "'train' must be a list of whole numbers"),
        ({"train": [1, 10]}, 10, 0, "'train' has the row 10; the rows of the dataset are 0 to 9"),
        ({"train": [-1]}, 10, 0, "'train' has the row -1"),
        ({"train": [-1]}, None, None, "'train' has the row -1"),
        ({"train": 0.8, "val": 0.2}, None, 0, "dataset_path and dataloader_config"),
        ({"train": 0.8, "val": 0.2}, 10, None, "dataset_path and dataloader_config"),
        ({"train": 0.8, "val": 0.1}, 10, 0, "must sum to 1"),
        ({"val": 1.0}, 10, 0, "must contain 'train'"),
    ],
)
def test_what_is_no_split(split: dict, n: int | None, seed: int | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split_record(split, n, seed)


def test_a_part_without_rows() -> None:
    with pytest.raises(DatasetError, match="gives 'val' no sample"):
        split_record({"train": 0.99, "val": 0.01}, 10, 0)


def test_no_split_is_nothing() -> None:
    assert split_record(None, 10, 0) is None


# The hash of weights


def test_the_hash_of_weights_is_of_their_values(save: Callable) -> None:
    rng = np.random.default_rng(0)
    weights = {"b": rng.random((2, 3)), "a": np.arange(4, dtype=np.int32), "s": np.float32(2)}
    expected = hashlib.sha256()
    for name, text in (("a", "int32 (4,)"), ("b", "float64 (2, 3)"), ("s", "float32 ()")):
        expected.update(f"{name} {text}\n".encode() + np.asarray(weights[name]).tobytes())
    assert weights_sha256(weights) == expected.hexdigest()
    turned = {name: np.asarray(weights[name]) for name in sorted(weights)}
    swapped = {
        name: array.astype(array.dtype.newbyteorder(">"), order="F")
        for name, array in turned.items()
    }
    assert weights_sha256(swapped) == expected.hexdigest()


@pytest.mark.parametrize(
    "other",
    [
        {"w": np.array([[1.0, 2.0]])},
        {"w": np.array([1.0, 2.0], dtype=np.float32)},
        {"v": np.array([1.0, 2.0])},
        {"w": np.array([1.0, np.nextafter(2.0, 3)])},
        {"w": np.array([1.0, 2.0]), "x": np.zeros(0)},
        {},
    ],
    ids=["shape", "type", "name", "value", "more", "less"],
)
def test_other_weights_have_another_hash(other: dict[str, np.ndarray]) -> None:
    assert weights_sha256(other) != weights_sha256({"w": np.array([1.0, 2.0])})
