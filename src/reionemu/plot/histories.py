"""The history of reionization that a posterior implies, and its optical depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from ..inference.exports import to_getdist
from ..inference.latex import constraint, label
from .densities import density_of, require_spread
from .style import LOOKS, TRUTH, style, width_of
from .truths import true_history, true_values

if TYPE_CHECKING:
    from ..inference.posterior import Bands, Posterior

_MARKED = ("z50", "duration")


def history(posterior: Posterior, *, truth: Any = None, columns: str = "two") -> Any:
    """Neutral fraction over redshift, with bands of 68% and 95%, and the optical depth.

    The point with a bar is z50 with its 68%, the arrow runs from the redshift at which a quarter of
    the hydrogen is neutral to that of three quarters. The second panel compares the posterior of
    tau with the constraint on tau, if there was one.

    Parameters
    ----------
    posterior : Posterior
        Of an emulator that knows histories.
    truth : Truth, or mapping of names to values, optional
        Drawn dashed.
    columns : {"two", "one"}
        Of a journal: the figure is as wide.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConfigError
        If the emulator knows no histories.
    """
    if posterior.history is None:
        raise ConfigError(
            "the emulator of this posterior was trained on spectra only: there is no history to "
            "draw. Train it on a suite that has histories"
        )
    with style():
        from matplotlib.figure import Figure

        width = width_of(columns)
        height = 2.6 if columns == "two" else 4.2
        figure = Figure(figsize=(width, height), layout="constrained")
        if columns == "two":
            left, right = figure.subplots(1, 2, width_ratios=[2.1, 1])
        else:
            left, right = figure.subplots(2, 1, height_ratios=[1.7, 1])
        _draw_history(left, posterior, truth)
        _draw_tau(right, posterior, true_values(truth))
        figure.draw_without_rendering()
    return figure


def _draw_history(ax: Any, posterior: Posterior, truth: Any) -> None:
    look, bands = LOOKS[0], posterior.history
    assert bands is not None
    z, low95, high95 = _smooth(bands.x, bands.low95, bands.high95)
    ax.fill_between(z, low95, high95, color=look.wide, linewidth=0, label="95%")
    z, low68, high68 = _smooth(bands.x, bands.low68, bands.high68)
    ax.fill_between(z, low68, high68, color=look.narrow, linewidth=0, label="68%")
    ax.plot(*_smooth(bands.x, bands.median), color=look.line, label="median")
    curve = true_history(truth)
    if curve is not None:
        ax.plot(*_smooth(*curve), label="true history", **TRUTH)
    summaries = {one.name: one for one in posterior.summary()}
    z50 = summaries["z50"]
    ax.errorbar(
        z50.median,
        0.5,
        xerr=[[z50.median - z50.low68], [z50.high68 - z50.median]],
        fmt="o",
        color="black",
        markersize=3,
        capsize=2,
        linewidth=0.9,
        zorder=5,
    )
    _mark_duration(ax, bands)
    known = (f"${label(n)} = {constraint(posterior, summaries[n], 0.68)}$" for n in _MARKED)
    ax.set_title(r", $\ $".join(known))
    ax.set_xlim(*_changing(bands))
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("$z$")
    ax.set_ylabel(r"$x_\mathrm{HI}$, mass-weighted")
    ax.legend(loc="upper left")


def _smooth(z: np.ndarray, *curves: np.ndarray) -> list[np.ndarray]:
    """Redshifts close together, and curves there: through all points, monotone between them."""
    from scipy.interpolate import PchipInterpolator

    if len(z) < 2:
        return [z, *curves]
    fine = np.union1d(z, np.linspace(z[0], z[-1], 400))
    return [fine, *(PchipInterpolator(z, curve)(fine) for curve in curves)]


def _mark_duration(ax: Any, bands: Bands) -> None:
    """An arrow between the redshifts at which 1/4 and 3/4 are neutral, where both are known."""
    if not (bands.median[0] < 0.25 and bands.median[-1] > 0.75):
        return
    z25, z75 = np.interp([0.25, 0.75], bands.median, bands.x)
    ax.vlines([z25, z75], 0.06, [0.25, 0.75], color="black", linewidth=0.7, linestyle=":")
    arrow = {"arrowstyle": "<->", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", (z25, 0.08), (z75, 0.08), arrowprops=arrow)
    ax.text((z25 + z75) / 2, 0.1, f"${label('duration')}$", ha="center", va="bottom")


def _changing(bands: Bands) -> tuple[float, float]:
    """The redshifts between which anything happens."""
    busy = np.flatnonzero((bands.high95 > 0.01) & (bands.low95 < 0.99))
    first, last = (busy[0], busy[-1]) if len(busy) else (0, len(bands.x) - 1)
    return float(bands.x[max(first - 1, 0)]), float(bands.x[min(last + 1, len(bands.x) - 1)])


def _draw_tau(ax: Any, posterior: Posterior, truth: dict[str, float]) -> None:
    look = LOOKS[0]
    require_spread(posterior, "tau")
    density = density_of(to_getdist(posterior), "tau")
    x, p = density.x, density.P / np.trapezoid(density.P, density.x)
    (summary,) = (one for one in posterior.summary() if one.name == "tau")
    intervals = ((summary.low95, summary.high95), (summary.low68, summary.high68))
    for (low, high), colour in zip(intervals, (look.wide, look.narrow), strict=True):
        inside = np.linspace(low, high, 200)
        ax.fill_between(inside, np.interp(inside, x, p), color=colour, linewidth=0)
    ax.plot(x, p, color=look.line, label="posterior")
    ends = [x[0], x[-1]]
    given = tau_constraint(posterior)
    if given is not None:
        mean, std = given
        grid = np.linspace(mean - 4 * std, mean + 4 * std, 400)
        ax.plot(
            grid,
            np.exp(-0.5 * ((grid - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi)),
            color=LOOKS[1].line,
            linestyle="-.",
            label="constraint",
        )
        ends += [mean - 3 * std, mean + 3 * std]
    if "tau" in truth:
        ax.axvline(truth["tau"], label="true value", **TRUTH)
        ends.append(truth["tau"])
    ax.set_xlim(min(ends), max(ends))
    ax.set_ylim(0, None)
    ax.set_yticks([])
    ax.set_xlabel(rf"${label('tau')}$")
    ax.set_ylabel("probability density")
    ax.set_title(f"${label('tau')} = {constraint(posterior, summary, 0.68)}$")
    if len(ax.get_legend_handles_labels()[0]) > 1:
        ax.legend()


def tau_constraint(posterior: Posterior) -> tuple[float, float] | None:
    """Mean and standard deviation of the constraint on tau that was used, if one was."""
    tau = posterior.facts.get("tau")
    return None if tau is None else (float(tau[0]), float(tau[1]))
