"""The PyTorch models: their layers, names, options, and the record in their state dicts."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from torch import nn

from reionemu import FourParamEmulator, MCDropoutEmulator, enable_dropout_only
from reionemu.models.architecture import ACTIVATIONS, RECORD_KEY
from reionemu.models.experimental import (
    POCEmulatorFourParamsV1,
    POCEmulatorFourParamsV2,
    POCEmulatorFourParamsV3,
    POCEmulatorThreeParams,
)

POC = {
    POCEmulatorThreeParams: ((3, 5, 5), nn.functional.gelu),
    POCEmulatorFourParamsV1: ((4, 20, 5), nn.functional.gelu),
    POCEmulatorFourParamsV2: ((4, 20, 20, 20, 5), nn.functional.relu),
    POCEmulatorFourParamsV3: ((4, 20, 20, 5), nn.functional.relu),
}

FUNCTIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: np.array([v * 0.5 * (1 + math.erf(v / 2**0.5)) for v in x]),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shape of each entry of a state dict."""
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def stack_shapes(widths: tuple[int, ...], keys: list[str]) -> dict[str, tuple[int, ...]]:
    """Shapes of linear layers between the given widths, under the given names."""
    found: dict[str, tuple[int, ...]] = {}
    for key, n_in, n_out in zip(keys, widths[:-1], widths[1:], strict=True):
        found |= {f"{key}.weight": (n_out, n_in), f"{key}.bias": (n_out,)}
    return found


def test_four_param_emulator_by_default():
    keys = ["network.0", "network.2", "network.4"]
    assert shapes(FourParamEmulator()) == stack_shapes((4, 20, 20, 5), keys)


def test_four_param_emulator_with_every_option():
    model = FourParamEmulator(3, 7, hidden_dim=11, num_hidden_layers=3, activation="tanh")
    keys = ["network.0", "network.2", "network.4", "network.6"]
    assert shapes(model) == stack_shapes((3, 11, 11, 11, 7), keys)
    assert [type(m) for m in model.network[1::2]] == [nn.Tanh] * 3


def test_mc_dropout_emulator_has_dropout_after_every_hidden_activation():
    model = MCDropoutEmulator(activation="silu", dropout_rate=0.25)
    keys = ["network.0", "network.3", "network.6"]
    assert shapes(model) == stack_shapes((4, 20, 20, 5), keys)
    kinds = [nn.Linear, nn.SiLU, nn.Dropout]
    assert [type(m) for m in model.network] == [*kinds, *kinds, nn.Linear]
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.25, 0.25]


def test_dropout_rate_is_a_tenth_by_default_and_may_be_zero():
    assert MCDropoutEmulator().network[2].p == 0.1
    assert [type(m) for m in MCDropoutEmulator(dropout_rate=0.0).network][2] is nn.Dropout


@pytest.mark.parametrize("cls", POC)
def test_experimental_models(cls):
    widths, function = POC[cls]
    keys = [*[f"fc{i}" for i in range(1, len(widths) - 1)], "out"]
    model = cls().eval()
    assert shapes(model) == stack_shapes(widths, keys)
    x = torch.randn(6, widths[0])
    expected = x
    for key in keys[:-1]:
        expected = function(getattr(model, key)(expected))
    torch.testing.assert_close(model(x), model.out(expected))


def test_the_experimental_model_with_dropout_drops_a_tenth():
    torch.manual_seed(0)
    model = POCEmulatorFourParamsV2().train()
    hidden = []
    model.fc2.register_forward_pre_hook(lambda module, args: hidden.append(args[0]))
    with torch.no_grad():
        model.fc1.weight.zero_()
        model.fc1.bias.fill_(1.0)
        model(torch.zeros(2000, 4))
    values, counts = hidden[0].unique(return_counts=True)
    torch.testing.assert_close(values, torch.tensor([0.0, 1 / 0.9]))
    assert counts[0].item() / 40_000 == pytest.approx(0.1, abs=5 * np.sqrt(0.09 / 40_000))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_the_functions_of_that_name(name):
    module = FourParamEmulator(activation=name).network[1]
    x = np.linspace(-4, 4, 33)
    np.testing.assert_allclose(module(torch.tensor(x)).numpy(), FUNCTIONS[name](x), atol=1e-12)


def test_activation_may_be_written_in_capitals():
    assert FourParamEmulator(activation="GELU").record()["activation"] == "gelu"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "reluu"}, "did you mean 'relu'"),
        ({"activation": None}, "activation must be one of"),
        ({"hidden_dim": 0}, "hidden_dim must be a whole number >= 1"),
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"input_dim": -1}, "input_dim"),
        ({"output_dim": 2.5}, "output_dim"),
        ({"hidden_dim": True}, "hidden_dim"),
    ],
)
@pytest.mark.parametrize("cls", [FourParamEmulator, MCDropoutEmulator])
def test_impossible_options_are_value_errors(cls, options, message):
    with pytest.raises(ValueError, match=message):
        cls(**options)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan"), "much"])
def test_impossible_dropout_rates_are_value_errors(rate):
    with pytest.raises(ValueError, match="dropout_rate"):
        MCDropoutEmulator(dropout_rate=rate)


def test_forward_takes_any_leading_shape():
    model = FourParamEmulator()
    assert model(torch.zeros(4)).shape == (5,)
    assert model(torch.zeros(3, 4)).shape == (3, 5)
    assert model(torch.zeros(2, 3, 4)).shape == (2, 3, 5)


@pytest.mark.parametrize(
    ("model", "record"),
    [
        (
            FourParamEmulator(hidden_dim=8, activation="gelu"),
            {
                "class_name": "FourParamEmulator",
                "input_dim": 4,
                "output_dim": 5,
                "hidden_dim": 8,
                "num_hidden_layers": 2,
                "activation": "gelu",
            },
        ),
        (
            MCDropoutEmulator(num_hidden_layers=1, dropout_rate=0.0),
            {
                "class_name": "MCDropoutEmulator",
                "input_dim": 4,
                "output_dim": 5,
                "hidden_dim": 20,
                "num_hidden_layers": 1,
                "activation": "relu",
                "dropout_rate": 0.0,
            },
        ),
    ],
    ids=["four-param", "mc-dropout"],
)
def test_state_dict_carries_the_record_through_a_file_without_pickle(model, record):
    assert model.record() == record
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    assert state._metadata[""][RECORD_KEY] == record
    assert list(state) == list(dict(model.named_parameters()))
    twin = type(model)(**{k: v for k, v in record.items() if k != "class_name"})
    assert str(twin.load_state_dict(state)) == "<All keys matched successfully>"
    x = torch.randn(3, 4)
    assert torch.equal(twin.eval()(x), model.eval()(x))


def test_the_record_is_found_inside_a_larger_model():
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = FourParamEmulator(hidden_dim=3), nn.Linear(1, 1)

    metadata = Pair().state_dict()._metadata
    assert metadata["first"][RECORD_KEY]["hidden_dim"] == 3
    assert RECORD_KEY not in metadata["second"]


def test_state_dicts_load_into_a_plain_sequential():
    model = MCDropoutEmulator(activation="tanh").eval()
    layers = [nn.Linear(4, 20), nn.Tanh(), nn.Dropout(0.1)]
    layers += [nn.Linear(20, 20), nn.Tanh(), nn.Dropout(0.1), nn.Linear(20, 5)]
    plain = nn.ModuleDict({"network": nn.Sequential(*layers)}).eval()
    plain.load_state_dict(model.state_dict())
    x = torch.randn(7, 4)
    assert torch.equal(plain["network"](x), model(x))


def test_dropout_alone_is_put_into_training_mode():
    model = nn.Sequential(
        nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5), nn.Sequential(nn.Dropout2d(0.5))
    ).eval()
    enable_dropout_only(model)
    assert [m.training for m in model] == [False, False, True, False]
    assert model[3][0].training
