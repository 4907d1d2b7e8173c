"""Symmetries and limits of whole simulations, from the noise to the map."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reionemu.simulation import initial_conditions
from reionemu.simulation.config import SimulationConfig
from reionemu.simulation.cosmology import Cosmology
from reionemu.simulation.history import ionized_optical_depth
from reionemu.simulation.light_cone import LightCone
from reionemu.simulation.realization import open_realization
from reionemu.simulation.result import Simulation
from reionemu.simulation.simulator import Simulations

REFERENCE = Path(__file__).parents[1] / "reference"
N = 32
SHORT = SimulationConfig(box=160.0, n_cells=N, z_min=8.0, z_max=8.5, geometry="parallel")
LONG = SimulationConfig(box=128.0, n_cells=N, geometry="parallel")

Change = Callable[[np.ndarray], np.ndarray]


@pytest.fixture
def with_noise(monkeypatch, theta):
    """`with_noise(config, change)`: a simulation from changed white noise."""
    original = initial_conditions.white_noise

    def simulate(config: SimulationConfig, change: Change, axis: int = 0) -> Simulation:
        with monkeypatch.context() as patch:
            patch.setattr(initial_conditions, "white_noise", lambda *a: change(original(*a)))
            return open_realization(config, 8, axis, threads=1).run(theta)

    return simulate


def assert_same(one: Simulation, other: Simulation, expected_map: np.ndarray) -> None:
    """Rounding moves a few cells across the threshold, and particles by half precision."""
    assert np.std(other.ksz_map - expected_map) < 1e-3 * expected_map.std()
    np.testing.assert_allclose(other.x_m, one.x_m, atol=1e-4)
    assert other.tau == pytest.approx(one.tau, rel=1e-5)
    np.testing.assert_allclose(other.power_21cm[:, :8, 1], one.power_21cm[:, :8, 1], rtol=3e-3)


class TestSymmetry:
    @pytest.mark.parametrize(("axis", "cells"), [(1, 5), (2, 12)])
    def test_a_shift_of_the_box_shifts_the_map(self, with_noise, axis, cells):
        waves = np.fft.fftfreq(N, 1 / N) if axis == 1 else np.arange(N // 2 + 1)
        phase = np.exp(-2j * np.pi * waves * cells / N)
        shape = (-1, 1) if axis == 1 else (-1,)
        one = with_noise(LONG, lambda noise: noise)
        other = with_noise(LONG, lambda noise: (noise * phase.reshape(shape)).astype(np.complex64))
        assert_same(one, other, np.roll(one.ksz_map, cells, axis - 1))
        assert np.std(other.ksz_map - one.ksz_map) > 0.1 * one.ksz_map.std()

    def test_a_mirrored_box_gives_a_mirrored_map(self, with_noise):
        """One that is not repeated: copies are shifted, and not mirrored."""
        assert LightCone.of(SHORT, 8).n_planes < N
        back = -np.arange(N)
        one = with_noise(SHORT, lambda noise: noise)
        other = with_noise(SHORT, lambda noise: np.ascontiguousarray(noise[:, back]))
        # Particles start on corners of cells, so cell i becomes cell N + 1 - i.
        assert_same(one, other, one.ksz_map[(1 - np.arange(N)) % N])
        assert np.std(other.ksz_map - one.ksz_map) > 0.5 * one.ksz_map.std()

    def test_interchanged_axes_transpose_the_map(self, with_noise):
        def swapped(noise: np.ndarray) -> np.ndarray:
            field = np.fft.irfftn(noise).transpose(0, 2, 1)
            return np.fft.rfftn(field).astype(np.complex64)

        one, other = with_noise(SHORT, lambda noise: noise), with_noise(SHORT, swapped)
        assert_same(one, other, one.ksz_map.T)

    def test_a_box_seen_from_its_other_sides(self, with_noise):
        """Axis 1 puts axis 0 where axis 1 was; this is undone by swapping them in the noise."""
        one = with_noise(SHORT, lambda noise: noise)
        other = with_noise(
            SHORT, lambda noise: np.ascontiguousarray(noise.transpose(1, 0, 2)), axis=1
        )
        assert_same(one, other, one.ksz_map)
        assert np.std(with_noise(SHORT, lambda n: n, axis=1).ksz_map - one.ksz_map) > 0

    def test_reversed_noise_reverses_faint_velocities(self, with_noise):
        """To first order, and where gas is ionized everywhere."""
        faint = replace(SHORT, cosmology=Cosmology(sigma8=1e-3), z_min=7.5, z_max=8.0)
        one = with_noise(faint, lambda noise: noise)
        other = with_noise(faint, lambda noise: -noise)
        assert one.ksz_map.std() > 0
        assert np.std(other.ksz_map + one.ksz_map) < 0.01 * one.ksz_map.std()


class TestLimits:
    def test_uniform_medium(self, theta):
        """The analytic optical depth, and no power but that of linear velocities."""
        cosmology = Cosmology(sigma8=1e-3)
        config = SimulationConfig(box=200.0, n_cells=N, cosmology=cosmology)
        result = open_realization(config, 0, threads=1).run(theta)
        ratio = cosmology.helium_per_hydrogen / (1 + cosmology.helium_per_hydrogen)
        expected = ionized_optical_depth(theta["zmean_zre"], cosmology)
        expected += ratio * ionized_optical_depth(3.0, cosmology)
        # All is ionized at zmean; histories are given in steps of 1/128.
        assert result.tau == pytest.approx(expected, rel=1e-3)
        assert set(result.x_v.tolist()) == {0.0, 1.0}
        assert result.power_21cm[result.z < theta["zmean_zre"], :, 1].max() == 0

    def test_its_map_is_linear_in_sigma_8(self, theta):
        config = SimulationConfig(box=200.0, n_cells=N, cosmology=Cosmology(sigma8=1e-3))
        one, double = (
            open_realization(replace(config, cosmology=Cosmology(sigma8=s)), 0, threads=1).run(
                theta
            )
            for s in (1e-3, 2e-3)
        )
        difference = double.ksz_map - 2 * one.ksz_map
        assert difference.std() < 0.01 * one.ksz_map.std()

    def test_it_has_no_small_scales(self, theta, flat_dl, small):
        """Patches make them: of D_ell at the smallest scales little is left without."""
        edges = np.array([2000, 5000.0])
        config = replace(small.config, geometry="parallel")
        patchy = open_realization(config, 1, threads=1)
        smooth = {**theta, "b0_zre": 1e-6}
        with_patches, without = (
            flat_dl(patchy.run(t).ksz_map, config.theta_max, edges)[0] for t in (theta, smooth)
        )
        faint = replace(config, cosmology=Cosmology(sigma8=1e-3))
        linear = open_realization(faint, 1, threads=1).run(theta).ksz_map * 812
        # Without patches there is (1 + delta) v, and of that the first order cancels.
        assert flat_dl(linear, config.theta_max, edges)[0] < 0.05 * without < 0.02 * with_patches

    def test_sudden_reionization(self, small, theta):
        """As b0 goes to 0, all gas is ionized at zmean."""
        sudden = {**theta, "b0_zre": 1e-6}
        result = small.run(sudden)
        zmean = theta["zmean_zre"]
        np.testing.assert_array_equal(result.x_v, result.z > zmean)
        np.testing.assert_array_equal(result.x_m, result.z > zmean)
        assert small.zreion(sudden).std() < 1e-4
        cone = LightCone.of(small.config, small.seed)
        ionized = cone.z < zmean
        momentum = small.shared.momentum[ionized].astype(float)
        history = small._history(sudden, torch.zeros((N, N, N)))
        screen = np.exp(
            -np.interp(cone.z, *history.optical_depth(small.config.cosmology, "double"))
        )
        per_speed = small.config.cell * float(small.config.cosmology.opacity(0)) * 100 / 299792.458
        expected = -per_speed * np.tensordot(screen[ionized], momentum, 1)
        assert np.std(result.ksz_map - expected) < 4e-3 * expected.std()

    def test_later_reionization_of_more_patches_has_more_power(self, small, theta, flat_dl):
        edges = np.array([1000, 5000.0])

        def power(**changes: float) -> float:
            found = small.run({**theta, **changes}).ksz_map
            return flat_dl(found - found.mean(), small.config.theta_max, edges)[0]

        assert power(b0_zre=0.5) > power() > power(b0_zre=1e-6)


class TestRepeatedBox:
    """The light cone shows 11 copies of a box of 128 Mpc/h."""

    EDGES = np.array([500, 1500, 3000, 5000.0])

    @pytest.fixture
    def simulate(self, monkeypatch, theta):
        original = LightCone.of

        def run(seed: int, shifts: np.ndarray | None) -> np.ndarray:
            def of(*args: object) -> LightCone:
                cone = original(*args)
                return cone if shifts is None else replace(cone, shifts=shifts[: len(cone.shifts)])

            with monkeypatch.context() as patch:
                patch.setattr(LightCone, "of", of)
                return open_realization(LONG, seed, threads=1).run(theta).ksz_map

        return run

    def test_shifted_copies_add_up_like_independent_ones(self, simulate, theta, flat_dl):
        """The mean over shifts is the sum of the spectra of the copies; unshifted, it is more."""
        rng = np.random.default_rng(0)
        dl = [
            flat_dl(simulate(1, rng.integers(0, N, (12, 2))), LONG.theta_max, self.EDGES)
            for _ in range(12)
        ]
        shifted = np.mean(dl, axis=0)
        aligned = flat_dl(simulate(1, np.zeros((12, 2), int)), LONG.theta_max, self.EDGES)
        copies = self.of_each_copy(theta, flat_dl)
        assert np.all(np.abs(shifted / copies - 1) < 0.15)
        assert np.all(aligned > 2 * copies)

    def of_each_copy(self, theta, flat_dl) -> np.ndarray:
        """Sum of the spectra of maps to which a single copy of the box contributes."""
        realization = open_realization(LONG, 1, threads=1)
        total = np.zeros(len(self.EDGES) - 1)
        momentum = realization.shared.momentum.copy()
        for first in range(0, len(momentum), N):
            realization.shared.momentum[:] = 0
            realization.shared.momentum[first : first + N] = momentum[first : first + N]
            total += flat_dl(realization.run(theta).ksz_map, LONG.theta_max, self.EDGES)
        return total


def test_numbers_of_the_demo_have_not_changed(demo):
    """Against tests/reference/demo_seed_0.json, made by tools/reference/make_demo_reference.py.

    Processors round differently, which moves some cells across the threshold.
    """
    reference = json.loads((REFERENCE / "demo_seed_0.json").read_text())
    result = Simulations((demo.run(reference["parameters"]),))
    ell, dl = result.dl()
    late = np.isin(result.z, reference["z"])
    np.testing.assert_allclose(ell, reference["ell"], rtol=1e-6)
    np.testing.assert_allclose(dl[0], reference["dl_uk2"], rtol=1e-4)
    assert result.tau == pytest.approx(reference["tau"], rel=1e-5)
    np.testing.assert_allclose(result.x_m[late], reference["x_m"], atol=1e-4)
    np.testing.assert_allclose(result.x_v[late], reference["x_v"], atol=1e-4)
    assert result.maps.std(dtype=float) == pytest.approx(reference["map_rms"], rel=1e-4)
    power = result.each[0].power_21cm[late, :8, 1]
    np.testing.assert_allclose(power, reference["power_21cm"], rtol=1e-3)
