"""The flattened optimizer: the steps of a plain PyTorch loop, bit for bit, and nothing left of it.

The reference is a loop with zero_grad, backward and step, written out here.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from reionemu import FitConfig, FourParamEmulator, MCDropoutEmulator, fit, train_one_epoch
from reionemu.training.flat import flattened, small_model_settings

OPTIMIZERS = {
    "adam": lambda params: torch.optim.Adam(params, lr=1e-2),
    "adam with decay": lambda params: torch.optim.Adam(params, lr=1e-2, weight_decay=0.1),
    "amsgrad": lambda params: torch.optim.Adam(params, lr=1e-2, amsgrad=True),
    "adamw": lambda params: torch.optim.AdamW(params, lr=1e-2),
    "sgd": lambda params: torch.optim.SGD(params, lr=1e-2),
    "momentum": lambda params: torch.optim.SGD(params, lr=1e-2, momentum=0.9),
    "nesterov": lambda params: torch.optim.SGD(params, lr=1e-2, momentum=0.9, nesterov=True),
    "rmsprop": lambda params: torch.optim.RMSprop(params, lr=1e-2),
}


def plain_epochs(model, batches, optimizer, epochs, clipping=None):
    """The loop that PyTorch's tutorials teach."""
    for _ in range(epochs):
        model.train()
        for x, y in batches:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            if clipping is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clipping)
            optimizer.step()


def twins(model, make_optimizer):
    """Two copies of a model, each with an optimizer of its own."""
    models = [copy.deepcopy(model) for _ in range(2)]
    return [(twin, make_optimizer(twin.parameters())) for twin in models]


def run_fit(model, optimizer, train, val, *, epochs=3, seed=None, clipping=None):
    """`fit` with the mean squared error."""
    config = FitConfig(epochs=epochs, seed=seed, gradient_clipping=clipping)
    return fit(model, train, val, optimizer, nn.MSELoss(), config)


def assert_same_training(one, other):
    """Weights and the states of the optimizers are equal in every bit."""
    (model, optimizer), (other_model, other_optimizer) = one, other
    for p, q in zip(model.parameters(), other_model.parameters(), strict=True):
        assert torch.equal(p, q)
        state, other_state = optimizer.state.get(p, {}), other_optimizer.state.get(q, {})
        assert set(state) == set(other_state)
        for name, value in state.items():
            expected = other_state[name]
            if isinstance(expected, torch.Tensor):
                assert value.dtype == expected.dtype
                assert torch.equal(value, expected)
            else:
                assert value == expected
    assert len(optimizer.state) == len(other_optimizer.state)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("clipping", [None, 0.05])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_and_states_are_those_of_a_plain_loop(name, clipping, train_batches, val_batches):
    torch.manual_seed(0)
    ours, plain = twins(FourParamEmulator(activation="gelu"), OPTIMIZERS[name])
    run_fit(*ours, train_batches, val_batches, clipping=clipping)
    plain_epochs(plain[0], train_batches, plain[1], 3, clipping)
    assert_same_training(ours, plain)


@pytest.mark.usefixtures("one_thread")
def test_clipping_makes_a_difference(train_batches, val_batches):
    ours, plain = twins(FourParamEmulator(), OPTIMIZERS["sgd"])
    run_fit(*ours, train_batches, val_batches, clipping=0.05)
    plain_epochs(plain[0], train_batches, plain[1], 3)
    assert not torch.equal(next(ours[0].parameters()), next(plain[0].parameters()))


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_can_go_on_either_way(name, train_batches, val_batches):
    ours, plain = twins(FourParamEmulator(), OPTIMIZERS[name])
    run_fit(*ours, train_batches, val_batches)
    plain_epochs(ours[0], train_batches, ours[1], 2)
    run_fit(*ours, train_batches, val_batches)
    plain_epochs(plain[0], train_batches, plain[1], 8)
    assert_same_training(ours, plain)


@pytest.mark.usefixtures("one_thread")
def test_dropout_and_shuffling_draw_the_numbers_of_a_plain_loop():
    data = TensorDataset(torch.randn(37, 4), torch.randn(37, 5))
    ours, plain = twins(MCDropoutEmulator(dropout_rate=0.3), OPTIMIZERS["adamw"])
    train, val = DataLoader(data, batch_size=8, shuffle=True), [data[:5]]
    run_fit(*ours, train, val, seed=11)
    torch.manual_seed(11)
    plain_epochs(plain[0], train, plain[1], 3)
    assert_same_training(ours, plain)


class Scaled(nn.Module):
    """Begins with a parameter of no dimension, and with one of a single element."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.shift = nn.Parameter(torch.tensor([0.3]))
        self.linear = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * self.linear(x + self.shift)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parameters_of_any_shape(name, train_batches, val_batches):
    ours, plain = twins(Scaled(), OPTIMIZERS[name])
    run_fit(*ours, train_batches, val_batches)
    run_fit(*ours, train_batches, val_batches)
    plain_epochs(plain[0], train_batches, plain[1], 6)
    assert_same_training(ours, plain)


@pytest.mark.usefixtures("one_thread")
def test_frozen_parameters_stay_and_gradients_pass_through_them(train_batches, val_batches):
    model = FourParamEmulator()
    model.network[2].requires_grad_(False)
    ours, plain = twins(model, OPTIMIZERS["adamw"])
    run_fit(*ours, train_batches, val_batches)
    plain_epochs(plain[0], train_batches, plain[1], 3)
    assert_same_training(ours, plain)
    assert torch.equal(ours[0].network[2].weight, model.network[2].weight)
    assert not torch.equal(ours[0].network[0].weight, model.network[0].weight)


@pytest.mark.usefixtures("one_thread")
def test_groups_keep_their_own_options(train_batches, val_batches):
    def two_groups(params):
        first, *rest = list(params)
        return torch.optim.AdamW(
            [{"params": [first], "lr": 0.1}, {"params": rest, "weight_decay": 0.5}], lr=1e-3
        )

    ours, plain = twins(FourParamEmulator(), two_groups)
    run_fit(*ours, train_batches, val_batches)
    plain_epochs(plain[0], train_batches, plain[1], 3)
    assert_same_training(ours, plain)
    assert [len(group["params"]) for group in ours[1].param_groups] == [1, 5]


@pytest.mark.usefixtures("one_thread")
def test_a_parameter_added_later_keeps_its_own_count_of_steps(train_batches, val_batches):
    def begun(params):
        first, *rest = list(params)
        optimizer = torch.optim.Adam([first], lr=1e-2)
        first.grad = torch.ones_like(first)
        optimizer.step()
        optimizer.param_groups[0]["params"] += rest
        return optimizer

    ours, plain = twins(FourParamEmulator(), begun)
    run_fit(*ours, train_batches, val_batches)
    plain_epochs(plain[0], train_batches, plain[1], 3)
    assert_same_training(ours, plain)


def test_weights_are_ordinary_again_afterwards(train_batches, val_batches):
    model = FourParamEmulator()
    optimizer = OPTIMIZERS["adam"](model.parameters())
    identities = [id(p) for p in model.parameters()]
    run_fit(model, optimizer, train_batches, val_batches)
    params = list(model.parameters())
    assert [id(p) for p in params] == identities
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == identities
    assert set(optimizer.state) == set(params)
    tensors = [t for p in params for t in (p.data, p.grad, optimizer.state[p]["exp_avg"])]
    assert len({t.untyped_storage().data_ptr() for t in tensors}) == len(tensors)
    for tensor in tensors:
        assert tensor.untyped_storage().nbytes() == tensor.numel() * 4
        assert tensor.is_contiguous()
    steps = [optimizer.state[p]["step"] for p in params]
    assert [step.item() for step in steps] == [9.0] * len(params)
    assert len({step.data_ptr() for step in steps}) == len(steps)


def test_within_the_block_there_is_one_tensor_and_afterwards_not():
    model = FourParamEmulator()
    optimizer = OPTIMIZERS["adamw"](model.parameters())
    model(torch.ones(1, 4)).sum().backward()
    with flattened(optimizer):
        (flat,) = optimizer.param_groups[0]["params"]
        assert flat.numel() == sum(p.numel() for p in model.parameters())
    assert optimizer.param_groups[0]["params"] == list(model.parameters())


@pytest.mark.usefixtures("one_thread")
def test_a_parameter_the_loss_does_not_need_is_left_alone(train_batches, val_batches):
    model = FourParamEmulator()
    model.idle = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
    fit(model, train_batches, val_batches, optimizer, torch.nn.MSELoss(), FitConfig(epochs=3))
    assert torch.equal(model.idle, torch.ones(3))
    assert model.idle.grad is None
    assert model.idle not in optimizer.state


@pytest.mark.parametrize("name", ["rmsprop"])
def test_an_optimizer_that_is_not_known_is_left_alone(name):
    model = FourParamEmulator()
    optimizer = OPTIMIZERS[name](model.parameters())
    with flattened(optimizer):
        assert len(optimizer.param_groups[0]["params"]) == 6


@pytest.mark.usefixtures("one_thread")
def test_an_error_inside_puts_everything_back(train_batches, val_batches):
    model = FourParamEmulator()
    optimizer = OPTIMIZERS["adamw"](model.parameters())
    calls = []

    def failing(pred, target):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("stop")
        return nn.functional.mse_loss(pred, target)

    plain, plain_optimizer = twins(model, OPTIMIZERS["adamw"])[0]
    with pytest.raises(RuntimeError, match="stop"):
        fit(model, train_batches, val_batches, optimizer, failing, FitConfig(epochs=2))
    plain_epochs(plain, train_batches[:2], plain_optimizer, 1)
    assert_same_training((model, optimizer), (plain, plain_optimizer))


def observed_threads(model, batches) -> tuple[set[int], int]:
    """PyTorch's threads while `fit` ran, and after it."""
    seen = set()

    def loss(pred, target):
        seen.add(torch.get_num_threads())
        return nn.functional.mse_loss(pred, target)

    fit(model, batches, batches, OPTIMIZERS["sgd"](model.parameters()), loss, FitConfig(epochs=1))
    return seen, torch.get_num_threads()


@pytest.mark.usefixtures("two_threads")
def test_a_small_model_is_trained_on_one_thread_and_a_large_one_on_all(train_batches):
    assert observed_threads(FourParamEmulator(), train_batches) == ({1}, 2)
    assert observed_threads(FourParamEmulator(hidden_dim=200), train_batches) == ({2}, 2)


@pytest.mark.usefixtures("two_threads")
def test_threads_come_back_after_an_error():
    model = FourParamEmulator()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    with pytest.raises(RuntimeError), small_model_settings(model, optimizer):
        model(torch.zeros(1, 3))
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("one_thread")
def test_a_callback_sees_an_ordinary_optimizer(train_batches, val_batches):
    ours, plain = twins(FourParamEmulator(), OPTIMIZERS["adamw"])
    model, optimizer = ours
    seen = []

    def look(epoch, values):
        seen.append(len(optimizer.param_groups[0]["params"]))
        optimizer.param_groups[0]["lr"] *= 0.5

    config = FitConfig(epochs=3)
    fit(model, train_batches, val_batches, optimizer, nn.MSELoss(), config, on_epoch=look)
    for _ in range(3):
        plain_epochs(plain[0], train_batches, plain[1], 1)
        plain[1].param_groups[0]["lr"] *= 0.5
    assert seen == [6, 6, 6]
    assert_same_training(ours, plain)


@pytest.mark.usefixtures("one_thread")
def test_one_epoch_alone_is_the_plain_loop_too(train_batches):
    ours, plain = twins(FourParamEmulator(), OPTIMIZERS["momentum"])
    for _ in range(2):
        train_one_epoch(ours[0], train_batches, ours[1], nn.MSELoss(), "cpu")
    plain_epochs(plain[0], train_batches, plain[1], 2)
    assert_same_training(ours, plain)


@pytest.mark.usefixtures("one_thread")
def test_gradients_left_over_from_before_do_not_count(train_batches, val_batches):
    ours, plain = twins(FourParamEmulator(), OPTIMIZERS["adam"])
    ours[0](torch.ones(2, 4)).sum().backward()
    run_fit(*ours, train_batches, val_batches)
    plain_epochs(plain[0], train_batches, plain[1], 3)
    assert_same_training(ours, plain)
