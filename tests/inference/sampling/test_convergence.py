"""Autocorrelation times, R-hat and verdicts, against formulas and other codes."""

from __future__ import annotations

import numpy as np
import pytest

from reionemu.inference.sampling.convergence import (
    autocorrelation_times,
    judge_ensemble,
    sentence,
    split_r_hat,
)

NAMES = ("a", "b")


def autoregressive(steps, walkers, rho, seed=0):
    """x' = rho x + noise, of unit variance; tau = (1 + rho) / (1 - rho)."""
    noise = np.random.default_rng(seed).standard_normal((steps, walkers, len(NAMES)))
    x = np.empty_like(noise)
    x[0] = noise[0]
    for i in range(1, steps):
        x[i] = rho * x[i - 1] + np.sqrt(1 - rho**2) * noise[i]
    return x


def judged(chain, target_ess=500):
    return judge_ensemble(chain, -0.5 * np.sum(chain**2, axis=2), NAMES, target_ess)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_autocorrelation_time_of_a_known_process(rho):
    times = autocorrelation_times(autoregressive(8000, 16, rho))
    assert times == pytest.approx(np.full(2, (1 + rho) / (1 - rho)), rel=0.06)


def test_autocorrelation_time_is_that_of_emcee():
    emcee = pytest.importorskip("emcee")
    chain = autoregressive(4000, 16, 0.8)
    assert autocorrelation_times(chain) == pytest.approx(
        emcee.autocorr.integrated_time(chain), rel=0.04
    )


def test_a_walker_that_stays_elsewhere_lengthens_the_autocorrelation():
    chain = autoregressive(2000, 16, 0.5)
    before = autocorrelation_times(chain)
    chain[:, 3] = 6.0
    assert np.all(autocorrelation_times(chain) > 20 * before)


def test_r_hat_is_that_of_arviz():
    arviz = pytest.importorskip("arviz")
    chains = autoregressive(400, 8, 0.6)[..., 0].T + 0.1 * np.arange(8)[:, None]
    halves = chains.reshape(16, 200)
    assert split_r_hat(halves) == pytest.approx(float(arviz.rhat(chains, method="rank")), rel=1e-9)
    wide = chains * np.linspace(1, 3, 8)[:, None]
    expected = float(arviz.rhat(wide, method="rank"))
    assert split_r_hat(wide.reshape(16, 200)) == pytest.approx(expected, rel=1e-9)


def test_long_chains_are_converged():
    verdict = judged(autoregressive(3000, 32, 0.8))
    assert verdict.is_converged
    assert verdict.times == pytest.approx([9, 9], rel=0.1)
    assert verdict.ess == pytest.approx(32 * (3000 - verdict.burn_in) / verdict.times)
    assert 80 < verdict.burn_in < 110
    assert sentence(verdict.demands).startswith("converged: asked for at least 50 autocorrelation")


def test_short_chains_are_not():
    verdict = judged(autoregressive(300, 32, 0.9))
    assert not verdict.demands[0].is_met
    assert "failed: at least 50 autocorrelation times" in sentence(verdict.demands)


def test_too_few_effective_samples_are_said():
    verdict = judged(autoregressive(3000, 32, 0.8), target_ess=100_000)
    assert [demand.is_met for demand in verdict.demands] == [True, False, True, True, True]
    assert "at least 100000 effective samples" in sentence(verdict.demands)


def test_a_drift_is_seen():
    chain = autoregressive(3000, 32, 0.5)
    chain[..., 1] += np.linspace(0, 2, 3000)[:, None]
    verdict = judged(chain)
    assert verdict.r_hat[0] < 1.01 < verdict.r_hat[1]
    assert not verdict.is_converged


@pytest.mark.parametrize("moves", [False, True])
def test_a_stuck_walker_is_seen(moves):
    chain = autoregressive(3000, 32, 0.5)
    chain[:, 5] = 5.0 + 0.01 * chain[:, 5] * moves
    verdict = judged(chain)
    assert verdict.n_stuck == 1
    assert "1 of 32" in sentence(verdict.demands)
    assert not verdict.is_converged


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_a_few_steps_are_judged_too(steps):
    verdict = judged(autoregressive(steps, 8, 0.5))
    assert not verdict.is_converged
    assert 0 <= verdict.burn_in < steps
    assert np.all(verdict.times > 0)
