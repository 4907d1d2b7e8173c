"""Published amplitudes: against the figures in the papers."""

from __future__ import annotations

import math

import pytest

from reionemu.inference.measurements import MEASUREMENTS, TAU_CONSTRAINTS


@pytest.mark.parametrize(
    ("name", "dl", "std", "is_total", "paper"),
    [
        ("reichardt_2021", 3.0, 1.0, True, "2002.06197"),
        ("gorce_2022", 3.4, 3.4 / 5, True, "2202.08698"),
        ("gorce_2022_patchy", 0.0, 0.8163, False, "2202.08698"),
        ("spt3g_2026", 1.75, 0.86, True, "2601.20551"),
    ],
)
def test_the_figures_are_those_of_the_papers(
    name: str, dl: float, std: float, is_total: bool, paper: str
) -> None:
    data = MEASUREMENTS[name]()
    assert data.name == name
    assert paper in data.source
    assert (data.n, data.ell[0], data.dl[0], data.is_total) == (1, 3000, dl, is_total)
    assert data.std[0] == pytest.approx(std, rel=1e-3)
    assert (data.realization, data.map_area) == ("sky", None)


def test_the_upper_limit_holds_at_95_percent() -> None:
    limit = MEASUREMENTS["gorce_2022_patchy"]()
    below = math.erf(1.6 / (math.sqrt(2) * limit.std[0]))  # of D >= 0
    assert below == pytest.approx(0.95, abs=1e-4)


def test_there_is_one_function_for_each_and_it_says_what_to_mind() -> None:
    assert {function.__name__ for function in MEASUREMENTS.values()} == set(MEASUREMENTS)
    assert all("arXiv" in f"{f().source}{f.__doc__}" for f in MEASUREMENTS.values())
    assert TAU_CONSTRAINTS["planck2018"] == (0.0544, 0.0073)
