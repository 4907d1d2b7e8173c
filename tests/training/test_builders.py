"""Models, optimizers and devices from plain values."""

from __future__ import annotations

import pytest
import torch

from reionemu import build_four_param_model, build_mc_dropout_model, build_optimizer
from reionemu.devices import resolve_device
from reionemu.errors import ConfigError
from reionemu.tuning import four_param

STACK = {"hidden_dim": 16, "num_hidden_layers": 3, "activation": "gelu"}
SHARED = {"input_dim": 4, "output_dim": 5, **STACK}


def test_four_param_model():
    model = build_four_param_model(STACK)
    assert model.record() == {"class_name": "FourParamEmulator", **SHARED}


def test_mc_dropout_model():
    model = build_mc_dropout_model(STACK)
    assert model.record() == {"class_name": "MCDropoutEmulator", **SHARED, "dropout_rate": 0.1}
    assert build_mc_dropout_model({**STACK, "dropout_rate": 0.4}).network[2].p == 0.4


@pytest.mark.parametrize("build", [build_four_param_model, build_mc_dropout_model])
def test_dimensions_may_be_given_and_what_is_not_for_models_is_ignored(build):
    model = build({**STACK, "input_dim": 3, "output_dim": 7, "lr": 1e-3, "batch_size": 32})
    assert model(torch.zeros(2, 3)).shape == (2, 7)


@pytest.mark.parametrize("key", STACK)
@pytest.mark.parametrize("build", [build_four_param_model, build_mc_dropout_model])
def test_a_missing_key_is_named(build, key):
    config = {name: value for name, value in STACK.items() if name != key}
    with pytest.raises(ConfigError, match=f"lacks '{key}'"):
        build(config)


def test_an_impossible_value_is_refused():
    with pytest.raises(ValueError, match="hidden_dim"):
        build_four_param_model({**STACK, "hidden_dim": 0})


@pytest.mark.parametrize(
    ("config", "cls", "decay"),
    [
        ({"lr": 0.01}, torch.optim.AdamW, 0.0),
        ({"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.2}, torch.optim.AdamW, 0.2),
        ({"optimizer": "adam", "lr": 0.01, "weight_decay": 0.1}, torch.optim.Adam, 0.1),
    ],
)
def test_optimizers(config, cls, decay):
    model = build_four_param_model(STACK)
    optimizer = build_optimizer(model, config)
    (group,) = optimizer.param_groups
    assert type(optimizer) is cls
    assert (group["lr"], group["weight_decay"]) == (0.01, decay)
    assert group["params"] == list(model.parameters())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"optimizer": "adamm", "lr": 1e-3}, "adam, adamw; got 'adamm'"),
        ({"optimizer": None, "lr": 1e-3}, "must be one of"),
        ({"optimizer": "adam"}, "lacks 'lr'; it has optimizer"),
        ({}, "lacks 'lr'; it has nothing"),
    ],
)
def test_impossible_optimizers(config, message):
    with pytest.raises(ValueError, match=message):
        build_optimizer(build_four_param_model(STACK), config)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_is_the_best_device_there_is(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device("auto") == torch.device(expected)
    assert resolve_device() == torch.device(expected)


@pytest.mark.parametrize("name", ["cpu", "cuda:1", "mps"])
def test_a_device_by_name_or_itself(name):
    assert resolve_device(name) == torch.device(name)
    assert resolve_device(torch.device(name)) == torch.device(name)


@pytest.mark.parametrize("name", ["gpu", "", None, "cuda:x"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(ConfigError, match="is not a device"):
        resolve_device(name)


def test_tuning_shares_the_rule():
    assert four_param.resolve_device is resolve_device
