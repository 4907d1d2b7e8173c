"""Band powers and predictions."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest

from reionemu.inference.late_time import LateTimeTemplate
from reionemu.plot import spectrum


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def points(ax):
    """x, y, and half lengths of the bars of the only error bars in a panel."""
    (bars,) = ax.containers[-1:]
    line, _, (segments,) = bars
    ends = np.array(segments.get_segments())
    return (*line.get_data(), (ends[:, 1, 1] - ends[:, 0, 1]) / 2)


def test_data_are_drawn_with_their_errors_and_inside_the_axes(posterior):
    upper, lower = spectrum(posterior).axes
    data = posterior.data
    x, y, errors = points(upper)
    np.testing.assert_allclose([x, y, errors], [data.ell, data.dl, data.std])
    low, high = upper.get_ylim()
    assert low <= np.min(y - errors)
    assert np.max(y + errors) < high
    assert lower.get_xlim()[0] < x[0]
    assert x[-1] < lower.get_xlim()[1]


def test_residuals_are_in_units_of_the_errors(posterior):
    _, lower = spectrum(posterior).axes
    _, y, errors = points(lower)
    # The stand-in's data were made 10% times these off the median, and have errors of 10%.
    off = np.array([1.2, -0.6, 0.3, -0.8, 0.5])
    np.testing.assert_allclose(y, off / (1 + 0.1 * off), rtol=1e-6)
    np.testing.assert_allclose(errors, 1)
    low, high = lower.get_ylim()
    assert low < np.min(y - 1)
    assert np.max(y + 1) < high


def test_median_is_the_curve_and_the_fit_is_in_the_title(posterior):
    upper, _ = spectrum(posterior).axes
    bands = posterior.predictive.spectrum
    np.testing.assert_array_equal(upper.lines[0].get_ydata(), bands.median)
    assert upper.get_title() == r"$\chi^2 = 4.2$, 5 band powers, $p = 0.53$"
    assert legend(upper) == ["prediction", "mock of sim7"]


def test_late_time_part_is_drawn_apart_from_that_of_reionization(make_posterior):
    posterior = make_posterior(is_total=True)
    upper, _ = spectrum(posterior).axes
    assert set(legend(upper)) == {"reionization", "late time", "total", "mock of sim7"}
    late = next(line for line in upper.lines if line.get_label() == "late time")
    amplitude = np.median(posterior.column("late_time_dl3000"))
    expected = amplitude * LateTimeTemplate().at(posterior.data.ell)
    np.testing.assert_allclose(late.get_ydata(), expected, rtol=1e-3)


def test_a_single_amplitude_is_widened_to_be_seen(make_posterior):
    posterior = make_posterior(is_total=True)
    full = vars(posterior.predictive.band_powers)
    one = {name: values[:1] for name, values in full.items()} | {"x": np.array([3000.0])}
    posterior.predictive.band_powers = SimpleNamespace(**one)
    posterior.predictive.p_value = 1e-5
    posterior.data = SimpleNamespace(
        name="SPT", ell=np.array([3000.0]), dl=np.array([3.0]), std=np.array([1.0]), n=1
    )
    upper, lower = spectrum(posterior, columns="two").axes
    total = next(line for line in upper.lines if line.get_label() == "total")
    assert np.ptp(total.get_xdata()) == pytest.approx(180)
    assert upper.get_title() == r"$\chi^2 = 4.2$, 1 band power, $p < 0.001$"
    assert points(lower)[0] == [3000.0]


def test_truth_is_drawn_if_it_has_a_spectrum(posterior):
    truth = {"ell": [2000, 3000], "dl": [1.0, 2.0], "tau": 0.05}
    assert "truth" in legend(spectrum(posterior, truth=truth).axes[0])
    assert "truth" not in legend(spectrum(posterior, truth={"tau": 0.05}).axes[0])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("$5 and $6_", "$5 and $6_"),
        ("_mock", "\u2009_mock"),
        (r"$\no$", r"$\no$"),
        ("x" * 99, None),
    ],
)
def test_any_name_of_data_is_shown_as_it_is(make_posterior, name, shown):
    posterior = make_posterior(has_history=False)
    posterior.data.name = name
    figure = spectrum(posterior)
    text = figure.axes[0].get_legend().get_texts()[-1]
    assert text.get_text().replace(r"\$", "$") == (shown or "x" * 37 + "...")
    figure.canvas.print_figure(io.BytesIO(), format="png")  # mathematics that is none would raise
