"""Where to simulate next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reionemu import PUBLISHED_SPACE, Design, augment_design, latin_hypercube, read_design
from reionemu.design import write_design
from reionemu.errors import ConfigError
from reionemu.models.calibration import Calibration
from reionemu.models.emulator import Emulator
from reionemu.models.gaussian_process import fit_gaussian_process
from reionemu.models.inputs import Inputs
from reionemu.models.spectrum import NetworkSpectrum, SurrogateSpectrum
from reionemu.parameters import ParameterBox
from reionemu.pipeline.suggestion import TOO_CLOSE, expected_error, suggest
from reionemu.targets import Target

NAMES = PUBLISHED_SPACE.names
BOX = PUBLISHED_SPACE.box


def spectra(theta):
    """ln D_ell, shape (n, 2), a smooth function with a kink-free hump."""
    unit = PUBLISHED_SPACE.to_unit(theta)
    hump = np.exp(-4 * ((unit - 0.3) ** 2).sum(axis=1))
    return np.stack([unit @ [1.0, -0.5, 0.3, 2.0] + hump, np.sin(3 * unit[:, 3]) - hump], axis=1)


def emulator_of(theta, *, noise_is_scatter=False, box=BOX, transform="ln"):
    y = spectra(theta) + 0.01 * np.random.default_rng(0).standard_normal((len(theta), 2))
    if transform == "none":
        y = np.exp(y)
    process, own = fit_gaussian_process(theta, y, Inputs.over(theta, NAMES))
    calibration = Calibration.of(own.mean, own.total, y)
    target = Target("dl_ksz", transform, 0.0)
    spectrum = SurrogateSpectrum(process, target, calibration, noise_is_scatter)
    return Emulator(spectrum, ell=np.array([2e3, 4e3]), parameter_names=NAMES, box=box)


@pytest.fixture(scope="module")
def start():
    return latin_hypercube(PUBLISHED_SPACE, 40, 1)


@pytest.fixture(scope="module")
def emulator(start):
    return emulator_of(start.rows)


@pytest.fixture(scope="module")
def design(emulator):
    return suggest(emulator, 12)


def test_new_points_lie_in_the_box_apart_from_each_other_and_from_old_ones(emulator, start, design):
    assert len(design) == 12
    assert not BOX.outside(design.rows).any()
    x = emulator.spectrum.model.inputs(np.concatenate([start.rows, design.rows]))
    distances = np.linalg.norm(x[:, None] - x, axis=-1)[np.triu_indices(52, 1)]
    assert distances.min() > TOO_CLOSE
    assert design.space == PUBLISHED_SPACE
    assert [tuple(step) for step in design.steps] == [("suggest", 12, 0)]


def test_the_same_seed_gives_the_same_points_another_one_others(emulator, design):
    assert suggest(emulator, 12).rows.tolist() == design.rows.tolist()
    assert suggest(emulator, 12, seed=1).rows.tolist() != design.rows.tolist()


def test_fewer_points_are_the_first_ones(emulator, design):
    assert suggest(emulator, 5).rows.tolist() == design.rows[:5].tolist()


def test_suggested_points_lower_the_expected_error_more_than_a_hypercube(emulator, start, design):
    grown = augment_design(start, 12, 0)
    assert len(grown) == 52
    now, evenly, then = (expected_error(emulator, d) for d in (None, grown, design))
    assert then < evenly < now


def test_the_expected_error_is_the_mean_error_bar_of_predictions(emulator):
    theta = latin_hypercube(PUBLISHED_SPACE, 2000, 5).rows
    found = emulator.predict(theta)
    assert expected_error(emulator) == pytest.approx((found.std / found.mean).mean(), rel=0.05)


def test_the_expected_error_comes_true(emulator, start, design):
    """With the function known, the emulator that is trained on all has about that error bar."""
    after = emulator_of(np.concatenate([start.rows, design.rows]))
    assert expected_error(after) == pytest.approx(expected_error(emulator, design), rel=0.35)
    theta = latin_hypercube(PUBLISHED_SPACE, 500, 9).rows

    def error(emulator):
        return np.abs(emulator.predict(theta).mean / np.exp(spectra(theta)) - 1).mean()

    assert error(after) < 0.9 * error(emulator)


def test_points_that_were_trained_on_are_not_counted_twice(emulator, start):
    stored = Design(NAMES, start.rows.astype(np.float32).astype(float))
    assert expected_error(emulator, stored) == expected_error(emulator)


def test_scatter_between_realizations_is_no_error(start):
    single, mean = (emulator_of(start.rows, noise_is_scatter=flag) for flag in (False, True))
    assert expected_error(mean) < 0.9 * expected_error(single)


def test_what_counts_is_the_relative_error_whatever_the_target(start):
    emulator = emulator_of(start.rows, transform="none")
    theta = latin_hypercube(PUBLISHED_SPACE, 2000, 5).rows
    found = emulator.predict(theta)
    relative = (found.std / np.abs(found.mean)).mean()
    assert expected_error(emulator) == pytest.approx(relative, rel=0.2)


def test_a_design_that_grows_keeps_its_rows_bounds_and_history(emulator, start, tmp_path):
    inner = start.space.with_ranges(["b0_zre=0.1:0.81"])
    old = Design(NAMES, start.rows, start.steps, inner)
    grown = suggest(emulator, 4, design=old)
    write_design(tmp_path / "p.txt", grown)
    read = read_design(tmp_path / "p.txt")
    assert read.rows[:40].tolist() == start.rows.tolist()
    assert read.space == inner
    assert read.method == "lhs+suggest"
    assert not BOX.outside(read.rows[40:]).any()


def test_rows_still_to_be_trained_on_are_kept_away_from(emulator, design):
    more = suggest(emulator, 12, design=design)
    x = emulator.spectrum.model.inputs(more.rows)
    nearest = np.linalg.norm(x[12:, None] - x[:12], axis=-1).min(axis=1)
    assert nearest.min() > TOO_CLOSE
    assert expected_error(emulator, more) < expected_error(emulator, design)


def test_a_narrower_design_stays_within_its_bounds(emulator):
    space = PUBLISHED_SPACE.with_ranges(["zmean_zre=7.5:8"])
    grown = suggest(emulator, 5, design=latin_hypercube(space, 10, 0))
    assert grown.space == space
    assert (grown.rows[10:, 0] >= 7.5).all()
    assert (grown.rows[10:, 0] <= 8).all()


def test_what_cannot_suggest_is_refused(emulator, start):
    network = Emulator(
        NetworkSpectrum(None, emulator.target, None, None),  # type: ignore[arg-type]
        ell=emulator.ell,
        parameter_names=NAMES,
        box=BOX,
    )
    with pytest.raises(ConfigError, match="reionemu train H5 --model gp"):
        suggest(network, 3)
    with pytest.raises(ConfigError, match="no box"):
        suggest(emulator_of(start.rows, box=None), 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, ">= 1"),
        ({"n": 1001}, "1000 or fewer"),
        ({"n": 3, "seed": -1}, "seed"),
        ({"n": 3, "seed": 2**64}, "seed"),
    ],
)
def test_impossible_numbers_are_refused(options, message, emulator):
    with pytest.raises(ConfigError, match=message):
        suggest(emulator, **options)


def test_designs_of_something_else_are_refused(emulator):
    other = Design(("a", "b"), np.zeros((2, 2)))
    with pytest.raises(ConfigError, match="columns of the design are a, b"):
        suggest(emulator, 3, design=other)
    beyond = latin_hypercube(PUBLISHED_SPACE.with_ranges(["zmean_zre=10:12"]), 5, 0)
    with pytest.raises(ConfigError, match="do not overlap"):
        suggest(emulator, 3, design=beyond)


def test_a_box_that_is_full_is_refused(emulator):
    middle = np.mean([BOX.low, BOX.high], axis=0)
    tiny = replace(BOX, low=tuple(middle), high=tuple(middle * (1 + 1e-5)))
    assert isinstance(tiny, ParameterBox)
    known = Design(NAMES, middle[None])
    crowded = Emulator(emulator.spectrum, ell=emulator.ell, parameter_names=NAMES, box=tiny)
    with pytest.raises(ConfigError, match="no room"):
        suggest(crowded, 3, design=known)
