"""21 cm spectra on the coarse grid against all cells, linear theory and a plain estimator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from reionemu.simulation.brightness import (
    Brightness,
    _levels,
    coarse_cells,
    low_modes,
    mean_brightness,
)
from reionemu.simulation.config import SimulationConfig
from reionemu.simulation.cosmology import Cosmology
from reionemu.simulation.initial_conditions import Displacement, linear_modes
from reionemu.simulation.matter import density
from reionemu.simulation.realization import Realization, open_realization
from reionemu.simulation.shared import compute

CONFIG = SimulationConfig(box=160.0, n_cells=32)


def test_temperature_of_neutral_gas():
    """27 mK at z = 9 for Omega_b h^2 = 0.023 and Omega_m h^2 = 0.15 (Furlanetto et al. 2006)."""
    cosmology = Cosmology(h=0.7, omega_b=0.023 / 0.49, omega_m=0.15 / 0.49)
    found = mean_brightness(cosmology, np.array([9.0, 39.0]))
    np.testing.assert_allclose(found, [27, 54])


@pytest.mark.parametrize(("n", "size"), [(16, 16), (64, 64), (128, 64), (256, 64), (512, 128)])
def test_cells_of_the_coarse_grid(n, size):
    assert coarse_cells(n) == size


def test_low_modes_are_those_of_a_coarse_grid():
    """A field without small scales is the same on both grids."""
    x = np.indices((24, 24, 24)) * (2 * np.pi / 24)
    fine = 1 + np.cos(2 * x[0] - x[1] + 3 * x[2]) + 0.5 * np.sin(x[1] - x[2])
    modes = torch.from_numpy(np.fft.rfftn(fine).astype(np.complex64))
    coarse = torch.fft.irfftn(low_modes(modes, 8), s=(8, 8, 8))
    np.testing.assert_allclose(coarse, fine[::3, ::3, ::3], atol=1e-5)


def test_scales_of_the_nyquist_frequency_are_left_out():
    x = np.indices((24, 24, 24)) * (2 * np.pi / 24)
    modes = torch.from_numpy(np.fft.rfftn(np.cos(4 * x[0]) + np.cos(5 * x[2])).astype(np.complex64))
    assert float(low_modes(modes, 8).abs().max()) < 1e-4


class TestFullyNeutral:
    Z = np.array([10.0, 15.0, 20.0])

    @pytest.fixture(scope="class")
    @classmethod
    def brightness(cls) -> Brightness:
        return Brightness.of(CONFIG, compute(CONFIG, 2, 0), torch.device("cpu"))

    def table(self, brightness: Brightness) -> np.ndarray:
        n = len(self.Z)
        g = torch.zeros((32, 32, 32))
        return brightness.spectra(self.Z, np.ones(n), g, 1.0, np.zeros(n))

    def test_spectrum_is_that_of_all_matter(self, brightness, spectrum):
        """Density at a redshift comes from those kept, by powers of D."""
        table = self.table(brightness)
        moved = Displacement.of(CONFIG, 2)
        for i, z in enumerate(self.Z):
            k, power = spectrum(density(CONFIG, moved, z).numpy(), CONFIG.box)
            t0 = mean_brightness(CONFIG.cosmology, z)
            np.testing.assert_allclose(table[i, :, 0], k, rtol=1e-5)
            np.testing.assert_allclose(table[i, :, 1], t0**2 * power, rtol=0.03)
            np.testing.assert_allclose(table[i, :8, 1], t0**2 * power[:8], rtol=0.01)

    def test_large_scales_are_linear_theory(self, brightness):
        """P = T0^2 D1^2 |delta_k|^2 of these initial conditions, seen through the cloud."""
        waves, across = np.fft.fftfreq(32, 1 / 32), np.arange(17)
        cloud = np.sinc(waves / 32)[:, None, None] * np.sinc(waves / 32)[:, None]
        linear = np.abs(linear_modes(CONFIG, 2).numpy()) ** 2 * CONFIG.box**3 / 32**6
        linear *= (cloud * np.sinc(across / 32)) ** 6
        radius = np.sqrt(waves[:, None, None] ** 2 + waves[:, None] ** 2 + across**2)
        weight = np.where(across % 16, 1, 0.5) * np.ones_like(radius)
        table = self.table(brightness)
        for b in (1, 2, 3):
            some = np.rint(radius) == b
            expected = np.average(linear[some], weights=weight[some])
            assert table[0, b - 1, 2] == weight[some].sum()
            for i, z in enumerate(self.Z):
                d1 = float(CONFIG.cosmology.growth_factor(z))
                t0 = float(mean_brightness(CONFIG.cosmology, z))
                assert table[i, b - 1, 1] == pytest.approx((t0 * d1) ** 2 * expected, rel=0.04)

    def test_ionized_gas_does_not_shine(self, brightness):
        n = len(self.Z)
        table = brightness.spectra(
            self.Z, np.full(n, 1e-5), torch.zeros((32, 32, 32)), 1.0, np.zeros(n)
        )
        assert np.all(table[:, :, 1] == 0)
        assert np.all(table[:, :, 2] > 0)


def full_spectra(realization: Realization, theta: dict, z: tuple[float, ...], spectrum) -> list:
    """The spectra of T0 (1 + delta), where z > z_re, on all cells."""
    config = realization.config
    z_re, moved = realization.zreion(theta), Displacement.of(config, realization.seed)
    found = []
    for one in z:
        neutral = density(config, moved, one).numpy() * (z_re < one)
        t0 = float(mean_brightness(config.cosmology, one))
        found.append(t0**2 * spectrum(neutral, config.box)[1])
    return found


LATE = {"zmean_zre": 7.5, "alpha_zre": 0.3, "kb_zre": 1.0, "b0_zre": 0.593119810201661}


def assert_like_all_cells(realization: Realization, theta: dict, spectrum, limits: dict) -> None:
    """At k up to half the coarse Nyquist frequency; `limits` by redshift."""
    table = realization.run(theta, tuple(limits)).power_21cm
    half = coarse_cells(realization.config.n_cells) // 4
    full = full_spectra(realization, theta, tuple(limits), spectrum)
    for one, power, limit in zip(table, full, limits.values(), strict=True):
        ratio = one[:half, 1] / power[:half]
        assert np.abs(ratio - 1).max() < limit


def test_coarse_spectra_are_those_of_all_cells(demo, theta, spectrum):
    """Worst where the large scales of gas and of its ionization cancel, at x_v = 0.9 to 0.95."""
    assert_like_all_cells(demo, theta, spectrum, {9.0: 0.1, 10.0: 0.05, 12.0: 0.01})
    assert_like_all_cells(demo, LATE, spectrum, {7.0: 0.15, 8.0: 0.1, 9.0: 0.6, 12.0: 0.05})


def test_levels_give_the_neutral_fraction():
    rng = np.random.default_rng(1)
    g = torch.from_numpy(rng.gamma(2.0, 0.1, (24, 24, 24)).astype(np.float32) - 0.2)
    x_v = np.array([1e-3, 0.2, 0.5, 0.93, 0.999])
    for level, x in zip(_levels(g, 0.05, x_v), x_v, strict=True):
        found = norm.cdf((level - g.double().numpy()) / 0.05).mean()
        assert found == pytest.approx(x, abs=5e-4)


@pytest.mark.slow
def test_coarse_spectra_are_those_of_all_cells_at_256(theta, spectrum):
    realization = open_realization(SimulationConfig(box=500.0, n_cells=256), 0, threads=2)
    assert_like_all_cells(realization, theta, spectrum, {9.0: 0.1, 10.0: 0.1, 12.0: 0.01})
    assert_like_all_cells(realization, LATE, spectrum, {7.0: 0.2, 8.0: 0.2, 10.0: 0.7, 12.0: 0.2})
