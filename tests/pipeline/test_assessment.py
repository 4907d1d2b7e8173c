"""How error bars are judged: on simulations that err as they say, and on such that do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu import Emulator
from reionemu.cli.output import print_errors
from reionemu.models.calibration import Calibration
from reionemu.models.spectrum import NetworkSpectrum, SurrogateSpectrum
from reionemu.pipeline.assessment import assess, most_suspect, slices
from reionemu.pipeline.scores import binomial_tails, gaussian_crps, joint_chi2
from reionemu.targets import Target

ELL = np.array([2000.0, 4000.0, 6000.0])
R = np.array([[1.0, 0.8, 0.2], [0.8, 1.0, 0.5], [0.2, 0.5, 1.0]])
LOWER = np.linalg.cholesky(R)
STD, NOISE = 0.02, 0.05
N = 2000


class Flat:
    """A model that predicts 10 everywhere, errs by STD, and knows a noise of NOISE."""

    n_outputs = 3

    def predict(self, theta):
        one = np.ones((len(theta), 3))
        return 10 * one, STD * one, NOISE * one


class Network:
    stochastic = False

    def draws(self, x, n_draws, seed):
        return np.full((1, len(x), 3), 10.0)


class History:
    """tau = 0.05 with an error of 1%; x_HI 0, 0.5 and 1 with an error of 0.01 between."""

    def tau(self, theta):
        one = np.ones(len(theta))
        return 0.05 * one, 0.0005 * one

    def predict(self, theta, z):
        x_hi = np.broadcast_to(np.array([0.0, 0.5, 1.0]), (len(theta), 3))
        return x_hi, np.broadcast_to(np.array([0.0, 0.01, 0.0]), (len(theta), 3))


def emulator(scatter=False, history=None, network=False):
    target = Target("dl_ksz", "none")
    calibration = Calibration(np.ones(3), np.zeros(3), R, 100)
    if network:
        spectrum = NetworkSpectrum(Network(), target, None, None)
    else:
        spectrum = SurrogateSpectrum(Flat(), target, calibration, noise_is_scatter=scatter)
    return Emulator(spectrum, ell=ELL, parameter_names=("a", "b"), box=None, history=history)


def simulations(n=N, factor=1.0, seed=0):
    """Parameters, and targets that differ from the prediction as the model says, times a factor."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 3)) @ LOWER.T
    return rng.random((n, 2)), 10 + factor * math.hypot(STD, NOISE) * z


def tolerance(p, n=N):
    """Four standard deviations of a fraction of n trials."""
    return 4 * math.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("scatter", [False, True])
def test_honest_error_bars_are_found_so(scatter):
    """Of a suite of own realizations, too: its simulations differ by error and scatter together."""
    X, Y = simulations()
    report = assess(emulator(scatter), X, Y)
    for n, p in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        np.testing.assert_allclose(report[f"coverage_{n}sigma"], p, atol=tolerance(p))
        assert report["coverage"][n - 1] == pytest.approx(p, abs=tolerance(p))
    np.testing.assert_allclose(report["chi2"], 1, atol=4 * math.sqrt(2 / N))
    assert report["reduced_chi2"] == pytest.approx(np.mean(report["chi2"]))
    assert report["joint_chi2"] == pytest.approx(1, abs=4 * math.sqrt(2 / (3 * N)))
    np.testing.assert_allclose(report["z_mean"], 0, atol=4 / math.sqrt(N))
    np.testing.assert_allclose(report["z_std"], 1, atol=4 / math.sqrt(2 * N))
    # Gneiting & Raftery 2007: the expected score of a right Gaussian is sigma / sqrt(pi).
    expected = math.hypot(STD, NOISE) / math.sqrt(math.pi) / 10
    np.testing.assert_allclose(report["crps"], expected, rtol=0.05)
    assert report["suspect"] is None
    error = STD if scatter else math.hypot(STD, NOISE)
    np.testing.assert_allclose(report["mean_relative_std"], error / 10, rtol=1e-3)
    assert ("mean_relative_scatter" in report) is scatter
    if scatter:
        np.testing.assert_allclose(report["mean_relative_scatter"], NOISE / 10, rtol=1e-3)


@pytest.mark.parametrize(("factor", "too_narrow"), [(1.5, True), (0.6, False)])
def test_dishonest_error_bars_are_found_so(factor, too_narrow):
    X, Y = simulations(400, factor)
    report = assess(emulator(), X, Y)
    assert report["reduced_chi2"] == pytest.approx(factor**2, rel=0.15)
    assert report["coverage"][0] == pytest.approx(math.erf(1 / factor / math.sqrt(2)), abs=0.05)
    assert report["suspect"]["too_narrow"] is too_narrow


def test_errors_are_those_of_a_table_by_hand():
    X = np.zeros((2, 2))
    Y = np.array([[10.0, 8.0, 12.5], [20.0, 10.0, 5.0]])
    report = assess(emulator(), X, Y)
    np.testing.assert_allclose(report["mean"], [0.25, 0.125, 0.6])
    np.testing.assert_allclose(report["max"], [0.5, 0.25, 1.0])
    assert report["mean_relative_error"] == pytest.approx(1.95 / 6)
    assert report["worst_relative_error"] == pytest.approx(0.5)
    # Of 0, 0, 0.2, 0.25, 0.5, 1: three quarters of the way from the fifth to the sixth.
    assert report["p95_relative_error"] == pytest.approx(0.5 + 0.75 * 0.5)
    assert (report["n"], report["ell"]) == (2, ELL.tolist())


def test_a_model_without_uncertainty_has_errors_alone():
    X, Y = simulations(50)
    report = assess(emulator(network=True), X, Y)
    assert not {"coverage", "chi2", "suspect", "crps", "mean_relative_std"} & set(report)
    assert [set(part) for part in report["by_parameter"]["a"]] == [
        {"low", "high", "n", "mean_relative_error"}
    ] * 4


@given(z=st.floats(-6, 6))
@settings(max_examples=25, deadline=None)
def test_the_score_is_the_integral_that_defines_it(z):
    """CRPS = int (F(x) - 1[x > z])^2 dx: Matheson & Winkler 1976."""
    from scipy.integrate import quad
    from scipy.special import ndtr

    below = quad(lambda x: ndtr(x) ** 2, -12, z, epsabs=1e-10)[0]
    above = quad(lambda x: ndtr(-x) ** 2, z, 12, epsabs=1e-10)[0]
    assert float(gaussian_crps(np.array(z))) == pytest.approx(below + above, abs=1e-8)


def test_joint_chi2_is_that_of_the_inverse_matrix():
    z = np.random.default_rng(1).standard_normal((20, 3))
    expected = np.mean([row @ np.linalg.inv(R) @ row for row in z]) / 3
    assert joint_chi2(z, np.broadcast_to(R, (20, 3, 3))) == pytest.approx(expected)
    assert joint_chi2(z, np.ones((20, 3, 3))) is None


@given(n=st.integers(1, 300), share=st.floats(0, 1), p=st.floats(0.05, 0.99))
@settings(max_examples=25, deadline=None)
def test_tails_are_those_of_the_binomial_distribution(n, share, p):
    from scipy.stats import binom

    k = round(share * n)
    small, large = binomial_tails(k / n, n, p)
    assert small == pytest.approx(binom.cdf(k, n, p), rel=1e-6, abs=1e-12)
    assert large == pytest.approx(binom.sf(k - 1, n, p), rel=1e-6, abs=1e-12)


def test_parts_are_quarters_of_the_points_by_each_parameter():
    X = np.stack([np.arange(10.0), -np.arange(10.0)], axis=-1)
    error = np.arange(10.0)[:, None] * np.ones(3)
    found = slices(X, ("a", "b"), error, None)
    assert [part["n"] for part in found["a"]] == [3, 3, 2, 2]
    assert [(part["low"], part["high"]) for part in found["a"]] == [(0, 2), (3, 5), (6, 7), (8, 9)]
    assert [part["mean_relative_error"] for part in found["a"]] == [1, 4, 6.5, 8.5]
    assert [part["mean_relative_error"] for part in found["b"]] == [8, 5, 2.5, 0.5]
    assert len(slices(X[:2], ("a", "b"), error[:2], None)["a"]) == 2


def test_the_part_where_error_bars_are_wrong_is_named():
    X, Y = simulations(800)
    bad = X[:, 1] > 0.75
    Y[bad] = 10 + 3 * (Y[bad] - 10)
    suspect = assess(emulator(), X, Y)["suspect"]
    assert suspect["parameter"] == "b"
    assert suspect["low"] > 0.7
    assert suspect["too_narrow"]
    assert suspect["chi2"] == pytest.approx(9, rel=0.25)


def test_chance_alone_is_not_suspect():
    """Of right error bars, however many tests: at most one report of 20, and of few points none."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, z = rng.random((60, 4)), rng.standard_normal((60, 3)) @ LOWER.T
        found.append(most_suspect(slices(X, ("a", "b", "c", "d"), np.abs(z), z)))
    assert sum(part is not None for part in found) <= 6
    one = slices(X[:1], ("a", "b", "c", "d"), np.abs(z[:1]), 0 * z[:1] + 1.5)
    assert most_suspect(one) is None


def test_histories_are_judged_where_there_is_something_to_judge():
    rng = np.random.default_rng(4)
    X, Y = simulations()
    tau = 0.05 * (1 + 0.01 * rng.standard_normal(N))
    x_hi = np.stack([np.zeros(N), 0.5 + 0.01 * rng.standard_normal(N), np.ones(N)], axis=-1)
    z = np.array([5.0, 8.0, 12.0])
    whole = emulator(history=History())
    found = assess(whole, X, Y, tau=tau, x_hi=x_hi, z=z)["history"]
    for part in ("tau", "x_hi"):
        assert found[part]["coverage"][0] == pytest.approx(0.6827, abs=tolerance(0.6827))
        assert found[part]["chi2"] == pytest.approx(1, abs=4 * math.sqrt(2 / N))
    error = np.abs(0.05 / tau - 1)
    assert found["tau"]["mean_relative_error"] == pytest.approx(error.mean())
    assert found["tau"]["p95_relative_error"] == pytest.approx(np.quantile(error, 0.95))
    assert found["tau"]["worst_relative_error"] == pytest.approx(error.max())
    error = np.abs(x_hi - [0.0, 0.5, 1.0])
    assert found["x_hi"]["mean_error"] == pytest.approx(error.mean())
    assert found["x_hi"]["p99_error"] == pytest.approx(np.quantile(error, 0.99))
    assert found["x_hi"]["worst_error"] == pytest.approx(error.max())
    assert "x_hi" not in assess(whole, X, Y, tau=tau)["history"]
    assert "history" not in assess(whole, X, Y)
    assert "history" not in assess(emulator(), X, Y, tau=tau)


def test_a_history_that_is_over_has_no_coverage():
    class Over(History):
        def predict(self, theta, z):
            zero = np.zeros((len(theta), len(z)))
            return zero, zero

    X, Y = simulations(20)
    z, x_hi = np.array([4.0, 4.5]), np.zeros((20, 2))
    found = assess(emulator(history=Over()), X, Y, x_hi=x_hi, z=z)["history"]["x_hi"]
    assert found == {"mean_error": 0, "p99_error": 0, "worst_error": 0}


def test_what_is_printed(capsys):
    X, Y = simulations(800, 1.6)
    tau, x_hi = np.full(800, 0.0501), np.full((800, 3), [0.0, 0.504, 1.0])
    whole = emulator(scatter=True, history=History())
    print_errors(assess(whole, X, Y, tau=tau, x_hi=x_hi, z=np.arange(3.0)), "test")
    out, err = capsys.readouterr()
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    assert lines[0] == "Error of the spectrum, 800 test simulations"
    for title in ("ell", "95%", "error bar", "scatter", "in 1 sigma", "in 3 sigma"):
        assert title in lines[1]
    assert lines[3].split()[0] == "2000"
    assert "0.20%" in lines[3]
    assert "0.50%" in lines[3]
    assert lines[6].startswith("all bins: mean 0.6")
    assert "chi^2 2." in lines[6]
    assert lines[6].endswith("in 1, 2, 3 sigma")
    assert lines[7].startswith("tau: mean 0.200%, 95% 0.200%, worst 0.200%; chi^2 0.04, 100.0%")
    assert lines[8].startswith("x_HI: mean 0.0013, 99% 0.0040, worst 0.0040; chi^2 0.16")
    assert lines[9].startswith("error bars are too narrow where ")
    assert lines[9].endswith("in 1, 2, 3 sigma, more than chance explains")
    assert lines[10] == "warning: error bars are too narrow: errors are 1.6 times what they say"
    assert len(lines) == 11
    assert "68% lie in 1 sigma" in err


def test_what_is_printed_of_an_older_record(capsys):
    """Of one that has errors by bin and nothing else."""
    errors = {"n": 5, "ell": [2000.0], "mean": [0.01], "median": [0.01], "p95": [0.02]}
    print_errors({**errors, "max": [0.03]}, "val")
    out, err = capsys.readouterr()
    assert "5 val simulations, which training also used" in out
    assert "all bins" not in out
    assert err == ""
