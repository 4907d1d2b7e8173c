"""Band powers, and the spectra that a posterior predicts for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..inference.late_time import LATE_TIME, LateTimeTemplate
from ..inference.latex import quantiles
from .style import LOOKS, TRUTH, Look, plain, style, width_of
from .truths import true_spectrum

if TYPE_CHECKING:
    from ..inference.posterior import Bands, Posterior

_QUANTILES = [0.025, 0.16, 0.5, 0.84, 0.975]


def spectrum(posterior: Posterior, *, truth: Any = None, columns: str = "one") -> Any:
    """Data, predicted spectrum with bands of 68% and 95%, and residuals.

    The lower panel shows data less the predicted median, in units of the data's own standard
    deviations, with the bands of the prediction. Where the data are of the total effect, the part
    of reionization, the late-time part and their sum are drawn apart.

    Parameters
    ----------
    posterior : Posterior
    truth : mapping with "ell" and "dl" [uK^2], optional
        The spectrum without noise, drawn dashed. Anything else that is known of a simulation, such
        as its parameters, is passed over.
    columns : {"one", "two"}
        Of a journal: the figure is as wide.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with style():
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        width = width_of(columns)
        figure = Figure(figsize=(width, 3.5), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.6, 1])
        _draw_spectrum(upper, posterior, true_spectrum(truth))
        _draw_residuals(lower, posterior)
        lower.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        upper.set_title(goodness(posterior))
        figure.draw_without_rendering()
    return figure


def _draw_spectrum(ax: Any, posterior: Posterior, truth: tuple[Any, Any] | None) -> None:
    data, found = posterior.data, posterior.predictive
    total = LATE_TIME in posterior.names
    if total:
        ell = found.spectrum.x
        fill(ax, ell, _parts(found.spectrum), LOOKS[0], "reionization", wide=False)
        fill(ax, ell, _late_time(posterior, ell), LOOKS[3], "late time", wide=False)
        fill(ax, found.band_powers.x, _parts(found.band_powers), LOOKS[1], "total")
    else:
        fill(ax, found.spectrum.x, _parts(found.spectrum), LOOKS[0], "prediction")
    if truth is not None:
        ax.plot(*truth, label="truth", **TRUTH)
    ax.errorbar(
        data.ell, data.dl, data.std, fmt="o", color="black", markersize=3, capsize=2, linewidth=0.9,
        label=plain(data.name), zorder=5,
    )  # fmt: skip
    ends = np.concatenate([data.ell, found.spectrum.x])
    margin = 0.04 * np.ptp(ends)
    ax.set_xlim(ends.min() - margin, ends.max() + margin)
    top = max(
        np.max(data.dl + data.std), found.spectrum.high95.max(), found.band_powers.high95.max()
    )
    ax.set_ylim(0, 1.45 * top)  # room for the legend
    ax.set_ylabel(r"$D_\ell\ [\mu\mathrm{K}^2]$")
    ax.legend(loc="upper right", ncols=1 if not total else 2)


def fill(
    ax: Any, x: np.ndarray, parts: np.ndarray, look: Look, text: str, *, wide: bool = True
) -> None:
    """Bands of 68%, and of 95% if `wide`, around a median; a single point is widened to be seen.

    `parts`, shape (5, k), are the quantiles `_QUANTILES` at x, shape (k,).
    """
    if len(x) == 1:
        x, parts = x[0] * np.array([0.97, 1.03]), np.repeat(parts, 2, axis=1)
    low95, low68, median, high68, high95 = parts
    if wide:
        ax.fill_between(x, low95, high95, color=look.wide, linewidth=0)
    ax.fill_between(x, low68, high68, color=look.narrow, linewidth=0, alpha=1 if wide else 0.6)
    ax.plot(x, median, color=look.line, linestyle=look.dashes, label=text)


def _parts(bands: Bands) -> np.ndarray:
    return np.array([bands.low95, bands.low68, bands.median, bands.high68, bands.high95])


def _late_time(posterior: Posterior, ell: np.ndarray) -> np.ndarray:
    return np.outer(quantiles(posterior, LATE_TIME, _QUANTILES), LateTimeTemplate().at(ell))


def _draw_residuals(ax: Any, posterior: Posterior) -> None:
    data, found = posterior.data, posterior.predictive
    bands, std = found.band_powers, data.std
    look = LOOKS[1 if LATE_TIME in posterior.names else 0]
    half = 0.02 * np.ptp(np.append(data.ell, found.spectrum.x))
    for low, high, colour in (
        (bands.low95, bands.high95, look.wide),
        (bands.low68, bands.high68, look.narrow),
    ):
        ax.bar(
            data.ell,
            (high - low) / std,
            2 * half,
            (low - bands.median) / std,
            color=colour,
            zorder=1,
        )
    ax.axhline(0, color=look.line, linewidth=0.8, linestyle=look.dashes, zorder=2)
    residual = (data.dl - bands.median) / std
    ax.errorbar(
        data.ell, residual, 1.0, fmt="o", color="black", markersize=3, capsize=2, linewidth=0.9
    )
    reach = max(2.5, 1.3 + np.abs(residual).max(), *_ends(bands, std))
    ax.set_ylim(-1.05 * reach, 1.05 * reach)
    ax.set_xlabel(r"$\ell$")
    ax.set_ylabel(r"residual $[\sigma]$")


def _ends(bands: Bands, std: np.ndarray) -> tuple[float, float]:
    """How far the wider bands reach below and above the median, in standard deviations."""
    below, above = (bands.median - bands.low95) / std, (bands.high95 - bands.median) / std
    return float(below.max()), float(above.max())


def goodness(posterior: Posterior) -> str:
    """chi^2 and p-value as a title states them."""
    found, count = posterior.predictive, posterior.data.n
    plural = "s" if count > 1 else ""
    probability = "< 0.001" if found.p_value < 0.001 else f"= {found.p_value:.2g}"
    return rf"$\chi^2 = {found.chi2:.1f}$, {count} band power{plural}, $p {probability}$"
