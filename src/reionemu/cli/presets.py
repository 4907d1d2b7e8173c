"""The table of presets that `reionemu simulate --presets` prints."""

from __future__ import annotations

import math
from typing import Any

import typer

from ..files import human_size
from .output import print_table

COLUMNS = ("preset", "box", "cells", "cell", "map", "preparing", "simulating", "disk", "scatter")


def print_presets(wanted: bool) -> None:
    """Print the table and end, if that is wanted."""
    if not wanted:
        return
    print_table(COLUMNS, [[row[name] for name in COLUMNS] for row in preset_rows()])
    print("box and cell in Mpc/h; memory; disk a realization; seed-to-seed scatter of D_ell")
    raise typer.Exit


def preset_rows() -> list[dict[str, Any]]:
    """What there is to know of each preset, as text."""
    from ..simulation.config import PRESETS
    from ..simulation.memory import memory_estimate
    from ..simulation.seed_scatter import seed_scatter

    rows = []
    for name, config in PRESETS.items():
        memory = memory_estimate(config, threads=2)
        scatter = seed_scatter(config)
        bins = [math.sqrt(row[i]) for i, row in enumerate(scatter["covariance"])] if scatter else []
        rows.append(
            {
                "preset": name,
                "box": f"{config.box:g}",
                "cells": f"{config.n_cells}^3",
                "cell": f"{config.cell:.2f}",
                "map": f"{math.degrees(config.theta_max):.1f} deg",
                "preparing": human_size(memory.shared_bytes),
                "simulating": human_size(memory.run_bytes),
                "disk": human_size(memory.cache_bytes),
                "scatter": f"{100 * bins[-1]:.0f}-{100 * bins[0]:.0f}%" if bins else "?",
            }
        )
    return rows
