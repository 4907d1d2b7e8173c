"""Saved and loaded, an emulator predicts what the trained module and the closed form say."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import reionemu
from reionemu.errors import OutOfRangeError, RecordError, ReionemuWarning
from reionemu.models import registry
from reionemu.models.architecture import ACTIVATIONS
from reionemu.parameters import PARAMETER_NAMES as NAMES

ELL = [1500.0, 2500.0, 3500.0, 4500.0, 5500.0]  # as in the dataset of conftest
EPS = 1e-3

INVERSE = {
    "ln": lambda y: np.exp(y) - EPS,
    "log10": lambda y: 10.0**y - EPS,
    "none": lambda y: y,
}
TARGETS = list(itertools.product(INVERSE, ("dl_ksz", "cl_ksz"), (True, False), (True, False)))


def closed_form(model: torch.nn.Module, norms: dict, transform: str, theta: np.ndarray):
    """The spectrum that a module in evaluation mode means, in float64 from end to end."""
    x, y = norms["X"], norms["Y"]
    inputs = theta if x is None else (theta - x.mean.astype(float)) / x.std.astype(float)
    with torch.no_grad():
        target = model.double().eval()(torch.from_numpy(inputs)).numpy()
    model.float()
    return INVERSE[transform](target if y is None else target * y.std + y.mean)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", ["FourParamEmulator", "MCDropoutEmulator"])
def test_prediction_is_the_closed_form(
    kind: str, activation: str, tmp_path: Path, theta: np.ndarray, write_dataset: Callable
) -> None:
    torch.manual_seed(3)
    layers = 1 + ACTIVATIONS.index(activation) % 3
    options = {"hidden_dim": 7, "num_hidden_layers": layers, "activation": activation}
    model = getattr(reionemu, kind)(**options)
    targets = TARGETS if kind == "FourParamEmulator" else TARGETS[::5]
    for i, (transform, source, normalize_x, normalize_y) in enumerate(targets):
        path = write_dataset(tmp_path / f"{i}.h5", y_transform=transform, y_source=source)
        loader = reionemu.DataLoaderConfig(normalize_X=normalize_x, normalize_Y=normalize_y)
        _, norms, _ = reionemu.make_dataloaders(path, config=loader)
        artifact = reionemu.load_artifact(
            reionemu.save_artifact(
                f"run{i}",
                tmp_path,
                dataset_path=path,
                dataloader_config=loader,
                normalizers=norms,
                checkpoint=model.state_dict(),
            )
        )
        emulator = artifact.emulator()
        expected = closed_form(model, norms, transform, theta)
        scale = np.abs(expected).max()
        if kind == "FourParamEmulator":
            prediction = emulator.predict(theta)
            assert prediction.std is None
            np.testing.assert_allclose(prediction.mean, expected, rtol=1e-6, atol=1e-9 * scale)
        else:
            draws = emulator.draws(theta, n_draws=50, seed=4)
            prediction = emulator.predict(theta, n_draws=50, seed=4)
            assert draws.shape == (50, 7, 5)
            np.testing.assert_allclose(prediction.mean, draws.mean(axis=0), rtol=1e-12)
            np.testing.assert_allclose(prediction.std, draws.std(axis=0, ddof=1), rtol=1e-9)
            assert prediction.std.max() > 0
        rebuilt = closed_form(artifact.model(), norms, transform, theta)
        np.testing.assert_array_equal(rebuilt, expected)
        assert prediction.quantity == source
        assert (prediction.ell == ELL).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_draws_of_one_unit_take_the_two_values_there_are(
    activation: str, save: Callable, theta: np.ndarray
) -> None:
    torch.manual_seed(5)
    model = reionemu.MCDropoutEmulator(
        hidden_dim=1, num_hidden_layers=1, activation=activation, dropout_rate=0.3
    )
    artifact = reionemu.load_artifact(save(model))
    draws = artifact.emulator().draws(theta, n_draws=4000)
    norm = artifact.normalizers["X"]
    model.double()
    with torch.no_grad():
        x = torch.from_numpy((theta - norm.mean.astype(float)) / norm.std.astype(float))
        unit = model.network[1](model.network[0](x))
        kept = np.exp(model.network[3](unit / (1 - 0.3)).numpy()) - EPS
        dropped = np.exp(model.network[3](0 * unit).numpy()) - EPS
    is_kept = np.isclose(draws, kept, rtol=1e-6, atol=0).all(axis=(1, 2))
    is_dropped = np.isclose(draws, dropped, rtol=1e-6, atol=0).all(axis=(1, 2))
    assert (is_kept | is_dropped).all()
    assert abs(is_dropped.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 4000)


def test_dropout_statistics_are_those_of_the_torch_module(
    save: Callable, mc_dropout: torch.nn.Module, theta: np.ndarray
) -> None:
    artifact = reionemu.load_artifact(save(mc_dropout))
    n = 6000
    ours = artifact.emulator().predict(theta, n_draws=n)
    norm = artifact.normalizers["X"]
    torch.manual_seed(6)
    mean, std, _, _ = reionemu.predict_mc(
        theta, mc_dropout, X_mean=norm.mean, X_std=norm.std, n_mc_samples=n
    )
    assert (abs(ours.mean - (mean - EPS)) < 6 * std * np.sqrt(2 / n)).all()
    np.testing.assert_allclose(ours.std, std, rtol=0.1)


def test_the_model_has_the_original_weights(save: Callable, mc_dropout: torch.nn.Module) -> None:
    model = reionemu.load_artifact(save(mc_dropout)).model()
    assert type(model) is reionemu.MCDropoutEmulator
    assert not model.training
    assert model.record() == mc_dropout.record()
    loaded, original = model.state_dict(), mc_dropout.state_dict()
    assert loaded.keys() == original.keys()
    assert all(torch.equal(loaded[name], original[name]) for name in original)


def test_predicting_needs_no_torch(
    save: Callable, mc_dropout: torch.nn.Module, theta: np.ndarray
) -> None:
    path = save(mc_dropout)
    (path / "model.pt").write_bytes(b"must not be opened")
    code = (
        "import json, sys, reionemu\n"
        "artifact = reionemu.load_artifact(sys.argv[1])\n"
        "answer = artifact.emulator().predict(json.loads(sys.argv[2]))\n"
        "print(json.dumps([answer.mean.tolist(), answer.std.tolist(), sorted(sys.modules)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(path), json.dumps(theta.tolist())],
        capture_output=True,
        text=True,
        check=True,
    )
    mean, std, modules = json.loads(done.stdout)
    assert not {"torch", "h5py", "ray", "matplotlib"} & set(modules)
    here = reionemu.load_artifact(path).emulator().predict(theta)
    np.testing.assert_allclose(mean, here.mean, rtol=1e-12)
    np.testing.assert_allclose(std, here.std, rtol=1e-12)


CHECKPOINTS = {
    "state dict": lambda model: model.state_dict(),
    "module": lambda model: model,
    "model_state_dict": lambda model: {"model_state_dict": model.state_dict(), "epoch": 3},
    "state_dict": lambda model: {"state_dict": model.state_dict(), "optimizer": {}},
    "model": lambda model: {"model": model},
    "float64": lambda model: {k: v.double() for k, v in model.state_dict().items()},
    "not contiguous": lambda model: {
        k: v.t().contiguous().t() if v.ndim == 2 else v for k, v in model.state_dict().items()
    },
}


@pytest.mark.parametrize("form", CHECKPOINTS)
def test_any_form_of_checkpoint_predicts_the_same(
    form: str, save: Callable, four_param: torch.nn.Module, theta: np.ndarray
) -> None:
    expected = reionemu.load_artifact(save(four_param)).emulator().predict(theta).mean
    checkpoint = CHECKPOINTS[form](four_param)
    path = save(four_param, "other", checkpoint=checkpoint, model_config=four_param.record())
    assert {"model.pt", "weights.safetensors"} < {item.name for item in path.iterdir()}
    got = reionemu.load_artifact(path).emulator().predict(theta).mean
    np.testing.assert_array_equal(got, expected)


def test_low_precision_weights_are_kept_exactly(
    save: Callable, four_param: torch.nn.Module
) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        state = {name: value.to(dtype) for name, value in four_param.state_dict().items()}
        path = save(four_param, checkpoint=state, model_config=four_param.record())
        loaded = reionemu.load_artifact(path).model().state_dict()
        assert all(torch.equal(loaded[name], state[name].float()) for name in state)


def test_without_safetensors_the_checkpoint_is_read(
    save: Callable, four_param: torch.nn.Module, theta: np.ndarray
) -> None:
    path = save(four_param)
    expected = reionemu.load_artifact(path).emulator().predict(theta).mean
    (path / "weights.safetensors").unlink()
    got = reionemu.load_artifact(path).emulator().predict(theta).mean
    np.testing.assert_array_equal(got, expected)


class Residual(torch.nn.Module):
    """A class of the user's, with dropout and buffers."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Linear(4, width), torch.nn.Linear(width, 5)
        self.norm = torch.nn.BatchNorm1d(width)
        self.dropout = torch.nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.dropout(torch.relu(self.norm(self.first(x)))))


@pytest.fixture
def residual(monkeypatch: pytest.MonkeyPatch) -> type:
    """The class, registered for the time of one test."""
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    return registry.register_model(Residual)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_registered_class_loads_and_predicts(
    residual: type, dropout: float, save: Callable, theta: np.ndarray
) -> None:
    torch.manual_seed(4)
    model = residual(width=9, dropout=dropout)
    model.train()(torch.randn(32, 4))  # moves the buffers
    record = {"class_name": "Residual", "width": 9, "dropout": dropout}
    artifact = reionemu.load_artifact(save(model, model_config=record))
    expected = closed_form(model, {**artifact.normalizers, "Y": None}, "ln", theta)
    rebuilt = closed_form(artifact.model(), {**artifact.normalizers, "Y": None}, "ln", theta)
    np.testing.assert_array_equal(rebuilt, expected)
    prediction = artifact.emulator().predict(theta, n_draws=20)
    assert (prediction.std is None) == (dropout == 0.0)
    if dropout == 0.0:
        np.testing.assert_allclose(prediction.mean, expected, rtol=1e-5)
    again = artifact.emulator().predict(theta, n_draws=20)
    np.testing.assert_array_equal(again.mean, prediction.mean)


def test_an_unknown_class_is_refused_by_name(save: Callable, four_param: torch.nn.Module) -> None:
    path = save(
        four_param,
        checkpoint=dict(four_param.state_dict()),
        model_config={"class_name": "FourParamEmulater"},
    )
    with pytest.raises(ValueError, match="did you mean 'FourParamEmulator'"):
        reionemu.load_artifact(path).model()


def test_the_box_is_that_of_the_dataset_and_survives_it(
    save: Callable, four_param: torch.nn.Module, dataset: Path, theta: np.ndarray
) -> None:
    path = save(four_param)
    X, _, _ = reionemu.load_training_arrays(dataset)
    expected = reionemu.load_artifact(path).emulator().predict(theta).mean
    dataset.unlink()
    emulator = reionemu.load_artifact(path).emulator()
    np.testing.assert_array_equal(emulator.predict(theta).mean, expected)
    np.testing.assert_allclose(emulator.box.low, X.min(axis=0), rtol=1e-7)
    np.testing.assert_allclose(emulator.box.high, X.max(axis=0), rtol=1e-7)
    outside = dict(zip(NAMES, theta[0], strict=True)) | {"kb_zre": 9.0}
    with pytest.raises(OutOfRangeError, match="kb_zre = 9") as caught:
        emulator.predict(outside)
    assert caught.value.parameter == "kb_zre"
    assert caught.value.value == 9.0
    assert (caught.value.low, caught.value.high) == (emulator.box.low[2], emulator.box.high[2])


def test_a_recorded_training_box_is_used_before_the_ranges_of_the_dataset(
    save: Callable, four_param: torch.nn.Module
) -> None:
    path = save(four_param)
    (path / "provenance.json").unlink()  # which would tell that info.json is edited
    info = reionemu.read_json(path / "info.json")
    box = {name: [0.125 * i, 10.0 + i] for i, name in enumerate(NAMES)}
    (path / "info.json").write_text(json.dumps({**info, "training_box": box}))
    emulator = reionemu.load_artifact(path).emulator()
    assert emulator.box.to_mapping() == box
    given = dict.fromkeys(NAMES, (0.0, 20.0))
    assert reionemu.load_artifact(path).emulator(bounds=given).box.low == (0.0,) * 4
    assert reionemu.load_artifact(path).emulator(bounds="unbounded").box is None


def test_points_single_many_and_by_name_are_one_answer(
    save: Callable, mc_dropout: torch.nn.Module, theta: np.ndarray
) -> None:
    emulator = reionemu.load_artifact(save(mc_dropout)).emulator()
    many = emulator.predict(theta)
    for i, point in enumerate(theta):
        one = emulator.predict(point)
        named = emulator.predict(dict(zip(NAMES, point, strict=True)))
        assert one.mean.shape == one.std.shape == (5,)
        for answer in (one, named):
            np.testing.assert_allclose(answer.mean, many.mean[i], rtol=1e-12)
            np.testing.assert_allclose(answer.std, many.std[i], rtol=1e-10)


@pytest.mark.parametrize("file", ["weights.safetensors", "normalizers.npz"])
def test_nothing_is_computed_from_files_that_changed(
    file: str, save: Callable, mc_dropout: torch.nn.Module
) -> None:
    path = save(mc_dropout)
    content = bytearray((path / file).read_bytes())
    content[-40] ^= 1
    (path / file).write_bytes(content)
    try:
        artifact = reionemu.load_artifact(path)
    except RecordError:  # so damaged that it is not read at all
        return
    for compute in (artifact.emulator, artifact.model):
        with pytest.raises(RecordError, match=rf"{file} changed after the record was saved"):
            compute()


def test_a_document_that_was_edited_is_told_of(save: Callable, mc_dropout: torch.nn.Module) -> None:
    path = save(mc_dropout)
    info = (path / "info.json").read_text()
    (path / "info.json").write_text(info.replace("1500.0", "9500.0"))
    with pytest.warns(ReionemuWarning, match=r"info\.json changed after the record was saved"):
        reionemu.load_artifact(path).emulator()
