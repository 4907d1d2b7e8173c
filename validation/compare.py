"""Results of studies beside the numbers of the published runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import linear
import numpy as np
from studies import STUDIES

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text())

Results = dict[str, Any]


def markdown(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that reads well as text and as Markdown."""
    cells = [list(headers), *([str(cell) for cell in row] for row in rows)]
    width = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    lines = [" | ".join(c.rjust(w) for c, w in zip(row, width, strict=True)) for row in cells]
    lines.insert(1, " | ".join("-" * (w - 1) + ":" for w in width))
    return "\n".join(f"| {line} |" for line in lines)


def spectra(results: Results, point: str, key: str = "dl") -> np.ndarray:
    """D_ell of every realization [uK^2], shape (n, b)."""
    return np.array([one["simulations"][point][key] for one in results["realizations"]])


def first(results: Results, point: str = "B") -> dict[str, Any]:
    """What all realizations have in common: ell, edges, z."""
    return results["realizations"][0]["simulations"][point]


def mean_of(results: Results, point: str, key: str) -> np.ndarray:
    """The mean over realizations of tau, or of a history."""
    return np.mean([one["simulations"][point][key] for one in results["realizations"]], axis=0)


def fractional_std(dl: np.ndarray) -> np.ndarray:
    """Standard deviation over realizations in units of the mean, shape (b,)."""
    return dl.std(axis=0, ddof=1) / dl.mean(axis=0)


def log_covariance(dl: np.ndarray) -> np.ndarray:
    """Covariance of ln D_ell over realizations, shape (b, b)."""
    return np.cov(np.log(dl), rowvar=False)


def reference_rows() -> list[dict[str, float]]:
    """Table A, a mapping for each redshift."""
    table = REFERENCE["A"]
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def grid_at(results: Results, z: float, seed: int = 0) -> dict[str, Any] | None:
    """Moments of density and velocity on the whole grid, if they were measured."""
    rows = [row for row in results["fields"] if row["z"] == z and row["seed"] == seed]
    return rows[0] if rows else None


def velocity_of_reference(name: str, z: float, seed: int = 0) -> np.ndarray:
    """Velocity rms [km/s] that the published run suggests for a realization, shape (3,).

    Its mean over the axes, times what linear theory expects of this box, with the large-scale
    modes of this realization, over what it expects of the published box. The cells must be as
    large: they take the same few per cent off both.
    """
    row = next(row for row in reference_rows() if row["z"] == z)
    published = np.sqrt(np.mean([row[axis] ** 2 for axis in ("v_x", "v_y", "v_z")]))
    realized = linear.realized_velocity_rms(STUDIES[name].config, z, seed)
    return published * realized / linear.velocity_rms(STUDIES["reference"].config, z)


def table_a(name: str, results: Results) -> str:
    """Density, velocity and history beside table A; velocities are means over the axes."""
    rows = []
    for row in reference_rows():
        grid = grid_at(results, row["z"])
        known = grid is not None and row["density_rms"] is not None
        fractions = [f"{row[key]:.3f} {neutral_at(results, key, row['z']):.3f}" for key in HISTORY]
        rows.append(
            [f"{row['z']:g}", *(_grid_cells(name, row, grid) if known else NONE), *fractions]
        )
    return markdown(COLUMNS_A, rows)


HISTORY = ("x_v", "x_m")

COLUMNS_A = (
    *("z", "density rms", "here", "diff", "max", "min"),
    *("v rms", "here", "diff", "less box", *HISTORY),
)

NONE = ("-",) * 9


def neutral_at(results: Results, key: str, z: float) -> float:
    """Neutral fraction at z with the parameters of A, the mean over realizations."""
    return float(np.interp(z, first(results, "A")["z"], mean_of(results, "A", key)))


def _grid_cells(name: str, row: dict[str, float], grid: dict[str, Any]) -> list[str]:
    ours, published = grid["density"], row["density_rms"]
    speed, theirs = np.mean(grid["velocity_rms"]), np.mean([row["v_x"], row["v_y"], row["v_z"]])
    expected = np.mean(velocity_of_reference(name, row["z"]))
    return [
        f"{published:.4f}",
        f"{ours['rms']:.4f}",
        percent(ours["rms"] / published),
        f"{row['density_max']:.2f} {ours['max']:.2f}",
        f"{row['density_min']:.3f} {ours['min']:.3f}",
        f"{theirs:.1f}",
        f"{speed:.1f}",
        percent(speed / theirs),
        percent(speed / expected),
    ]


def percent(ratio: float) -> str:
    """How far a ratio is from 1."""
    return f"{100 * (ratio - 1):+.1f}%"


def table_b(results: Results, scatter: np.ndarray) -> str:
    """D_ell beside table B; between the published bins, beside what a line through them gives.

    Parameters
    ----------
    scatter : ndarray, shape (5,)
        Fractional standard deviation of D_ell of one map of the published size.
    """
    dl, ell = spectra(results, "B"), np.array(first(results)["ell"])
    published, found = published_dl(ell), fractional_std(dl)
    mean, apart = dl.mean(axis=0), in_sigma(dl, published, scatter)
    rows = [
        [
            f"{ell[i]:.0f}",
            "-" if np.isnan(published[i]) else f"{published[i]:.4f}",
            f"{100 * scatter[i]:.1f}%",
            f"{mean[i]:.4f}",
            f"{100 * found[i]:.1f}%",
            "-" if np.isnan(published[i]) else percent(mean[i] / published[i]),
            "-" if np.isnan(published[i]) else f"{apart[i]:+.1f}",
        ]
        for i in range(len(ell))
    ]
    headers = ["ell", "published", "scatter", f"mean of {len(dl)}", "scatter", "diff", "sigma"]
    return markdown(headers, rows)


def published_dl(ell: np.ndarray) -> np.ndarray:
    """D_ell of table B in bins about other multipoles; not a number below the lowest bin.

    Bins of maps of another size differ a little, which counts as nothing; between the published
    ones a straight line is drawn.
    """
    table = REFERENCE["B"]
    there, dl = np.array(table["ell"]), np.array(table["dl"])
    nearest = np.abs(ell[:, None] / there - 1).argmin(axis=1)
    same = np.abs(ell / there[nearest] - 1) < 0.02
    between = np.interp(ell, there, dl, left=np.nan)
    return np.where(same, dl[nearest], between)


def in_sigma(dl: np.ndarray, published: np.ndarray, scatter: np.ndarray) -> np.ndarray:
    """How far the mean over realizations is from one map, in units of what seeds make of both."""
    variance = scatter**2 + fractional_std(dl) ** 2 / len(dl)
    return (dl.mean(axis=0) / published - 1) / np.sqrt(variance)


def shape_table(studies: dict[str, Results], box_ratio: float) -> str:
    """Ratios of neighbouring bins of B beside the published ones.

    Bins of one map scatter together, so their ratios say more than they do.

    Parameters
    ----------
    studies : dict
        Label and results; all with the published cells.
    box_ratio : float
        Scatter of a published map in units of that of these.
    """
    published = np.diff(np.log(REFERENCE["B"]["dl"]))
    rows = []
    for label, results in studies.items():
        steps = np.diff(np.log(spectra(results, "B")), axis=1)
        std, n = steps.std(axis=0, ddof=1), len(steps)
        off = steps.mean(axis=0) - published
        error = std * np.sqrt(box_ratio**2 + 1 / n)
        cells = [f"{100 * o:+.1f}%, {o / e:+.1f}" for o, e in zip(off, error, strict=True)]
        rows.append([label, str(n), *cells])
    return markdown(["rays", "seeds", *(f"D{i + 1} / D{i}, sigma" for i in range(1, 5))], rows)
