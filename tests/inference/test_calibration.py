"""What tells whether posteriors are calibrated: does it, and are they?"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from reionemu.models.emulator import Emulator

pytest.importorskip("emcee")

FOLDER = Path(__file__).parents[2] / "validation" / "inference"


@pytest.fixture
def validation(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Modules of the validation, by name."""
    monkeypatch.syspath_prepend(FOLDER)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def gaussian_ranks(ranks: ModuleType, n: int, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Ranks and quantiles of truths in n posteriors of one datum, too narrow if width < 1.

    The prior is N(0, 1), the error 0.5; so the posterior is N(0.8 y, 0.2).
    """
    rng = np.random.default_rng(1)
    truth = rng.standard_normal(n)
    centre = 0.8 * (truth + 0.5 * rng.standard_normal(n))
    samples = centre[:, None] + width * np.sqrt(0.2) * rng.standard_normal((n, 999))
    equal = np.ones(999)
    found = [
        (ranks.rank_of(t, row, 99), ranks.quantile_of(t, row, equal, rng))
        for t, row in zip(truth, samples, strict=True)
    ]
    return np.array([rank for rank, _ in found]), np.array([quantile for _, quantile in found])


def test_exact_posteriors_are_found_calibrated(validation: Any) -> None:
    ranks = validation("ranks")
    found, quantiles = gaussian_ranks(ranks, 1000, 1.0)
    assert ranks.uniformity(found, 99, 20) > 0.01
    for key, (wanted, std) in ranks.expected(1000).items():
        assert abs(ranks.coverage(quantiles)[key] - wanted) < 3 * std


@pytest.mark.parametrize("width", [0.7, 1.4])
def test_wrong_widths_are_found(validation: Any, width: float) -> None:
    ranks = validation("ranks")
    found, quantiles = gaussian_ranks(ranks, 300, width)
    assert ranks.uniformity(found, 99, 20) < 1e-3
    wanted, std = ranks.expected(300)["68%"]
    assert abs(ranks.coverage(quantiles)["68%"] - wanted) > 3 * std


def test_a_shift_is_found(validation: Any) -> None:
    ranks = validation("ranks")
    found, _ = gaussian_ranks(ranks, 300, 1.0)
    assert ranks.uniformity(np.clip(found + 15, 0, 99), 99, 20) < 1e-3


def test_ranks_that_do_not_fill_bins_are_refused(validation: Any) -> None:
    with pytest.raises(ValueError, match="do not go into 15 bins"):
        validation("ranks").uniformity(np.arange(100), 99, 15)


def test_weights_and_ties_count_in_quantiles(validation: Any) -> None:
    quantile_of = validation("ranks").quantile_of
    rng = np.random.default_rng(0)
    samples = np.array([0.0, 1.0, 2.0])
    assert quantile_of(0.5, samples, np.array([2.0, 1.0, 1.0]), rng) == 0.5
    tied = [quantile_of(0.0, samples, np.array([2.0, 1.0, 1.0]), rng) for _ in range(200)]
    assert 0 < min(tied) < 0.1
    assert 0.4 < max(tied) < 0.5


def test_the_sampler_finds_the_gaussian_limit(validation: Any) -> None:
    found = validation("gaussian_limit").gaussian_limit(target_ess=4000, walkers=64)
    assert found.pop("correlation")["largest"] < 0.01
    for one in found.values():
        assert abs(one["mean"]) < 4 * one["chance"] < 0.07
        assert abs(one["width"]) < 4 * one["chance"]


def test_tables_are_put_between_the_marks(validation: Any, tmp_path: Path) -> None:
    page = validation("page")
    path = tmp_path / "page.md"
    path.write_text(f"before\n{page.MARKS[0]}\nold\n{page.MARKS[1]}\nafter\n")
    levels = {"68%": 0.7, "95%": 0.94}
    one = {"mean": 0.02, "width": 0.001, "chance": 0.003}
    sampler = {"mean": {"b0": 0.5}, "std": {"b0": 0.1}, "ess": 1000.0}
    found = {"ess": [300.0, 400.0], "n": 100}
    results = {
        "date": "2026-01-01",
        "suite": "a suite",
        "calibration": {**found, "p": {"b0": 0.004}, "coverage": {"b0": levels}},
        "observed": {
            "case": {**found, "with": {"b0": levels}, "without": {"b0": levels}, "kept": 0.5}
        },
        "limit": {"b0": one, "correlation": {"largest": 1e-3}},
        "agreement": {"sim": "sim7", "samplers": {"emcee": sampler, "nuts": sampler}},
    }
    page.write(path, results)
    text = path.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| b0 | 0.004 | 70% | 94% | BELOW |" in text
    assert "| b0 | +0.0200 | +0.0010 | 0.0030 | BELOW |" in text
    assert "70% / 70%" in text
    path.write_text("no marks")
    with pytest.raises(SystemExit, match="no place"):
        page.write(path, results)


@pytest.mark.slow
def test_posteriors_of_a_linear_emulator_are_calibrated(
    validation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibration, ranks = validation("calibration"), validation("ranks")
    emulator: Emulator = validation("gaussian_limit").linear_problem(0)[0].emulator
    monkeypatch.setattr(calibration, "_loaded", lambda path: (None, emulator))
    found = [calibration.verdict(calibration.Task(i, Path(), 0.05, 300)) for i in range(100)]
    for name in emulator.parameter_names:
        values = np.array([one["ranks"][name] for one in found])
        assert ranks.uniformity(values, 99, 10) > 1e-3
