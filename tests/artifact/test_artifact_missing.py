"""What a record does not say is asked for by name, and only that; a false record is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reionemu
from reionemu.errors import MissingRecordError, RecordError
from reionemu.parameters import PARAMETER_NAMES as NAMES

ELL = [1500.0, 2500.0, 3500.0, 4500.0, 5500.0]  # as in the dataset of conftest
EPS = 1e-3


def edit(path: Path, file: str, *keys: str, value: Any = None) -> None:
    """Set the entry of a JSON document to a value, or delete it."""
    document = json.loads((path / file).read_text())
    inner = document
    for key in keys[:-1]:
        inner = inner[key]
    if value is None:
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = value
    (path / file).write_text(json.dumps(document))


def bare(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A state dict that has lost what it says of its model."""
    return dict(model.state_dict())


@pytest.fixture
def record(save: Callable, mc_dropout: torch.nn.Module, dataset: Path) -> Path:
    """An artifact whose weights say nothing of their model and whose dataset has gone."""
    path = save(mc_dropout, checkpoint=bare(mc_dropout), model_config=mc_dropout.record())
    (path / "provenance.json").unlink()  # which would tell that the files are edited below
    dataset.unlink()
    return path


def drop(*places: tuple[str, ...]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        for file, *keys in places:
            edit(path, file, *keys)

    return damage


def remove(*names: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        for name in names:
            (path / name).unlink()

    return damage


INFO, CONFIGS = "info.json", "configs.json"
LOST = {
    "ell": drop((INFO, "dataset", "ell")),
    "y_transform": drop((INFO, "dataset", "y_transform")),
    "y_source": drop((INFO, "dataset", "y_source")),
    "eps": drop((INFO, "dataset", "eps")),
    "param_names": drop((INFO, "dataset", "param_names")),
    "bounds": drop((INFO, "dataset", "parameter_ranges")),
    "normalizers": remove("normalizers.npz"),
    "class_name": drop((CONFIGS, "model", "class_name")),
    "activation": drop((CONFIGS, "model", "activation")),
    "dropout_rate": drop((CONFIGS, "model", "dropout_rate")),
    "state_dict": remove("weights.safetensors", "model.pt"),
}


@pytest.fixture
def answers(record: Path, mc_dropout: torch.nn.Module) -> dict[str, Any]:
    """The true value of everything that may be asked for."""
    artifact = reionemu.load_artifact(record)
    return {
        "ell": ELL,
        "y_transform": "ln",
        "y_source": "dl_ksz",
        "eps": EPS,
        "param_names": NAMES,
        "bounds": artifact.info["dataset"]["parameter_ranges"],
        "normalizers": artifact.normalizers,
        "class_name": "MCDropoutEmulator",
        "activation": "gelu",
        "dropout_rate": 0.25,
        "state_dict": mc_dropout.state_dict(),
    }


@pytest.mark.parametrize("field", LOST)
def test_the_one_thing_that_is_lost_is_asked_for_and_can_be_given(
    field: str, record: Path, answers: dict, theta: np.ndarray
) -> None:
    expected = reionemu.load_artifact(record).emulator().predict(theta)
    LOST[field](record)
    artifact = reionemu.load_artifact(record)
    with pytest.raises(MissingRecordError, match=rf"{field}=\.\.\.") as caught:
        artifact.emulator()
    assert caught.value.fields == (field,)
    got = artifact.emulator(**{field: answers[field]}).predict(theta)
    np.testing.assert_array_equal(got.mean, expected.mean)
    np.testing.assert_array_equal(got.std, expected.std)
    assert got.quantity == expected.quantity


def test_everything_lost_is_asked_for_until_nothing_is_missing(
    record: Path, answers: dict, theta: np.ndarray
) -> None:
    expected = reionemu.load_artifact(record).emulator().predict(theta).mean
    edit(record, INFO, "dataset")
    edit(record, CONFIGS, "data_loading")
    edit(record, CONFIGS, "model")
    LOST["normalizers"](record)
    LOST["state_dict"](record)
    artifact = reionemu.load_artifact(record)
    given: dict[str, Any] = {}
    for _ in range(len(answers)):
        try:
            emulator = artifact.emulator(**given)
            break
        except MissingRecordError as missing:
            asked = {field: answers[field] for field in missing.fields if field not in given}
            given |= asked
    assert set(given) == set(answers)
    np.testing.assert_array_equal(emulator.predict(theta).mean, expected)


def test_all_that_is_missing_of_the_data_is_named_at_once(
    tmp_path: Path, four_param: torch.nn.Module
) -> None:
    path = reionemu.save_artifact("run", tmp_path, checkpoint=four_param.state_dict())
    with pytest.raises(MissingRecordError) as caught:
        reionemu.load_artifact(path).emulator()
    expected = {"param_names", "y_transform", "y_source", "ell", "bounds", "normalizers"}
    assert set(caught.value.fields) == expected


def test_normalizers_may_be_left_out_only_where_the_loaders_did_not_use_them(
    save: Callable, four_param: torch.nn.Module
) -> None:
    plain = reionemu.DataLoaderConfig(normalize_X=False)
    path = save(four_param, dataloader_config=plain, normalizers={"X": None, "Y": None})
    assert reionemu.load_artifact(path).normalizers == {}
    assert reionemu.load_artifact(path).emulator().predict([8.0, 0.5, 1.0, 0.5]).mean.shape == (5,)
    for config, normalizers in ((None, None), (reionemu.DataLoaderConfig(), None)):
        path = save(four_param, dataloader_config=config, normalizers=normalizers)
        with pytest.raises(MissingRecordError) as caught:
            reionemu.load_artifact(path).emulator()
        assert caught.value.fields == ("normalizers",)


def test_the_build_configuration_stands_in_for_the_dataset(
    tmp_path: Path, save: Callable, four_param: torch.nn.Module, theta: np.ndarray
) -> None:
    expected = reionemu.load_artifact(save(four_param)).emulator().predict(theta)
    build = reionemu.BuildXYConfig(eps=EPS)
    path = save(four_param, "other", dataset_path=None, build_config=build)
    with pytest.raises(MissingRecordError) as caught:
        reionemu.load_artifact(path).emulator()
    assert set(caught.value.fields) == {"ell", "bounds"}
    got = reionemu.load_artifact(path).emulator(ell=ELL, bounds="unbounded").predict(theta)
    np.testing.assert_array_equal(got.mean, expected.mean)


@pytest.mark.parametrize(
    ("file", "keys", "value", "message"),
    [
        (CONFIGS, ("model", "hidden_dim"), 64, "hidden_dim = 64"),
        (CONFIGS, ("model", "num_hidden_layers"), 5, "num_hidden_layers = 5"),
        (CONFIGS, ("model", "input_dim"), 3, "input_dim = 3"),
        (CONFIGS, ("model", "output_dim"), 6, "output_dim = 6"),
        (CONFIGS, ("model", "activation"), "softmax", "activation must be one of"),
        (CONFIGS, ("model", "dropout_rate"), 1.5, "dropout_rate"),
        (CONFIGS, ("model", "class_name"), "FourParamEmulator", "do not belong"),
        (CONFIGS, ("model", "class_name"), "os.system", "not known"),
        (INFO, ("dataset", "ell"), [1.0, 2.0], "2 ell bins"),
        (INFO, ("dataset", "ell"), "abc", "cannot be used"),
        (INFO, ("dataset", "param_names"), ["a", "b", "c"], "cannot be used"),
        (INFO, ("dataset", "param_names"), 5, "cannot be used"),
        (INFO, ("dataset", "y_transform"), "sqrt", "y_transform must be one of"),
        (INFO, ("dataset", "y_source"), "xl_ksz", "did you mean"),
        (INFO, ("dataset", "eps"), "small", "cannot be used"),
        (INFO, ("dataset", "parameter_ranges"), {"kb_zre": 3}, "cannot be used"),
        (INFO, ("training_box",), 3, "cannot be used"),
        (INFO, ("dataset",), "x", "is not a JSON object"),
        (INFO, ("artifacts",), ["x"], "is not a JSON object"),
        (INFO, ("artifacts", "weights"), "../run/weights.safetensors", "not in the artifact"),
        (INFO, ("artifacts", "weights"), "/etc/passwd", "not in the artifact"),
        (INFO, ("artifacts", "normalizers"), "..", "not in the artifact"),
        (CONFIGS, ("model",), "x", "is not a JSON object"),
        (CONFIGS, ("dataset_prep",), [1], "is not a JSON object"),
        (CONFIGS, ("data_loading", "dataloader"), "x", "is not a JSON object"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(
    file: str, keys: tuple[str, ...], value: Any, message: str, record: Path
) -> None:
    edit(record, file, *keys, value=value)
    with pytest.raises(ValueError, match=message) as caught:
        reionemu.load_artifact(record).emulator()
    assert isinstance(caught.value, reionemu.ReionemuError)


def test_normalizers_of_another_width_are_refused(
    save: Callable, four_param: torch.nn.Module
) -> None:
    wrong = {"X": reionemu.Normalizer(np.zeros(3), np.ones(3))}
    with pytest.raises(RecordError, match="do not fit"):
        reionemu.load_artifact(save(four_param, normalizers=wrong)).emulator()


def test_weights_of_another_model_are_refused(
    save: Callable, four_param: torch.nn.Module, mc_dropout: torch.nn.Module
) -> None:
    artifact = reionemu.load_artifact(save(four_param))
    with pytest.raises(RecordError, match="do not belong"):
        artifact.model(state_dict={"a.weight": torch.ones(2, 2)}, **four_param.record())


def test_an_unknown_option_is_refused_with_the_nearest_known(record: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'activation'"):
        reionemu.load_artifact(record).emulator(activaton="relu")


@pytest.mark.parametrize("file", ["normalizers.npz", "weights.safetensors", "model.pt"])
@pytest.mark.parametrize("content", [b"", b"junk" * 9, b"PK\x03\x04" + bytes(60), b"\xff" * 64])
def test_damaged_sidecars_are_refused_by_name(file: str, content: bytes, record: Path) -> None:
    if file == "model.pt":
        (record / "weights.safetensors").unlink()
    (record / file).write_bytes(content)
    with pytest.raises(RecordError, match=file):
        reionemu.load_artifact(record).emulator()


@pytest.mark.parametrize("file", ["normalizers.npz", "weights.safetensors", "model.pt"])
def test_a_sidecar_cut_anywhere_is_refused(file: str, record: Path) -> None:
    whole = (record / file).read_bytes()
    if file == "model.pt":
        (record / "weights.safetensors").unlink()
    for length in np.linspace(0, len(whole) - 1, 25).astype(int):
        (record / file).write_bytes(whole[:length])
        with pytest.raises(RecordError):
            reionemu.load_artifact(record).emulator()


def test_what_is_not_an_artifact_is_refused(tmp_path: Path) -> None:
    reionemu.save_artifact("real", tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("{}")
    with pytest.raises(RecordError, match=r"has no info\.json"):
        reionemu.load_artifact(tmp_path / "folder")
    with pytest.raises(RecordError, match="not a folder"):
        reionemu.load_artifact(tmp_path / "file")
    with pytest.raises(FileNotFoundError, match="there are real"):
        reionemu.load_artifact(tmp_path / "rael")
