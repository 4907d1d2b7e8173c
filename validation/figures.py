"""Figures of docs/validation.md, from what the studies gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from compare import (
    REFERENCE,
    first,
    fractional_std,
    grid_at,
    mean_of,
    neutral_at,
    reference_rows,
    spectra,
    velocity_of_reference,
)
from convergence import BOXES, CELLS, OPTIONS, known, load, paired

FOLDER = Path(__file__).parents[1] / "docs" / "figures"

STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


def save(figure: Any, name: str) -> None:
    """Write a figure as a small PNG."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(FOLDER / f"{name}.png", dpi=110, metadata={"Software": None})
    plt.close(figure)


def table_a_figure(name: str) -> None:
    """Differences from table A against redshift: neutral fractions, density and velocity."""
    results, rows = load(name), reference_rows()
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    z = [row["z"] for row in rows]
    for key, label in (("x_m", "by mass"), ("x_v", "by volume")):
        off = [neutral_at(results, key, row["z"]) - row[key] for row in rows]
        left.plot(z, off, "o-", ms=3, label=label)
    left.axhspan(-0.01, 0.01, color="0.93", zorder=0)
    left.set(xlabel="z", ylabel="neutral fraction, less the published", ylim=(-0.012, 0.012))
    left.legend(frameon=False)
    grids = [(row, grid) for row in rows if (grid := grid_at(results, row["z"]))]
    z = [row["z"] for row, _ in grids]
    density = [grid["density"]["rms"] / row["density_rms"] for row, grid in grids]
    raw = [
        np.mean(grid["velocity_rms"]) / np.mean([row["v_x"], row["v_y"], row["v_z"]])
        for row, grid in grids
    ]
    explained = [
        np.mean(grid["velocity_rms"]) / np.mean(velocity_of_reference(name, row["z"]))
        for row, grid in grids
    ]
    right.plot(z, 100 * (np.array(density) - 1), "o-", ms=3, label="density")
    right.plot(z, 100 * (np.array(raw) - 1), "s:", ms=3, label="velocity")
    right.plot(z, 100 * (np.array(explained) - 1), "s-", ms=3, label="velocity, less box and seed")
    right.axhspan(-2, 2, color="0.93", zorder=0)
    right.set(xlabel="z", ylabel="rms over the published, less 1 [%]")
    right.legend(frameon=False)
    save(figure, "table_a")


def spectrum_figure() -> None:
    """D_ell of B for boxes of all sizes, beside the published map."""
    figure, axes = plt.subplots(figsize=(5.5, 3.4))
    for i, name in enumerate(BOXES):
        results = load(name)
        dl, ell = spectra(results, "B"), np.array(first(results)["ell"])
        box, n = results["config"]["box"], len(dl)
        shown = ell + 110 * (i - 1.5)
        mean, std = dl.mean(axis=0), dl.std(axis=0, ddof=1)
        axes.errorbar(shown, mean, std, fmt="none", ecolor=f"C{i}", alpha=0.35, lw=4)
        label = f"{box:g} Mpc/h, {n} seeds"
        axes.errorbar(shown, mean, std / np.sqrt(n), fmt="o", ms=3, color=f"C{i}", label=label)
    axes.plot(REFERENCE["B"]["ell"], REFERENCE["B"]["dl"], "k*", ms=9, label="published map")
    axes.set(xlabel=r"$\ell$", ylabel=r"$D_\ell$ [$\mu$K$^2$]", ylim=(0, None))
    axes.legend(frameon=False)
    save(figure, "spectrum")


def cells_figure() -> None:
    """What the size of cells does to D_ell of B and to histories, in one box of 500 Mpc/h."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    finest = load(CELLS[-1])
    for name in CELLS:
        results = load(name)
        config = results["config"]
        label = f"{config['box'] / config['n_cells']:.2f} Mpc/h"
        mean, _ = paired(name, CELLS[-1], "B")
        edges = np.array(first(results)["edges"])
        left.plot((edges[1:] + edges[:-1])[: len(mean)] / 2, 100 * mean, "o-", ms=3)
        z = np.array(first(results, "A")["z"])
        off = mean_of(_first_seed(results), "A", "x_m") - mean_of(_first_seed(finest), "A", "x_m")
        right.plot(z, off, "o-", ms=3, label=label)
    left.set(xlabel=r"$\ell$", ylabel=r"$D_\ell$ of B, less that of the finest [%]")
    right.set(xlabel="z", ylabel="x_m of A, less that of the finest", xlim=(5, 16))
    right.legend(frameon=False, title="cells")
    save(figure, "cells")


def _first_seed(results: dict[str, Any]) -> dict[str, Any]:
    return {**results, "realizations": results["realizations"][:1]}


def options_figure() -> None:
    """What a change of the light cone, the geometry or the deposit does to D_ell, in per cent."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    edges = np.array(first(load("laptop"))["edges"])
    ell = (edges[1:] + edges[:-1]) / 2
    shown = {name: label for name, label in OPTIONS.items() if name != "no_shifts"}
    for axes, point in zip(panels, ("A", "B"), strict=True):
        for i, (name, label) in enumerate(shown.items()):
            mean, error = paired(name, "laptop", point)
            at = ell[: len(mean)] + 70 * (i - len(shown) / 2)
            axes.errorbar(at, 100 * mean, 100 * error, fmt="o-", ms=3, lw=1, label=label)
        axes.axhline(0, color="0.8", zorder=0)
        axes.set(xlabel=r"$\ell$", title=f"parameters {point}")
    panels[0].set_ylabel(r"change of $D_\ell$ [%]")
    panels[1].legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, "options")


def scatter_figure() -> None:
    """Scatter of D_ell from seed to seed, the rms over the points."""
    figure, axes = plt.subplots(figsize=(5.5, 3.2))
    for i, name in enumerate(
        ("box_250", "laptop", "medium", "large", "demo", "box_1000", "box_2000")
    ):
        if not known(name):
            continue
        results = load(name)
        config = results["config"]
        squares = [fractional_std(spectra(results, p)) ** 2 for p in results["points"]]
        cell = config["box"] / config["n_cells"]
        style = "o-" if cell < 3 else "s--"
        label = (
            f"{config['box']:g} Mpc/h, cells of {cell:.1f}, {len(results['realizations'])} seeds"
        )
        scatter = 100 * np.sqrt(np.mean(squares, axis=0))
        axes.plot(first(results)["ell"], scatter, style, ms=3, label=label, color=f"C{i}")
    axes.set(xlabel=r"$\ell$", ylabel=r"scatter of $D_\ell$ [%]", ylim=(0, 52))
    axes.legend(frameon=False, fontsize=7, ncols=2)
    save(figure, "scatter")


def draw(name: str = "large") -> None:
    """All figures; table A is compared with that preset."""
    with plt.rc_context(STYLE):
        table_a_figure(name)
        spectrum_figure()
        cells_figure()
        options_figure()
        scatter_figure()


if __name__ == "__main__":
    draw()
