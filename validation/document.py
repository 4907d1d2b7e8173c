"""Writes docs/validation.md and its figures from what the studies gave."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path

import figures
import linear
import numpy as np
from compare import REFERENCE, grid_at, percent, shape_table, velocity_of_reference
from convergence import (
    BOXES,
    COARSE_BOXES,
    OPTIONS,
    band_ratio,
    box_table,
    change_table,
    extreme_trend,
    load,
    paired,
    pivot_table,
    published_band_ratio,
    scatter_table,
)
from run import report
from seed_scatter import box_ratio, correlation, spread
from studies import POINTS, STUDIES

from reionemu.files import write_bytes

TARGET = Path(__file__).parents[1] / "docs" / "validation.md"

CELL_NAMES = {
    "demo": "128^3 cells of 3.91",
    "cells_384": "384^3 cells of 1.30",
    "cells_512": "512^3 cells of 0.98",
}


def document(name: str) -> str:
    """The page, comparing that preset with the published runs."""
    made = load(name)["made_by"]
    template = (Path(__file__).parent / "page.md").read_text()
    page = template.format(
        report=report(name, load(name)),
        versions=", ".join(f"{package} {made[package]}" for package in made),
        seeds_large=len(load(name)["realizations"]),
        velocity=velocity_text(name),
        cell_loss=cell_loss_text(),
        extremes="\n".join(extreme_lines()),
        box_table=box_table(BOXES),
        coarse_table=box_table(COARSE_BOXES),
        cells_table=change_table(CELL_NAMES),
        cells_table_a=change_table(CELL_NAMES, point="A"),
        options_b=change_table(OPTIONS),
        options_a=change_table(OPTIONS, point="A"),
        shape_table=shape_table(
            {"from a corner": load("large"), "from the middle": load("pivot_1000")}, box_ratio()
        ),
        shape_2000=shape_2000_text(),
        pivot_b=pivot_table("B"),
        pivot_a=pivot_table("A"),
        no_shifts=no_shifts_text(),
        scatter_table=scatter_table((*BOXES, *COARSE_BOXES)),
        box_ratio=f"{box_ratio():.2f}",
        steps=step_text(),
        correlation=f"{correlation('large').min():.2f}",
        correlation_mean=f"{_off_diagonal(correlation('large')).mean():.2f}",
        points="\n".join(point_lines()),
    )
    return "\n".join(wrapped(line) for line in page.splitlines()) + "\n"


def wrapped(line: str) -> str:
    """A line of text in lines of at most 100 characters; tables stay as they are."""
    if line.startswith("|"):
        return line
    later = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, 100, subsequent_indent=later, break_on_hyphens=False)


def point_lines() -> Iterable[str]:
    """The points of the space of parameters."""
    for name, theta in POINTS.items():
        values = ", ".join(f"{key} {value:.5g}" for key, value in theta.items())
        yield f"- {name}: {values}"


def velocity_text(name: str) -> str:
    """What linear theory says of velocities in this box and in its realizations."""
    config, whole = STUDIES[name].config, STUDIES["reference"].config
    n = len(load(name)["realizations"])
    expected = linear.velocity_rms(config, 7.5) / linear.velocity_rms(whole, 7.5)
    seeds = [linear.realized_velocity_rms(config, 7.5, seed).mean() for seed in range(n)]
    relative = np.array(seeds) / linear.velocity_rms(config, 7.5)
    grid = grid_at(load(name), 7.5)
    speed = float(np.mean(grid["velocity_rms"]))
    published = np.mean(next(r for r in REFERENCE["A"]["rows"] if r[0] == 7.5)[4:7])
    average = speed / relative[0] * relative.mean()
    return (
        f"Without modes that are longer than the box, linear theory expects {percent(expected)} "
        f"relative to the published box; one component of a realization scatters about "
        f"that by {100 * linear.velocity_scatter(config):.1f}% "
        f"({100 * linear.velocity_scatter(whole):.1f}% in the published box). The large-scale "
        f"modes of seed 0 make its mean over the axes {percent(relative[0])}, those of seeds 0 to "
        f"{n - 1} range from {percent(relative.min())} to {percent(relative.max())} with a mean of "
        f"{percent(relative.mean())}. Measured on the grid at z = 7.5: {speed:.1f} km/s for seed "
        f"0, {percent(speed / published)} relative to the published {published:.1f}; "
        f"{percent(speed / np.mean(velocity_of_reference(name, 7.5)))} when the factors of box and "
        f"seed are taken out. With the mean factor of the {n} seeds in place of that of seed 0 it "
        f"is {average:.1f} km/s, {percent(average / published / expected)} relative to the "
        "published one when that of the box is taken out."
    )


def cell_loss_text() -> str:
    """What the grid takes off linear theory's velocities, by study."""
    parts = []
    for name in ("box_2000", "box_1000", "demo", "large", "laptop"):
        grid, config = grid_at(load(name), 7.5), STUDIES[name].config
        theory = linear.realized_velocity_rms(config, 7.5, 0).mean()
        ratio = float(np.mean(grid["velocity_rms"])) / theory
        parts.append(f"{percent(ratio)} in {config.box:g} with cells of {config.cell:.2f}")
    return "; ".join(parts)


def extreme_lines() -> Iterable[str]:
    """Extremes by box, and what their trend makes of the published volume."""
    published = REFERENCE["A"]["z_re"]
    row = next(r for r in REFERENCE["A"]["rows"] if r[0] == 7.5)
    values = {
        "z_re max": published["max"],
        "z_re min": published["min"],
        "density max": row[2],
        "density min": row[3],
    }
    for kind, there in values.items():
        trend = extreme_trend(kind)
        means = ", ".join(
            f"{mean:.3g} in {box:g}"
            for mean, box in zip(trend["means"], trend["boxes"], strict=True)
        )
        yield (
            f"- {kind}: {means}; a power law gives {trend['expected']:.3g} +- "
            f"{trend['expected_scatter']:.2g} in 2000 Mpc/h; the published run has {there:.3g}."
        )


def shape_2000_text() -> str:
    """The second over the first band of B in the published box, by where rays start."""
    published = published_band_ratio()
    parts = []
    for name, label in (("box_2000", "a corner"), ("pivot_2000", "the middle")):
        ratio, scatter = band_ratio(name)
        apart = np.log(ratio / published) / scatter
        n = len(load(name)["realizations"])
        parts.append(
            f"{ratio:.3f} with rays from {label} ({n} seeds; one map scatters by "
            f"{100 * scatter:.1f}%, and the published one is {abs(apart):.1f} of that away)"
        )
    return f"{'; '.join(parts)}; the published spectrum comes to {published:.3f}"


def no_shifts_text() -> str:
    """What seeing the same structures again and again does, with parallel and diverging rays."""
    texts = []
    for name, base in (("parallel_no_shifts", "parallel"), ("no_shifts", "laptop")):
        factors = [1 + paired(name, base, point)[0] for point in ("A", "B")]
        low, high = min(f.min() for f in factors), max(f.max() for f in factors)
        texts.append(f"{low:.1f} to {high:.1f}")
    return f"{texts[0]} times as large with parallel rays, and {texts[1]} times with diverging ones"


def step_text() -> str:
    """Scatter of ln D_ell by box, for both sizes of cells."""
    parts = []
    for names in (BOXES, COARSE_BOXES):
        cell = STUDIES[names[0]].config.cell
        values = ", ".join(
            f"{100 * spread(name):.0f}% in {STUDIES[name].config.box:g}" for name in names
        )
        parts.append(f"{values} (cells of {cell:.2f})")
    return "; ".join(parts)


def _off_diagonal(matrix: np.ndarray) -> np.ndarray:
    return matrix[~np.eye(len(matrix), dtype=bool)]


def main() -> None:
    """Write page and figures."""
    figures.draw("large")
    write_bytes(TARGET, document("large").encode())
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
