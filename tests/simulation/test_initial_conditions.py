"""Gaussian modes and second-order displacements against linear theory and closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from reionemu.simulation.config import SimulationConfig
from reionemu.simulation.fourier import wave_numbers
from reionemu.simulation.initial_conditions import (
    STEPS,
    Displacement,
    linear_modes,
    white_noise,
)

CONFIG = SimulationConfig(box=100.0, n_cells=32)


def radius(n: int) -> np.ndarray:
    """|n| of each mode."""
    waves = wave_numbers(n).astype(float)
    return np.sqrt(waves[:, None, None] ** 2 + waves[:, None] ** 2 + np.arange(n // 2 + 1.0) ** 2)


class TestNoise:
    def test_is_that_of_a_real_field(self):
        noise = white_noise(24, seed=3)
        again = np.fft.rfftn(np.fft.irfftn(noise))
        np.testing.assert_allclose(again, noise, atol=1e-6)
        assert noise[0, 0, 0] == 0
        for plane in (noise[12], noise[:, 12], noise[:, :, 12]):
            assert not plane.any()

    def test_is_normal_with_unit_variance(self):
        noise = white_noise(64, seed=0)[:, :, 1:32]
        inner = noise[noise != 0].astype(complex)
        count = len(inner)
        assert count > 120_000
        for part in (inner.real, inner.imag):
            assert abs(part.mean()) < 4 * np.sqrt(0.5 / count)
            assert abs(part.var() / 0.5 - 1) < 4 * np.sqrt(2 / count)
            # The fourth moment of a normal distribution is 3 sigma^4, with an error of sqrt(96/n).
            assert abs(np.mean(part**4) / 0.25 - 3) < 4 * np.sqrt(96 / count)
        assert abs(np.mean(inner.real * inner.imag)) < 4 * 0.5 / np.sqrt(count)

    def test_neighbours_and_seeds_are_independent(self):
        one, two = white_noise(32, seed=0), white_noise(32, seed=1)
        count = 15 * 31 * 31
        limit = 4 / np.sqrt(count)
        inner = np.s_[1:16, 1:16, 1:15]
        assert abs(np.vdot(one[inner], two[inner])) / one[inner].size < 4 / one[inner].size ** 0.5
        for axis in range(3):
            moved = np.roll(one, 1, axis)
            assert abs(np.vdot(one[inner], moved[inner])) / count < limit

    @pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
    def test_more_cells_add_smaller_scales_only(self, seed):
        coarse, fine = white_noise(16, seed), white_noise(40, seed)
        inner = np.flatnonzero(np.abs(wave_numbers(16)) < 8)
        low = fine[np.ix_(wave_numbers(16)[inner] % 40, wave_numbers(16)[inner] % 40, range(8))]
        np.testing.assert_array_equal(coarse[np.ix_(inner, inner, range(8))], low)
        assert np.count_nonzero(low) == low.size - 1

    @pytest.mark.parametrize(("axis", "order"), [(1, (1, 0, 2)), (2, (2, 1, 0))])
    def test_another_axis_is_the_same_field_transposed(self, axis, order):
        def real(a: int) -> np.ndarray:
            return np.fft.irfftn(white_noise(20, 5, a))

        np.testing.assert_allclose(real(axis), real(0).transpose(order), atol=1e-7)
        assert np.abs(real(axis) - real(0)).max() > 1e-3


class TestLinearModes:
    def test_power_is_exactly_that_of_theory_for_the_noise(self):
        n = CONFIG.n_cells
        modes, noise = linear_modes(CONFIG, 4).numpy(), white_noise(n, 4)
        some = noise != 0
        k = radius(n)[some] * 2 * np.pi / CONFIG.box
        power = np.abs(modes[some].astype(complex)) ** 2 * CONFIG.box**3 / n**6
        measured = power / np.abs(noise[some].astype(complex)) ** 2
        np.testing.assert_allclose(measured, CONFIG.cosmology.linear_power(k), rtol=2e-6)

    def test_power_scatters_as_that_of_a_gaussian_field(self):
        n = CONFIG.n_cells
        modes = linear_modes(CONFIG, 11).numpy()[:, :, 1 : n // 2]
        r = radius(n)[:, :, 1 : n // 2]
        k = r * 2 * np.pi / CONFIG.box
        power = np.abs(modes) ** 2 * CONFIG.box**3 / n**6 / CONFIG.cosmology.linear_power(k)
        bins = np.rint(r).astype(int)
        pulls = []
        for i in range(2, n // 2):
            inside = power[(bins == i) & (np.abs(modes) > 0)]
            pulls.append((inside.mean() - 1) * np.sqrt(len(inside)))
        assert np.abs(pulls).max() < 3.5
        assert 0.4 < np.std(pulls) < 1.7

    def test_threads_change_no_bit(self):
        one, three = (linear_modes(CONFIG, 2, threads=t) for t in (1, 3))
        assert torch.equal(one, three)


class TestDisplacement:
    def test_crossed_waves_have_a_closed_form(self, displaced_by):
        """delta = a cos(k.x) + b cos(l.x) has S = a b (1 - mu^2) cos(k.x) cos(l.x)."""
        n, a, b = 32, 0.7, 0.4
        k, l = np.array([1, 2, 0]), np.array([-2, 1, 3])  # noqa: E741
        found = displaced_by(replace(CONFIG, n_cells=n), [(tuple(k), a), (tuple(l), b)])
        x = np.indices((n, n, n)) * (2 * np.pi / n)

        def sine(m: np.ndarray) -> np.ndarray:
            """m / m^2 sin(m.x), in cells."""
            wave = np.sin(np.tensordot(m, x, 1)) * n / (2 * np.pi) / (m @ m)
            return m[:, None, None, None] * wave

        first = -a * sine(k) - b * sine(l)
        np.testing.assert_allclose(found.first, first, atol=1e-3 * np.abs(first).max())
        mu2 = (k @ l) ** 2 / (k @ k) / (l @ l)
        second = a * b * (1 - mu2) / 2 * (sine(k + l) + sine(k - l))
        assert np.abs(second).max() > 0.05
        np.testing.assert_allclose(found.second, second, atol=1e-3 * np.abs(second).max())

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_a_pancake_has_no_second_order(self, displaced_by, axis):
        numbers = tuple(3 if i == axis else 0 for i in range(3))
        found = displaced_by(CONFIG, [(numbers, 0.8), (tuple(2 * i for i in numbers), 0.3)])
        assert float(found.first[axis].abs().max()) > 0.5
        assert float(found.second.abs().max()) < 1e-6
        others = [i for i in range(3) if i != axis]
        assert float(found.first[others].abs().max()) < 1e-6

    def test_divergence_is_minus_the_linear_density(self):
        n = CONFIG.n_cells
        found, modes = Displacement.of(CONFIG, 6), linear_modes(CONFIG, 6).numpy()
        k = [k.astype(float) for k in np.ix_(wave_numbers(n), wave_numbers(n), range(n // 2 + 1))]
        psi = np.fft.rfftn(found.first.double().numpy(), axes=(1, 2, 3))
        divergence = sum(1j * k[i] * psi[i] for i in range(3)) * 2 * np.pi / n
        low = (radius(n) < 10) & (radius(n) > 0)
        error = np.abs(divergence + modes)[low] / np.abs(modes[low]).mean()
        assert error.max() < 5e-3  # half precision

    @pytest.mark.parametrize(("axis", "order"), [(1, (1, 0, 2)), (2, (2, 1, 0))])
    def test_another_axis_interchanges_components(self, axis, order):
        one, other = Displacement.of(CONFIG, 6), Displacement.of(CONFIG, 6, axis)
        for which in ("first", "second"):
            given, found = getattr(one, which).float(), getattr(other, which).float()
            expected = given[list(order)].permute(0, *(1 + i for i in order))
            scale = float(given.abs().max())
            np.testing.assert_allclose(found, expected, atol=2e-3 * scale)

    def test_threads_change_no_bit(self):
        results = [Displacement.of(CONFIG, 6, threads=threads) for threads in (1, 2, 3)]
        for other in results[1:]:
            assert torch.equal(other.first, results[0].first)
            assert torch.equal(other.second, results[0].second)

    def test_reach_bounds_every_particle(self):
        found = Displacement.of(CONFIG, 6)
        d1, d2 = 0.15, -0.01
        along = d1 * found.first[0].float() + d2 * found.second[0].float()
        assert float(along.abs().max()) <= found.reach((d1, d2)) < 2 * float(along.abs().max())

    def test_steps_are_those_announced(self):
        steps: list[int] = []
        Displacement.of(replace(CONFIG, n_cells=16), 0, step=lambda: steps.append(1))
        assert len(steps) == STEPS
