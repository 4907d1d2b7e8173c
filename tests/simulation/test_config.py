"""Configurations: what is refused and how, presets, and what follows from the fields."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from reionemu.errors import ConfigError
from reionemu.simulation.config import PRESETS, OwnSeeds, SimulationConfig, n_planes, preset


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box": 0.0}, "box must be > 0"),
        ({"box": "wide"}, "box must be a number"),
        ({"box": float("nan")}, "box must be > 0"),
        ({"n_cells": 8}, "n_cells must be a whole number >= 16"),
        ({"n_cells": 64.0}, "n_cells must be a whole number"),
        ({"n_cells": 65}, "n_cells must be even, got 65"),
        ({"z_min": 0.0}, "z_min must be > 0"),
        ({"z_min": 7.0, "z_max": 7.0}, "z_min = 7 must be below z_max = 7"),
        ({"geometry": "paralel"}, "did you mean 'parallel'"),
        ({"deposit": "ngp"}, "deposit must be one of cic, tsc"),
        ({"helium": "triple"}, "helium must be one of double, single"),
        ({"axes": ()}, "axes must be a tuple of different numbers"),
        ({"axes": (0, 3)}, "axes must be among 0, 1, 2"),
        ({"axes": (1, 1)}, "axes must be a tuple of different"),
        ({"axes": [0]}, "axes must be a tuple"),
        ({"realizations": (0, 0)}, "realizations must be a tuple of different"),
        ({"realizations": (-1,)}, "realizations must be a whole number >= 0"),
        ({"zmean_range": (9.0, 7.0)}, "zmean_range must ascend"),
        ({"zmean_range": (7.0,)}, "zmean_range must be two redshifts"),
        ({"cosmology": "Planck18"}, "cosmology must be a Cosmology"),
        ({"z_max": 61.0}, "z_max must be > 0 and < 60"),
        ({"realizations": (2**63,)}, r"realizations must be below 2\^63"),
        ({"zmean_range": (0.0, 7.0)}, "zmean_range must ascend from 5"),
    ],
)
def test_impossible_values_are_refused_by_name(changes, message):
    with pytest.raises(ConfigError, match=message):
        SimulationConfig(**changes)


def test_an_unknown_preset_is_refused():
    with pytest.raises(ConfigError, match=r"did you mean 'laptop'.*demo, laptop, medium, large"):
        preset("labtop")


def test_presets_have_the_published_cells_but_for_the_smaller_two():
    assert PRESETS["reference"].box == 2000
    assert PRESETS["reference"].n_cells == 1024
    for name in ("laptop", "medium", "large", "reference"):
        assert PRESETS[name].cell == pytest.approx(2000 / 1024)
    assert PRESETS["demo"].cell == 2 * PRESETS["laptop"].cell
    sizes = [config.n_cells for config in PRESETS.values()]
    assert sizes == sorted(sizes)


def test_presets_take_changes():
    changed = preset("demo", box=250.0, realizations=(3, 4))
    assert (changed.box, changed.n_cells, changed.realizations) == (250.0, 128, (3, 4))
    with pytest.raises(ConfigError, match="n_cells"):
        preset("demo", n_cells=7)
    with pytest.raises(ConfigError, match=r"unknown key 'n_cell' .did you mean 'n_cells'"):
        preset("demo", n_cell=64)


def test_a_configuration_is_a_value():
    assert preset("demo") == SimulationConfig(n_cells=128)
    assert hash(preset("demo")) == hash(SimulationConfig(n_cells=128))
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset("demo").box = 3.0


@pytest.mark.parametrize("realizations", [(0, 5), OwnSeeds(3)])
def test_it_goes_through_json(realizations):
    told = json.loads(json.dumps(preset("demo", realizations=realizations).to_dict()))
    assert told["n_cells"] == 128
    assert told["cosmology"]["omega_m"] == preset("demo").cosmology.omega_m
    assert told["realizations"] == ([0, 5] if isinstance(realizations, tuple) else {"base": 3})


def test_own_seeds_differ_by_row_and_by_base():
    seeds = [OwnSeeds(base).seed_of(row) for base in range(5) for row in range(200)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert OwnSeeds(4).seed_of(17) == OwnSeeds(4).seed_of(17)
    # The definition, which suites rely on.
    state = np.random.SeedSequence([4, 17]).generate_state(1, np.uint64)[0]
    assert OwnSeeds(4).seed_of(17) == int(state) // 2
    with pytest.raises(ConfigError, match="base"):
        OwnSeeds(-1)


def test_a_light_cone_shorter_than_a_cell_has_one_plane():
    assert n_planes(SimulationConfig(z_min=8.0, z_max=8.0001)) == 1
