"""Training arrays from which a model would learn something false are refused, with a reason."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from reionemu import pipeline
from reionemu.errors import DatasetError, ReionemuWarning
from reionemu.pipeline.options import EnsembleModelOptions, ModelOptions, TrainingOptions
from reionemu.training.train_loop import FitConfig

FEW = EnsembleModelOptions(n_folds=2, epochs=5)


def change(path, name, function):
    """Put something else in the place of an array of /training."""
    with h5py.File(path, "r+") as h5:
        values = h5[f"training/{name}"][()]
        function(values)
        h5[f"training/{name}"][...] = values


def repeat_row(values):
    values[5] = values[2]


def far_unit(values):
    values[:, 0] = np.linspace(7, 9, len(values))
    values[11, 0] = 850.0


def constant(values):
    values[:, 1] = 0.3


def nothing(values):
    values[4, 2] = np.nan


CASES = {
    "copies": ({"X": repeat_row, "Y": repeat_row}, r"2 \(sim2\) and row 5 \(sim5\) are the same"),
    "realizations": ({"X": repeat_row}, "have the same parameters .*--realizations mean"),
    "unit": ({"X": far_unit}, r"zmean_zre of row 11 \(sim11\) is 850, .*is it in another unit"),
    "constant": ({"X": constant}, "alpha_zre is 0.3 in every row: nothing can be learned"),
    "constant spectrum": ({"Y": constant}, "ell = 4000 is 0.3 in every row: are these spectra"),
    "map of zeros": ({"Y": lambda y: y.__setitem__(9, -69.0)}, r"ell = 2000 of row 9 .* -69"),
    "nan": ({"X": nothing}, "/training/X is not finite in row 4"),
    "negative": ({"X": lambda x: x.__setitem__((3, 2), -1.0)}, "kb_zre must be positive"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("model", ["gp", "ensemble"])
def test_what_cannot_be_learned_from_is_refused(training_h5, tmp_path, case, model):
    changes, message = CASES[case]
    for name, function in changes.items():
        change(training_h5, name, function)
    options = TrainingOptions(split={"train": 0.9, "val": 0.1})
    if model == "ensemble":
        options = TrainingOptions(split={"train": 0.9, "val": 0.1}, model=FEW)
    with pytest.raises(DatasetError, match=message):
        pipeline.train_artifact(training_h5, "a", tmp_path / "out", options)
    assert not (tmp_path / "out" / "a").exists()


def test_too_few_simulations_are_refused(tmp_path, training_file):
    path = training_file(tmp_path / "few.h5", 16)
    with pytest.raises(DatasetError, match="11 simulations to train on are too few for 4 param"):
        pipeline.train_artifact(path, "a", tmp_path / "out")


def test_a_parameter_beyond_its_design_is_refused(training_file, tmp_path):
    """All of them in another unit: they agree with each other, but not with the design."""
    path = training_file(tmp_path / "suite.h5")
    with h5py.File(path, "r+") as h5:
        h5["training/design_low"] = [7.0, 0.1, 0.1, 0.001]
        h5["training/design_high"] = [9.0, 0.9, 2.0, 0.008]
    with pytest.raises(DatasetError, match=r"b0_zre of row 0 .* is it in another unit"):
        pipeline.train_artifact(path, "a", tmp_path / "out")


def test_a_network_may_be_trained_on_realizations_with_a_warning(training_h5, tmp_path):
    change(training_h5, "X", repeat_row)
    options = TrainingOptions(model=ModelOptions(), fit=FitConfig(epochs=2, seed=1))
    with pytest.warns(ReionemuWarning, match="Errors flatter as it is"):
        pipeline.train_artifact(training_h5, "a", tmp_path / "out", options)
    change(training_h5, "Y", repeat_row)
    with pytest.raises(DatasetError, match="are the same simulation"):
        pipeline.train_artifact(training_h5, "b", tmp_path / "out", options)
