"""`train_artifact` records what was trained on, and refuses early what cannot be."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import h5py
import numpy as np
import pytest

import reionemu
from reionemu import pipeline
from reionemu.errors import ConfigError, DatasetError, ReionemuWarning
from reionemu.pipeline import training
from reionemu.pipeline.options import ModelOptions, TrainingOptions
from reionemu.training.train_loop import FitConfig

SHORT = TrainingOptions(model=ModelOptions(), fit=FitConfig(epochs=3, seed=1))


def test_the_record_is_of_the_data_that_was_trained_on(condensed_h5, tmp_path):
    """Another process rebuilds the arrays in the middle: the artifact must not describe those."""
    before = reionemu.dataset_summary(condensed_h5)

    def meddle(what, done, total):
        if done == 1:
            config = reionemu.BuildXYConfig(y_transform="log10")
            reionemu.build_and_write_training(condensed_h5, config=config)

    artifact = pipeline.train_artifact(condensed_h5, "a", tmp_path, SHORT, progress=meddle)
    assert artifact.info["dataset"] == before
    assert artifact.emulator().target.transform == "ln"


def test_arrays_older_than_the_spectra_are_told_of(condensed_h5, tmp_path):
    reionemu.add_cl_to_condensed_h5(condensed_h5, config=reionemu.ClConfig(nbins=3))
    with pytest.warns(ReionemuWarning, match="older than the spectra"):
        artifact = pipeline.train_artifact(condensed_h5, "a", tmp_path, SHORT)
    assert artifact.configs["dataset_prep"]["cl"] is None
    assert len(artifact.emulator().ell) == 5


@pytest.mark.parametrize("attribute", ["y_transform", "y_source", "eps"])
def test_arrays_that_do_not_say_what_they_are_are_refused(condensed_h5, tmp_path, attribute):
    with h5py.File(condensed_h5, "r+") as h5:
        del h5["training"].attrs[attribute]
    with pytest.raises(DatasetError, match=f"does not state its {attribute}"):
        pipeline.train_artifact(condensed_h5, "a", tmp_path, SHORT)


def test_a_seed_that_was_drawn_is_recorded_and_repeats_the_run(condensed_h5, tmp_path):
    options = replace(SHORT, fit=FitConfig(epochs=3))
    first = pipeline.train_artifact(condensed_h5, "first", tmp_path, options)
    seed = first.configs["training"]["seed"]
    again = replace(SHORT, fit=FitConfig(epochs=3, seed=seed))
    second = pipeline.train_artifact(condensed_h5, "second", tmp_path, again)
    assert second.results["history"] == first.results["history"]


def test_what_cannot_be_is_refused_before_any_work(raw_suite, tmp_path):
    toml = tmp_path / "run.toml"
    head = 'raw = "raw"\ndataset = "d.h5"\n'
    for name, rest, message in (
        ("../x", "", "cannot name an artifact"),
        ("x", '[fit]\ndevice = "cuda:99"\n', "cannot be used here"),
        ("x", "[split]\ntrain = 0.5\nval = 0.1\n", r"run.toml: .*must sum to 1"),
        ("x", "[split]\ntrain = 0.5\nval = 0.1\ntset = 0.4\n", "did you mean 'test'"),
    ):
        toml.write_text(f'[run]\nname = "{name}"\n{head}{rest}')
        with pytest.raises((ConfigError, reionemu.ReionemuError), match=message):
            pipeline.run(pipeline.load_run_options(toml))
    assert not (tmp_path / "d.h5").exists()


def test_a_root_that_is_a_file_is_refused_before_training(condensed_h5, tmp_path):
    calls = []
    with pytest.raises(reionemu.ReionemuError, match="a file in the way"):
        pipeline.train_artifact(
            condensed_h5, "a", condensed_h5, SHORT, progress=lambda *step: calls.append(step)
        )
    assert calls == []


def test_normalized_targets_and_cl_are_predicted_in_their_units(raw_suite, tmp_path):
    """The whole way with every choice that is not the default."""
    toml = tmp_path / "run.toml"
    toml.write_text(
        '[run]\nname = "x"\nraw = "raw"\ndataset = "d.h5"\n'
        '[training_set]\ny_source = "cl_ksz"\ny_transform = "log10"\n'
        "[dataloader]\nnormalize_Y = true\n"
        '[model]\nname = "four-param"\nactivation = "tanh"\n'
        "[optimizer]\nlr = 0.01\n[fit]\nepochs = 200\n"
    )
    artifact = pipeline.run(pipeline.load_run_options(toml)).artifact
    emulator = artifact.emulator(bounds="unbounded")
    X, Y, _ = reionemu.load_training_arrays(tmp_path / "d.h5")
    prediction = emulator.predict(X)
    assert prediction.quantity == "cl_ksz"
    assert prediction.std is None
    truth = 10.0 ** Y.astype(float)
    assert np.median(np.abs(prediction.mean / truth - 1)) < 0.3  # it learned, in C_ell
    with h5py.File(tmp_path / "d.h5") as h5:
        np.testing.assert_allclose(truth[0], h5["sims/sim0/cl/cl_ksz"][()], rtol=1e-5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_epoch_end_and_saves_a_state(number, condensed_h5, tmp_path):
    options = replace(SHORT, fit=FitConfig(epochs=12, seed=1))
    whole = pipeline.train_artifact(condensed_h5, "whole", tmp_path, options)
    before = signal.getsignal(number)

    def interrupt(what, done, total):
        if done == 5:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        pipeline.train_artifact(condensed_h5, "a", tmp_path, options, progress=interrupt)
    assert signal.getsignal(number) is before
    died = reionemu.load_artifact(tmp_path / "a")
    assert (died.status, len(died.results["history"]["train_loss"])) == ("interrupted", 5)
    said = []
    resumed = pipeline.train_artifact(
        condensed_h5, "a", tmp_path, options, say=said.append, resume=True
    )
    assert said == ["going on after epoch 5 of at most 12"]
    assert resumed.results["history"] == whole.results["history"]
    assert resumed.results["metrics"] == whole.results["metrics"]
    again = pipeline.train_artifact(
        condensed_h5, "a", tmp_path, options, say=said.append, resume=True
    )
    assert said[1:] == [f"up to date: {tmp_path / 'a'}"]
    assert again.provenance["run"] == resumed.provenance["run"]


def test_a_search_and_folds_that_are_done_are_not_done_again(condensed_h5, tmp_path, monkeypatch):
    options = replace(SHORT, kfold=reionemu.KFoldConfig(k=2))
    calls = []
    real = training.cross_validate
    monkeypatch.setattr(training, "cross_validate", lambda *args: (calls.append(1), real(*args))[1])

    def interrupt(what, done, total):
        if what == "training":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.train_artifact(condensed_h5, "a", tmp_path, options, progress=interrupt)
    folds = reionemu.load_artifact(tmp_path / "a").results["summary"]["kfold"]
    artifact = pipeline.train_artifact(condensed_h5, "a", tmp_path, options, resume=True)
    assert calls == [1]
    assert artifact.results["summary"]["kfold"] == folds


def test_a_seed_that_nobody_gave_is_kept_when_resuming(condensed_h5, tmp_path):
    options = replace(SHORT, fit=FitConfig(epochs=3))

    def interrupt(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.train_artifact(condensed_h5, "a", tmp_path, options, progress=interrupt)
    seed = reionemu.load_artifact(tmp_path / "a").configs["training"]["seed"]
    artifact = pipeline.train_artifact(condensed_h5, "a", tmp_path, options, resume=True)
    assert artifact.configs["training"]["seed"] == seed == artifact.provenance["seeds"]["fit"]
