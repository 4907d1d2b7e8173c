"""Emulators as PyTorch modules: the same numbers, and derivatives that are theirs."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from reionemu import Emulator, MCDropoutEmulator, Normalizer, OutOfRangeError
from reionemu.errors import ConfigError, ReionemuWarning
from reionemu.models.architecture import DenseLayer
from reionemu.models.as_torch import as_module
from reionemu.models.calibration import Calibration
from reionemu.models.dense import DenseNetwork
from reionemu.models.ensemble.model import NetworkEnsemble
from reionemu.models.ensemble.uncertainty import Uncertainty
from reionemu.models.gaussian_process.fit import condition
from reionemu.models.gaussian_process.kernel import Hyperparameters
from reionemu.models.inputs import Inputs
from reionemu.models.spectrum import NetworkSpectrum, SurrogateSpectrum
from reionemu.models.torch_network import TorchNetwork
from reionemu.parameters import PARAMETER_NAMES, ParameterBox
from reionemu.targets import Target

LOW, HIGH = np.array([6.0, 0.1, 0.1, 0.4]), np.array([10.0, 0.9, 2.0, 0.8])
BOX = ParameterBox(PARAMETER_NAMES, tuple(LOW), tuple(HIGH))
ELL = np.array([1500.0, 3000.0, 4500.0])
TRAINED_AT = np.random.default_rng(11).uniform(LOW, HIGH, (30, 4))
THETA = np.random.default_rng(12).uniform(LOW, HIGH, (7, 4))
CALIBRATION = Calibration(np.array([1.2, 0.9, 1.0]), np.zeros(3), np.eye(3), 30)


def process(coordinates):
    """A Gaussian process of three outputs, not optimized."""
    inputs = Inputs.over(TRAINED_AT, PARAMETER_NAMES, coordinates)
    y = np.sin(TRAINED_AT @ np.random.default_rng(1).uniform(-0.3, 0.3, (4, 3)))
    hyper = Hyperparameters(
        np.full(4, 2.0), np.full(4, 0.8), 0.3, 0.05, np.array([0.2, -0.3, 0.1, 0.4])
    )
    return condition(TRAINED_AT, y, inputs, hyper)[0]


def ensemble(activation):
    """Two networks of random weights."""
    rng = np.random.default_rng(2)
    layers = [rng.normal(0, 0.5, (2, n + 1, m)) for n, m in pairwise([4, 6, 5, 3])]
    arrays = {field.name: np.full(3, 0.1) for field in fields(Uncertainty)}
    uncertainty = Uncertainty(**{**arrays, "noise_slope": np.array([0.1, -0.2, 0.3, 0.1])})
    inputs = Inputs.over(TRAINED_AT, PARAMETER_NAMES)
    mean, scale = np.array([0.1, 0.2, -0.3]), np.array([0.5, 0.4, 0.6])
    return NetworkEnsemble(inputs, activation, tuple(layers), mean, scale, uncertainty)


def network(dropout=0.0):
    """A dense network of random weights, and its normalizers."""
    layers = [DenseLayer("a", "gelu", dropout), DenseLayer("b", "silu", dropout), DenseLayer("c")]
    weights, rng = {}, np.random.default_rng(3)
    for layer, (n, m) in zip(layers, pairwise([4, 8, 6, 3]), strict=True):
        weights[f"{layer.key}.weight"] = rng.normal(0, 0.5, (m, n))
        weights[f"{layer.key}.bias"] = rng.normal(0, 0.5, m)
    normal_x = Normalizer(mean=(LOW + HIGH) / 2, std=(HIGH - LOW) / 3)
    normal_y = Normalizer(mean=np.array([0.3, 0.2, 0.1]), std=np.array([0.5, 0.4, 0.3]))
    return DenseNetwork(layers, weights), normal_x, normal_y


def surrogate(model, transform="ln", scatter=False):
    target = Target("dl_ksz", transform, 0.0 if transform == "none" else 1e-3)
    return SurrogateSpectrum(model, target, CALIBRATION, scatter)


def emulator(spectrum, box=BOX, history=None):
    return Emulator(spectrum, ell=ELL, parameter_names=PARAMETER_NAMES, box=box, history=history)


def of_network(dropout=0.0, transform="none"):
    dense, x, y = network(dropout)
    return NetworkSpectrum(dense, Target("dl_ksz", transform, 0.0), x, y)


SURROGATES = {
    "process": lambda: surrogate(process("physical")),
    "process, plain": lambda: surrogate(process("plain"), "none"),
    "process, own realizations": lambda: surrogate(process("physical"), "log10", scatter=True),
    "ensemble, tanh": lambda: surrogate(ensemble("tanh")),
    "ensemble, silu": lambda: surrogate(ensemble("silu"), "none", scatter=True),
}


@pytest.mark.parametrize("kind", SURROGATES)
def test_surrogates_say_the_same_and_have_the_same_gradient(kind):
    whole = emulator(SURROGATES[kind]())
    theta = torch.tensor(THETA, requires_grad=True)
    found = as_module(whole)(theta)
    np.testing.assert_allclose(found.detach(), whole.predict(THETA).mean, rtol=1e-8)
    gradient = torch.stack(
        [torch.autograd.grad(found[:, i].sum(), theta, retain_graph=True)[0] for i in range(3)], 1
    )
    expected = whole.gradient(THETA)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["process, own realizations", "ensemble, tanh"])
def test_derivatives_are_those_of_finite_differences(kind):
    module = as_module(emulator(SURROGATES[kind]()))
    theta = torch.tensor(THETA[:2], requires_grad=True)
    assert torch.autograd.gradcheck(module, (theta,))
    assert torch.autograd.gradgradcheck(module, (theta[:1],))


@pytest.mark.parametrize("transform", ["none", "ln", "log10"])
def test_a_network_without_dropout_says_the_same(transform):
    whole = emulator(of_network(transform=transform))
    found = as_module(whole)(torch.tensor(THETA))
    np.testing.assert_allclose(found, whole.predict(THETA).mean, rtol=1e-10)
    assert torch.autograd.gradcheck(
        as_module(whole), (torch.tensor(THETA[:2], requires_grad=True),)
    )


def test_dropout_is_off_whatever_the_mode():
    """With dropout the mean over draws is close to the network without: exactly so, if linear."""
    rng = np.random.default_rng(4)
    layers = [DenseLayer("a", "relu", 0.3), DenseLayer("b")]
    weights = {
        "a.weight": np.abs(rng.normal(0, 0.3, (50, 4))),
        "a.bias": np.ones(50),
        "b.weight": rng.normal(0, 0.2, (3, 50)),
        "b.bias": np.zeros(3),
    }
    target = Target("dl_ksz", "none", 0.0)
    whole = emulator(NetworkSpectrum(DenseNetwork(layers, weights), target, None, None))
    module = as_module(whole).train()
    first = module(torch.tensor(THETA))
    assert torch.equal(first, module(torch.tensor(THETA)))
    found = whole.predict(THETA, n_draws=4000)
    assert (np.abs(first.numpy() - found.mean) < 4 * found.std / np.sqrt(4000)).all()


def test_a_registered_network_is_a_copy_in_double_precision():
    model = MCDropoutEmulator(input_dim=4, output_dim=3, dropout_rate=0.2)
    spectrum = NetworkSpectrum(TorchNetwork(model), Target("dl_ksz", "ln", 0.0), None, None)
    found = as_module(emulator(spectrum))(torch.tensor(THETA))
    with torch.no_grad():
        expected = torch.exp(model.eval()(torch.tensor(THETA, dtype=torch.float32)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == torch.float64
    assert next(model.parameters()).dtype == torch.float32
    assert next(model.parameters()).requires_grad


def test_leading_axes_are_kept_and_float32_is_taken():
    module = as_module(emulator(SURROGATES["process"]()))
    theta = torch.tensor(THETA[:6])
    rows = module(theta)
    assert module(theta.reshape(2, 3, 4)).shape == (2, 3, 3)
    assert torch.equal(module(theta.reshape(2, 3, 4)).reshape(6, 3), rows)
    np.testing.assert_allclose(module(theta[0]), rows[0], rtol=1e-12)
    single = module(theta.float())
    assert single.dtype == torch.float64
    np.testing.assert_allclose(single, rows, rtol=1e-5)
    assert list(module.parameters()) == []


class LargestTensor(TorchFunctionMode):
    """How many values the largest tensor has that a function returns."""

    n_values = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor):
            self.n_values = max(self.n_values, found.numel())
        return found


@pytest.mark.parametrize("kind", ["process, own realizations", "ensemble, tanh"])
def test_many_points_are_taken_in_parts(kind):
    """Not all with all points of training, or neurons, at once."""
    module = as_module(emulator(SURROGATES[kind]()))
    theta = torch.tensor(np.random.default_rng(13).uniform(LOW, HIGH, (20_000, 4)))
    with LargestTensor() as largest, torch.no_grad():
        found = module(theta)
    assert largest.n_values <= theta.numel()
    assert found.shape == (20_000, 3)
    np.testing.assert_allclose(found[-3:], module(theta[-3:]), rtol=1e-12)


def test_the_gradient_at_a_training_point_is_finite():
    theta = torch.tensor(TRAINED_AT[:4], requires_grad=True)
    whole = emulator(SURROGATES["process"](), box=None)
    as_module(whole)(theta).sum().backward()
    expected = whole.gradient(TRAINED_AT[:4]).sum(axis=1)
    np.testing.assert_allclose(theta.grad, expected, rtol=1e-5)


def test_outside_the_box_it_does_as_it_is_told():
    whole = emulator(SURROGATES["process"]())
    theta = torch.tensor(np.stack([THETA[0], HIGH + 1.0]))
    with pytest.raises(OutOfRangeError, match="zmean_zre = 11"):
        as_module(whole)(theta)
    with pytest.warns(ReionemuWarning, match="extrapolating"):
        assert as_module(whole, out_of_range="warn")(theta).isfinite().all()
    masked = as_module(whole, out_of_range="nan")(theta)
    assert masked.isnan().tolist() == [[False] * 3, [True] * 3]
    assert as_module(emulator(whole.spectrum, box=None))(theta).isfinite().all()
    edge = torch.tensor(HIGH * (1 + 1e-9))  # as rounded by float32
    assert as_module(whole)(edge).isfinite().all()


def test_it_works_with_function_transforms():
    module = as_module(emulator(SURROGATES["ensemble, tanh"]()), out_of_range="nan")
    theta = torch.tensor(THETA)
    jacobian = torch.func.vmap(torch.func.jacrev(module))(theta)
    np.testing.assert_allclose(jacobian, emulator_gradient(module), rtol=1e-6)


def emulator_gradient(module):
    theta = torch.tensor(THETA)
    whole = torch.autograd.functional.jacobian(lambda x: module(x).sum(dim=0), theta)
    return whole.permute(1, 0, 2)


class Depths:
    """A history whose optical depth is known."""

    def tau(self, theta):
        tau = 0.005 * theta[:, 0] + 0.001 * theta[:, 3] ** 2
        return tau, 0.01 * tau

    def gradient_tau(self, theta):
        zero = np.zeros(len(theta))
        return np.stack([zero + 0.005, zero, zero, 0.002 * theta[:, 3]], axis=-1)


def test_the_optical_depth_and_its_gradient():
    module = as_module(emulator(SURROGATES["process"](), history=Depths()))
    theta = torch.tensor(THETA[:6].reshape(2, 3, 4), requires_grad=True)
    assert module.tau(theta).shape == (2, 3)
    np.testing.assert_allclose(module.tau(theta).detach().ravel(), Depths().tau(THETA[:6])[0])
    assert torch.autograd.gradcheck(module.tau, (theta,))
    with pytest.raises(OutOfRangeError):
        module.tau(theta + 10)


def test_what_cannot_be_is_refused():
    whole = emulator(SURROGATES["process"]())
    with pytest.raises(ConfigError, match="was not trained on optical depths"):
        as_module(whole).tau(torch.tensor(THETA))
    with pytest.raises(ConfigError, match=r"theta has shape \(7, 3\); expected \(..., 4\)"):
        as_module(whole)(torch.tensor(THETA[:, :3]))
    with pytest.raises(ConfigError, match="did you mean 'raise'"):
        as_module(whole, out_of_range="raises")
    with pytest.raises(ConfigError, match="a Depths has no form in PyTorch"):
        as_module(emulator(surrogate(Depths())))
    spectrum = NetworkSpectrum(Depths(), Target("dl_ksz", "none", 0.0), None, None)
    with pytest.raises(ConfigError, match="a Depths has no form in PyTorch"):
        as_module(emulator(spectrum))
