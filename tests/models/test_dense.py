"""The forward pass in NumPy against PyTorch, and its dropout draws against theory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reionemu import FourParamEmulator, MCDropoutEmulator
from reionemu.errors import RecordError
from reionemu.models import dense, experimental
from reionemu.models.architecture import ACTIVATIONS, DenseLayer
from reionemu.models.dense import DenseNetwork
from reionemu.models.mc_dropout_emulator import mc_draws
from reionemu.models.registry import dense_layers

POC = [getattr(experimental, name) for name in experimental.__all__]
RATE = 0.3


def weights_of(model) -> dict[str, np.ndarray]:
    """State dict as arrays."""
    return {name: value.numpy() for name, value in model.state_dict().items()}


def numpy_twin(model) -> DenseNetwork:
    """The same network in NumPy, as an artifact would rebuild it."""
    layers = dense_layers(model.record())
    assert layers is not None
    return DenseNetwork(layers, weights_of(model))


def single_layer(weight: float, rate: float = 0.0) -> DenseNetwork:
    """x -> relu(weight x) -> dropout -> itself."""
    layers = [DenseLayer("a", "relu", rate), DenseLayer("b")]
    weights = {"a.weight": [[weight]], "b.weight": [[1.0]], "a.bias": [0.0], "b.bias": [0.0]}
    return DenseNetwork(layers, {k: np.array(v) for k, v in weights.items()})


def assert_same_function(model) -> None:
    """The NumPy twin gives what PyTorch gives, in double and in single precision."""
    width = next(model.parameters()).shape[1]
    x = np.random.default_rng(0).normal(scale=3.0, size=(64, width))
    twin = numpy_twin(model)
    with torch.no_grad():
        single = model.eval()(torch.tensor(x, dtype=torch.float32)).numpy()
        double = model.double()(torch.tensor(x)).numpy()
    got = twin._forward(x, None)
    np.testing.assert_allclose(got, double, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(got, single, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cls", [FourParamEmulator, MCDropoutEmulator])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_forward_pass_of_the_emulators_is_pytorchs(activation, cls, layers):
    torch.manual_seed(1)
    assert_same_function(cls(hidden_dim=9, num_hidden_layers=layers, activation=activation))


@pytest.mark.parametrize("cls", POC, ids=lambda cls: cls.__name__)
def test_forward_pass_of_the_experimental_models_is_pytorchs(cls):
    torch.manual_seed(2)
    assert_same_function(cls())


@pytest.mark.parametrize("activation", ["sigmoid", "silu"])
def test_large_inputs_do_not_overflow(activation):
    layers = [DenseLayer("a", activation), DenseLayer("b")]
    one = np.ones((1, 1))
    network = DenseNetwork(
        layers, {"a.weight": one, "b.weight": one, "a.bias": np.zeros(1), "b.bias": np.zeros(1)}
    )
    got = network.draws(np.array([[-2000.0], [2000.0]]), 2, 0)[0, :, 0]
    assert got.tolist() == [0.0, 1.0 if activation == "sigmoid" else 2000.0]


def test_a_deterministic_network_has_one_draw():
    network = numpy_twin(FourParamEmulator())
    assert not network.stochastic
    assert network.draws(np.zeros((3, 4)), 50, 0).shape == (1, 3, 5)


def test_a_dropout_rate_of_zero_is_deterministic():
    assert not numpy_twin(MCDropoutEmulator(dropout_rate=0.0)).stochastic
    assert numpy_twin(MCDropoutEmulator(dropout_rate=0.1)).stochastic


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_units_are_dropped_at_the_rate_and_scaled_by_its_complement(rate):
    n = 20_000
    draws = single_layer(2.0, rate).draws(np.array([[3.0]]), n, 0)[:, 0, 0]
    assert sorted(set(draws.tolist())) == pytest.approx([0.0, 6.0 / (1 - rate)])
    dropped = (draws == 0).mean()
    assert dropped == pytest.approx(rate, abs=4.5 * np.sqrt(rate * (1 - rate) / n))


def test_moments_are_those_of_theory():
    torch.manual_seed(5)
    model = MCDropoutEmulator(hidden_dim=12, num_hidden_layers=1, dropout_rate=RATE)
    weights = weights_of(model)
    x = np.random.default_rng(1).normal(size=(3, 4))
    hidden = np.maximum(x @ weights["network.0.weight"].T + weights["network.0.bias"], 0)
    mean = hidden @ weights["network.3.weight"].T + weights["network.3.bias"]
    std = np.sqrt(RATE / (1 - RATE) * hidden**2 @ weights["network.3.weight"].T ** 2)
    n = 20_000
    draws = numpy_twin(model).draws(x, n, seed=1)
    assert (abs(draws.mean(axis=0) - mean) < 4.5 * std / np.sqrt(n)).all()
    np.testing.assert_allclose(draws.std(axis=0, ddof=1), std, rtol=0.04)


@pytest.mark.parametrize("cls", [MCDropoutEmulator, experimental.POCEmulatorFourParamsV2])
def test_moments_of_a_deep_network_are_those_of_pytorch(cls):
    torch.manual_seed(6)
    model, n = cls(), 8000
    x = np.random.default_rng(2).normal(size=(2, 4))
    ours = numpy_twin(model).draws(x, n, seed=3)
    theirs = mc_draws(model, torch.tensor(x, dtype=torch.float32), n).double().numpy()
    error = theirs.std(axis=0) * np.sqrt(2 / n)
    assert (abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 4.5 * error).all()
    np.testing.assert_allclose(ours.std(axis=0, ddof=1), theirs.std(axis=0, ddof=1), rtol=0.06)


def test_a_point_does_not_depend_on_what_it_is_asked_with(monkeypatch):
    network = numpy_twin(MCDropoutEmulator())
    x = np.random.default_rng(3).normal(size=(40, 4))
    together = network.draws(x, 11, seed=5)
    for i in (0, 7, 39):
        np.testing.assert_allclose(network.draws(x[i : i + 1], 11, 5)[:, 0], together[:, i])
    monkeypatch.setattr(dense, "_MAX_VALUES", 11 * 20 * 3)  # three points at a time
    np.testing.assert_allclose(network.draws(x, 11, seed=5), together)


def test_the_seed_decides_the_draws():
    x = np.ones((1, 4))
    network = numpy_twin(MCDropoutEmulator(dropout_rate=0.5))
    first = network.draws(x, 20, seed=1)
    other = numpy_twin(MCDropoutEmulator(dropout_rate=0.5))
    other._matrices, other._biases = network._matrices, network._biases
    np.testing.assert_array_equal(first, network.draws(x, 20, seed=1))
    np.testing.assert_array_equal(first, other.draws(x, 20, seed=1))
    assert not np.array_equal(first, network.draws(x, 20, seed=2))


def test_changing_an_answer_does_not_change_the_next():
    network = numpy_twin(MCDropoutEmulator(dropout_rate=0.5))
    first = network.draws(np.ones((1, 4)), 20, seed=1)
    kept = first.copy()
    first[:] = np.nan
    np.testing.assert_array_equal(network.draws(np.ones((1, 4)), 20, seed=1), kept)


@pytest.mark.parametrize("change", ["missing", "extra"])
def test_weights_of_another_model_are_refused(change):
    model = FourParamEmulator()
    weights = weights_of(model)
    if change == "missing":
        del weights["network.4.bias"]
    else:
        weights["network.9.bias"] = np.zeros(1)
    odd = "network.4.bias" if change == "missing" else "network.9.bias"
    with pytest.raises(RecordError, match=f"do not belong to the recorded model: {odd}"):
        DenseNetwork(dense_layers(model.record()), weights)


def test_weights_that_do_not_chain_are_refused():
    layers = [DenseLayer("a", "relu"), DenseLayer("b")]
    weights = {
        "a.weight": np.ones((3, 2)),
        "a.bias": np.ones(3),
        "b.weight": np.ones((1, 4)),
        "b.bias": np.ones(1),
    }
    with pytest.raises(RecordError, match="do not fit together"):
        DenseNetwork(layers, weights)
