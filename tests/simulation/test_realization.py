"""A simulation against the same physics in plain NumPy on the whole grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from reionemu.simulation.config import SimulationConfig
from reionemu.simulation.cosmology import SPEED_OF_LIGHT
from reionemu.simulation.initial_conditions import Displacement
from reionemu.simulation.light_cone import LightCone
from reionemu.simulation.matter import density
from reionemu.simulation.realization import Realization, open_realization
from reionemu.simulation.result import PUBLISHED_REDSHIFTS
from reionemu.simulation.shared import compute, nodes, stride

LATE = {"zmean_zre": 7.5, "alpha_zre": 0.3, "kb_zre": 1.0, "b0_zre": 0.593119810201661}


def plain_zreion(realization: Realization, theta: dict[str, float]) -> np.ndarray:
    """z_re of every cell, from the density at zmean itself; Battaglia et al. (2013), eq. 10."""
    config, zmean = realization.config, theta["zmean_zre"]
    n = config.n_cells
    moved = Displacement.of(config, realization.seed, realization.axis)
    delta = density(config, moved, zmean).double().numpy() - 1
    waves = np.fft.fftfreq(n, 1 / n)
    n0, n1, n2 = np.meshgrid(waves, waves, np.arange(n // 2 + 1), indexing="ij")
    k = 2 * np.pi / config.box * np.sqrt(n0**2 + n1**2 + n2**2)
    k[0, 0, 0] = 1
    bias = theta["b0_zre"] / (1 + k / theta["kb_zre"]) ** theta["alpha_zre"]
    sphere = 3 * (np.sin(k) - k * np.cos(k)) / k**3
    cell = (np.sinc(n0 / n) * np.sinc(n1 / n) * np.sinc(n2 / n)) ** 2
    modes = np.fft.rfftn(delta) * bias * sphere / cell
    modes[0, 0, 0] = 0
    return zmean + (1 + zmean) * np.fft.irfftn(modes)


def plain_map(realization: Realization, z_re: np.ndarray, tau_of_z: tuple) -> np.ndarray:
    """dT/T from the momentum that is kept, plane by plane."""
    config = realization.config
    cone = LightCone.of(config, realization.seed, realization.axis)
    rows, columns = cone.seen_cells
    total = np.zeros((config.n_cells,) * 2)
    for plane, z in enumerate(cone.z):
        seen = z_re[plane % config.n_cells][np.ix_(rows[plane], columns[plane])]
        # Kept is (1 + delta) v (1 + z)^2 / 100.
        per_length = float(config.cosmology.opacity(0)) * 100 * config.cell / SPEED_OF_LIGHT
        weight = per_length * np.exp(-np.interp(z, *tau_of_z))
        total -= weight * realization.shared.momentum[plane].astype(float) * (seen > z)
    return total


class TestReionizationField:
    @pytest.mark.parametrize(
        ("zmean", "limit"), [(7.0, 1e-5), (8.0, 1e-5), (7.5, 1e-4), (8.4, 1e-4)]
    )
    def test_it_is_that_of_the_density_at_zmean(self, small, theta, zmean, limit):
        """At redshifts that are kept, and between them, where a parabola in D stands in."""
        theta = {**theta, "zmean_zre": zmean}
        found, expected = small.zreion(theta), plain_zreion(small, theta)
        error = (found - expected).std() / expected.std()
        assert error < limit
        assert abs(found.mean(dtype=float) - zmean) < 1e-5

    def test_b0_is_a_factor_and_alpha_and_kb_are_not(self, small, theta):
        one, double = small.zreion(theta), small.zreion({**theta, "b0_zre": 2 * theta["b0_zre"]})
        zmean = theta["zmean_zre"]
        np.testing.assert_allclose(double - zmean, 2 * (one - zmean), atol=1e-5)
        smooth = small.zreion({**theta, "alpha_zre": 0.9})
        assert smooth.std() < 0.8 * one.std()

    def test_without_bias_of_scale_kb_is_nothing(self, small, theta):
        flat = {**theta, "alpha_zre": 0.0}
        np.testing.assert_array_equal(small.zreion(flat), small.zreion({**flat, "kb_zre": 1.9}))


class TestRun:
    def test_history_is_that_of_all_cells(self, demo, theta):
        """Of which every second one, in each direction, is looked at."""
        assert stride(demo.config.n_cells) == 2
        assert_history_of_all_cells(demo, theta)

    def test_optical_depth_is_the_integral(self, small, theta):
        z_re = plain_zreion(small, theta)
        moved = Displacement.of(small.config, small.seed)
        mass = density(small.config, moved, theta["zmean_zre"]).double().numpy()
        order = np.argsort(z_re.ravel())
        ends, share = z_re.ravel()[order], np.cumsum(mass.ravel()[order]) / mass.sum()
        cosmology = small.config.cosmology

        def rate(z: float) -> float:
            neutral = np.interp(z, ends, share, left=0.0)
            per_z = SPEED_OF_LIGHT * cosmology.h / float(cosmology.hubble(z))
            return (1 - neutral) * float(cosmology.opacity(z)) * per_z

        hydrogen = quad(rate, 0, 7, epsrel=1e-5)[0] + quad(rate, 7, 14, epsrel=1e-4, limit=300)[0]
        ratio = cosmology.helium_per_hydrogen / (1 + cosmology.helium_per_hydrogen)
        second = quad(lambda z: ratio * rate(z), 0, 3, epsrel=1e-5)[0]
        assert small.run(theta).tau == pytest.approx(hydrogen + second, rel=2e-4)

    def test_map_is_the_sum_along_the_line_of_sight(self, small, theta):
        result = small.run(theta)
        history = small._history(theta, small_g(small, theta))
        tau = history.optical_depth(small.config.cosmology, small.config.helium)
        assert result.tau == tau[1][-1]
        expected = plain_map(small, plain_zreion(small, theta), tau)
        error = np.std(result.ksz_map - expected) / expected.std()
        assert error < 4e-3  # planes share values of e^-tau
        assert result.ksz_map.mean() == pytest.approx(expected.mean(), abs=4e-3 * expected.std())

    def test_one_run_leaves_nothing_behind_for_the_next(self, small, theta):
        first = small.run(theta)
        small.run(LATE)
        again = small.run(theta)
        np.testing.assert_array_equal(first.ksz_map, again.ksz_map)
        np.testing.assert_array_equal(first.power_21cm, again.power_21cm)
        assert first.tau == again.tau

    def test_threads_of_pytorch_change_nothing(self, small, theta):
        one = small.run(theta)
        torch.set_num_threads(2)
        try:
            two = small.run(theta)
        finally:
            torch.set_num_threads(1)
        scale = np.abs(one.ksz_map).max()
        np.testing.assert_allclose(two.ksz_map, one.ksz_map, atol=1e-5 * scale)
        np.testing.assert_allclose(two.power_21cm, one.power_21cm, rtol=1e-5)
        assert two.tau == pytest.approx(one.tau, rel=1e-5)

    def test_published_redshifts(self):
        assert (*np.arange(5, 15.5, 0.5), 16.0, 17.0, 18.0, 19.0, 20.0) == PUBLISHED_REDSHIFTS


def small_g(realization: Realization, theta: dict[str, float]) -> torch.Tensor:
    """The filtered density of every cell."""
    zmean = theta["zmean_zre"]
    g = (realization.zreion(theta) - zmean) / ((1 + zmean) * theta["b0_zre"])
    return torch.from_numpy(g.astype(np.float32))


class TestShared:
    def test_threads_change_no_bit(self, small):
        for threads in (2, 3):
            other = compute(small.config, small.seed, small.axis, threads=threads)
            for name in ("modes", "samples", "momentum"):
                given = getattr(small.shared, name)
                assert given.tobytes() == getattr(other, name).tobytes()

    def test_samples_are_of_the_density(self, small):
        moved = Displacement.of(small.config, small.seed)
        for z, sample in zip(nodes(small.config), small.shared.samples, strict=True):
            expected = density(small.config, moved, z).numpy() - 1
            np.testing.assert_allclose(sample, expected, atol=1e-6)

    @pytest.mark.parametrize(
        ("zmean_range", "expected"),
        [
            ((7.0, 9.0), (7, 8, 9)),
            ((7.2, 8.9), (7, 8, 9)),
            ((6.0, 10.0), (6, 7, 8, 9, 10)),
            ((8.0, 8.0), (8, 8.5, 9)),
            ((7.5, 7.5), (7, 7.5, 8)),
        ],
    )
    def test_densities_are_kept_at_most_one_redshift_apart(self, zmean_range, expected):
        assert nodes(SimulationConfig(zmean_range=zmean_range)) == expected

    def test_a_single_zmean_can_be_prepared_for(self, theta):
        theta = {**theta, "zmean_zre": 8.0}
        config = SimulationConfig(box=64.0, n_cells=16, zmean_range=(8.0, 8.0))
        one = open_realization(config, 3, threads=1)
        many = open_realization(replace(config, zmean_range=(7.0, 9.0)), 3, threads=1)
        np.testing.assert_allclose(one.zreion(theta), many.zreion(theta), atol=3e-5)
        assert np.isfinite(one.run(theta).ksz_map).all()

    @pytest.mark.parametrize(("n", "expected"), [(16, 1), (64, 1), (128, 2), (256, 4), (1024, 4)])
    def test_histories_look_at_64_cells_along_a_side_or_more(self, n, expected):
        assert stride(n) == expected


@pytest.mark.slow
def test_every_fourth_cell_is_enough(theta):
    realization = open_realization(SimulationConfig(n_cells=256), 0, threads=2)
    assert stride(256) == 4
    for parameters in (theta, LATE):
        assert_history_of_all_cells(realization, parameters)


def assert_history_of_all_cells(realization: Realization, theta: dict[str, float]) -> None:
    result, z_re = realization.run(theta), realization.zreion(theta)
    moved = Displacement.of(realization.config, realization.seed, threads=2)
    mass = density(realization.config, moved, theta["zmean_zre"], threads=2).numpy()
    for z, x_v, x_m in zip(result.z, result.x_v, result.x_m, strict=True):
        assert abs(x_v - np.mean(z_re < z)) < 0.002
        assert abs(x_m - np.mean(mass * (z_re < z), dtype=float)) < 0.002
