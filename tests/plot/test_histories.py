"""The history of reionization and its optical depth."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from reionemu.errors import ConfigError
from reionemu.plot import history


def labelled(ax, label):
    return next(line for line in ax.lines if line.get_label() == label)


def test_bands_z50_and_duration_are_those_of_the_posterior(posterior):
    left, _ = history(posterior).axes
    bands = posterior.history
    z, x_hi = labelled(left, "median").get_data()
    np.testing.assert_allclose(x_hi[np.isin(z, bands.x)], bands.median, atol=1e-12)
    assert (np.diff(x_hi) >= 0).all()
    assert len(z) >= 400  # no corners to be seen
    summaries = {one.name: one for one in posterior.summary()}
    point = left.containers[0][0]
    assert point.get_xdata() == pytest.approx([summaries["z50"].median])
    assert point.get_ydata() == [0.5]
    arrow = left.texts[0]
    # z25 and z75 of the median history are a duration apart, within the grid's coarseness.
    assert abs(arrow.xy[0] - arrow.xyann[0]) == pytest.approx(summaries["duration"].median, 0.05)
    assert rf"$z_{{50}} = {summaries['z50'].median:.2f}" in left.get_title()
    low, high = left.get_xlim()
    assert low == 5
    assert 11 <= high <= 12


def test_tau_is_compared_with_its_constraint_where_there_was_one(make_posterior):
    _, right = history(make_posterior(tau=(0.0544, 0.0073))).axes
    x, density = labelled(right, "constraint").get_data()
    assert x[np.argmax(density)] == pytest.approx(0.0544, abs=2e-4)
    assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-3)
    x, density = labelled(right, "posterior").get_data()
    assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-3)
    assert right.get_xlim()[0] <= 0.0544 - 3 * 0.0073 + 1e-12


def test_without_a_constraint_there_is_none_to_see(posterior):
    _, right = history(posterior, columns="one").axes
    assert [line.get_label() for line in right.lines] == ["posterior"]
    assert right.get_legend() is None


def test_truth_of_a_simulation_is_drawn(posterior):
    z = np.linspace(5, 12, 8)
    truth = SimpleNamespace(theta={"zmean_zre": 8.0}, tau=0.06, z=z, x_hi=(z - 5) / 7)
    left, right = history(posterior, truth=truth).axes
    drawn_z, x_hi = labelled(left, "true history").get_data()
    np.testing.assert_allclose(x_hi[np.isin(drawn_z, z)], truth.x_hi, atol=1e-12)
    assert labelled(right, "true value").get_xdata()[0] == 0.06
    unknown = SimpleNamespace(theta={"zmean_zre": 8.0}, tau=None, z=None, x_hi=None)
    left, right = history(posterior, truth=unknown).axes
    assert "true history" not in [line.get_label() for line in left.lines]
    assert "true value" not in [line.get_label() for line in right.lines]


def test_a_history_that_is_not_known_is_not_invented(make_posterior):
    with pytest.raises(ConfigError, match="trained on spectra only"):
        history(make_posterior(has_history=False))


def test_no_duration_is_drawn_that_the_redshifts_do_not_hold(make_posterior):
    posterior = make_posterior()
    for name, values in vars(posterior.history).items():
        setattr(posterior.history, name, values[16:])  # from z = 9 on, most is neutral
    left, _ = history(posterior).axes
    assert len(left.texts) == 0
