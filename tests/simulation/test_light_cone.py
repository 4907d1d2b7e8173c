"""Which plane is seen at which redshift, and by which pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reionemu.simulation.config import SimulationConfig, n_planes, preset
from reionemu.simulation.light_cone import LightCone

CONFIG = SimulationConfig(box=200.0, n_cells=32)
CONE = LightCone.of(CONFIG, 5)


def test_the_published_light_cone_has_698_planes():
    assert n_planes(preset("reference")) == 698


def test_planes_cover_the_distance_between_the_ends():
    c = CONFIG.cosmology
    near, far = c.comoving_distance([CONFIG.z_min, CONFIG.z_max])
    assert CONE.distance[0] - CONFIG.cell / 2 == pytest.approx(near)
    assert far <= CONE.distance[-1] + CONFIG.cell / 2 < far + CONFIG.cell
    np.testing.assert_allclose(np.diff(CONE.distance), CONFIG.cell, rtol=1e-9)
    np.testing.assert_allclose(c.comoving_distance(CONE.z), CONE.distance, rtol=1e-7)
    assert CONE.n_planes == n_planes(CONFIG)


def test_every_plane_is_seen_once():
    seen = [plane for i in range(CONFIG.n_cells) for plane in CONE.planes_of(i)]
    assert sorted(seen) == list(range(CONE.n_planes))
    assert all(plane % 32 == 7 for plane in CONE.planes_of(7))


def test_rays_diverge_up_to_the_whole_box():
    rows, columns = CONE.seen_cells
    farthest = float(CONFIG.cosmology.comoving_distance(CONFIG.z_max))
    pixel = np.arange(32)
    for plane in range(CONE.n_planes):
        shift = CONE.shifts[plane // 32]
        cell = np.floor((pixel + 0.5) * CONE.distance[plane] / farthest).astype(int)
        np.testing.assert_array_equal(rows[plane], (cell + shift[0]) % 32)
        np.testing.assert_array_equal(columns[plane], (cell + shift[1]) % 32)
    # In the first copy, which is not shifted, the near side is seen by chi(6) / chi(15) of the box.
    share = float(CONFIG.cosmology.comoving_distance(CONFIG.z_min)) / farthest
    assert rows[0].max() == int(31.5 * share)


def test_parallel_pixels_see_their_own_cell():
    cone = LightCone.of(replace(CONFIG, geometry="parallel"), 5)
    values = np.random.default_rng(0).random((32, 32))
    for plane in (0, 40, cone.n_planes - 1):
        shift = cone.shifts[plane // 32]
        np.testing.assert_array_equal(cone.as_seen(plane, values), np.roll(values, -shift, (0, 1)))


def test_as_seen_is_fancy_indexing():
    values = np.random.default_rng(0).random((32, 32))
    rows, columns = CONE.seen_cells
    for plane in (0, 33, CONE.n_planes - 1):
        expected = values[np.ix_(rows[plane], columns[plane])]
        np.testing.assert_array_equal(CONE.as_seen(plane, values), expected)


def test_copies_are_shifted_each_in_its_own_way():
    assert CONE.shifts[0].tolist() == [0, 0]
    assert len(CONE.shifts) == -(-CONE.n_planes // 32)
    assert len(np.unique(CONE.shifts, axis=0)) > 0.8 * len(CONE.shifts)
    assert CONE.shifts.min() >= 0
    assert CONE.shifts.max() < 32


def test_shifts_depend_on_seed_and_axis_and_not_on_the_cells():
    again = LightCone.of(CONFIG, 5)
    np.testing.assert_array_equal(again.shifts, CONE.shifts)
    for other in (LightCone.of(CONFIG, 6), LightCone.of(CONFIG, 5, axis=1)):
        assert not np.array_equal(other.shifts, CONE.shifts)
    finer = LightCone.of(replace(CONFIG, n_cells=64), 5).shifts
    np.testing.assert_array_equal(finer[: len(CONE.shifts)] // 2, CONE.shifts[: len(finer)])


def test_the_map_subtends_the_box_at_the_far_end():
    far = float(CONFIG.cosmology.comoving_distance(15.0))
    assert CONFIG.theta_max == pytest.approx(200.0 / far)
    # The published maps: 2000 Mpc/h at z = 15.
    assert preset("reference").theta_max == pytest.approx(0.2843331859916941, rel=1e-5)
