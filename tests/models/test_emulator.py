"""From parameters to spectra in physical units: inputs, transforms, and the training box."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from reionemu import Emulator, MCDropoutEmulator, Normalizer, OutOfRangeError, Prediction
from reionemu.errors import ConfigError, ReionemuWarning
from reionemu.models.architecture import DenseLayer
from reionemu.models.dense import DenseNetwork
from reionemu.models.registry import dense_layers
from reionemu.models.spectrum import NetworkSpectrum
from reionemu.models.torch_network import TorchNetwork
from reionemu.parameters import PARAMETER_NAMES, ParameterBox
from reionemu.targets import Target

LOW, HIGH = (6.0, 0.1, 0.5, 0.4), (10.0, 0.9, 2.0, 0.8)
MIDDLE = np.array([8.0, 0.5, 1.25, 0.6])
ELL = np.array([1500.0, 3000.0])
MATRIX = np.array([[0.3, -0.2, 0.5, 0.1], [-0.1, 0.4, 0.2, 0.7]])
OFFSET = np.array([0.25, -0.5])


class Linear:
    """A network whose answer is known: y = MATRIX x + OFFSET."""

    stochastic = False

    def draws(self, x, n_draws, seed):
        return (x @ MATRIX.T + OFFSET)[None]


class Noisy:
    """A network whose draw i is OFFSET + i, so that mean and deviation are known."""

    stochastic = True

    def draws(self, x, n_draws, seed):
        steps = np.arange(n_draws, dtype=float)[:, None, None]
        return np.zeros((n_draws, len(x), 2)) + OFFSET + steps


def emulator(network=None, *, transform="none", eps=0.0, x=None, y=None, box=True) -> Emulator:
    """An emulator of four parameters and two bins."""
    return Emulator(
        NetworkSpectrum(network or Linear(), Target("dl_ksz", transform, eps), x, y),
        ell=ELL,
        parameter_names=PARAMETER_NAMES,
        box=ParameterBox(PARAMETER_NAMES, LOW, HIGH) if box else None,
    )


def by_name(theta) -> dict[str, object]:
    """Columns under their names."""
    return dict(zip(PARAMETER_NAMES, np.asarray(theta).T, strict=True))


@pytest.fixture
def points():
    """Six points inside the box."""
    return np.random.default_rng(0).uniform(LOW, HIGH, (6, 4))


def test_one_point_and_several(points):
    one, many = emulator().predict(points[0]), emulator().predict(points)
    assert isinstance(one, Prediction)
    assert one.mean.shape == (2,)
    assert many.mean.shape == (6, 2)
    np.testing.assert_allclose(many.mean, points @ MATRIX.T + OFFSET)
    np.testing.assert_allclose(one.mean, many.mean[0], rtol=1e-14)
    assert one.quantity == "dl_ksz"


def test_parameters_by_name_are_those_by_position(points):
    expected = emulator().predict(points).mean
    shuffled = dict(reversed(by_name(points).items()))
    np.testing.assert_array_equal(emulator().predict(shuffled).mean, expected)
    single = {name: float(column[0]) for name, column in by_name(points).items()}
    assert emulator().predict(single).mean.shape == (2,)
    mixed = {**by_name(points), "kb_zre": 1.0}
    assert emulator().predict(mixed).mean.shape == (6, 2)


def test_lists_and_integers_will_do():
    got = emulator(box=False).predict([8, 1, 1, 1]).mean
    np.testing.assert_allclose(got, MATRIX @ [8, 1, 1, 1] + OFFSET)


@pytest.mark.parametrize("normalize_x", [False, True])
@pytest.mark.parametrize("normalize_y", [False, True])
@pytest.mark.parametrize("transform", ["none", "ln", "log10"])
def test_transforms_and_normalizers_are_undone(points, transform, normalize_y, normalize_x):
    eps = 0.0 if transform == "none" else 0.01
    x_norm = Normalizer(MIDDLE, np.array([2.0, 0.3, 0.5, 0.1])) if normalize_x else None
    y_norm = Normalizer(np.array([0.5, 1.0]), np.array([2.0, 0.1])) if normalize_y else None
    x = (points - MIDDLE) / [2.0, 0.3, 0.5, 0.1] if normalize_x else points
    y = x @ MATRIX.T + OFFSET
    y = y * [2.0, 0.1] + [0.5, 1.0] if normalize_y else y
    expected = {"none": y, "ln": np.e**y - eps, "log10": np.power(10, y) - eps}[transform]
    got = emulator(transform=transform, eps=eps, x=x_norm, y=y_norm).predict(points)
    np.testing.assert_allclose(got.mean, expected, rtol=1e-12)


@pytest.mark.parametrize("transform", ["ln", "log10"])
def test_inverting_a_target_gives_back_the_spectrum(transform):
    spectrum = np.array([1e-3, 1.0, 250.0])
    log = np.log if transform == "ln" else np.log10
    target = Target("cl_ksz", transform, eps=1e-4)
    np.testing.assert_allclose(target.invert(log(spectrum + 1e-4)), spectrum, rtol=1e-12)


def test_a_deterministic_model_has_no_deviation(points):
    assert emulator().predict(points).std is None
    assert emulator().draws(points).shape == (1, 6, 2)
    assert emulator().draws(points[0]).shape == (1, 2)


@pytest.mark.parametrize("n", [2, 5, 201])
def test_deviation_is_over_draws_with_one_degree_of_freedom_less(points, n):
    got = emulator(Noisy()).predict(points, n_draws=n)
    np.testing.assert_allclose(got.mean, np.broadcast_to(OFFSET + (n - 1) / 2, (6, 2)))
    np.testing.assert_allclose(got.std, np.sqrt(n * (n + 1) / 12))


def test_moments_are_taken_in_physical_units(points):
    one = emulator(Noisy(), transform="ln").predict(points[0], n_draws=3)
    spectra = np.exp(OFFSET + np.arange(3)[:, None])
    np.testing.assert_allclose(one.mean, spectra.mean(axis=0))
    np.testing.assert_allclose(one.std, spectra.std(axis=0, ddof=1))
    draws = emulator(Noisy(), transform="ln").draws(points[0], n_draws=3)
    np.testing.assert_allclose(draws, spectra)


def test_outside_the_box_is_refused_by_default_with_the_facts():
    theta = MIDDLE.copy()
    theta[2] = 2.5
    for call in (emulator().predict, emulator().draws):
        with pytest.raises(OutOfRangeError, match=r"kb_zre = 2\.5 .*\[0\.5, 2\]") as caught:
            call(theta)
        error = caught.value
        assert (error.parameter, error.value) == ("kb_zre", 2.5)
        assert (error.low, error.high) == (0.5, 2.0)
        assert isinstance(error, ValueError)


def test_one_point_outside_refuses_all(points):
    points[4, 0] = 5.0
    with pytest.raises(OutOfRangeError, match="point 4; 1 of 6 points"):
        emulator().predict(points)


def test_the_edge_belongs_to_the_box():
    got = emulator().predict(np.array([LOW, HIGH])).mean
    np.testing.assert_allclose(got, np.array([LOW, HIGH]) @ MATRIX.T + OFFSET)


def test_a_warning_may_be_had_instead(points):
    points[1, 3] = 0.9
    with pytest.warns(ReionemuWarning, match=r"b0_zre = 0\.9 .*\[0\.4, 0\.8\]") as caught:
        got = emulator().predict(points, out_of_range="warn")
    np.testing.assert_allclose(got.mean, points @ MATRIX.T + OFFSET)
    assert caught[0].filename == __file__


def test_nan_may_be_had_instead_where_it_is_due(points):
    points[1, 3] = 0.9
    for network in (Linear(), Noisy()):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            got = emulator(network, transform="ln").predict(points, out_of_range="nan")
        outside = np.arange(6) == 1
        np.testing.assert_array_equal(np.isnan(got.mean).all(axis=1), outside)
        np.testing.assert_array_equal(np.isnan(got.mean).any(axis=1), outside)
        if got.std is not None:
            np.testing.assert_array_equal(np.isnan(got.std).any(axis=1), outside)


@pytest.mark.parametrize("mode", ["raise", "warn", "nan"])
def test_inside_the_box_the_mode_is_of_no_consequence(points, mode):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = emulator().predict(points, out_of_range=mode).mean
    np.testing.assert_array_equal(got, emulator().predict(points).mean)


def test_without_a_box_nothing_is_checked():
    got = emulator(box=False).predict(MIDDLE * 100).mean
    np.testing.assert_allclose(got, MATRIX @ MIDDLE * 100 + OFFSET)


@pytest.mark.parametrize(
    ("theta", "options", "message"),
    [
        (MIDDLE, {"out_of_range": "rais"}, "did you mean 'raise'"),
        (MIDDLE, {"n_draws": 1}, "n_draws must be a whole number >= 2"),
        (MIDDLE[:3], {}, r"shape \(3,\)"),
        ({"zmean": 8.0}, {}, "unknown parameter 'zmean' .*'zmean_zre'"),
        (MIDDLE * np.nan, {}, "zmean_zre of point 0 is nan"),
    ],
)
def test_impossible_questions_are_refused(theta, options, message):
    with pytest.raises(ConfigError, match=message):
        emulator().predict(theta, **options)


def test_changing_a_prediction_does_not_change_the_emulator(points):
    one = emulator()
    one.predict(points).ell[:] = 0
    np.testing.assert_array_equal(one.predict(points).ell, ELL)


def test_it_says_what_it_is():
    assert repr(emulator()) == (
        "<Emulator of dl_ksz in 2 bins, ell 1500 to 3000, "
        "from zmean_zre, alpha_zre, kb_zre, b0_zre>"
    )


def test_numpy_and_pytorch_networks_agree_behind_an_emulator(points):
    torch.manual_seed(0)
    model = MCDropoutEmulator(output_dim=2, dropout_rate=0.2)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    networks = DenseNetwork(dense_layers(model.record()), weights), TorchNetwork(model)
    x_norm = Normalizer(MIDDLE, np.array([1.0, 0.2, 0.4, 0.1]))
    n = 6000
    ours, theirs = (
        emulator(network, transform="ln", x=x_norm).predict(points, n_draws=n)
        for network in networks
    )
    error = theirs.std * np.sqrt(2 / n)
    assert (abs(ours.mean - theirs.mean) < 4.5 * error).all()
    np.testing.assert_allclose(ours.std, theirs.std, rtol=0.08)


def test_a_prediction_with_dropout_is_repeatable_and_independent_of_its_company(points):
    model = MCDropoutEmulator(output_dim=2)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    one = emulator(DenseNetwork(dense_layers(model.record()), weights))
    together = one.predict(points, seed=4)
    alone = one.predict(points[3], seed=4)
    np.testing.assert_allclose(alone.mean, together.mean[3], rtol=1e-12)
    np.testing.assert_allclose(alone.std, together.std[3], rtol=1e-12)
    np.testing.assert_array_equal(one.predict(points, seed=4).mean, together.mean)
    assert not np.array_equal(one.predict(points, seed=5).mean, together.mean)


def test_the_pytorch_network_is_repeatable_and_leaves_the_random_state_alone():
    torch.manual_seed(7)
    network = TorchNetwork(nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2)))
    assert network.stochastic
    before = torch.get_rng_state()
    first = network.draws(np.ones((3, 4)), 9, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.shape == (9, 3, 2)
    assert first.dtype == np.float64
    np.testing.assert_array_equal(network.draws(np.ones((3, 4)), 9, seed=1), first)
    assert not np.array_equal(network.draws(np.ones((3, 4)), 9, seed=2), first)


def test_a_pytorch_network_without_dropout_has_one_draw():
    model = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.0), nn.BatchNorm1d(2)).train()
    network = TorchNetwork(model)
    assert not network.stochastic
    assert network.draws(np.ones((3, 4)), 9, seed=1).shape == (1, 3, 2)
    assert not model.training


def test_layers_that_drop_are_what_makes_a_network_stochastic():
    weights = {"a.weight": np.ones((2, 4)), "a.bias": np.zeros(2)}
    assert not DenseNetwork([DenseLayer("a")], weights).stochastic


def test_no_points_give_no_spectra():
    for network in (Linear(), Noisy()):
        prediction = emulator(network).predict(np.empty((0, 4)))
        assert prediction.mean.shape == (0, 2)
    assert prediction.std.shape == (0, 2)


def test_many_points_are_the_same_in_blocks(monkeypatch):
    points = np.random.default_rng(0).random((50, 4))
    whole = emulator(Noisy(), box=False).predict(points, n_draws=5)
    monkeypatch.setattr("reionemu.models.spectrum._MAX_VALUES", 480)
    blocks = emulator(Noisy(), box=False).predict(points, n_draws=5)
    np.testing.assert_array_equal(whole.mean, blocks.mean)
    np.testing.assert_array_equal(whole.std, blocks.std)


def test_a_bad_seed_is_refused():
    with pytest.raises(ConfigError, match="seed must be a whole number >= 0"):
        emulator().predict(np.full(4, 0.5), seed=-1)


def test_tables_are_read_by_the_names_of_their_columns():
    columns = {"b0_zre": [0.3], "kb_zre": [1.0], "alpha_zre": [0.7], "zmean_zre": [8.0]}

    class Columns:
        def keys(self):
            return list(columns)

        def __getitem__(self, name):
            return columns[name]

    got = emulator(box=False).predict(Columns()).mean
    want = emulator(box=False).predict([[8.0, 0.7, 1.0, 0.3]]).mean
    np.testing.assert_allclose(got, want)
