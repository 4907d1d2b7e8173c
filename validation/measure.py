"""Runs studies, and keeps what they gave in results/<name>.json.

    python validation/measure.py large box_2000     # only what is not there yet
    python validation/measure.py demo --fresh       # again from the start

Each realization is written down when it is done, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from studies import POINTS, STUDIES, Study

from reionemu.files import write_bytes
from reionemu.machine import usable_cores
from reionemu.simulation import (
    Realization,
    Simulation,
    SimulationConfig,
    matter,
    open_realization,
)
from reionemu.simulation.cache import FORMAT
from reionemu.simulation.initial_conditions import Displacement
from reionemu.simulation.light_cone import LightCone
from reionemu.simulation.matter import density, velocity
from reionemu.simulation.shared import nodes
from reionemu.spectra import ClConfig, FlatSkyPlan
from reionemu.spectra.bandpower_plan import BandpowerPlan

RESULTS = Path(__file__).parent / "results"

EDGES = (1000.0, 3000.0, 5000.0, 7000.0, 9000.0, 11000.0)
"""Bins that maps of different cells and angles have in common, as far as they go."""


def results(
    name: str,
    *,
    fresh: bool = False,
    n_seeds: int | None = None,
    with_fields: bool = True,
    folder: Path = RESULTS,
) -> dict[str, Any]:
    """What a study gave; what is missing is simulated."""
    study, path = STUDIES[name], folder / f"{name}.json"
    config = json.loads(json.dumps(study.config.to_dict()))
    kept: dict[str, Any] = {}
    if path.exists() and not fresh:
        kept = json.loads(path.read_text())
        if kept["config"] != config or kept["points"] != POINTS:
            raise SystemExit(f"{path} is of another configuration; make it again with --fresh")
    kept = kept or {
        "config": config,
        "points": POINTS,
        "shifts": study.shifts,
        "start": study.start,
        "pivot": study.pivot,
        "made_by": made_by(),
        "realizations": [],
        "fields": [],
    }
    grids = [(z, seed) for z in study.fields for seed in range(study.field_seeds)]
    with changed(study):
        for seed in range(len(kept["realizations"]), n_seeds or study.n_seeds):
            kept["realizations"].append(one_realization(study.config, seed))
            write_bytes(path, as_text(kept).encode())
            print(f"{name}: realization {seed} done", file=sys.stderr, flush=True)
        for z, seed in grids[len(kept["fields"]) :] if with_fields else ():
            kept["fields"].append(fields(study.config, z, seed))
            write_bytes(path, as_text(kept).encode())
            print(f"{name}: fields at z = {z:g} done", file=sys.stderr, flush=True)
    return kept


def as_text(kept: dict[str, Any]) -> str:
    """JSON with a line for each thing that was measured, its numbers to seven digits."""
    lists = {key: rounded(kept[key]) for key in ("realizations", "fields")}
    head = {key: value for key, value in kept.items() if key not in lists}
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    for key, rows in lists.items():
        lines.append(
            f"{json.dumps(key)}: [" + ",".join(f"\n {json.dumps(row)}" for row in rows) + "]"
        )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def rounded(value: Any, digits: int = 7) -> Any:
    """Nested lists and mappings with floats to so many digits."""
    text = json.dumps(value)
    return json.loads(text, parse_float=lambda number: float(f"{float(number):.{digits}g}"))


def made_by() -> dict[str, Any]:
    """Versions of what computes."""
    packages = ("reionemu", "numpy", "scipy", "torch", "astropy", "camb")
    return {
        "python": platform.python_version(),
        "cache_format": FORMAT,
        **{package: version(package) for package in packages},
    }


def one_realization(config: SimulationConfig, seed: int) -> dict[str, Any]:
    """Every point, simulated with the initial conditions of one seed."""
    start = time.perf_counter()
    realization = open_realization(config, seed)
    prepared = time.perf_counter() - start
    rms = np.sqrt((realization.shared.samples.astype(float) ** 2).mean(axis=(1, 2, 3)))
    return {
        "seed": seed,
        "seconds_to_prepare": round(prepared, 2),
        "density_rms": dict(zip(map(str, nodes(config)), rms.tolist(), strict=True)),
        "z_re": {"A": _z_re(realization, "A")},
        "simulations": {
            name: _simulation(realization.run(theta)) for name, theta in POINTS.items()
        },
    }


def _z_re(realization: Realization, point: str) -> dict[str, float]:
    field = realization.zreion(POINTS[point])
    return {
        "mean": float(field.mean(dtype=float)),
        "std": float(field.std(dtype=float)),
        "max": float(field.max()),
        "min": float(field.min()),
    }


def _simulation(found: Simulation) -> dict[str, Any]:
    n, unit = len(found.ksz_map), found.t_cmb * 1e6
    drop_in = FlatSkyPlan(n, found.theta_max, ClConfig()).spectrum(found.ksz_map, unit=unit)
    highest = np.pi * n / found.theta_max
    edges = tuple(edge for edge in EDGES if edge <= highest)
    bands = BandpowerPlan(n, found.theta_max, ClConfig(estimator="bandpower", edges=edges))
    return {
        "tau": found.tau,
        "z": found.z.tolist(),
        "x_v": found.x_v.tolist(),
        "x_m": found.x_m.tolist(),
        "ell": drop_in.ell.tolist(),
        "dl": drop_in.dl.tolist(),
        "edges": edges,
        "band_dl": bands.spectrum(found.ksz_map, unit=unit).dl.tolist(),
    }


@lru_cache(maxsize=1)
def _displacement(config: SimulationConfig, seed: int) -> Displacement:
    return Displacement.of(config, seed, threads=usable_cores())


def fields(config: SimulationConfig, z: float, seed: int) -> dict[str, Any]:
    """Moments of density, and of velocity along each axis [km/s], on the whole grid."""
    displacement, threads = _displacement(config, seed), usable_cores()
    mass = density(config, displacement, z, threads)
    row: dict[str, Any] = {"seed": seed, "z": z}
    row["density"] = {
        "mean": float(mass.double().mean()),
        "rms": float(mass.double().std(correction=0)),
        "max": float(mass.max()),
        "min": float(mass.min()),
    }
    del mass
    moving = (velocity(config, displacement, z, i, threads) for i in range(3))
    row["velocity_rms"] = [float(v.double().square().mean().sqrt()) for v in moving]
    return row


@contextmanager
def changed(study: Study) -> Iterator[None]:
    """What is no option of the simulator is as the study has it in the block."""
    made = LightCone.of

    def cone_of(config: SimulationConfig, seed: int, axis: int = 0) -> LightCone:
        cone = made(config, seed, axis)
        if not study.shifts:
            cone = replace(cone, shifts=np.zeros_like(cone.shifts))
        if study.pivot:
            vars(cone)["seen_cells"] = _seen_about(cone, study.pivot)
        return cone

    with (
        mock.patch.object(LightCone, "of", cone_of),
        mock.patch.object(matter, "START", study.start),
    ):
        yield


def _seen_about(cone: LightCone, pivot: float) -> tuple[np.ndarray, np.ndarray]:
    """`LightCone.seen_cells` for rays that diverge from another place in the map."""
    n = cone.config.n_cells
    farthest = float(cone.config.cosmology.comoving_distance(cone.config.z_max))
    offset = np.arange(n) + 0.5 - pivot * n
    pixel = np.floor(pivot * n + offset * cone.distance[:, None] / farthest).astype(np.int64)
    shift = cone.shifts[np.arange(cone.n_planes) // n]
    rows, columns = (pixel + shift[:, axis, None] for axis in (0, 1))
    return rows % n, columns % n


def main() -> None:
    """Measure the studies that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", choices=STUDIES, metavar="study")
    parser.add_argument("--fresh", action="store_true", help="do not use what is there")
    parser.add_argument("--seeds", type=int, help="fewer, or more, than the study has")
    parser.add_argument("--no-fields", action="store_true", help="leave whole grids out")
    options = parser.parse_args()
    for name in options.studies:
        results(
            name,
            fresh=options.fresh,
            n_seeds=options.seeds,
            with_fields=not options.no_fields,
        )


if __name__ == "__main__":
    main()
