"""Inputs for Cobaya: what is in them, and what comes of running them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import yaml
from cobaya.run import run

import reionemu
from reionemu.errors import ConfigError
from reionemu.inference import EmceeOptions, Problem, mock_from_spectrum, write_band_powers
from reionemu.inference.cobaya import cobaya_input, to_yaml
from reionemu.inference.cobaya.input import cobaya_prior
from reionemu.inference.priors import Prior, parse_prior
from reionemu.inference.sampling import sample

TRUTH = (8.1, 0.4, 1.1, 0.5)
TAU = (0.056, 0.004)


@pytest.fixture
def mock(artifact, tmp_path) -> Path:
    """A file of noiseless band powers with errors of 10%."""
    spectrum = reionemu.load_artifact(artifact).emulator().predict(TRUTH)
    path = tmp_path / "mock.yaml"
    write_band_powers(mock_from_spectrum(spectrum.ell, spectrum.mean, relative_error=0.1), path)
    return path


def test_text_reads_back_to_the_input(artifact, mock, quick):
    info = cobaya_input(artifact, data=mock, tau=TAU, seed=3)
    text = to_yaml(info, file="kinetic.yaml")
    assert yaml.safe_load(text) == info
    assert "cobaya-run kinetic.yaml" in text
    assert list(info["params"]) == [
        *("zmean_zre", "alpha_zre", "kb_zre", "b0_zre"),
        *("tau", "z50", "duration"),
    ]
    assert info["params"]["z50"] == {"latex": "z_{50}"}
    assert info["output"] == "chains/gp-mock"
    assert cobaya_input(artifact, data=mock, tau=TAU, seed=3) == info


def test_proposals_are_as_wide_as_the_posterior(artifact, mock):
    """Importance sampling, 5000 points of the prior, knows that to 5%; the short chain to 10%."""
    info = cobaya_input(artifact, data=mock, tau=TAU)
    mcmc = info["sampler"]["mcmc"]
    emulator = reionemu.load_artifact(artifact).emulator()
    problem = Problem(emulator, reionemu.inference.read_band_powers(mock), tau=TAU)
    x = problem.from_unit(np.random.default_rng(0).random((5000, 4)))
    log_likelihood = problem.log_likelihood(x)
    weights = np.exp(log_likelihood - log_likelihood.max())
    expected = np.cov(x, rowvar=False, aweights=weights)
    std = np.sqrt(np.diag(expected))
    difference = (np.array(mcmc["covmat"]) - expected) / np.outer(std, std)
    assert np.abs(difference).max() < 0.25
    assert mcmc["covmat_params"] == list(problem.names)
    best = np.array([info["params"][name]["ref"]["loc"] for name in problem.names])
    assert problem.log_likelihood(best) > log_likelihood.max() - 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uniform(0.2, 0.7)", {"min": 0.2, "max": 0.7}),
        ("normal(0.5, 0.2)", {"dist": "truncnorm", "loc": 0.5, "scale": 0.2, "a": -2, "b": 1.5}),
        ("loguniform(0.01, 0.5)", {"dist": "loguniform", "a": 0.1, "b": 0.5}),
        ("gamma(2, 0, 0.3)", {"dist": "gamma", "a": 2, "loc": 0, "scale": 0.3}),
        ("beta(2, 3)", {"dist": "beta", "a": 2, "b": 3}),
    ],
)
def test_priors_are_those_of_scipy_as_cobaya_reads_them(text, expected):
    from cobaya.tools import get_scipy_1d_pdf

    prior = parse_prior("b0_zre", text).within(0.1, 0.8, "b0_zre")
    found = cobaya_prior("b0_zre", prior)
    assert found == pytest.approx(expected)
    x = np.linspace(0.21, 0.49, 5)
    density = get_scipy_1d_pdf(found).logpdf(x) - prior.log_density(x)
    assert np.ptp(density) < 1e-9
    if found.get("dist") not in ("gamma", "beta"):
        assert np.abs(density).max() < 1e-9


def test_a_prior_without_a_name_is_refused():
    histogram = scipy.stats.rv_histogram(np.histogram([1.0, 2.0, 2.0, 3.0]))
    frozen = Prior("own", object(), 0.0, 1.0)
    with pytest.raises(ConfigError, match="no distribution of scipy"):
        cobaya_prior("b0_zre", frozen)
    with pytest.raises(ConfigError, match="no distribution of scipy"):
        cobaya_prior("b0_zre", Prior("own", histogram, 0.0, 1.0))


def test_a_run_from_the_command_line(artifact, mock, tmp_path, quick):
    """`cobaya-run` reads the file as it is; the emulator's parameters and tau are in its chain."""
    info = cobaya_input(artifact, data=mock, output=str(tmp_path / "chains" / "short"))
    info["sampler"]["mcmc"] |= {"max_samples": 50}
    (tmp_path / "kinetic.yaml").write_text(to_yaml(info))
    command = [sys.executable, "-m", "cobaya", "run", str(tmp_path / "kinetic.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    header, *rows = (tmp_path / "chains" / "short.1.txt").read_text().splitlines()
    columns = header.lstrip("#").split()
    assert {"zmean_zre", "b0_zre", "tau", "z50", "duration"} <= set(columns)
    row = dict(zip(columns, map(float, rows[-1].split()), strict=True))
    emulator = reionemu.load_artifact(artifact).emulator()
    theta = {name: row[name] for name in emulator.parameter_names}
    assert row["tau"] == pytest.approx(float(emulator.predict_history(theta).tau), rel=1e-6)
    updated = yaml.safe_load((tmp_path / "chains" / "short.updated.yaml").read_text())
    assert {part["version"] for part in updated["likelihood"].values()} == {reionemu.__version__}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Setting a value on a DataFrame via .at:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:some points are far from:reionemu.errors.ReionemuWarning")
def test_a_converged_chain_agrees_with_the_built_in_one(artifact, mock):
    """R - 1 < 0.003 is some 3000 effective samples: means to 0.02 sigma, widths to 1.5%."""
    info = cobaya_input(artifact, data=mock, tau=TAU) | {"debug": 50}
    info["sampler"]["mcmc"] |= {"Rminus1_stop": 0.003}
    del info["output"]
    _, sampler = run(info)
    assert sampler.converged
    found = sampler.samples(skip_samples=0.3, combined=True, to_getdist=True)
    emulator = reionemu.load_artifact(artifact).emulator()
    problem = Problem(emulator, reionemu.inference.read_band_powers(mock), tau=TAU)
    expected = sample(problem, EmceeOptions(target_ess=8000), seed=1)
    assert expected.is_converged
    flat = expected.samples.reshape(-1, problem.n_dim)
    for name, column in zip(problem.names, flat.T, strict=True):
        assert abs(found.mean(name) - column.mean()) < 0.1 * column.std()
        assert found.std(name) == pytest.approx(column.std(), rel=0.05)
    tau = emulator.predict_history(flat).tau
    assert abs(found.mean("tau") - tau.mean()) < 0.1 * tau.std()
    assert found.std("tau") == pytest.approx(tau.std(), rel=0.05)
