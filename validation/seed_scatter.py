"""Writes src/reionemu/simulation/seed_scatter.json from what the studies of the presets gave.

    python validation/seed_scatter.py

The published box takes more memory than most machines have. Its scatter is that of `large`, times
how much less a box of 2000 Mpc/h scatters than one of 1000, with cells of 3.9 Mpc/h.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from compare import first, fractional_std, log_covariance, spectra
from convergence import COARSE_BOXES, load
from measure import rounded
from studies import POINTS

import reionemu.simulation
from reionemu.files import write_bytes
from reionemu.spectra import ClConfig

TARGET = Path(reionemu.simulation.__file__).with_name("seed_scatter.json")

MEASURED = ("demo", "laptop", "medium", "large")

KEPT = ("box", "n_cells", "geometry", "z_min", "z_max", "deposit", "cosmology")


def entry(name: str) -> dict[str, Any]:
    """What is known of a preset that was simulated."""
    results = load(name)
    by_point = {point: spectra(results, point) for point in POINTS}
    return {
        "config": {key: results["config"][key] for key in KEPT},
        "scatter": {
            "ell": first(results)["ell"],
            "covariance": rounded(pooled(by_point).tolist()),
            "n_realizations": len(results["realizations"]),
            "points": {
                point: {
                    "parameters": POINTS[point],
                    "mean_dl": rounded(dl.mean(axis=0).tolist()),
                    "fractional_std": rounded(fractional_std(dl).tolist()),
                    "covariance": rounded(log_covariance(dl).tolist()),
                }
                for point, dl in by_point.items()
            },
            "measured_with": {key: results["config"][key] for key in ("box", "n_cells")},
            "note": "",
        },
    }


def reference_entry() -> dict[str, Any]:
    """What is thought of the published box."""
    large, ratio = entry("large"), box_ratio()
    scatter, n_large = large["scatter"], large["scatter"]["n_realizations"]
    scatter["covariance"] = scaled(scatter["covariance"], ratio**2)
    for point in scatter["points"].values():
        point["covariance"] = scaled(point["covariance"], ratio**2)
        point["fractional_std"] = scaled(point["fractional_std"], ratio)
    scatter["n_realizations"] = len(load("box_2000")["realizations"])
    scatter["measured_with"] = {"box": 2000.0, "n_cells": 512}
    scatter["note"] = (
        "Not measured with this configuration. The covariance is that of the preset large (box "
        f"1000, {n_large} realizations) times {ratio:.3f}^2, by how much "
        "the scatter of ln D_ell between ell = 1000 and 5000 falls when the box is doubled: a "
        "power law through boxes of 500, 1000 and 2000 Mpc/h with cells of 3.9 Mpc/h. mean_dl is "
        "that of large."
    )
    config = {**large["config"], "box": 2000.0, "n_cells": 1024}
    return {"config": config, "scatter": scatter}


def scaled(values: list[Any], factor: float) -> list[Any]:
    """Nested lists times a number."""
    return rounded((np.array(values) * factor).tolist())


def box_ratio() -> float:
    """Standard deviation of ln D_ell in a box of 2000 in units of that in one of 1000 Mpc/h.

    By a power law through boxes of 500, 1000 and 2000 Mpc/h, all with cells of 3.9 Mpc/h. One
    number for all points and bands: no trend with either can be told from noise.
    """
    boxes = [load(name)["config"]["box"] for name in COARSE_BOXES]
    slope, _ = np.polyfit(np.log(boxes), np.log([spread(name) for name in COARSE_BOXES]), 1)
    return float(2**slope)


def spread(name: str) -> float:
    """Standard deviation of ln D_ell, the rms over the points and the bands from ell = 1000 up."""
    logs = [np.log(spectra(load(name), point, "band_dl")) for point in POINTS]
    return float(np.sqrt(np.mean([log.var(axis=0, ddof=1) for log in logs])))


def correlation(name: str) -> np.ndarray:
    """Correlation of the default bins, shape (b, b)."""
    covariance = pooled({point: spectra(load(name), point) for point in POINTS})
    std = np.sqrt(np.diag(covariance))
    return covariance / np.outer(std, std)


def pooled(by_point: dict[str, np.ndarray]) -> np.ndarray:
    """The mean over points of the covariance of ln D_ell, shape (b, b)."""
    return np.mean([log_covariance(dl) for dl in by_point.values()], axis=0)


def main() -> None:
    """Write the file."""
    spectrum = asdict(ClConfig())
    presets = {name: entry(name) for name in MEASURED} | {"reference": reference_entry()}
    document = {
        "format": 1,
        "what": "scatter of ln D_ell of one kSZ map over realizations of its initial conditions",
        "made_with": "validation/seed_scatter.py",
        "made_by": load("large")["made_by"],
        "spectrum": {key: spectrum[key] for key in ("estimator", "nbins", "ell_cut")},
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in document.items()]
    entries = ",\n".join(f" {json.dumps(name)}: {json.dumps(e)}" for name, e in presets.items())
    lines.append(f'"presets": {{\n{entries}\n}}')
    write_bytes(TARGET, ("{\n" + ",\n".join(lines) + "\n}\n").encode())
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
