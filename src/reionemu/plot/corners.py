"""Marginal posteriors of parameters, one by one and in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import nearest
from ..errors import ConfigError
from ..inference.exports import quiet_getdist, to_getdist
from ..inference.latex import constraint, label, quantiles
from .densities import density_of, require_spread
from .style import LOOKS, TRUTH, Look, plain, style, width_of
from .ticks import ticks_within
from .truths import true_values

if TYPE_CHECKING:
    from ..inference.posterior import Posterior

LEVELS = (0.68, 0.95)

_LEFT, _RIGHT, _BOTTOM, _TOP, _GAP = 0.56, 0.06, 0.38, 0.26, 0.05  # inch


def corner(
    posterior: Posterior | Sequence[Posterior],
    *,
    truth: Any = None,
    names: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    columns: str = "two",
) -> Any:
    """Marginal densities of each parameter and of each pair, with regions of 68% and 95%.

    Densities are GetDist's: kernel estimates that respect the limits of the priors. A panel's title
    gives median and central 68%, or, for a parameter that runs into an edge of its prior, the limit
    of 95%; it is left out where several posteriors are compared.

    Parameters
    ----------
    posterior : Posterior, or up to four
    truth : Truth or mapping of names to values, optional
        Drawn as dashed lines.
    names : sequence of str, optional
        Which parameters, sampled or derived; the sampled ones and tau if left out.
    labels : sequence of str, optional
        What the legend calls the posteriors; the names of their data if left out.
    columns : {"two", "one"}
        Of a journal: the figure is as wide.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConfigError
        For a name that no posterior has, too few samples, or too many posteriors.
    """
    with style():
        from matplotlib.figure import Figure

        posteriors = as_list(posterior)
        names = _chosen(posteriors, names)
        width, count = width_of(columns), len(names)
        panel = (width - _LEFT - _RIGHT + _GAP) / count - _GAP
        height = width - _LEFT - _RIGHT + _BOTTOM + _TOP
        figure = Figure(figsize=(width, height))
        axes = figure.subplots(count, count, squeeze=False)
        figure.subplots_adjust(
            left=_LEFT / width,
            right=1 - _RIGHT / width,
            bottom=_BOTTOM / height,
            top=1 - _TOP / height,
            wspace=_GAP / panel,
            hspace=_GAP / panel,
        )
        for one, look in zip(posteriors, LOOKS, strict=False):
            _draw(axes, one, names, look, alone=len(posteriors) == 1)
        _mark(axes, names, true_values(truth))
        _set_limits(axes, posteriors, names, true_values(truth))
        _set_ticks(axes, names, panel)
        _legend(figure, axes, posteriors, labels, has_truth=truth is not None)
        if len(posteriors) == 1:
            _set_titles(axes, posteriors[0], names, panel)
        figure.draw_without_rendering()  # ticks take their look from the settings now in force
    return figure


def as_list(posterior: Posterior | Sequence[Posterior]) -> list[Posterior]:
    """One posterior or several, as a list.

    Raises
    ------
    ConfigError
        If there are none, or more than there are looks.
    """
    posteriors = list(posterior) if isinstance(posterior, Sequence) else [posterior]
    if not 1 <= len(posteriors) <= len(LOOKS):
        raise ConfigError(
            f"a figure compares 1 to {len(LOOKS)} posteriors, and {len(posteriors)} were given"
        )
    return posteriors


def _chosen(posteriors: list[Posterior], names: Sequence[str] | None) -> list[str]:
    """The parameters to show, in the order asked for or else that of the posteriors."""
    known = list(dict.fromkeys(name for one in posteriors for name in one.all_names))
    if names is None:
        sampled = {name for one in posteriors for name in one.names} | {"tau"}
        return [name for name in known if name in sampled]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"the posterior has no parameter {name!r}{nearest(name, known)}; "
                f"it has {', '.join(known)}"
            )
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"names must be different parameters, at least one; got {list(names)}")
    return list(names)


def _draw(axes: Any, posterior: Posterior, names: list[str], look: Look, *, alone: bool) -> None:
    """One posterior in every panel whose parameters it has; filled if it is the first or alone."""
    having = [name for name in names if name in posterior.all_names]
    for name in having:
        require_spread(posterior, name)
    samples = to_getdist(posterior)
    for i, row in enumerate(names):
        for j, column in enumerate(names[:i]):
            if row in having and column in having:
                with quiet_getdist():
                    density = samples.get2DDensity(column, row)
                _contours(axes[i, j], density, look, filled=alone or look is LOOKS[0])
        if row in having:
            density = density_of(samples, row)
            axes[i, i].plot(density.x, density.P, look.dashes, color=look.line)
            if alone:
                _shade(axes[i, i], posterior, row, density, look)


def _contours(ax: Any, density: Any, look: Look, *, filled: bool) -> None:
    """Regions of the highest density that hold 68% and 95%."""
    inner, outer = density.getContourLevels(LEVELS)
    if filled:
        ax.contourf(
            density.x,
            density.y,
            density.P,
            levels=[outer, inner, np.inf],
            colors=[look.wide, look.narrow],
        )
    ax.contour(
        density.x,
        density.y,
        density.P,
        levels=[outer, inner],
        colors=look.line,
        linewidths=0.8 if filled else 1.1,
        linestyles=look.dashes,
    )


def _shade(ax: Any, posterior: Posterior, name: str, density: Any, look: Look) -> None:
    """The same intervals, or limits, that the titles and the table of the posterior state."""
    edge = next(one.at_edge for one in posterior.summary() if one.name == name)
    if edge == "both":
        return
    for level, colour in zip(LEVELS[::-1], (look.wide, look.narrow), strict=True):
        below = {"low": 0.0, "high": 1 - level, None: (1 - level) / 2}[edge]
        low, high = quantiles(posterior, name, [below, below + level])
        low = density.x[0] if edge == "low" else low
        high = density.x[-1] if edge == "high" else high
        x = np.linspace(low, high, 200)
        ax.fill_between(x, np.interp(x, density.x, density.P), color=colour, linewidth=0)


def _mark(axes: Any, names: list[str], truth: dict[str, float]) -> None:
    for i, row in enumerate(names):
        for ax in axes[i, :i]:
            if row in truth:
                ax.axhline(truth[row], **TRUTH)
        for ax in axes[i:, i]:
            if row in truth:
                ax.axvline(truth[row], **TRUTH)


def _set_limits(
    axes: Any, posteriors: list[Posterior], names: list[str], truth: dict[str, float]
) -> None:
    """Axes from the 0.1% to the 99.9% quantile and to the truth, but not beyond the priors."""
    for i, name in enumerate(names):
        having = [one for one in posteriors if name in one.all_names]
        ends = np.concatenate([quantiles(one, name, [0.001, 0.999]) for one in having])
        ends = np.append(ends, truth.get(name, ends[0]))
        margin = 0.08 * np.ptp(ends)
        supports = [_support(one, name) for one in having]
        low = max(ends.min() - margin, min(support[0] for support in supports))
        high = min(ends.max() + margin, max(support[1] for support in supports))
        for ax in axes[i:, i]:
            ax.set_xlim(low, high)
        for ax in axes[i, :i]:
            ax.set_ylim(low, high)
        axes[i, i].set_ylim(0, 1.08)


def _support(posterior: Posterior, name: str) -> tuple[float, float]:
    if name not in posterior.names:
        return -np.inf, np.inf
    i = list(posterior.names).index(name)
    return float(posterior.low[i]), float(posterior.high[i])


def _set_ticks(axes: Any, names: list[str], panel: float) -> None:
    """Numbers and symbols at the left and below only."""
    count = len(names)
    size = 7.5 if panel > 0.7 else 6.0
    for i, j in np.ndindex(count, count):
        ax = axes[i, j]
        if j > i:
            ax.set_axis_off()
            continue
        (left, right), (below, above) = ax.get_xlim(), ax.get_ylim()
        ax.xaxis.set_ticks(ticks_within(left, right, panel, size))
        ax.yaxis.set_ticks([] if i == j else ticks_within(below, above, panel, size, upright=True))
        ax.tick_params(labelbottom=i == count - 1, labelleft=j == 0 and i > 0, labelsize=size)
        if i == count - 1:
            ax.set_xlabel(f"${label(names[j], unit=panel > 0.9)}$")
            ax.xaxis.set_label_coords(0.5, -0.19 / panel)
        if j == 0 and i > 0:
            ax.set_ylabel(f"${label(names[i], unit=panel > 0.9)}$")
            ax.yaxis.set_label_coords(-0.36 / panel, 0.5)


def _set_titles(axes: Any, posterior: Posterior, names: list[str], panel: float) -> None:
    """What is known of each parameter above its panel, in one size that fits them all."""
    summaries = {one.name: one for one in posterior.summary()}
    titles = []
    for i, name in enumerate(names):
        level = LEVELS[0] if summaries[name].at_edge is None else LEVELS[1]
        known = constraint(posterior, summaries[name], level)
        relation = "" if known.startswith(("<", ">")) else r"\ " if "un" in known else " = "
        titles.append(axes[i, i].set_title(f"${label(name)}{relation}{known}$", pad=4.5))
    room = (panel + _GAP) * axes[0, 0].figure.dpi
    widest = max(title.get_window_extent().width for title in titles)
    for title in titles:
        title.set_fontsize(min(1.0, 0.97 * room / widest) * title.get_fontsize())


def _legend(
    figure: Any,
    axes: Any,
    posteriors: list[Posterior],
    labels: Sequence[str] | None,
    *,
    has_truth: bool,
) -> None:
    """In the empty corner: whose posteriors these are, and what the dashed lines are."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    labels = [plain(one.data.name) for one in posteriors] if labels is None else list(labels)
    if len(labels) != len(posteriors):
        raise ConfigError(f"{len(labels)} labels were given for {len(posteriors)} posteriors")
    handles: list[Any] = [
        Patch(
            facecolor=look.narrow if k == 0 else "none",
            edgecolor=look.line,
            linestyle=look.dashes,
            label=text,
        )
        for k, (look, text) in enumerate(zip(LOOKS, labels, strict=False))
    ]
    if has_truth:
        handles.append(Line2D([], [], label="true values", **TRUTH))
    box = axes[0, -1].get_position()
    figure.legend(
        handles=handles, loc="upper right", bbox_to_anchor=(box.x1, box.y1), borderaxespad=0
    )
