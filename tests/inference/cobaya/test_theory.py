"""An emulator as a theory of Cobaya: what it provides, and what it refuses."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from cobaya.likelihood import Likelihood
from cobaya.log import LoggedError
from cobaya.model import Model, get_model

import reionemu

THEORY = "reionemu.inference.cobaya.ReionizationTheory"
NAMES = ("zmean_zre", "alpha_zre", "kb_zre", "b0_zre")
POINT = dict(zip(NAMES, (8.1, 0.4, 1.1, 0.5), strict=True))
WINDOWS = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])
WINDOW_ELL = np.array([2000.0, 3000.0, 5000.0])


class Asking(Likelihood):
    """A likelihood that requires `needs`, and is 1."""

    needs: ClassVar[dict[str, Any]] = {}

    def get_requirements(self):
        return dict(self.needs)

    def logp(self, **_):
        return 0.0


@pytest.fixture
def model(artifact):
    """A function (needs, **params) -> the model of an emulator and a likelihood that needs."""

    def make(needs: dict[str, Any], **params: Any) -> Model:
        asking = type("asking", (Asking,), {"needs": needs})
        priors = {
            name: {"prior": [low, 10.0]} for name, low in zip(NAMES, (5, 0, 0, 0), strict=True)
        }
        return get_model(
            {
                "theory": {THEORY: {"artifact": str(artifact)}},
                "likelihood": {"asking": asking},
                "params": {**priors, **params},
                "debug": 50,
            }
        )

    return make


@pytest.fixture
def emulator(artifact):
    return reionemu.load_artifact(artifact).emulator()


def test_what_likelihoods_get_is_what_the_emulator_says(model, emulator):
    made = model(
        {
            "ksz_spectrum": {"ell": [2500.0, 3000.0]},
            "reionization_history": {"z": [9.0, 7.5]},
        }
    )
    assert np.isfinite(made.loglike(POINT)[0])
    expected = emulator.predict(POINT)
    own = made.provider.get_ksz_spectrum()
    np.testing.assert_array_equal(own.mean, expected.mean)
    np.testing.assert_array_equal(own.covariance, expected.covariance)
    found = made.provider.get_ksz_spectrum([2500.0, 3000.0])
    np.testing.assert_array_equal(found.mean, expected.at([2500.0, 3000.0]).mean)
    through = made.provider.get_ksz_spectrum(windows=WINDOWS, window_ell=WINDOW_ELL)
    np.testing.assert_array_equal(through.mean, expected.through(WINDOWS, WINDOW_ELL).mean)
    history = made.provider.get_reionization_history([7.5, 9.0])
    known = emulator.predict_history(POINT, [7.5, 9.0])
    np.testing.assert_allclose(history.x_hi, known.x_hi, rtol=1e-12)
    np.testing.assert_allclose(history.x_hi_std, known.x_hi_std, rtol=1e-12)
    assert history.tau == known.tau
    assert made.provider.get_reionization_history([9.0]).x_hi == history.x_hi[1:]
    with pytest.raises(LoggedError, match="not required"):
        made.provider.get_reionization_history([8.0])


def test_derived_parameters(model, emulator):
    made = model({"ksz_spectrum": None}, tau={"latex": r"\tau"}, duration={"derived": True})
    derived = made.logposterior(POINT).derived
    known = emulator.predict_history(POINT, [8.0])
    assert derived == [known.tau, known.duration]


def test_a_likelihood_can_require_tau_as_a_parameter(model, emulator):
    made = model({"ksz_spectrum": None, "tau": None})
    made.loglike(POINT)
    assert made.provider.get_param("tau") == emulator.predict_history(POINT, [8.0]).tau


def test_outside_the_training_box_the_probability_is_zero(model):
    made = model({"ksz_spectrum": None}, tau=None)
    found = made.logposterior({**POINT, "b0_zre": 0.95})
    assert found.logpost == -np.inf
    assert np.isfinite(found.logpriors).all()
    assert np.isfinite(made.logposterior(POINT).logpost)


def test_a_parameter_may_follow_from_others(model, emulator):
    """As everywhere in Cobaya: here zmean is half of what is sampled."""
    made = model(
        {"ksz_spectrum": None},
        twice={"prior": [14, 18], "drop": True},
        zmean_zre={"value": "lambda twice: twice / 2"},
    )
    made.loglike({**{n: POINT[n] for n in NAMES[1:]}, "twice": 16.2})
    np.testing.assert_array_equal(
        made.provider.get_ksz_spectrum().mean, emulator.predict(POINT).mean
    )


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        ({"ksz_spectrum": {"ell": [100.0]}}, "outside the range of the emulator's bins"),
        ({"ksz_spectrum": {"windows": 2 * WINDOWS, "window_ell": WINDOW_ELL}}, "sums to 2"),
    ],
)
def test_what_cannot_be_given_ends_the_run_before_it_begins(model, needs, message):
    with pytest.raises(LoggedError, match=message):
        model(needs)


@pytest.mark.parametrize(
    ("options", "message"), [({}, "needs the folder"), ({"artifact": "nowhere"}, "nowhere")]
)
def test_an_emulator_that_is_not_there(options, message):
    from reionemu.inference.cobaya import ReionizationTheory

    with pytest.raises(LoggedError, match=message):
        ReionizationTheory(options)


def test_the_version_is_recorded(model):
    versions = model({"ksz_spectrum": None}).get_versions()
    assert versions["theory"][THEORY] == reionemu.__version__


def test_camb_takes_its_optical_depth_from_here(artifact, emulator):
    """As the comments of an emitted input say: camb: {requires: [tau]}."""
    pytest.importorskip("camb")
    asking = type("asking", (Asking,), {"needs": {"ksz_spectrum": None, "CAMBdata": None}})
    cosmology = {"As": 2.1e-9, "ns": 0.965, "H0": 67.3, "ombh2": 0.0223, "omch2": 0.12}
    made = get_model(
        {
            "theory": {THEORY: {"artifact": str(artifact)}, "camb": {"requires": ["tau"]}},
            "likelihood": {"asking": asking},
            "params": {name: {"prior": [0.0, 10.0]} for name in NAMES} | cosmology,
            "debug": 50,
        }
    )
    for zmean in (7.5, 8.4):
        point = POINT | {"zmean_zre": zmean}
        made.loglike(point)
        reionization = made.provider.get_CAMBdata().Params.Reion
        assert reionization.optical_depth == emulator.predict_history(point, [8.0]).tau
