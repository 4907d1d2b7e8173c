"""Marginal densities: what is drawn, how much it holds, and that it can be read."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.path import Path as Outline
from matplotlib.ticker import FixedLocator

from reionemu.errors import ConfigError
from reionemu.inference.latex import constraint
from reionemu.plot import corner
from reionemu.plot.ticks import ticks_within


@pytest.fixture(scope="module")
def figure(posterior):
    return corner(posterior, truth={"zmean_zre": 7.8, "tau": 0.057})


def panels(figure):
    count = round(len(figure.axes) ** 0.5)
    return np.array(figure.axes).reshape(count, count)


def held(ax, x, y):
    """Fractions of points (x, y) inside the inner and the outer outline."""
    lines = ax.collections[-1]  # drawn after the filled regions; the outer outline comes first
    outer, inner = (Outline(path.vertices, path.codes) for path in lines.get_paths())
    points = np.column_stack([x, y])
    return [float(outline.contains_points(points).mean()) for outline in (inner, outer)]


def test_a_panel_for_each_parameter_and_pair_and_none_above_the_diagonal(figure, posterior):
    axes = panels(figure)
    assert axes.shape == (5, 5)  # the four that were sampled, and tau
    assert [[ax.axison for ax in row] for row in axes] == np.tri(5, dtype=bool).tolist()
    assert axes[4, 0].get_xlabel() == r"$\bar{z}$"
    assert axes[4, 2].get_xlabel() == r"$k_\mathrm{b}\ [h\,\mathrm{Mpc}^{-1}]$"


def test_outlines_hold_68_and_95_percent_of_a_gaussian(figure, posterior):
    x, y = posterior.column("zmean_zre").ravel(), posterior.column("alpha_zre").ravel()
    inner, outer = held(panels(figure)[1, 0], x, y)
    assert inner == pytest.approx(0.68, abs=0.015)
    assert outer == pytest.approx(0.95, abs=0.01)


def test_density_does_not_leak_through_the_edge_of_the_prior(figure, posterior):
    """Half a Gaussian, cut at its mean, is largest at the cut; a plain kernel gives half of it."""
    curve = panels(figure)[2, 2].lines[0]
    x, density = curve.get_data()
    assert x[0] == pytest.approx(0.1, abs=0.002)
    assert density[0] > 0.93 * density.max()


def test_axes_end_where_the_prior_does_and_hold_the_samples(figure, posterior):
    axes = panels(figure)
    assert axes[4, 2].get_xlim()[0] == pytest.approx(0.1)  # kb runs into its lower edge
    assert axes[4, 3].get_xlim()[1] == pytest.approx(0.8)  # b0 into its upper one
    for i, name in enumerate((*posterior.names, "tau")):
        low, high = axes[4, i].get_xlim()
        inside = (posterior.column(name) >= low) & (posterior.column(name) <= high)
        assert inside.mean() > 0.997


def test_titles_are_what_the_table_says_and_limits_where_there_is_an_edge(figure, posterior):
    titles = [panels(figure)[i, i].get_title() for i in range(5)]
    summaries = {one.name: one for one in posterior.summary()}
    assert titles[0] == rf"$\bar{{z}} = {constraint(posterior, summaries['zmean_zre'], 0.68)}$"
    assert titles[2] == rf"$k_\mathrm{{b}}{constraint(posterior, summaries['kb_zre'], 0.95)}$"
    assert titles[2].count("<") == 1
    assert ">" in titles[3]
    z = summaries["zmean_zre"]
    assert f"{z.median:.2f}" in titles[0]
    assert f"{z.high68 - z.median:.2f}" in titles[0]


def test_shaded_intervals_are_those_of_the_summary(figure, posterior):
    shaded = panels(figure)[0, 0].collections
    extents = [area.get_paths()[0].get_extents() for area in shaded]
    z = posterior.summary()[0]
    np.testing.assert_allclose([extents[0].x0, extents[0].x1], [z.low95, z.high95], atol=1e-3)
    np.testing.assert_allclose([extents[1].x0, extents[1].x1], [z.low68, z.high68], atol=1e-3)


def test_truth_is_drawn_in_every_panel_of_its_parameter(figure):
    axes = panels(figure)
    lines = [line for line in axes[4, 0].lines if line.get_color() == "black"]
    assert sorted(tuple(np.unique(line.get_xdata())) for line in lines) == [(0.0, 1.0), (7.8,)]
    assert not [line for line in axes[2, 2].lines if line.get_color() == "black"]


@pytest.mark.parametrize("columns", ["one", "two"])
def test_numbers_and_titles_do_not_overlap(posterior, columns):
    figure = corner(posterior, columns=columns)
    axes = panels(figure)
    rows = [
        [t for ax in axes[-1] for t in ax.get_xticklabels() if t.get_text()],
        [axes[i, i].title for i in range(len(axes))],
    ]
    for texts in rows:
        boxes = [text.get_window_extent() for text in texts]
        assert len(boxes) >= len(axes)
        for k, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[k + 1 :])
    page = figure.bbox
    labels = [axes[i, 0].yaxis.label for i in range(1, 5)] + [ax.xaxis.label for ax in axes[-1]]
    for label in labels:
        box = label.get_window_extent()
        assert box.x0 >= page.x0
        assert box.y0 >= page.y0
    assert figure.get_size_inches()[0] == {"one": 3.4, "two": 7.0}[columns]


def test_two_posteriors_are_compared_where_both_have_a_parameter(make_posterior, posterior):
    other = make_posterior(is_total=True, seed=1)
    figure = corner([posterior, other], labels=["a", "b"], names=["zmean_zre", "late_time_dl3000"])
    axes = panels(figure)
    assert [len(axes[i, i].lines) for i in range(2)] == [2, 1]
    assert {line.get_linestyle() for line in axes[0, 0].lines} == {"-", "--"}  # apart in grey, too
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    assert axes[0, 0].get_title() == ""


def test_settings_of_the_user_are_neither_used_nor_changed(posterior):
    with matplotlib.rc_context({"font.size": 30, "xtick.labelsize": 30}):
        before = dict(matplotlib.rcParams)
        figure = corner(posterior, names=["tau", "zmean_zre"])
        figure.draw_without_rendering()
        assert dict(matplotlib.rcParams) == before
        assert panels(figure)[1, 0].get_xticklabels()[0].get_fontsize() == 7.5
        assert isinstance(panels(figure)[1, 0].xaxis.get_major_locator(), FixedLocator)


def test_what_cannot_be_drawn_is_refused(posterior, make_posterior):
    with pytest.raises(ConfigError, match=r"no parameter 'zmean'.*did you mean 'zmean_zre'"):
        corner(posterior, names=["zmean"])
    with pytest.raises(ConfigError, match="at least one"):
        corner(posterior, names=[])
    with pytest.raises(ConfigError, match="1 to 4 posteriors, and 0"):
        corner([])
    with pytest.raises(ConfigError, match="1 labels were given for 2"):
        corner([posterior, posterior], labels=["a"])
    with pytest.raises(ConfigError, match="columns must be one of one, two"):
        corner(posterior, columns="three")
    stuck = make_posterior()
    stuck.chains.samples[..., 1] = 0.5
    with pytest.raises(ConfigError, match="samples of alpha_zre have 1 different value,"):
        corner(stuck)


@pytest.mark.parametrize("length", [0.4, 0.75, 1.5])
@pytest.mark.parametrize(("low", "high"), [(7, 9), (0.1, 0.9), (-1e-3, 1e-3), (1000, 1003)])
def test_ticks_are_round_few_and_inside(low, high, length):
    ticks = ticks_within(low, high, length, 7.5)
    assert len(ticks) <= 4
    assert np.all((ticks > low) & (ticks < high))
    assert all(float(f"{tick:.5g}") == pytest.approx(tick, abs=1e-12) for tick in ticks)
    assert len(ticks_within(low, high, length, 7.5, upright=True)) >= 2
