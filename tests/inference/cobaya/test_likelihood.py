"""Cobaya's likelihood, run from the emitted input, is the one of this package."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cobaya.log import LoggedError
from cobaya.model import get_model

import reionemu
from reionemu.errors import ConfigError
from reionemu.inference import Problem, read_band_powers, write_band_powers
from reionemu.inference.band_powers import BandPowers
from reionemu.inference.cobaya import KSZLikelihood, cobaya_input
from reionemu.inference.expectation import Expectation
from reionemu.inference.measurements import reichardt_2021
from reionemu.models.suite import Suite

WINDOW_ELL = np.arange(1600.0, 5900.0, 100.0)


def band_powers(**changes: object) -> BandPowers:
    """Three bins with top-hat windows and correlated errors."""
    centres = np.array([2000.0, 3500.0, 5000.0])
    windows = (np.abs(WINDOW_ELL - centres[:, None]) < 350).astype(float)
    data = BandPowers(
        name="three bins",
        ell=centres,
        dl=np.array([1.2, 1.1, 1.05]),
        covariance=0.01 * (0.7 * np.eye(3) + 0.3),
        windows=windows / windows.sum(axis=1, keepdims=True),
        window_ell=WINDOW_ELL,
    )
    return replace(data, **changes)


CASES = {
    "windows": {"data": band_powers()},
    "total": {"data": band_powers(is_total=True, dl=np.array([3.1, 3.4, 3.6]))},
    "a simulated map": {"data": band_powers(map_area=0.005)},
    "tau": {"data": band_powers(), "tau": "planck2018"},
    "tau in numbers": {"data": band_powers(), "tau": (0.056, 0.004)},
    "published": {"measurement": "reichardt_2021"},
    "priors": {
        "measurement": "reichardt_2021",
        "priors": {"zmean_zre": "normal(8, 0.5)", "kb_zre": "loguniform(0.2, 1)"},
        "late_time": (2.0, 0.5),
    },
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("case", CASES)
def test_the_emitted_input_has_the_built_in_density(case, artifact, tmp_path):
    options = dict(CASES[case])
    data = options.pop("data", None)
    if data is not None:
        write_band_powers(data, tmp_path / "data.yaml")
        options["data"] = tmp_path / "data.yaml"
    model = get_model(cobaya_input(artifact, **options) | {"debug": 50})
    tau = options.get("tau")
    problem = Problem(
        reionemu.load_artifact(artifact).emulator(),
        reichardt_2021() if data is None else data,
        tau=(0.0544, 0.0073) if tau == "planck2018" else tau,
        late_time=options.get("late_time"),
        priors=options.get("priors"),
    )
    x = problem.from_unit(np.random.default_rng(0).random((40, problem.n_dim)))
    found = [model.logposterior(dict(zip(problem.names, point, strict=True))) for point in x]
    assert list(model.parameterization.sampled_params()) == list(problem.names)
    likelihood = np.array([value.loglikes[0] for value in found])
    np.testing.assert_allclose(likelihood, problem.log_likelihood(x), rtol=1e-10, atol=1e-10)
    posterior = np.array([value.logpost for value in found])
    np.testing.assert_allclose(posterior, problem.log_prob(x), rtol=1e-8, atol=1e-8)


@pytest.mark.usefixtures("quick")
def test_other_priors_differ_by_a_constant(artifact):
    """Cobaya cannot cut them off at the box: the theory does."""
    priors = {"b0_zre": "gamma(2, 0, 0.3)"}
    model = get_model(
        cobaya_input(artifact, measurement="gorce_2022_patchy", priors=priors) | {"debug": 50}
    )
    from reionemu.inference.measurements import gorce_2022_patchy

    emulator = reionemu.load_artifact(artifact).emulator()
    problem = Problem(emulator, gorce_2022_patchy(), priors=priors)
    x = problem.from_unit(np.random.default_rng(0).random((20, problem.n_dim)))
    found = np.array([model.logpost(dict(zip(problem.names, point, strict=True))) for point in x])
    assert np.ptp(found - problem.log_prob(x)) < 1e-8
    outside = dict(zip(problem.names, x[0], strict=True)) | {"b0_zre": 0.95}
    assert model.logpost(outside) == -np.inf


def test_a_late_time_part_is_there_if_the_data_include_it(artifact, tmp_path):
    assert "late_time_dl3000" in KSZLikelihood({"measurement": "reichardt_2021"}).get_requirements()
    patchy = KSZLikelihood({"measurement": "gorce_2022_patchy"}).get_requirements()
    assert set(patchy) == {"ksz_band_powers"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give either data"),
        ({"data": "nowhere.csv"}, "nowhere.csv"),
        ({"measurement": "reichardt"}, "did you mean 'reichardt_2021'"),
        ({"measurement": "reichardt_2021", "tau": "plank2018"}, "did you mean 'planck2018'"),
        ({"measurement": "reichardt_2021", "tau": [0.05]}, "a mean and a standard deviation"),
        ({"measurement": "reichardt_2021", "tau": [0.05, -1]}, "standard deviation"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(LoggedError, match=message):
        KSZLikelihood(options)


@pytest.mark.usefixtures("quick")
def test_data_beyond_the_emulator_end_the_run_before_it_begins(artifact, tmp_path):
    data = band_powers(windows=None, window_ell=None, ell=np.array([2000.0, 3500.0, 9000.0]))
    write_band_powers(data, tmp_path / "far.yaml")
    assert read_band_powers(tmp_path / "far.yaml").ell[-1] == 9000
    info = cobaya_input(artifact, measurement="gorce_2022_patchy") | {"debug": 50}
    likelihood = next(iter(info["likelihood"]))
    info["likelihood"] = {likelihood: {"data": str(tmp_path / "far.yaml")}}
    with pytest.raises(LoggedError, match="outside the range of the emulator's bins"):
        get_model(info)


@pytest.mark.parametrize(
    ("suite", "data", "share"),
    [
        (Suite("own"), band_powers(), 0),
        (Suite("shared", 4, 0.01), band_powers(), 0.25),
        (Suite("shared", 4, 0.01), band_powers(realization="emulator"), 0),
        (Suite("own", 1, 0.01), band_powers(map_area=0.005), 2),
        (Suite("shared", 2, 0.01), band_powers(map_area=0.04), 0.75),
    ],
)
def test_the_scatter_between_realizations_counts_where_they_differ(artifact, suite, data, share):
    emulator = reionemu.load_artifact(artifact).emulator()
    emulator.suite = suite
    expectation = Expectation(emulator, data)
    alone = Expectation(emulator, band_powers(realization="emulator"))
    theta = np.array([8.1, 0.4, 1.1, 0.5])
    scatter = expectation.matrix @ emulator.sample_covariance(theta) @ expectation.matrix.T
    np.testing.assert_allclose(
        expectation.at(theta).covariance, alone.at(theta).covariance + share * scatter, rtol=1e-12
    )


def test_a_scatter_that_is_not_known_is_left_out_and_said_so(artifact, monkeypatch):
    emulator = reionemu.load_artifact(artifact).emulator()
    emulator.suite = Suite("shared")
    monkeypatch.setattr(type(emulator.spectrum), "scatter", lambda *_: None)
    expectation = Expectation(emulator, band_powers())
    assert expectation.lacks_scatter
    assert expectation.share == 0
    assert not Expectation(emulator, band_powers(realization="emulator")).lacks_scatter
    with pytest.raises(ConfigError, match="does not say how large"):
        Expectation(emulator, band_powers(map_area=0.01))
