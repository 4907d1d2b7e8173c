"""What was to be reached, what was, and what causes the differences that are over 2%."""

from __future__ import annotations

import linear
import numpy as np
from compare import (
    REFERENCE,
    Results,
    fractional_std,
    grid_at,
    in_sigma,
    markdown,
    mean_of,
    neutral_at,
    percent,
    published_dl,
    reference_rows,
    spectra,
    velocity_of_reference,
)
from compare import first as first_of
from convergence import extreme_trend
from studies import STUDIES

from reionemu.simulation import PRESETS
from reionemu.simulation.seed_scatter import seed_scatter

CELL = REFERENCE["box"] / REFERENCE["n_cells"]


def published_scatter(ell: np.ndarray) -> np.ndarray:
    """Fractional standard deviation of D_ell of one published map of B, at other multipoles."""
    known = seed_scatter(PRESETS["reference"])
    return np.interp(ell, known["ell"], known["points"]["B"]["fractional_std"])


def target_table(name: str, results: Results) -> str:
    """Each quantity, what was asked, what is found, and whether that is met."""
    rows = [
        _tau(name, results),
        *(_neutral(name, results, key) for key in ("x_m", "x_v")),
        _z_re_std(name, results),
        _density(name, results),
        _velocity(name, results),
        _dl(name, results),
        *(_extreme(name, results, kind) for kind in ("z_re max", "z_re min")),
        *(_extreme(name, results, kind) for kind in ("density max", "density min")),
    ]
    return markdown(["quantity", "asked", "found", "met", "cause"], [row for row in rows if row])


def _verdict(met: bool) -> str:
    return "yes" if met else "NO"


def _cells(name: str) -> str:
    """The cause that coarser cells than the published ones are."""
    config = STUDIES[name].config
    return f"cells of {config.cell:.3g} Mpc/h" if config.cell > 1.01 * CELL else ""


def _joined(*causes: str) -> str:
    return "; ".join(cause for cause in causes if cause)


def _tau(name: str, results: Results) -> list[str]:
    ratio = mean_of(results, "B", "tau") / REFERENCE["B"]["tau"]
    found = f"{100 * (ratio - 1):+.2f}%"
    return ["tau of B", "0.3%", found, _verdict(abs(ratio - 1) < 0.003), _cells(name)]


def _neutral(name: str, results: Results, key: str) -> list[str]:
    off = [neutral_at(results, key, row["z"]) - row[key] for row in reference_rows()]
    worst = max(off, key=abs)
    met = _verdict(abs(worst) < 0.01)
    return [f"{key}(z) of A, worst", "0.01", f"{worst:+.4f}", met, _cells(name)]


def _z_re_std(name: str, results: Results) -> list[str]:
    values = [one["z_re"]["A"]["std"] for one in results["realizations"]]
    ratio = np.mean(values) / REFERENCE["A"]["z_re"]["std"]
    return ["z_re std of A", "2%", percent(ratio), _verdict(abs(ratio - 1) < 0.02), _cells(name)]


def _density(name: str, results: Results) -> list[str]:
    ratios = [
        grid["density"]["rms"] / row["density_rms"]
        for row in reference_rows()
        if (grid := grid_at(results, row["z"]))
    ]
    if not ratios:
        return []
    worst = max(ratios, key=lambda r: abs(r - 1))
    met = _verdict(abs(worst - 1) < 0.02)
    return ["density rms, worst z", "2%", percent(worst), met, _cells(name)]


def _velocity(name: str, results: Results) -> list[str]:
    raw, left = [], []
    for row in reference_rows():
        if grid := grid_at(results, row["z"]):
            found = np.mean(grid["velocity_rms"])
            raw.append(found / np.mean([row["v_x"], row["v_y"], row["v_z"]]))
            left.append(found / np.mean(velocity_of_reference(name, row["z"])))
    if not left:
        return []
    worst, unexplained = (max(r, key=lambda x: abs(x - 1)) for r in (raw, left))
    config, whole = STUDIES[name].config, STUDIES["reference"].config
    box = linear.velocity_rms(config, 7.5) / linear.velocity_rms(whole, 7.5)
    realized = np.mean(linear.realized_velocity_rms(config, 7.5, 0))
    seed = realized / linear.velocity_rms(config, 7.5)
    box_and_seed = (
        f"{percent(worst)} in all; box {percent(box)}, seed 0 {percent(seed)} by linear theory"
    )
    met, cause = _verdict(abs(unexplained - 1) < 0.01), _joined(box_and_seed, _cells(name))
    return ["velocity rms less box, seed", "1%", percent(unexplained), met, cause]


def _dl(name: str, results: Results) -> list[str]:
    dl, ell = spectra(results, "B"), np.array(first_of(results)["ell"])
    apart = in_sigma(dl, published_dl(ell), published_scatter(ell))
    apart = apart[~np.isnan(apart)]
    worst = max(apart, key=abs)
    scatter = fractional_std(dl)
    cause = f"seeds: one map scatters by {100 * scatter.min():.0f} to {100 * scatter.max():.0f}%"
    met = _verdict(abs(worst) < 2)
    cause = _joined(_cells(name), cause)
    return ["D_ell of B, worst bin", "2 sigma", f"{worst:+.1f} sigma", met, cause]


def _extreme(name: str, results: Results, kind: str) -> list[str]:
    what, end = kind.split()
    if what == "z_re":
        published = REFERENCE["A"]["z_re"][end]
        found = np.mean([one["z_re"]["A"][end] for one in results["realizations"]])
    else:
        grid = grid_at(results, 7.5)
        if grid is None:
            return []
        published = next(row for row in reference_rows() if row["z"] == 7.5)[f"density_{end}"]
        found = grid["density"][end]
    trend = extreme_trend(kind)
    points = ", ".join(f"{m:.3g}" for m in trend["means"])
    cause = (
        f"volume: {points} in boxes of {', '.join(f'{b:g}' for b in trend['boxes'])}; "
        f"hence {trend['expected']:.3g} +- {trend['expected_scatter']:.2g} in 2000"
    )
    where = "" if what == "z_re" else " at z = 7.5"
    difference = f"{found:.3g}, not {published:.3g}"
    return [f"{kind}{where}", "-", difference, "", _joined(_cells(name), cause)]
