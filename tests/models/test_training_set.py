"""What cannot be learned from is refused by every model, with the reason and the row."""

from __future__ import annotations

import numpy as np
import pytest

from reionemu.errors import DatasetError
from reionemu.models.ensemble import fit_ensemble
from reionemu.models.gaussian_process import fit_gaussian_process
from reionemu.models.inputs import Inputs
from reionemu.models.training_set import training_set

NAMES = ("zmean_zre", "kb_zre")
THETA = np.random.default_rng(0).uniform([7.0, 0.1], [9.0, 2.0], (40, 2))
Y = np.stack([np.sin(THETA[:, 0]), THETA.sum(axis=1), THETA[:, 1] ** 2], axis=-1)


def changed(table, row, column, value):
    """A copy with another value in one place, or in a whole column (row None)."""
    table = table.copy()
    table[slice(None) if row is None else row, column] = value
    return table


BAD = {
    "one row": (THETA[:1], Y[:1], r"2 parameters from 1 simulation\(s\): at least 4 are needed"),
    "three rows": (THETA[:3], Y[:3], r"from 3 simulation\(s\): at least 4"),
    "no rows": (THETA[:0], Y[:0], "there are no simulations"),
    "a parameter that is NaN": (changed(THETA, 7, 1, np.nan), Y, "parameters of 1 simu.*row 7"),
    "a target that is NaN": (THETA, changed(Y, 7, 1, np.nan), "targets of 1 simulation.*row 7"),
    "a target that is infinite": (THETA, changed(Y, 3, 0, np.inf), "targets of 1 simu.*row 3"),
    "a negative bubble scale": (changed(THETA, 5, 1, -1), Y, "kb_zre must be positive; in row 5"),
    "a constant target": (THETA, changed(Y, None, 2, 7.0), "column 2 of the targets is 7 in every"),
    "targets of one dimension": (THETA, Y[:, 0], r"targets have shape \(40,\)"),
    "no targets": (THETA, Y[:, :0], r"targets have shape \(40, 0\)"),
    "other rows": (THETA, Y[:39], r"targets have shape \(39, 3\).*each of 40 simulations"),
    "parameters of one dimension": (THETA[:, 0], Y, r"parameters have shape \(40,\)"),
    "too few parameters": (THETA[:, :1], Y, r"shape \(40, 1\).*\(zmean_zre, kb_zre\)"),
    "no parameters": (THETA[:, :0], Y, r"parameters have shape \(40, 0\)"),
    "text": (THETA, [["a"]] * 40, "targets are not a table of numbers"),
    "ragged rows": ([[1.0], [1.0, 2.0]], Y, "parameters are not a table of numbers"),
}


@pytest.mark.parametrize("fit", [fit_gaussian_process, fit_ensemble])
@pytest.mark.parametrize(("theta", "y", "message"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_learned_from_is_refused(fit, theta, y, message):
    inputs = Inputs.over(THETA, NAMES)
    with pytest.raises(DatasetError, match=message):
        fit(theta, y, inputs)


def test_lists_and_single_precision_will_do():
    theta, y = training_set(THETA.astype(np.float32), Y.tolist(), NAMES)
    assert theta.dtype == y.dtype == np.float64
    np.testing.assert_allclose(theta, THETA, rtol=1e-6)
    np.testing.assert_array_equal(y, Y)


def test_as_few_simulations_as_may_be_are_learned_from():
    process, own = fit_gaussian_process(THETA[:4], Y[:4], Inputs.over(THETA[:4], NAMES))
    mean, std, noise = process.predict(THETA)
    assert np.isfinite([mean, std, noise]).all()
    assert np.isfinite(own.total).all()
