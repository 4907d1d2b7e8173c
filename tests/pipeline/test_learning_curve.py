"""How errors fall with the number of simulations, against laws and noise that are known."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.errors import ConfigError, DatasetError
from reionemu.models.calibration import Calibration
from reionemu.models.out_of_fold import OutOfFold
from reionemu.models.spectrum import SurrogateSpectrum
from reionemu.pipeline.learning import _spectra, learning_curve
from reionemu.pipeline.learning_law import LearningLaw, fit_law, resample_laws
from reionemu.pipeline.options import ModelOptions, TrainingOptions
from reionemu.targets import Target

NOISE = 0.02
SIZES = np.array([20, 30, 45, 70])


@pytest.fixture(scope="module")
def training_h5(tmp_path_factory):
    """100 simulations of two parameters, whose ln D_ell is a smooth function, and noise."""
    rng = np.random.default_rng(2)
    X = rng.uniform(0, 1, (100, 2))
    y = np.stack([np.sin(2 * X[:, 0]) + X[:, 1], X[:, 0] * X[:, 1]], axis=1)
    path = tmp_path_factory.mktemp("curve") / "training.h5"
    with h5py.File(path, "w") as h5:
        group = h5.create_group("training")
        group["X"], group["ell"] = X.astype(np.float32), [2000.0, 4000.0]
        group["Y"] = (y + NOISE * rng.standard_normal(y.shape)).astype(np.float32)
        group["param_names"] = np.array(["a", "b"], dtype="S")
        group.attrs.update({"y_source": "dl_ksz", "y_transform": "ln", "eps": 1e-30})
    return path


@pytest.fixture(scope="module")
def curve(training_h5):
    return learning_curve(training_h5, sizes=SIZES.tolist(), repeats=2)


laws = st.builds(
    LearningLaw,
    floor=st.floats(1e-3, 0.1),
    amplitude=st.floats(0.1, 5),
    exponent=st.floats(0.8, 1.25),
)


@given(laws)
@settings(max_examples=20, deadline=None)
def test_a_law_is_found_and_extended(law):
    sizes = np.array([30, 60, 120, 240, 480])
    found = fit_law(sizes, law(sizes))
    assert found(sizes[-2:]) == pytest.approx(law(sizes[-2:]), rel=0.05)
    assert found(5 * 480) == pytest.approx(float(law(5 * 480)), rel=0.3)


@given(laws, st.floats(1.01, 10))
def test_what_is_needed_is_the_inverse_of_the_error(law, factor):
    target = law.floor * factor
    assert float(law(law.needed(target))) == pytest.approx(target)
    assert math.isinf(law.needed(law.floor))
    assert math.isinf(law.needed(0.5 * law.floor))


def test_intervals_hold_the_truth_as_often_as_they_say():
    truth = LearningLaw(0.004, 0.3, 0.9)
    sizes = np.array([50, 100, 200, 400])
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(60):
        scatter = np.exp(0.03 * 400 / sizes * rng.standard_normal((3, 4)))
        others = resample_laws(sizes, truth(sizes) * scatter, 0.0, rng, 40)
        low, high = np.quantile([float(law(1000)) for law in others], [0.16, 0.84])
        held += low <= float(truth(1000)) <= high
    assert 33 <= held <= 54  # 41 +- 4; the prior, which is right here, makes it more


def test_the_curve_comes_down_to_the_noise(curve):
    """The mean of |error| of Gaussian noise is sqrt(2/pi) sigma."""
    noise = math.sqrt(2 / math.pi) * NOISE
    assert curve.held_out == "test"
    assert curve.errors.shape == curve.bars.shape == (2, 4)
    assert curve.mean[-1] == pytest.approx(noise, rel=0.35)
    assert curve.mean[0] > curve.mean[-1]
    assert curve.expected(1000).value == pytest.approx(noise, rel=0.35)
    assert curve.floor.low <= curve.floor.value <= curve.mean[-1]
    assert curve.bars[:, -1] == pytest.approx(NOISE, rel=0.35)


def test_targets_are_reached_or_not(curve):
    assert math.isinf(curve.needed(0.1 * curve.floor.value).value)
    middle = float(curve.law(40))
    needed = curve.needed(middle)
    assert needed.value == pytest.approx(40)
    assert needed.low <= 40 * 1.01
    assert needed.high >= 40 * 0.99


def test_the_largest_set_is_all_and_repeats_agree_on_it(curve):
    assert curve.scatter[-1] == pytest.approx(0, abs=1e-8)
    assert (curve.scatter[:-1] > 1e-6).all()


def test_sizes_by_default_end_with_all(training_h5):
    options = TrainingOptions(split={"train": 0.9, "val": 0.1})
    curve = learning_curve(training_h5, options, repeats=1)
    assert curve.sizes.tolist() == [32, 45, 64, 90]
    assert curve.held_out == "out-of-fold"
    assert curve.mean[-1] == pytest.approx(math.sqrt(2 / math.pi) * NOISE, rel=0.35)
    assert np.isnan(curve.scatter).all()


@pytest.mark.parametrize(
    ("in_all", "split", "sizes"),
    [
        (64, {"train": 0.7, "val": 0.1, "test": 0.2}, [16, 22, 32, 45]),
        (24, {"train": 0.9, "val": 0.1}, [9, 12, 16, 22]),
    ],
)
def test_small_suites_have_curves(training_h5, tmp_path, in_all, split, sizes):
    path = tmp_path / "small.h5"
    path.write_bytes(training_h5.read_bytes())
    with h5py.File(path, "r+") as h5:
        for name in ("X", "Y"):
            rows = h5[f"training/{name}"][:in_all]
            del h5[f"training/{name}"]
            h5[f"training/{name}"] = rows
    curve = learning_curve(path, TrainingOptions(split=split), repeats=1)
    assert curve.sizes.tolist() == sizes


def test_too_small_a_suite_has_none(training_h5):
    options = TrainingOptions(split={"train": 0.1, "val": 0.9})
    with pytest.raises(ConfigError, match="4 different sizes or more, there are 2; there are 10"):
        learning_curve(training_h5, options, repeats=1)


@dataclass
class Told:
    """A surrogate that says what it is told."""

    moments: tuple

    def predict(self, theta):
        return self.moments


@pytest.mark.parametrize("transform", ["ln", "log10", "none"])
@pytest.mark.parametrize("is_own", [True, False])
def test_out_of_fold_spectra_are_those_of_a_spectrum(transform, is_own):
    """Of realizations of their own, the mean of a log-normal."""
    rng = np.random.default_rng(3)
    mean, std, noise, truth = rng.uniform(0.1, 0.5, (4, 20, 3))
    own, target = OutOfFold(mean, std, noise), Target("dl_ksz", transform, 0.0)
    calibration = Calibration.of(mean, own.total, truth)
    spectrum = SurrogateSpectrum(Told((mean, std, noise)), target, calibration, is_own)
    expected = spectrum.moments(np.zeros((20, 4)), 1, 0)
    found = _spectra(own, target, calibration, is_own)
    np.testing.assert_allclose(found[0], expected.mean, rtol=1e-12)
    np.testing.assert_allclose(found[1], expected.std, rtol=1e-12)


def test_networks_have_curves_without_error_bars(training_h5):
    options = TrainingOptions(model=ModelOptions("four-param", hidden_dim=8))
    options = replace(options, fit=replace(options.fit, epochs=3))
    curve = learning_curve(training_h5, options, SIZES.tolist(), 1)
    assert curve.held_out == "test"
    assert curve.bars is None
    again = learning_curve(training_h5, options, SIZES.tolist(), 1)
    assert again.errors.tolist() == curve.errors.tolist()


@pytest.mark.parametrize(
    ("sizes", "repeats", "error", "message"),
    [
        ([20, 30, 40], 1, ConfigError, "4 different sizes"),
        ([20, 30, 30, 40], 1, ConfigError, "4 different sizes"),
        ([20, 30, 40, 71], 1, ConfigError, "more than the 70"),
        ([20, 30, 40, 0], 1, ConfigError, "sizes"),
        ([20, 30, 40, 50.5], 1, ConfigError, "sizes"),
        ([20, 30, 40, 50], 0, ConfigError, "repeats"),
        ([5, 20, 40, 50], 1, DatasetError, "5 simulations to train on are too few"),
    ],
)
def test_impossible_curves_are_refused(sizes, repeats, error, message, training_h5):
    with pytest.raises(error, match=message):
        learning_curve(training_h5, sizes=sizes, repeats=repeats)


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, float("nan")])
def test_impossible_targets_are_refused(target, curve):
    with pytest.raises(ConfigError, match="target"):
        curve.needed(target)
