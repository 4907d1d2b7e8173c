"""Training an ensemble: accuracy, folds, noise, and what goes wrong."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from reionemu.errors import ConfigError, DatasetError, NonFiniteLossError
from reionemu.models.ensemble import EnsembleOptions, fit_ensemble
from reionemu.models.ensemble.soap import Soap
from reionemu.models.ensemble.training import train_members
from reionemu.models.inputs import Inputs

SMALL = EnsembleOptions(n_folds=4, hidden_dim=12, epochs=250)
LONG = dataclasses.replace(SMALL, epochs=1000)
NAMES = ("zmean_zre", "alpha_zre")


def points(n: int, seed: int = 0) -> np.ndarray:
    """Two parameters."""
    return np.random.default_rng(seed).uniform([7.0, 0.1], [9.0, 0.9], (n, 2))


def truth(theta: np.ndarray) -> np.ndarray:
    """Three smooth outputs."""
    z, alpha = theta.T
    return np.stack([np.sin(z) + alpha**2, 3 * z * alpha, 50 + np.exp(-alpha * (z - 8))], axis=-1)


def fit(theta, y, options=SMALL, **kwargs):
    """An ensemble in plain coordinates."""
    return fit_ensemble(theta, y, Inputs.over(theta, NAMES), options=options, **kwargs)


@pytest.fixture(scope="module")
def quiet():
    theta = points(200)
    return theta, *fit(theta, truth(theta), LONG)


@pytest.fixture(scope="module")
def noisy():
    theta = points(300)
    y = truth(theta)
    noise = 0.3 * y.std(axis=0)
    y = y + noise * np.random.default_rng(3).normal(size=y.shape)
    return theta, y, noise, *fit(theta, y)


def test_a_smooth_function_is_learned(quiet):
    _, ensemble, _ = quiet
    new = points(500, 7)
    error = np.abs(ensemble.predict(new)[0] - truth(new)) / truth(new).std(axis=0)
    assert error.mean() < 0.01
    assert error.max() < 0.2


@pytest.mark.parametrize("activation", ["tanh", "silu"])
def test_gradients_are_those_of_the_function(activation):
    theta = points(200)
    options = dataclasses.replace(LONG, activation=activation)
    ensemble, _ = fit(theta, truth(theta), options)
    inner = np.random.default_rng(1).uniform([7.3, 0.2], [8.7, 0.8], (50, 2))
    z, alpha = inner.T
    expected = np.stack([np.cos(z), 2 * alpha], axis=-1)
    found = ensemble.with_gradients(inner).mean_slope
    np.testing.assert_allclose(found[:, 0], expected, atol=0.1)


def test_out_of_fold_errors_foretell_those_of_new_points(quiet):
    theta, ensemble, held_out = quiet
    new = points(500, 7)
    mean, std, noise = ensemble.predict(new)
    z = (mean - truth(new)) / np.hypot(std, noise)
    assert 0.3 < (z**2).mean() < 2.0
    z = (held_out.mean - truth(theta)) / held_out.total
    assert (z**2).mean() == pytest.approx(1.0, abs=0.15)


def test_noise_is_told_from_what_the_ensemble_does_not_know(noisy):
    theta, _, noise, ensemble, held_out = noisy
    mean, std, predicted = ensemble.predict(theta)
    np.testing.assert_allclose(predicted.mean(axis=0), noise, rtol=0.12)
    np.testing.assert_allclose(held_out.noise.mean(axis=0), noise, rtol=0.12)
    error = mean - truth(theta)
    assert (np.abs(error).mean(axis=0) < 0.25 * noise).all()  # it does not follow the noise
    assert 0.4 < ((error / std) ** 2).mean() < 2.5


def test_members_do_not_see_what_is_held_out():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (60, 2)), rng.normal(size=(60, 1))
    held_out = np.zeros((4, 60), bool)
    held_out[:, :20] = True
    other = y.copy()
    other[:20] += 100.0
    weights = [train_members(x, target, held_out, SMALL, 0) for target in (y, other)]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_member_that_saw_a_row_knows_it_better(noisy):
    theta, y, _, ensemble, held_out = noisy
    seen = np.abs(ensemble.predict(theta)[0] - y).mean()
    assert np.abs(held_out.mean - y).mean() > 1.02 * seen


def test_simulations_at_one_point_are_in_one_fold():
    theta = np.repeat(points(40), 3, axis=0)
    y = truth(theta) + 0.1 * np.random.default_rng(2).normal(size=(120, 3))
    options = dataclasses.replace(SMALL, epochs=20)
    predicted = fit(theta, y, options)[1].mean.reshape(40, 3, 3)
    np.testing.assert_allclose(predicted - predicted[:, :1], 0, atol=1e-12)


def test_a_seed_gives_the_same_numbers_with_any_number_of_threads():
    theta, options = points(60), dataclasses.replace(SMALL, epochs=30)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    try:
        torch.set_num_threads(2)
        first = fit(theta, truth(theta), options, seed=4)
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        second = fit(theta, truth(theta), options, seed=4)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(state, torch.get_rng_state())
    for name, array in first[0].arrays().items():
        np.testing.assert_array_equal(array, second[0].arrays()[name])
    np.testing.assert_array_equal(first[1].total, second[1].total)
    other = fit(theta, truth(theta), options, seed=5)[0]
    assert not np.array_equal(first[0].layers[0], other.layers[0])


def test_progress_is_told():
    calls: list[tuple[int, int]] = []
    theta, options = points(40), dataclasses.replace(SMALL, epochs=25)
    fit(theta, truth(theta), options, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(10, 25), (20, 25), (25, 25)]


def test_too_few_points_are_refused():
    theta = np.repeat(points(15), 2, axis=0)
    with pytest.raises(DatasetError, match=r"16 points at least; there are 15"):
        fit(theta, truth(theta))


def test_training_that_diverges_says_so():
    theta = points(40)
    with pytest.raises(NonFiniteLossError, match="learning_rate") as caught:
        fit(theta, truth(theta), dataclasses.replace(SMALL, learning_rate=1e30))
    assert caught.value.epoch == len(caught.value.history["train_loss"]) + 1 > 1


@pytest.mark.parametrize(
    "change",
    [
        {"n_folds": 1},
        {"members_per_fold": 1},
        {"hidden_dim": 0},
        {"num_hidden_layers": 1.5},
        {"activation": "relu"},
        {"epochs": 0},
        {"learning_rate": 0.0},
        {"prior_scale": float("nan")},
    ],
)
def test_options_are_checked(change):
    with pytest.raises(ConfigError, match=rf"ensemble\.{next(iter(change))}"):
        EnsembleOptions(**change)


def test_soap_is_not_slowed_by_directions_that_are_mixed():
    """Least squares with correlated inputs, where Adam crawls."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.linalg.qr(torch.randn(8, 8, generator=generator))[0]
    x = torch.randn(2, 100, 8, generator=generator) * torch.logspace(0, -2, 8) @ mixing
    y = x @ torch.randn(2, 8, 3, generator=generator)
    losses = {}
    for name in ("soap", "adam"):
        weights = torch.zeros(2, 8, 3, requires_grad=True)
        soap, adam = Soap([weights.detach()]), torch.optim.Adam([weights])
        for step in range(400):
            rate = 0.05 * (1 - step / 400)
            loss = ((x @ weights - y) ** 2).mean()
            (weights.grad,) = torch.autograd.grad(loss, [weights])
            if name == "soap":
                with torch.no_grad():
                    soap.step([weights.grad], rate)
            else:
                adam.param_groups[0]["lr"] = rate
                adam.step()
        losses[name] = float(loss.detach())
    assert losses["soap"] < 0.1 * losses["adam"]
