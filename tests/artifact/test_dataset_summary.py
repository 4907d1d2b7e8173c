"""What a record says of the suite that it was made from."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import reionemu
from reionemu.artifact.formats.documents import Dataset

SUITE = (
    "realizations",
    "n_realizations",
    "map_area",
    "design_ranges",
    "has_tau",
    "z",
    "history_sha256",
)


@pytest.fixture
def suite_h5(condensed_h5: Path) -> Path:
    """Training arrays of which the file says all there is to say."""
    with h5py.File(condensed_h5, "a") as h5:
        group = h5["training"]
        group["design_low"], group["design_high"] = np.zeros(4), np.arange(10.0, 14.0)
        group["realizations_averaged"] = np.full(24, 16)
        group.attrs["realizations"] = "own"
    return condensed_h5


def test_the_suite_is_described(suite_h5: Path) -> None:
    summary = reionemu.dataset_summary(suite_h5)
    with h5py.File(suite_h5) as h5:
        z = h5["training/z"][()].tolist()
        names = h5["training/param_names"].asstr()[()].tolist()
    assert len(summary["history_sha256"]) == 64
    assert {name: summary[name] for name in SUITE[:-1]} == {
        "realizations": "own",
        "n_realizations": 16,
        "map_area": 0.0711**2,
        "design_ranges": dict(zip(names, [[0, 10], [0, 11], [0, 12], [0, 13]], strict=True)),
        "has_tau": True,
        "z": z,
    }
    Dataset.model_validate(summary)
    assert set(Dataset.model_fields) == set(summary)


def test_what_the_file_does_not_say_is_null(suite_h5: Path) -> None:
    before = reionemu.dataset_summary(suite_h5)
    with h5py.File(suite_h5, "a") as h5:
        group = h5["training"]
        for name in ("tau", "z", "x_hi", "design_low", "design_high"):
            del group[name]
        group["realizations_averaged"][3] = 15
        del group.attrs["realizations"], group.attrs["map_area"]
    after = reionemu.dataset_summary(suite_h5)
    assert {name: after[name] for name in SUITE} == dict.fromkeys(SUITE) | {"has_tau": False}
    assert after["content_sha256"] == before["content_sha256"]
    Dataset.model_validate(after)


def test_a_record_keeps_it_and_is_valid(suite_h5: Path, tmp_path: Path) -> None:
    path = reionemu.save_artifact("run", tmp_path / "root", dataset_path=suite_h5)
    recorded = reionemu.read_json(path / "info.json")["dataset"]
    summary = reionemu.dataset_summary(suite_h5)
    assert {name: recorded[name] for name in SUITE} == {name: summary[name] for name in SUITE}
    findings = reionemu.load_artifact(path).verify().findings
    assert [(finding.level, finding.where) for finding in findings] == [("note", "self-test")]
