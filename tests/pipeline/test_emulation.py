"""What comes of training: spectra, histories, and error bars that mean what they say."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import replace

import h5py
import numpy as np
import pytest

import reionemu
from reionemu import pipeline
from reionemu.errors import ConfigError, ReionemuWarning
from reionemu.pipeline.options import ModelOptions, SuiteOptions, TrainingOptions
from reionemu.training.train_loop import FitConfig

LOW, HIGH = np.array([7.0, 0.1, 0.1, 0.1]), np.array([9.0, 0.9, 2.0, 0.8])
MIDDLE = np.array([8.0, 0.5, 1.0, 0.45])


def inside(n: int, seed: int = 4) -> np.ndarray:
    """Points in the inner 80% of the box."""
    fraction = np.random.default_rng(seed).uniform(0.1, 0.9, (n, 4))
    return LOW + fraction * (HIGH - LOW)


def truth(theta: np.ndarray) -> np.ndarray:
    """The D_ell that the training arrays of conftest scatter around."""
    from reionemu.models.width import LinearTheory

    zmean, first, second, ln_width = LinearTheory().coordinates(theta).T
    level = 0.2 * (zmean - 8) + 0.3 * ln_width - 0.2 * ln_width**2
    shape = np.stack([0.3 * first, 0.5 * second, 0.2 * first * second], axis=-1)
    return np.exp(level[:, None] + shape)


def assert_covariance(drawn: np.ndarray, expected: np.ndarray) -> None:
    """4000 draws know each element to 2% of the deviations it is of."""
    std = np.sqrt(np.diag(expected))
    difference = (np.cov(drawn.T) - expected) / np.outer(std, std)
    assert np.abs(difference).max() < 0.1


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Artifacts of a suite by the scatter, and the kind, of its simulations."""
    made = {}

    def train(make, key, n=80, **how):
        if key not in made:
            folder = tmp_path_factory.mktemp(key)
            path = make(folder / "suite.h5", n, **how)
            made[key] = pipeline.train_artifact(path, "a", folder)
        return made[key]

    return train


@pytest.fixture
def shared(trained, training_file):
    return trained(training_file, "shared", 120, realizations="shared", map_area=0.01)


@pytest.fixture
def own(trained, training_file):
    return trained(training_file, "own", 400, scatter=0.2, realizations="own", map_area=0.01)


def test_the_default_is_a_gaussian_process_that_learns(shared):
    emulator, theta = shared.emulator(), inside(200)
    prediction = emulator.predict(theta)
    error = prediction.mean / truth(theta) - 1
    assert np.abs(error).mean() < 0.003  # simulations scatter by 0.002
    assert shared.configs["model"]["class_name"] == "GaussianProcess"
    assert shared.results["summary"]["realizations"] == "shared"
    assert emulator.suite.map_area == 0.01
    assert not (shared.path / "model.pt").exists()
    assert not (shared.path / "normalizers.npz").exists()


def test_error_bars_are_right_where_they_were_not_made(shared):
    theta = inside(400, seed=8)
    noise = np.exp(0.002 * np.random.default_rng(1).standard_normal((400, 3)))
    prediction = shared.emulator().predict(theta)
    z = (truth(theta) * noise - prediction.mean) / prediction.std
    assert 0.7 < (z**2).mean() < 1.4
    assert 0.6 < (np.abs(z) < 1).mean() < 0.77
    correlation = shared.companions().correlation
    assert correlation.shape == (7, 7)
    np.testing.assert_array_equal(np.diag(correlation), 1)


def test_predictions_of_what_was_not_seen_are_kept(shared):
    kept = shared.predictions()
    np.testing.assert_array_equal(kept["row"], np.arange(120))
    split = shared.provenance["lineage"][-2]["indices"]
    for part, rows in enumerate((split["train"], split["val"], split["test"])):
        np.testing.assert_array_equal(np.flatnonzero(kept["part"] == part), sorted(rows))
    z = (kept["truth"] - kept["mean"]) / kept["std"]
    assert 0.8 < (z**2).mean() < 1.25
    rows = kept["part"] == 2
    theta = reionemu.load_training_arrays(shared.info["dataset"]["path"])[0][rows]
    mean = shared.emulator(bounds="unbounded").predict(theta).mean
    np.testing.assert_allclose(np.exp(kept["mean"][rows]), mean, rtol=1e-6)


def test_own_realizations_give_the_mean_and_the_scatter_around_it(own):
    """ln D scatters by 0.2, so that the mean of D is exp(0.02) times its median."""
    emulator, theta = own.emulator(), inside(100)
    prediction = emulator.predict(theta)
    z = (prediction.mean - truth(theta) * np.exp(0.2**2 / 2)) / prediction.std
    assert 0.3 < np.sqrt((z**2).mean()) < 1.7
    assert (prediction.std / prediction.mean).mean() < 0.06
    covariance = emulator.sample_covariance(theta)
    scatter = np.sqrt(np.einsum("nii->ni", covariance)) / prediction.mean
    np.testing.assert_allclose(scatter.mean(), 0.2, rtol=0.1)
    np.testing.assert_array_equal(emulator.realization_covariance(theta), 0)
    small = emulator.sample_covariance(theta, area=0.04)
    np.testing.assert_allclose(small, covariance / 4, rtol=1e-12)


@pytest.mark.parametrize(("scatter", "kind"), [(0.2, "own"), (0.002, "shared")])
def test_a_file_that_does_not_say_is_judged_by_its_scatter(trained, training_file, scatter, kind):
    artifact = trained(training_file, f"untold-{kind}", scatter=scatter)
    assert artifact.results["summary"]["realizations"] == kind


def test_the_user_can_say_what_kind_of_suite_it_is(training_h5, tmp_path):
    options = TrainingOptions(suite=SuiteOptions(realizations="own", history=False))
    with pytest.warns(ReionemuWarning, match="says that realizations are 'shared'"):
        artifact = pipeline.train_artifact(training_h5, "a", tmp_path / "out", options)
    emulator = artifact.emulator()
    assert emulator.suite.realizations == "own"
    assert emulator.history is None
    with pytest.raises(ConfigError, match="not trained on optical depths and histories"):
        emulator.predict_history(MIDDLE)


def test_several_realizations_tell_their_scatter_and_how_sure_their_mean_is(
    training_file, tmp_path
):
    path = training_file(tmp_path / "suite.h5", realizations="shared", map_area=0.01)
    scatter = np.diag([0.04, 0.03, 0.02])
    with h5py.File(path, "r+") as h5:
        h5["training/realizations_averaged"] = np.full(80, 8)
        h5["training/dl_covariance"] = scatter
        h5["training/dl_covariance"].attrs["degrees_of_freedom"] = 7
    emulator = pipeline.train_artifact(path, "a", tmp_path / "out").emulator()
    mean = emulator.predict(MIDDLE).mean
    one = emulator.sample_covariance(MIDDLE)
    np.testing.assert_allclose(one, mean[:, None] * scatter * mean, rtol=1e-12)
    np.testing.assert_allclose(emulator.realization_covariance(MIDDLE), one / 8, rtol=1e-12)


def test_one_realization_cannot_tell_its_scatter(shared):
    emulator = shared.emulator()
    with pytest.raises(ConfigError, match="one for all parameters"):
        emulator.sample_covariance(MIDDLE)


def test_the_history_goes_with_the_spectrum(shared):
    from scipy.special import ndtr

    emulator, theta = shared.emulator(), inside(50)
    z = np.linspace(5, 14, 40)
    history = emulator.predict_history(theta, z)
    from reionemu.models.width import LinearTheory

    width = np.exp(LinearTheory().coordinates(theta)[:, 3:])
    exact = ndtr((z - theta[:, :1]) / width)
    assert np.abs(history.x_hi - exact).max() < 0.003
    assert (np.diff(history.x_hi, axis=1) >= 0).all()
    np.testing.assert_allclose(history.z50, theta[:, 0], atol=0.005)
    np.testing.assert_allclose(history.duration, 2 * 0.6745 * width[:, 0], rtol=0.01)
    np.testing.assert_allclose(history.tau, 0.055 + 0.008 * (theta[:, 0] - 8), rtol=8e-3)
    one = emulator.predict_history(theta[3], z)
    np.testing.assert_allclose(one.x_hi, history.x_hi[3], atol=1e-12)
    assert one.tau.shape == ()


def test_joint_draws_scatter_as_predictions_say(shared):
    emulator = shared.emulator()
    drawn = emulator.joint_draws(MIDDLE, [7.5, 8.0], n_draws=4000)
    prediction, history = emulator.predict(MIDDLE), emulator.predict_history(MIDDLE, [7.5, 8.0])
    assert_covariance(drawn.spectrum, prediction.covariance)
    np.testing.assert_allclose(drawn.tau.std(), history.tau_std, rtol=0.06)
    np.testing.assert_allclose(drawn.x_hi.std(axis=0), history.x_hi_std, rtol=0.1)
    again = emulator.joint_draws(MIDDLE, [7.5, 8.0], n_draws=4000)
    np.testing.assert_array_equal(again.spectrum, drawn.spectrum)
    several = emulator.joint_draws(np.stack([MIDDLE, MIDDLE + 0.01]), n_draws=10)
    assert several.spectrum.shape == (10, 2, 3)
    assert several.x_hi.shape == (10, 2, 61)


def test_draws_of_the_spectrum_have_its_covariance(shared):
    emulator = shared.emulator()
    drawn = emulator.draws(MIDDLE, n_draws=4000)
    expected = emulator.predict(MIDDLE).covariance
    assert_covariance(drawn, expected)


@pytest.mark.parametrize("suite", ["shared", "own"])
def test_gradients_are_those_of_differences(suite, request):
    emulator = request.getfixturevalue(suite).emulator()
    gradient = emulator.gradient(MIDDLE)
    assert gradient.shape == (3, 4)
    for i, step in enumerate(1e-4 * np.eye(4)):
        above, below = (emulator.predict(MIDDLE + sign * step).mean for sign in (1, -1))
        np.testing.assert_allclose(gradient[:, i], (above - below) / 2e-4, rtol=1e-4)


def test_a_hole_in_the_design_is_warned_of(training_file, tmp_path):
    path = training_file(tmp_path / "suite.h5", 300)
    with h5py.File(path, "r+") as h5:
        X = h5["training/X"][()]
        hole = X[:, 0] < 8.6
        X[hole, 3] = 0.1 + 0.3 * (X[hole, 3] - 0.1)
        h5["training/X"][...] = X
    emulator = pipeline.train_artifact(path, "a", tmp_path / "out").emulator()
    empty = np.array([7.1, 0.5, 1.0, 0.75])
    assert emulator.is_sparse(empty)
    with pytest.warns(ReionemuWarning, match="far from all training points"):
        emulator.predict(empty)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        emulator.predict([8.5, 0.5, 1.0, 0.3])


def test_the_box_is_that_of_the_design(training_file, tmp_path):
    path = training_file(tmp_path / "suite.h5")
    with h5py.File(path, "r+") as h5:
        h5["training/design_low"], h5["training/design_high"] = LOW, np.append(HIGH[:3], 8.0)
    artifact = pipeline.train_artifact(path, "a", tmp_path / "out")
    box = artifact.emulator().box
    assert box.low == tuple(LOW)
    assert box.high[:3] == tuple(HIGH[:3])
    assert box.high[3] < 0.8  # where no simulation is, the design's bound is not that of training
    assert artifact.verify().ok


def test_predicting_loads_neither_pytorch_nor_scipy(shared):
    code = (
        "import sys\nfrom reionemu import load_artifact\n"
        f"emulator = load_artifact({str(shared.path)!r}).emulator()\n"
        "emulator.predict([8, 0.5, 1, 0.45]); emulator.predict_history([8, 0.5, 1, 0.45])\n"
        "emulator.joint_draws([8, 0.5, 1, 0.45]); emulator.gradient([8, 0.5, 1, 0.45])\n"
        "print([m for m in ('torch', 'scipy', 'h5py', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_training_again_is_up_to_date_until_something_changes(training_h5, tmp_path):
    said = []
    first = pipeline.train_artifact(training_h5, "a", tmp_path / "out")
    again = pipeline.train_artifact(
        training_h5, "a", tmp_path / "out", resume=True, say=said.append
    )
    assert said == [f"up to date: {first.path}"]
    assert again.provenance["run"] == first.provenance["run"]
    with h5py.File(training_h5, "r+") as h5:
        h5["training/tau"][...] = h5["training/tau"][()] * 1.01
    changed = pipeline.train_artifact(training_h5, "a", tmp_path / "out", resume=True)
    assert changed.provenance["run"] != first.provenance["run"]


def test_nothing_outside_the_box_is_computed(shared):
    """A sampler steps anywhere: to where a logarithm is none, too."""
    emulator = shared.emulator()
    outside = MIDDLE * [1, 1, -1, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(emulator.predict(outside, out_of_range="nan").covariance).all()
        history = emulator.predict_history(np.stack([outside, MIDDLE]), out_of_range="nan")
        assert np.isnan(emulator.gradient(outside, out_of_range="nan")).all()
    assert np.isnan(history.tau[0])
    assert 0.05 < history.tau[1] < 0.06
    assert not emulator.is_sparse(outside)


def test_own_realizations_averaged_over_lines_of_sight_scatter_more_each(training_file, tmp_path):
    path = training_file(tmp_path / "suite.h5", 200, scatter=0.1, realizations="own")
    with h5py.File(path, "r+") as h5:
        h5["training/realizations_averaged"] = np.full(200, 3)
    emulator = pipeline.train_artifact(path, "a", tmp_path / "out").emulator()
    covariance, mean = emulator.sample_covariance(MIDDLE), emulator.predict(MIDDLE).mean
    np.testing.assert_allclose(np.diag(covariance) / mean**2, 3 * 0.1**2, rtol=0.5)


def test_the_kind_of_a_suite_does_not_hang_on_the_logarithm(training_file, tmp_path):
    path = training_file(tmp_path / "suite.h5", scatter=0.05)
    with h5py.File(path, "r+") as h5:
        h5["training/Y"][...] = h5["training/Y"][()] / np.log(10)
        h5["training"].attrs["y_transform"] = "log10"
    artifact = pipeline.train_artifact(path, "a", tmp_path / "out")
    assert artifact.results["summary"]["realizations"] == "own"
    np.testing.assert_allclose(
        artifact.emulator().predict(MIDDLE).mean, truth(MIDDLE[None])[0], rtol=0.1
    )


@pytest.mark.parametrize("name", ["mc-dropout", "four-param"])
def test_networks_get_calibrated_error_bars_and_a_history(training_file, tmp_path, name):
    path = training_file(tmp_path / "suite.h5", 300, scatter=0.02)
    options = TrainingOptions(
        split={"train": 0.5, "val": 0.25, "test": 0.25},
        model=ModelOptions(name, hidden_dim=32, activation="silu", dropout_rate=0.02),
        fit=FitConfig(epochs=120, seed=1),
    )
    options = replace(options, optimizer=replace(options.optimizer, lr=0.01))
    artifact = pipeline.train_artifact(path, "a", tmp_path / "out", options)
    kept = artifact.predictions()
    assert set(kept["part"]) == {1, 2}
    z = (kept["truth"] - kept["mean"]) / kept["std"]
    np.testing.assert_allclose((z[kept["part"] == 1] ** 2).mean(axis=0), 1, rtol=1e-6)
    assert 0.5 < (z[kept["part"] == 2] ** 2).mean() < 1.9
    emulator = artifact.emulator()
    prediction = emulator.predict(MIDDLE)
    assert (prediction.std > 0).all()
    np.testing.assert_allclose(np.sqrt(np.diag(prediction.covariance)), prediction.std)
    assert emulator.joint_draws(MIDDLE, n_draws=5).tau.shape == (5,)
    raw = artifact.emulator(state_dict=artifact.model().state_dict())  # as without calibration
    np.testing.assert_allclose(prediction.mean, raw.predict(MIDDLE).mean, rtol=1e-5)
    drawn = emulator.joint_draws(MIDDLE, [8.0], n_draws=3000)
    correlation = np.corrcoef(drawn.spectrum[:, 0], drawn.x_hi[:, 0])[0, 1]
    assert abs(correlation) < 0.1
    with pytest.raises(ConfigError, match="those PyTorch takes"):
        emulator.gradient(MIDDLE)
