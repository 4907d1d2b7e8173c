"""Model classes that records may name: built, completed, contradicted, and added."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from reionemu import Emulator, FourParamEmulator, MCDropoutEmulator, Normalizer
from reionemu.errors import ConfigError, MissingRecordError, RecordError
from reionemu.models import experimental, register_model, registry
from reionemu.models.registry import build_model, complete_options, dense_layers, model_kind
from reionemu.models.spectrum import NetworkSpectrum
from reionemu.models.torch_network import TorchNetwork
from reionemu.targets import Target

MODELS = [
    FourParamEmulator(3, 6, 7, 4, "silu"),
    MCDropoutEmulator(4, 5, 8, 1, "gelu", 0.4),
    MCDropoutEmulator(dropout_rate=0.0),
    *(getattr(experimental, name)() for name in experimental.__all__),
]


def shapes_of(model) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights by name."""
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


@pytest.fixture
def own_registry(monkeypatch):
    """A registry that forgets what a test adds."""
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_model_is_built_again_from_its_record(model):
    record = complete_options(model.record(), shapes_of(model))
    assert record == model.record()
    twin = build_model(record)
    assert type(twin) is type(model)
    twin.load_state_dict(model.state_dict())
    x = torch.randn(3, next(model.parameters()).shape[1])
    assert torch.equal(twin.eval()(x), model.eval()(x))


@pytest.mark.parametrize("model", MODELS[:3], ids=lambda model: type(model).__name__)
def test_dimensions_are_taken_from_the_weights(model):
    known = {"class_name", "activation", "dropout_rate"}
    record = {key: value for key, value in model.record().items() if key in known}
    assert complete_options(record, shapes_of(model)) == model.record()


@pytest.mark.parametrize(
    ("model", "record", "fields"),
    [
        (FourParamEmulator(), {}, ("class_name",)),
        (FourParamEmulator(), {"class_name": None, "activation": "relu"}, ("class_name",)),
        (FourParamEmulator(), {"class_name": "FourParamEmulator"}, ("activation",)),
        (
            FourParamEmulator(),
            {"class_name": "FourParamEmulator", "activation": None},
            ("activation",),
        ),
        (
            MCDropoutEmulator(),
            {"class_name": "MCDropoutEmulator", "activation": "relu"},
            ("dropout_rate",),
        ),
    ],
)
def test_what_weights_cannot_tell_is_asked_for_by_name(model, record, fields):
    with pytest.raises(MissingRecordError) as caught:
        complete_options(record, shapes_of(model))
    assert caught.value.fields == fields
    assert all(f"pass {field}=" in str(caught.value) for field in fields)


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_dim", 21), ("input_dim", 3), ("output_dim", 6), ("num_hidden_layers", 3)],
)
def test_a_record_that_contradicts_the_weights_is_refused(key, value):
    model = FourParamEmulator()
    with pytest.raises(RecordError, match=rf"{key} = {value} but .* {key} = "):
        complete_options({**model.record(), key: value}, shapes_of(model))


def test_a_record_may_say_more_than_the_class_needs():
    model = FourParamEmulator()
    record = {**model.record(), "author": "me", "dropout_rate": 0.1}
    assert complete_options(record, shapes_of(model)) == model.record()


def test_an_impossible_activation_in_a_record_is_refused():
    model = FourParamEmulator()
    with pytest.raises(ConfigError, match="activation must be one of"):
        complete_options({**model.record(), "activation": "mish"}, shapes_of(model))


def test_an_unknown_class_is_refused_with_the_nearest():
    with pytest.raises(RecordError, match=r"did you mean 'MCDropoutEmulator'.*register_model"):
        model_kind("McDropoutEmulator")
    with pytest.raises(RecordError, match=r"'os\.system' is not known"):
        complete_options({"class_name": "os.system"}, {})


class Doubler(nn.Module):
    """A user's class: one linear layer, dropout, and a doubling."""

    def __init__(self, width: int = 2, rate: float = 0.0) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(4, width), nn.Dropout(rate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * self.dropout(self.linear(x))


@pytest.mark.usefixtures("own_registry")
def test_a_registered_class_is_built_with_the_recorded_options():
    assert register_model(Doubler) is Doubler
    record = complete_options({"class_name": "Doubler", "width": 3, "rate": 0.5}, {})
    model = build_model(record)
    assert isinstance(model, Doubler)
    assert model.linear.out_features == 3
    assert model.dropout.p == 0.5
    assert dense_layers(record) is None


@pytest.mark.usefixtures("own_registry")
def test_a_registered_class_predicts_through_pytorch():
    register_model(Doubler, name="mine")
    model = build_model({"class_name": "mine"})
    norm = Normalizer(np.full(4, 0.5), np.full(4, 2.0))
    emulator = Emulator(
        NetworkSpectrum(TorchNetwork(model), Target("dl_ksz", "log10", 0.0), norm, None),
        ell=np.array([1.0, 2.0]),
        parameter_names=("a", "b", "c", "d"),
        box=None,
    )
    theta = np.array([0.3, 0.1, 0.2, 0.4])
    weight, bias = (p.detach().double().numpy() for p in model.linear.parameters())
    expected = 10 ** (2 * (weight @ ((theta - 0.5) / 2) + bias))
    np.testing.assert_allclose(emulator.predict(theta).mean, expected, rtol=1e-5)
    assert emulator.predict(theta).std is None


@pytest.mark.usefixtures("own_registry")
def test_a_name_belongs_to_one_class():
    register_model(Doubler)
    register_model(Doubler)
    with pytest.raises(ConfigError, match="'Doubler' is registered already"):
        register_model(type("Doubler", (nn.Module,), {}))
    with pytest.raises(ConfigError, match="'FourParamEmulator' is registered already"):
        register_model(Doubler, name="FourParamEmulator")


def test_tests_leave_the_registry_as_it_was():
    with pytest.raises(RecordError, match="'Doubler' is not known"):
        model_kind("Doubler")
