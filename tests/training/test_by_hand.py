"""Gradients by hand: the steps of a plain PyTorch loop, bit for bit, or left to autograd."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from reionemu import FitConfig, FourParamEmulator, MCDropoutEmulator, fit

EPOCHS = 4
BATCHES = 5

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def loaders():
    """Shuffled batches of 8 rows, the last of 5; and a validation batch."""
    data = TensorDataset(torch.randn(37, 4), torch.randn(37, 5))
    return DataLoader(data, batch_size=8, shuffle=True), [data[:5]]


@pytest.fixture
def backwards(monkeypatch):
    """The calls of `Tensor.backward`, as a list that grows."""
    calls = []
    plain = torch.Tensor.backward

    def counted(self, *args, **kwargs):
        calls.append(self)
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "backward", counted)
    return calls


def plain_loop(model, train, loss_fn):
    """The loop that PyTorch's tutorials teach."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    torch.manual_seed(3)
    for _ in range(EPOCHS):
        model.train()
        for x, y in train:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()


def assert_like_a_plain_loop(model, loaders, loss_fn=None, config=None):
    """`fit` and the plain loop come to the same weights."""
    loss_fn = loss_fn or nn.MSELoss()
    other = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    fit(model, *loaders, optimizer, loss_fn, config or FitConfig(epochs=EPOCHS, seed=3))
    plain_loop(other, loaders[0], loss_fn)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("rate", [None, 0.0, 0.1, 0.37])
@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "tanh", "sigmoid"])
def test_weights_are_those_of_a_plain_loop(activation, rate, loaders, backwards):
    if rate is None:
        model = FourParamEmulator(activation=activation)
    else:
        model = MCDropoutEmulator(activation=activation, dropout_rate=rate)
    assert_like_a_plain_loop(model, loaders)
    # Only the first epoch shows which parameters have gradients; the plain loop has them all.
    assert len(backwards) == BATCHES + EPOCHS * BATCHES


@pytest.mark.parametrize("width", [1, 7, 33])
@pytest.mark.parametrize("layers", [1, 4])
def test_networks_of_any_size(layers, width, loaders, backwards):
    model = MCDropoutEmulator(num_hidden_layers=layers, hidden_dim=width)
    assert_like_a_plain_loop(model, loaders)
    assert len(backwards) == BATCHES + EPOCHS * BATCHES


def test_the_function_is_known_like_the_module(loaders, backwards):
    assert_like_a_plain_loop(MCDropoutEmulator(), loaders, nn.functional.mse_loss)
    assert len(backwards) == BATCHES + EPOCHS * BATCHES


def test_networks_in_double_precision(loaders, backwards):
    train, val = ([(x.double(), y.double()) for x, y in batches] for batches in loaders)
    assert_like_a_plain_loop(FourParamEmulator().double(), (train, val))
    assert len(backwards) == BATCHES + EPOCHS * BATCHES


def test_losses_in_the_history_are_those_of_autograd(loaders):
    histories = []
    for loss_fn in (nn.MSELoss(), lambda a, b: nn.functional.mse_loss(a, b)):
        torch.manual_seed(4)
        model = MCDropoutEmulator()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        histories.append(fit(model, *loaders, optimizer, loss_fn, FitConfig(EPOCHS, seed=3)))
    assert histories[0] == histories[1]


class Doubled(MCDropoutEmulator):
    """Has a forward pass of its own."""

    def forward(self, x):
        return 2 * super().forward(x)


class Shifted(nn.Linear):
    """A linear layer that is not one."""

    def forward(self, x):
        return super().forward(x) + 1


def own_forward():
    return Doubled()


def own_layer():
    model = MCDropoutEmulator()
    model.network[3] = Shifted(20, 20)
    return model


def patched_layer():
    model = MCDropoutEmulator()
    layer = model.network[3]
    layer.forward = lambda x: nn.functional.linear(x, layer.weight) - layer.bias
    return model


def other_activation():
    model = MCDropoutEmulator()
    model.network[1] = nn.ELU()
    return model


def activation_with_options():
    model = MCDropoutEmulator(activation="gelu")
    model.network[1] = nn.GELU(approximate="tanh")
    return model


def without_bias():
    model = MCDropoutEmulator()
    model.network[3] = nn.Linear(20, 20, bias=False)
    return model


def layer_used_twice():
    model = FourParamEmulator(num_hidden_layers=3, hidden_dim=9)
    model.network[4] = model.network[2]
    return model


def frozen_layer():
    model = MCDropoutEmulator()
    model.network[3].requires_grad_(False)
    return model


def everything_dropped():
    model = MCDropoutEmulator()
    model.network[2].p = 1.0
    return model


def hooked_layer():
    model = MCDropoutEmulator()
    model.network[3].register_forward_hook(Triple())
    return model


def hooked_parameter():
    model = MCDropoutEmulator()
    for p in model.parameters():
        p.register_hook(torch.sign)
    return model


class Triple:
    """A forward hook that can be copied."""

    def __call__(self, module, inputs, output):
        return 3 * output


@pytest.mark.parametrize(
    "make",
    [
        own_forward,
        own_layer,
        other_activation,
        activation_with_options,
        without_bias,
        layer_used_twice,
        frozen_layer,
        everything_dropped,
        hooked_layer,
    ],
)
def test_other_models_go_through_autograd(make, loaders, backwards):
    assert_like_a_plain_loop(make(), loaders)
    assert len(backwards) == 2 * EPOCHS * BATCHES


@pytest.mark.parametrize("make", [patched_layer, hooked_parameter])
def test_models_that_cannot_be_copied_go_through_autograd(make, loaders, backwards):
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    fit(model, *loaders, optimizer, nn.MSELoss(), FitConfig(EPOCHS, seed=3))
    assert len(backwards) == EPOCHS * BATCHES


def test_a_hook_on_all_modules_is_called(loaders):
    seen = []
    model = MCDropoutEmulator()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    hook = nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(module))
    try:
        fit(model, *loaders, optimizer, nn.MSELoss(), FitConfig(EPOCHS, seed=3))
    finally:
        hook.remove()
    assert seen.count(model) == EPOCHS * (BATCHES + 1)


@pytest.mark.parametrize(
    "loss_fn",
    [
        nn.L1Loss(),
        nn.MSELoss(reduction="sum"),
        type("Own", (nn.MSELoss,), {})(),
        lambda a, b: nn.functional.mse_loss(a, b),
    ],
)
def test_other_losses_go_through_autograd(loss_fn, loaders, backwards):
    assert_like_a_plain_loop(MCDropoutEmulator(), loaders, loss_fn)
    assert len(backwards) == 2 * EPOCHS * BATCHES


def test_a_layer_that_is_not_trained_by_the_optimizer(loaders, backwards):
    model = FourParamEmulator()
    optimizer = torch.optim.AdamW(model.network[:4].parameters(), lr=1e-2)
    before = model.network[4].weight.clone()
    fit(model, *loaders, optimizer, nn.MSELoss(), FitConfig(EPOCHS, seed=3))
    assert torch.equal(model.network[4].weight, before)
    assert len(backwards) == EPOCHS * BATCHES


def test_batches_of_other_shapes_are_left_to_pytorch(loaders, backwards):
    train = [*loaders[0], (torch.randn(2, 3, 4), torch.randn(2, 3, 5))]
    assert_like_a_plain_loop(MCDropoutEmulator(), (train, loaders[1]))
    assert len(backwards) == BATCHES + 1 + (EPOCHS - 1) + EPOCHS * (BATCHES + 1)


def test_targets_that_do_not_fit_are_an_error_as_ever(loaders):
    model = MCDropoutEmulator()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    fit(model, *loaders, optimizer, nn.MSELoss(), FitConfig(1))
    late = [*loaders[0], (torch.randn(8, 4), torch.randn(8, 5).double()[:, :4])]
    with pytest.raises(UserWarning, match="target size"):
        fit(model, late, loaders[1], optimizer, nn.MSELoss(), FitConfig(2))
