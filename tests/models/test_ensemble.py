"""Predictions of an ensemble, its records, and what its spread is taken to mean."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.errors import RecordError
from reionemu.models.calibration import Calibration
from reionemu.models.ensemble import NetworkEnsemble
from reionemu.models.ensemble.uncertainty import Uncertainty, calibrate
from reionemu.models.inputs import Inputs
from reionemu.models.spectrum import SurrogateSpectrum
from reionemu.parameters import PARAMETER_NAMES
from reionemu.targets import Target

LOW, HIGH = np.array([7.0, 0.1, 0.1, 0.1]), np.array([9.0, 0.9, 2.0, 0.9])
TYPICAL, BIAS = np.array([0.4, 2.0]), np.array([0.7, 1.5])


def points(n: int, seed: int = 0) -> np.ndarray:
    """Parameters in a box."""
    return np.random.default_rng(seed).uniform(LOW, HIGH, (n, 4))


def inner(n: int, seed: int = 0) -> np.ndarray:
    """Parameters away from the walls."""
    return LOW + (HIGH - LOW) * np.random.default_rng(seed).uniform(0.2, 0.8, (n, 4))


def random_ensemble(activation: str = "tanh", n_members: int = 3, widths=(4, 7, 6, 2)):
    """Networks nobody trained."""
    rng = np.random.default_rng(5)
    layers = [rng.normal(size=(n_members, a + 1, b)) / a**0.5 for a, b in pairwise(widths)]
    uncertainty = Uncertainty(TYPICAL, BIAS, np.array([0.1, 0.2]), np.full(4, 0.3))
    inputs = Inputs.over(points(50), PARAMETER_NAMES)
    mean, scale = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    return NetworkEnsemble(inputs, activation, tuple(layers), mean, scale, uncertainty)


def in_pytorch(ensemble: NetworkEnsemble, theta: np.ndarray) -> np.ndarray:
    """Outputs of each member, shape (m, n, b), by modules of PyTorch."""
    activation = {"tanh": torch.nn.Tanh, "silu": torch.nn.SiLU}[ensemble.activation]
    x = torch.tensor(ensemble.inputs(theta))
    outputs = []
    for member in range(ensemble.n_members):
        modules: list[torch.nn.Module] = []
        for layer in ensemble.layers:
            linear = torch.nn.Linear(*layer[member, :-1].shape, dtype=torch.float64)
            linear.weight.data = torch.tensor(layer[member, :-1].T)
            linear.bias.data = torch.tensor(layer[member, -1])
            modules += [linear, activation()]
        outputs.append(torch.nn.Sequential(*modules[:-1])(x).detach().numpy())
    return np.array(outputs)


@pytest.mark.parametrize("activation", ["tanh", "silu"])
def test_moments_are_those_of_networks_in_pytorch(activation):
    ensemble, theta = random_ensemble(activation), points(11, 1)
    outputs = in_pytorch(ensemble, theta)
    mean, std, noise = ensemble.predict(theta)
    np.testing.assert_allclose(mean, ensemble.mean + outputs.mean(0) * ensemble.scale, rtol=1e-12)

    relative = np.sqrt((((outputs - outputs.mean(0)) / TYPICAL) ** 2).sum(0).mean(-1) / 2)
    factor = TYPICAL * np.sqrt(BIAS**2 + 1 / 3) * ensemble.scale
    np.testing.assert_allclose(std, relative[:, None] * factor, rtol=1e-12)
    expected = np.exp(0.3 * ensemble.inputs(theta).sum(1))[:, None] * [0.1 * 0.5, 0.2 * 3.0]
    np.testing.assert_allclose(noise, expected, rtol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "silu"])
def test_gradient_agrees_with_finite_differences(activation):
    ensemble, theta = random_ensemble(activation), points(300, 2)
    found = ensemble.with_gradients(theta)
    values = found.mean, found.std, found.scatter
    for value, expected in zip(values, ensemble.predict(theta), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-12)
    for i, step in enumerate(1e-5 * np.eye(4)):
        above, below = (ensemble.predict(theta + sign * step) for sign in (1, -1))
        for slope, up, down in zip(
            (found.mean_slope, found.std_slope), above[:2], below[:2], strict=True
        ):
            assert slope.shape == (300, 2, 4)
            difference = (up - down) / 2e-5
            np.testing.assert_allclose(slope[..., i], difference, rtol=1e-5, atol=1e-6)


def test_members_that_agree_have_no_error_and_no_slope_of_it():
    ensemble = random_ensemble()
    layers = tuple(np.repeat(layer[:1], 3, axis=0) for layer in ensemble.layers)
    found = replace(ensemble, layers=layers).with_gradients(points(5))
    np.testing.assert_allclose(found.std, 0, atol=1e-14)
    assert np.isfinite(found.std_slope).all()


@pytest.mark.parametrize("coordinates", ["plain", "physical"])
def test_the_slope_of_the_noise_is_that_of_finite_differences(coordinates):
    ensemble, theta = random_ensemble(), inner(40)
    inputs = Inputs.over(points(50), PARAMETER_NAMES, coordinates)
    uncertainty = replace(ensemble.uncertainty, noise_slope=np.array([0.5, -0.4, 0.3, 0.7]))
    ensemble = replace(ensemble, inputs=inputs, uncertainty=uncertainty)
    found = ensemble.with_gradients(theta).scatter_slope
    assert found.shape == (40, 2, 4)
    for i, step in enumerate(1e-5 * np.eye(4)):
        difference = ensemble.predict(theta + step)[2] - ensemble.predict(theta - step)[2]
        np.testing.assert_allclose(found[..., i], difference / 2e-5, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("transform", ["none", "ln", "log10"])
def test_spectra_of_own_realizations_have_a_gradient(transform):
    """Noise lifts the mean of a logarithm, by more where there is more of it."""
    noise = np.array([0.8, 0.1])  # in units of outputs: much, so that its slope counts
    ensemble = random_ensemble()
    ensemble = replace(ensemble, uncertainty=replace(ensemble.uncertainty, noise=noise))
    calibration = Calibration(np.array([1.2, 0.9]), np.zeros(2), np.eye(2), 50)
    target = Target("dl_ksz", transform)
    whole = SurrogateSpectrum(ensemble, target, calibration, noise_is_scatter=True)
    theta = inner(20)
    found = whole.differentiated(theta).mean_slope
    for i, step in enumerate(1e-6 * np.eye(4)):
        up, down = (whole.moments(theta + sign * step, 2, 0).mean for sign in (1, -1))
        expected = (up - down) / 2e-6
        np.testing.assert_allclose(found[..., i], expected, rtol=1e-5, atol=1e-6)


def test_a_prediction_does_not_depend_on_the_batch():
    ensemble, theta = random_ensemble(), points(600, 3)
    together = ensemble.predict(theta)
    for row in (0, 255, 256, 599):
        for whole, alone in zip(together, ensemble.predict(theta[row : row + 1]), strict=True):
            np.testing.assert_allclose(whole[row], alone[0], rtol=1e-12)
    assert [part.shape for part in ensemble.predict(theta[:0])] == [(0, 2)] * 3
    assert ensemble.with_gradients(theta[:0]).std_slope.shape == (0, 2, 4)


def test_silu_does_not_overflow():
    ensemble = random_ensemble("silu")
    layers = tuple(layer * 1e4 for layer in ensemble.layers)
    large = NetworkEnsemble(
        ensemble.inputs, "silu", layers, ensemble.mean, ensemble.scale, ensemble.uncertainty
    )
    assert np.isfinite(large.predict(points(20))[0]).all()
    assert np.isfinite(large.with_gradients(points(20)).mean_slope).all()


def test_predicting_needs_neither_torch_nor_scipy():
    code = (
        "import sys, json, numpy as np\n"
        "from reionemu.models.ensemble import NetworkEnsemble\n"
        "options = json.load(sys.stdin)\n"
        "arrays = {'layer_0': np.ones((2, 5, 3)), 'layer_1': np.ones((2, 4, 2)),\n"
        "          'mean': np.zeros(2), 'scale': np.ones(2), 'bias': np.ones(2),\n"
        "          'typical': np.ones(2), 'noise': np.ones(2), 'noise_slope': np.zeros(4)}\n"
        "ensemble = NetworkEnsemble.from_record(options, arrays)\n"
        "ensemble.predict(np.full((3, 4), 0.5)), ensemble.with_gradients(np.full((3, 4), 0.5))\n"
        "print([name for name in ('torch', 'scipy', 'h5py') if name in sys.modules])\n"
    )
    options = random_ensemble().options() | {"n_layers": 2}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(options),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_record_gives_the_same_model():
    ensemble, theta = random_ensemble("silu"), points(30)
    options = json.loads(json.dumps(ensemble.options()))
    again = NetworkEnsemble.from_record(options, ensemble.arrays())
    assert (again.n_outputs, again.n_members, again.activation) == (2, 3, "silu")
    for before, after in zip(ensemble.predict(theta), again.predict(theta), strict=True):
        np.testing.assert_array_equal(before, after)
    ours, theirs = (model.with_gradients(theta) for model in (ensemble, again))
    np.testing.assert_array_equal(ours.mean_slope, theirs.mean_slope)


BAD_OPTIONS = {
    "another activation": {"activation": "relu"},
    "an activation that is no name": {"activation": ["tanh"]},
    "too many layers": {"n_layers": 4},
    "too few layers": {"n_layers": 2},
    "one layer": {"n_layers": 1},
    "layers that are no number": {"n_layers": None},
    "layers without end": {"n_layers": float("inf")},
    "no inputs": {"inputs": None},
}

BAD_ARRAYS = {
    "absurd weights": {"layer_1": np.full((3, 8, 6), 1e300)},
    "an infinite scale": {"scale": np.array([1.0, np.inf])},
    "noise that explodes": {"noise_slope": np.full(4, 1e3)},
    "nan": {"layer_1": np.full((3, 8, 6), np.nan)},
    "members that differ in number": {"layer_1": np.ones((2, 8, 6))},
    "widths that do not fit": {"layer_1": np.ones((3, 9, 6))},
    "too few inputs": {"layer_0": np.ones((3, 4, 7))},
    "two dimensions": {"layer_2": np.ones((7, 2))},
    "another number of outputs": {"layer_2": np.ones((3, 7, 3))},
    "means without a shape": {"mean": np.array(1.0)},
    "a scale of zero": {"scale": np.array([1.0, 0.0])},
    "negative noise": {"noise": np.array([-1.0, 1.0])},
    "no bias": {"bias": np.zeros(2)},
    "no spread": {"typical": np.zeros(2)},
    "slopes of three parameters": {"noise_slope": np.zeros(3)},
    "text": {"mean": np.array(["a", "b"])},
    "something else": {"layer_9": np.ones(2)},
}


@pytest.mark.parametrize("change", BAD_OPTIONS.values(), ids=BAD_OPTIONS.keys())
def test_options_that_are_not_those_of_an_ensemble_are_refused(change):
    ensemble = random_ensemble()
    with pytest.raises(RecordError, match="not usable"):
        NetworkEnsemble.from_record(ensemble.options() | change, ensemble.arrays())


@pytest.mark.parametrize("change", BAD_ARRAYS.values(), ids=BAD_ARRAYS.keys())
def test_arrays_that_are_not_those_of_an_ensemble_are_refused(change):
    ensemble = random_ensemble()
    with pytest.raises(RecordError, match="not usable"):
        NetworkEnsemble.from_record(ensemble.options(), ensemble.arrays() | change)


@given(st.sampled_from(sorted(random_ensemble().arrays())))
@settings(max_examples=10, deadline=None)
def test_no_array_may_be_missing(name):
    ensemble = random_ensemble()
    arrays = {key: array for key, array in ensemble.arrays().items() if key != name}
    with pytest.raises(RecordError, match=name):
        NetworkEnsemble.from_record(ensemble.options(), arrays)


def test_the_spread_at_a_point_is_pooled_over_outputs():
    uncertainty = Uncertainty(np.array([1.0, 10.0]), np.ones(2), np.ones(2), np.zeros(1))
    outputs = np.array([[[0.0, 0.0]], [[2.0, 0.0]]])  # variances 2 and 0
    np.testing.assert_allclose(uncertainty.std(outputs), [np.sqrt(1.5) * np.array([1.0, 10.0])])


@pytest.mark.parametrize("bias", [0.3, 1.0, 3.0])
def test_calibration_finds_what_errors_were_drawn_with(bias):
    rng = np.random.default_rng(8)
    n, k, b = 2000, 20, 3  # so many members that their spread is well known
    noise, slope, typical = (
        np.geomspace(0.1, 0.02, b),
        np.array([0.5, -0.3]),
        np.linspace(1, 0.1, b),
    )
    x, spread = rng.uniform(-1, 1, (n, 2)), 0.2 * np.exp(rng.normal(size=(n, 1))) * typical
    outputs = spread * rng.normal(size=(k, n, b))
    y = bias * spread * rng.normal(size=(n, b)) + (
        noise * np.exp(x @ slope)[:, None] * rng.normal(size=(n, b))
    )
    found = calibrate(y, outputs, x)
    np.testing.assert_allclose(found.typical, np.sqrt((spread**2).mean(axis=0)), rtol=0.2)
    total = np.sqrt(found.bias**2 + 1 / k) / np.sqrt(bias**2 + 1 / k)
    np.testing.assert_allclose(total, 1.0, atol=0.12)
    np.testing.assert_allclose(found.noise, noise, rtol=0.25)
    np.testing.assert_allclose(found.noise_slope, slope, atol=0.12)


def test_where_noise_hides_the_rest_the_common_error_is_as_large_as_the_spread():
    rng = np.random.default_rng(9)
    x, outputs = rng.uniform(-1, 1, (500, 2)), 1e-3 * rng.normal(size=(2, 500, 3))
    y = rng.normal(size=(500, 3))
    found = calibrate(y, outputs, x)
    np.testing.assert_allclose(found.bias, 1.0, atol=0.05)
    np.testing.assert_allclose(found.noise, y.std(axis=0), rtol=0.01)


def test_members_that_agree_exactly_do_no_harm():
    x = np.random.default_rng(1).uniform(-1, 1, (50, 2))
    found = calibrate(np.zeros((50, 2)), np.zeros((2, 50, 2)), x)
    assert (found.noise < 1e-3).all()
    assert np.isfinite([*found.bias, *found.noise, *found.noise_slope]).all()
