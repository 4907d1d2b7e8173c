"""Artifacts written by other releases, kept as files: they must be read for ever.

`golden/README.md` says how they were made.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import reionemu
from reionemu.artifact.formats.sidecars import decode_checkpoint
from reionemu.errors import MissingRecordError, RecordError, UnsafeRecordError

GOLDEN = Path(__file__).parent / "golden"
PEER, V1 = GOLDEN / "peer-0.4.0", GOLDEN / "v1"
PROVENANCE = GOLDEN / "v1-provenance"
COMPANIONS = GOLDEN / "v1-companions"
NAMES = ("zmean_zre", "alpha_zre", "kb_zre", "b0_zre")
TARGET = {"param_names": NAMES, "y_transform": "ln", "y_source": "dl_ksz", "eps": 1e-30}


def expected(path: Path) -> dict[str, np.ndarray]:
    with np.load(path / "expected.npz") as numbers:
        return dict(numbers)


def test_peer_with_its_dataset_gone_lacks_only_the_box() -> None:
    artifact = reionemu.load_artifact(PEER / "with_dataset")
    numbers = expected(artifact.path)
    with pytest.raises(MissingRecordError) as caught:
        artifact.emulator()
    assert caught.value.fields == ("bounds",)
    prediction = artifact.emulator(bounds="unbounded").predict(numbers["theta"])
    np.testing.assert_allclose(prediction.mean, numbers["mean"], rtol=2e-6)
    np.testing.assert_array_equal(prediction.ell, numbers["ell"])
    assert prediction.std is None
    assert prediction.quantity == "dl_ksz"


def test_peer_with_its_dataset_in_place_needs_nothing(tmp_path: Path) -> None:
    path = Path(shutil.copytree(PEER / "with_dataset", tmp_path / "run"))
    dataset = Path(shutil.copy(PEER / "dataset.h5", tmp_path))
    info = json.loads((path / "info.json").read_text())
    info["dataset"]["path"] = info["dataset"]["fingerprint"]["path"] = str(dataset)
    (path / "info.json").write_text(json.dumps(info))
    changed = datetime.fromisoformat(info["dataset"]["fingerprint"]["modified_at"])
    microseconds = round(changed.timestamp() * 1e6)
    os.utime(dataset, ns=(0, microseconds * 1000))
    emulator = reionemu.load_artifact(path).emulator()
    with h5py.File(dataset) as h5:
        X = h5["training/X"][()]
    np.testing.assert_allclose(emulator.box.low, X.min(axis=0), rtol=1e-7)
    np.testing.assert_allclose(emulator.box.high, X.max(axis=0), rtol=1e-7)
    numbers = expected(path)
    mean = emulator.predict(numbers["theta"]).mean
    np.testing.assert_allclose(mean, numbers["mean"], rtol=2e-6)
    os.utime(dataset, ns=(0, microseconds * 1000 + 1_000_000))  # no longer what was recorded
    with pytest.raises(MissingRecordError, match="bounds"):
        reionemu.load_artifact(path).emulator()


def test_peer_without_a_dataset_is_asked_for_all_of_it() -> None:
    artifact = reionemu.load_artifact(PEER / "without_dataset")
    numbers = expected(artifact.path)
    model = ("activation", "dropout_rate")
    asked = {"param_names", "y_transform", "y_source", "ell", "bounds", *model}
    with pytest.raises(MissingRecordError) as caught:
        artifact.emulator()
    assert set(caught.value.fields) == asked
    given = {**TARGET, "ell": numbers["ell"], "bounds": "unbounded"}
    with pytest.raises(MissingRecordError) as caught:
        artifact.emulator(**given)
    assert caught.value.fields == model
    with pytest.raises(MissingRecordError) as caught:
        artifact.emulator(**given, activation="gelu")
    assert caught.value.fields == ("dropout_rate",)

    emulator = artifact.emulator(**given, activation="gelu", dropout_rate=0.2)
    n = int(numbers["n_draws"])
    prediction = emulator.predict(numbers["theta"], n_draws=n)
    error_of_mean = numbers["std"] * math.sqrt(2 / n)
    assert (abs(prediction.mean - numbers["mean"]) < 6 * error_of_mean).all()
    np.testing.assert_allclose(prediction.std, numbers["std"], rtol=0.1)


def test_peer_model_gives_the_same_forward_pass() -> None:
    artifact = reionemu.load_artifact(PEER / "without_dataset")
    numbers, norm = expected(artifact.path), artifact.normalizers["X"]
    model = artifact.model(activation="gelu", dropout_rate=0.2)
    with torch.no_grad():
        x = torch.as_tensor((numbers["theta"] - norm.mean) / norm.std, dtype=torch.float32)
        np.testing.assert_allclose(model(x).numpy(), numbers["log_mean"], rtol=1e-5, atol=1e-7)


def test_peer_whole_module_is_not_unpickled_and_its_weights_are_asked_for() -> None:
    artifact = reionemu.load_artifact(PEER / "whole_module")
    with pytest.raises(RecordError, match=r"unpickling it would run code.*state_dict=\.\.\."):
        artifact.model()
    numbers = expected(artifact.path)
    given = {**TARGET, "ell": numbers["ell"], "bounds": "unbounded"}
    weights = reionemu.load_artifact(PEER / "with_dataset").model().state_dict()
    for state in (weights, {name: value.numpy() for name, value in weights.items()}):
        emulator = artifact.emulator(**given, state_dict=state)
        mean = emulator.predict(numbers["theta"]).mean
        np.testing.assert_allclose(mean, numbers["mean"], rtol=2e-6)


def test_peer_record_with_bare_nan_is_read() -> None:
    artifact = reionemu.load_artifact(PEER / "nan_history")
    history = artifact.results["history"]
    assert history["train_loss"][0] == 1.0
    assert math.isnan(history["train_loss"][1])
    assert history["val_loss"] == [math.inf, -math.inf]
    numbers = expected(artifact.path)
    with pytest.raises(MissingRecordError, match="normalizers"):
        artifact.emulator(**TARGET, ell=numbers["ell"], bounds="unbounded")
    normalizers = reionemu.load_normalizers(PEER / "with_dataset" / "normalizers.npz")
    emulator = artifact.emulator(
        **TARGET, ell=numbers["ell"], bounds="unbounded", normalizers=normalizers
    )
    mean = emulator.predict(numbers["theta"]).mean
    np.testing.assert_allclose(mean, numbers["mean"], rtol=2e-6)


@pytest.mark.parametrize("name", ["four_param", "mc_dropout"])
def test_version_1_predicts_what_it_did_when_it_was_written(name: str) -> None:
    artifact = reionemu.load_artifact(V1 / name)
    numbers = expected(artifact.path)
    assert artifact.info["schema_version"] == artifact.configs["schema_version"] == 1
    assert math.isnan(artifact.results["metrics"]["diverged"])
    emulator = artifact.emulator()
    assert emulator.target == type(emulator.target)("dl_ksz", "log10", 1e-30)
    prediction = emulator.predict(numbers["theta"])
    if name == "four_param":
        np.testing.assert_allclose(prediction.mean, numbers["mean"], rtol=1e-9)
        assert prediction.std is None
    else:
        np.testing.assert_allclose(prediction.mean, numbers["draws_mean"], rtol=1e-9)
        np.testing.assert_allclose(prediction.std, numbers["draws_std"], rtol=1e-9)
    x = artifact.normalizers["X"]
    inputs = torch.tensor((numbers["theta"] - x.mean) / x.std)
    with torch.no_grad():
        target = artifact.model().double()(inputs).numpy()
    np.testing.assert_allclose(target, numbers["target"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["four_param", "mc_dropout"])
def test_version_1_keeps_its_box_without_its_dataset(name: str) -> None:
    emulator = reionemu.load_artifact(V1 / name).emulator()
    with h5py.File(V1 / "dataset.h5") as h5:
        X = h5["training/X"][()]
    np.testing.assert_allclose(emulator.box.low, X.min(axis=0), rtol=1e-7)
    with pytest.raises(reionemu.OutOfRangeError, match="zmean_zre = 20"):
        emulator.predict([20.0, 0.5, 1.0, 0.5])


def test_version_1_knows_the_content_of_its_dataset() -> None:
    recorded = reionemu.load_artifact(V1 / "four_param").info["dataset"]
    summary = reionemu.dataset_summary(V1 / "dataset.h5")
    assert summary["content_sha256"] == recorded["content_sha256"]
    assert summary["parameter_ranges"] == recorded["parameter_ranges"]


def test_a_record_with_provenance_is_whole_and_predicts_what_it_did() -> None:
    artifact = reionemu.load_artifact(PROVENANCE / "four_param")
    numbers = expected(PROVENANCE)
    prediction = artifact.emulator().predict(numbers["theta"])
    np.testing.assert_allclose(prediction.mean, numbers["mean"], rtol=1e-9)
    with h5py.File(PROVENANCE / "dataset.h5") as h5:
        X = h5["training/X"][()]
    provenance = artifact.provenance
    assert provenance["command"] == ["make_v1_provenance.py", "v1-provenance"]
    assert provenance["platform"]["host"] == "node7"
    assert provenance["seeds"] == {"dataloader": 1, "fit": 3, "torch": 3}
    assert provenance["script"]["path"] == "/tmp/golden/make_v1_provenance.py"
    assert provenance["library"]["directory"] == "/home/user/reionemu"
    (session,) = provenance["sessions"]
    assert session["command"] == provenance["command"]
    assert session["ended_at"] == provenance["ended_at"]
    steps = {step["step"]: step for step in provenance["lineage"]}
    assert list(steps) == ["condensed", "training_set", "split", "weights"]
    rows = [row for part in steps["split"]["indices"].values() for row in part]
    assert sorted(rows) == list(range(len(X)))
    content = (PROVENANCE / "dataset.h5").read_bytes()
    assert steps["condensed"]["sha256"] == hashlib.sha256(content).hexdigest()
    recorded = steps["training_set"]["content_sha256"]
    assert reionemu.dataset_summary(PROVENANCE / "dataset.h5")["content_sha256"] == recorded
    verification = artifact.verify()
    assert verification.ok
    assert not verification.errors


def test_a_failed_run_of_version_1_tells_what_happened() -> None:
    artifact = reionemu.load_artifact(PROVENANCE / "broken")
    assert artifact.status == "failed"
    error = artifact.results["error"]
    assert (error["type"], error["message"]) == ("ArithmeticError", "the loss is not finite")
    assert "in fail\n" in error["traceback"]
    history = artifact.results["history"]
    assert history["train_loss"] == [1.5, math.inf]
    assert math.isnan(history["val_loss"][1])
    assert artifact.provenance["ended_at"] > artifact.provenance["started_at"]


@pytest.mark.parametrize("name", ["gaussian_process", "mc_dropout"])
def test_a_record_with_companions_predicts_what_it_did(name: str) -> None:
    artifact = reionemu.load_artifact(COMPANIONS / name)
    with np.load(COMPANIONS / f"{name}.npz") as numbers:
        recorded = dict(numbers)
    theta, emulator = recorded.pop("theta"), artifact.emulator()
    prediction = emulator.predict(theta)
    history = emulator.predict_history(theta, recorded["z"])
    now = {**vars(prediction), **vars(history)}
    if name == "gaussian_process":
        now["gradient"] = emulator.gradient(theta)
    for key, values in recorded.items():
        np.testing.assert_allclose(now[key], values, rtol=1e-9, err_msg=key)
    assert (emulator.suite.realizations, emulator.suite.map_area) == ("shared", 0.005)
    assert not emulator.is_sparse(theta).any()


@pytest.mark.parametrize("name", ["gaussian_process", "mc_dropout"])
def test_a_record_with_companions_is_whole_and_knows_its_simulations(name: str) -> None:
    artifact = reionemu.load_artifact(COMPANIONS / name)
    verification = artifact.verify()
    assert verification.ok
    assert [finding.where for finding in verification.findings] == ["dataset"]  # gone since
    with h5py.File(COMPANIONS / "dataset.h5") as h5:
        X, Y = h5["training/X"][()], h5["training/Y"][()]
    found = artifact.predictions()
    steps = {step["step"]: step for step in artifact.provenance["lineage"]}
    for part, part_name in enumerate(("train", "val", "test")):
        if part in found["part"]:  # a network says nothing new of rows that it was trained on
            rows = sorted(steps["split"]["indices"][part_name])
            np.testing.assert_array_equal(found["row"][found["part"] == part], rows)
    assert (0 in found["part"]) == (name == "gaussian_process")
    np.testing.assert_array_equal(found["truth"], Y[found["row"]])
    np.testing.assert_array_equal(
        artifact.companions().points, X[steps["split"]["indices"]["train"]]
    )
    summary = reionemu.dataset_summary(COMPANIONS / "dataset.h5")
    for key in ("content_sha256", "history_sha256", "design_ranges", "realizations", "z"):
        assert summary[key] == artifact.info["dataset"][key], key


def test_a_record_from_the_future_is_read_with_warnings_that_name_what_is_new() -> None:
    with pytest.warns(reionemu.ReionemuWarning) as caught:
        artifact = reionemu.load_artifact(GOLDEN / "future" / "four_param")
    with pytest.warns(reionemu.ReionemuWarning) as about_weights:
        emulator = artifact.emulator()
    caught = [*caught, *about_weights]
    messages = sorted(str(warning.message).partition("four_param/")[2] for warning in caught)
    new = [message.replace("Not understood, but kept: ", "").split(". ") for message in messages]
    assert [(first.split()[0], fields) for first, fields in new] == [
        ("configs.json", "augmentation"),
        ("info.json", "cosmology, dataset.doi, licence"),
        ("provenance.json", "cluster, lineage[0]"),
        ("results.json", "energy_kwh"),
        ("weights.safetensors", "precision"),
    ]
    assert all("newer release" in message for message in messages)
    assert artifact.info["cosmology"] == {"h": 0.7}
    assert artifact.info["dataset"]["doi"] == "10.1234/5678"
    assert artifact.provenance["lineage"][0] == {"step": "simulation", "code": "another"}
    numbers = expected(PROVENANCE)
    mean = emulator.predict(numbers["theta"]).mean
    np.testing.assert_allclose(mean, numbers["mean"], rtol=1e-9)


@pytest.mark.parametrize("name", ["with_dataset", "without_dataset", "whole_module"])
def test_checkpoints_of_the_peer_are_read_without_pytorch_as_pytorch_reads_them(name: str) -> None:
    path = PEER / name / "model.pt"
    if name == "whole_module":
        with pytest.raises(UnsafeRecordError):
            decode_checkpoint(path.read_bytes(), "it")
        return
    weights, _ = decode_checkpoint(path.read_bytes(), "it")
    loaded = torch.load(path, weights_only=True)
    state = loaded.get("model_state_dict", loaded)
    assert list(weights) == list(state)
    for key, value in state.items():
        np.testing.assert_array_equal(weights[key], value.numpy())
        assert weights[key].dtype == value.numpy().dtype
