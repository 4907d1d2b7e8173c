"""Files that one package makes serve the other: state dicts, artifacts, condensed files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import reionemu
from reionemu.artifact import load_artifact
from reionemu.errors import MissingRecordError

if TYPE_CHECKING:
    from conftest import Run

pytestmark = pytest.mark.peer

N_STATE_DICTS = 15
SIGMAS = 5


@pytest.fixture(params=["we read theirs", "they read ours"])
def reader_and_writer(
    request: pytest.FixtureRequest, ours: Run, peer: Run, exchanged: tuple[Run, Run]
) -> tuple[Run, Run]:
    """What the reader of the other's files found, and the run that wrote them."""
    return (exchanged[0], peer) if request.param == "we read theirs" else (exchanged[1], ours)


def test_state_dicts_load_and_give_the_same_outputs(reader_and_writer: tuple[Run, Run]) -> None:
    reader, writer = reader_and_writer
    names = [name for name in reader.named("outputs/") if name != "outputs/checkpoint"]
    assert len(names) == N_STATE_DICTS
    for name in names:
        np.testing.assert_allclose(
            reader.numbers[name], writer.numbers[name], rtol=1e-6, atol=1e-6, err_msg=name
        )


def test_json_documents_read_the_same(reader_and_writer: tuple[Run, Run]) -> None:
    reader, writer = reader_and_writer
    documents = reader.texts("artifact/")
    assert len(documents) == 15
    for name, document in documents.items():
        assert document == writer.documents[name], name


def test_normalizers_and_checkpoints_read_the_same(reader_and_writer: tuple[Run, Run]) -> None:
    reader, writer = reader_and_writer
    for name in ("X/mean", "X/std", "Z/mean", "Z/std"):
        np.testing.assert_array_equal(
            reader.numbers[f"artifact/by_hand/{name}"], writer.numbers[f"artifact/{name}"]
        )
    assert {"artifact/full/X/mean", "artifact/full/X/std"} <= set(reader.numbers)
    np.testing.assert_allclose(
        reader.numbers["outputs/checkpoint"], writer.numbers["outputs/artifact"], 1e-6, 1e-6
    )


def test_condensed_files_can_be_worked_on_by_the_other(reader_and_writer: tuple[Run, Run]) -> None:
    reader, _ = reader_and_writer
    names = reader.named("theirs/")
    assert {"theirs/first", "theirs/training/X", "theirs/training/Y"} <= set(names)
    for name in names:
        mine = reader.numbers[name.replace("theirs", "mine", 1)]
        np.testing.assert_allclose(reader.numbers[name], mine, rtol=1e-6, err_msg=name)
    theirs = reader.texts("theirs/")
    assert theirs == {name: reader.documents[name.replace("theirs", "mine", 1)] for name in theirs}


def test_both_make_the_same_of_an_exchanged_file(exchanged: tuple[Run, Run]) -> None:
    for name in exchanged[1].named("theirs/"):
        np.testing.assert_allclose(
            exchanged[0].numbers[name], exchanged[1].numbers[name], rtol=1e-5, err_msg=name
        )


@pytest.fixture
def their_artifact(peer: Run, tmp_path: Path) -> Path:
    """A copy of an artifact of the published package."""
    return Path(shutil.copytree(peer.folder / "artifacts/full", tmp_path / "full"))


def without_dataset(artifact: Path) -> Path:
    """The artifact as it is where its dataset is not at hand."""
    info = json.loads((artifact / "info.json").read_text())
    info["dataset"]["path"] = info["dataset"]["fingerprint"]["path"] = "/nowhere/condensed.h5"
    (artifact / "info.json").write_text(json.dumps(info))
    return artifact


def test_model_of_their_artifact_is_rebuilt(peer: Run, their_artifact: Path) -> None:
    model = load_artifact(their_artifact).model(dropout_rate=0.1)
    inputs = torch.linspace(-2, 2, 20).reshape(5, 4)
    with torch.no_grad():
        outputs = model(inputs).numpy()
    np.testing.assert_allclose(outputs, peer.numbers["outputs/artifact"], rtol=1e-6, atol=1e-6)


def test_what_their_artifact_does_not_say_is_asked_for(their_artifact: Path) -> None:
    with pytest.raises(MissingRecordError) as caught:
        load_artifact(their_artifact).model()
    assert caught.value.fields == ("dropout_rate",)
    with pytest.raises(MissingRecordError) as caught:
        load_artifact(without_dataset(their_artifact)).emulator(dropout_rate=0.1)
    assert caught.value.fields == ("bounds",)


def test_their_bare_artifact_asks_for_its_weights(peer: Run) -> None:
    artifact = load_artifact(peer.folder / "artifacts/bare")
    assert artifact.results["status"] == "completed"
    with pytest.raises(MissingRecordError) as caught:
        artifact.model()
    assert caught.value.fields == ("state_dict",)


@pytest.mark.parametrize("at_hand", [True, False])
def test_emulator_of_their_artifact_predicts_what_predict_mc_does(
    their_artifact: Path, peer: Run, at_hand: bool
) -> None:
    training = peer.folder / "condensed.h5"
    X, _, ell = reionemu.load_training_arrays(training)
    given = {"dropout_rate": 0.1}
    if not at_hand:
        without_dataset(their_artifact)
        given["bounds"] = "unbounded"
    emulator = load_artifact(their_artifact).emulator(**given)
    np.testing.assert_allclose(emulator.ell, ell, rtol=1e-6)
    assert (emulator.box is None) is not at_hand

    norm = reionemu.load_normalizers(their_artifact / "normalizers.npz")["X"]
    model = load_artifact(their_artifact).model(dropout_rate=0.1)
    torch.manual_seed(0)
    n_draws = 4000
    mean, std, samples, _ = reionemu.predict_mc(
        X[3], model, norm.mean, norm.std, n_mc_samples=n_draws
    )
    prediction = emulator.predict(X[3], n_draws=n_draws)
    assert prediction.quantity == "dl_ksz"
    error = np.sqrt((std**2 + prediction.std**2) / n_draws)
    assert np.all(np.abs(prediction.mean - mean) < SIGMAS * error)
    kurtosis = np.mean((samples - mean) ** 4, axis=0) / std**4
    error = std * np.sqrt((kurtosis - 1) / (2 * n_draws))
    assert np.all(np.abs(prediction.std - std) < SIGMAS * error)
