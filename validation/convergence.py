"""How results depend on box, cells, light cone, geometry and deposit."""

from __future__ import annotations

import itertools
import json
from typing import Any

import linear
import numpy as np
from compare import REFERENCE, Results, first, fractional_std, markdown, mean_of, percent, spectra
from measure import RESULTS
from studies import STUDIES

BOXES = ("box_250", "laptop", "medium", "large")
"""Cells of 1.953 Mpc/h, and the published range and geometry."""

COARSE_BOXES = ("demo", "box_1000", "box_2000")
"""The same with cells of 3.906 Mpc/h."""

CELLS = ("demo", "laptop", "cells_384", "cells_512")
"""A box of 500 Mpc/h."""

OPTIONS = {
    "z_min_5": "z from 5",
    "z_min_5.5": "z from 5.5",
    "z_max_12": "z to 12",
    "z_max_18": "z to 18",
    "parallel": "parallel rays",
    "cic": "CIC deposit",
    "centres": "particles start on centres of cells",
    "pivot_500": "rays from the middle of the map",
    "no_shifts": "copies of the box not shifted",
}
"""What is changed of the preset laptop."""

PIVOTS = {
    "pivot_500": ("laptop", "500, cells of 1.95"),
    "pivot_1000": ("large", "1000, cells of 1.95"),
    "pivot_2000": ("box_2000", "2000, cells of 3.91"),
}
"""Rays that diverge about the middle of the map rather than its corner, and what that changes."""


def load(name: str) -> Results:
    """What a study gave."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def known(name: str) -> bool:
    """Whether a study was made."""
    return (RESULTS / f"{name}.json").exists()


def paired(name: str, base: str, point: str) -> tuple[np.ndarray, np.ndarray]:
    """D_ell in common bands over that of another study with the same seeds, less 1.

    Returns
    -------
    mean, error : ndarray, shape (b,)
        Over the seeds; the error is that of the mean.
    """
    both = [spectra(load(one), point, "band_dl") for one in (name, base)]
    n, b = min(len(dl) for dl in both), min(dl.shape[1] for dl in both)
    ratio = both[0][:n, :b] / both[1][:n, :b] - 1
    error = ratio.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(b, np.nan)
    return ratio.mean(axis=0), error


def box_table(names: tuple[str, ...] = BOXES) -> str:
    """Means over seeds by size of the box, and the scatter of D_ell."""
    rows = []
    whole = linear.velocity_rms(STUDIES["reference"].config, 7.5)
    for name in names:
        results, config = load(name), STUDIES[name].config
        dl = spectra(results, "B", "band_dl")
        error = fractional_std(dl) / np.sqrt(len(dl))
        rows.append(
            [
                f"{config.box:g}",
                f"{len(dl)}",
                *_scalars(results),
                f"{linear.velocity_rms(config, 7.5) / whole:.3f}",
                *(f"{m:.3f} +- {m * e:.3f}" for m, e in zip(dl.mean(axis=0), error, strict=True)),
            ]
        )
    bands = band_names(first(results)["edges"])
    return markdown(["box", "seeds", *SCALARS, "v rms / 2000", *bands], rows)


def band_names(edges: list[float]) -> list[str]:
    """Headers of columns of D_ell."""
    return [f"D {low / 1000:g}-{high / 1000:g}k" for low, high in itertools.pairwise(edges)]


def scatter_table(names: tuple[str, ...]) -> str:
    """Fractional standard deviation of D_ell in the default bins, the mean over the points."""
    rows = []
    for name in names:
        results = load(name)
        config, points = results["config"], results["points"]
        squares = [fractional_std(spectra(results, point)) ** 2 for point in points]
        ell, scatter = first(results)["ell"], np.sqrt(np.mean(squares, axis=0))
        bins = [f"{100 * s:.0f}% at {x:.0f}" for x, s in zip(ell, scatter, strict=True)]
        rows.append([name, f"{config['box']:g}", str(len(results["realizations"])), *bins])
    return markdown(["study", "box", "seeds", *(f"bin {i + 1}" for i in range(5))], rows)


SCALARS = ("tau A", "tau B", "x_m A z=7", "z_re std A", "density rms z=7")


def _scalars(results: Results) -> list[str]:
    mean = _means(results)
    return [f"{mean[0]:.5f}", f"{mean[1]:.5f}", *(f"{value:.4f}" for value in mean[2:])]


def _means(results: Results) -> list[float]:
    kept = results["realizations"]
    at_7 = np.interp(7, first(results, "A")["z"], mean_of(results, "A", "x_m"))
    return [
        float(mean_of(results, "A", "tau")),
        float(mean_of(results, "B", "tau")),
        float(at_7),
        float(np.mean([one["z_re"]["A"]["std"] for one in kept])),
        float(np.mean([one["density_rms"]["7.0"] for one in kept])),
    ]


def change_table(names: dict[str, str], base: str = "laptop", point: str = "B") -> str:
    """What a change does, seed by seed, to D_ell in common bands and to the rest."""
    rows = []
    edges = first(load(base))["edges"]
    for name, label in names.items():
        results, other = load(name), load(base)
        n = min(len(results["realizations"]), len(other["realizations"]))
        for one in (results, other):
            one["realizations"] = one["realizations"][:n]
        new, old = _means(results), _means(other)
        mean, error = paired(name, base, point)
        bands = [_with_error(m, e) for m, e in zip(mean, error, strict=True)]
        bands += ["-"] * (len(edges) - 1 - len(bands))
        rows.append(
            [
                label,
                str(n),
                f"{100 * (new[1] / old[1] - 1):+.2f}%",
                f"{new[2] - old[2]:+.4f}",
                percent(new[4] / old[4]),
                *bands,
            ]
        )
    bands = band_names(edges)
    return markdown(["change", "seeds", "tau B", "x_m A z=7", "density rms", *bands], rows)


def pivot_table(point: str = "B") -> str:
    """D_ell with rays about the middle of the map over that with rays about its corner, less 1."""
    edges = first(load("large"))["edges"]
    rows = []
    for name, (base, label) in PIVOTS.items():
        mean, error = paired(name, base, point)
        bands = [_with_error(m, e) for m, e in zip(mean, error, strict=True)]
        seeds = str(len(load(name)["realizations"]))
        rows.append([label, seeds, *bands, *["-"] * (len(edges) - 1 - len(bands))])
    return markdown(["box", "seeds", *band_names(edges)], rows)


def band_ratio(name: str, key: str = "band_dl") -> tuple[float, float]:
    """Second over first band or bin of B: the mean over seeds, and the scatter of its log."""
    logs = np.log(spectra(load(name), "B", key))
    ratio = logs[:, 1] - logs[:, 0]
    return float(np.exp(ratio.mean())), float(ratio.std(ddof=1))


def published_band_ratio() -> float:
    """What the published second over first bin of B would be as bands, with cells of 3.9 Mpc/h."""
    published = REFERENCE["B"]["dl"][1] / REFERENCE["B"]["dl"][0]
    as_bands = band_ratio("large")[0] / band_ratio("large", "dl")[0]
    coarser = band_ratio("demo")[0] / band_ratio("laptop")[0]
    return published * as_bands * coarser


def _with_error(mean: float, error: float) -> str:
    text = f"{100 * mean:+.1f}"
    return f"{text}%" if np.isnan(error) else f"{text} +- {100 * error:.1f}%"


def extreme_trend(kind: str) -> dict[str, Any]:
    """The mean extreme of a realization as a power law of the box, and what it is at 2000 Mpc/h.

    Parameters
    ----------
    kind : {"z_re max", "z_re min", "density max", "density min"}
        At the parameters of A; density at z = 7.5.

    Returns
    -------
    dict
        boxes, means, expected (in the published box), and expected_scatter: an extreme value whose
        mean rises by s ln(V) scatters by pi s / sqrt(6) (Gumbel 1958).
    """
    what, end = kind.split()
    boxes, means = [], []
    for name in BOXES:
        results = load(name)
        if what == "z_re":
            values = [one["z_re"]["A"][end] for one in results["realizations"]]
        else:
            values = [row["density"][end] for row in results["fields"] if row["z"] == 7.5]
        if values:
            boxes.append(results["config"]["box"])
            means.append(float(np.mean(values)))
    slope, start = np.polyfit(np.log(boxes), np.log(means), 1)
    expected = float(np.exp(start + slope * np.log(2000)))
    scatter = abs(slope) / 3 * expected * np.pi / np.sqrt(6)
    return {"boxes": boxes, "means": means, "expected": expected, "expected_scatter": scatter}
