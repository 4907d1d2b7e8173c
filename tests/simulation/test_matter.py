"""Density, velocity and momentum against linear theory, closed forms and a plain deposit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import jv

from reionemu.simulation.config import DEPOSITS, SimulationConfig
from reionemu.simulation.cosmology import Cosmology
from reionemu.simulation.fourier import wave_numbers
from reionemu.simulation.initial_conditions import Displacement, linear_modes
from reionemu.simulation.light_cone import LightCone
from reionemu.simulation.matter import (
    START,
    density,
    growth,
    light_cone_slabs,
    momentum_light_cone,
    velocity,
    velocity_growth,
)

Z = 8.0
CONFIG = SimulationConfig(box=100.0, n_cells=32)
FAINT = replace(CONFIG, cosmology=Cosmology(sigma8=0.001))
D1 = float(Cosmology().growth_factor(Z))


@pytest.fixture(scope="module")
def displacement() -> Displacement:
    return Displacement.of(CONFIG, 6)


@pytest.fixture(scope="module")
def faint() -> Displacement:
    return Displacement.of(FAINT, 6)


def cloud_window(n: int, order: int) -> np.ndarray:
    """Transform of a cloud of `order` convolved cells: 2 is CIC, 3 is TSC; shape of the modes."""
    one = np.sinc(wave_numbers(n) / n) ** order
    return one[:, None, None] * one[:, None] * one[: n // 2 + 1]


def moved_linear_modes(config: SimulationConfig) -> np.ndarray:
    """Linear modes of seed 6, moved like the particles, which start on the corners of cells."""
    waves = wave_numbers(config.n_cells)
    total = waves[:, None, None] + waves[:, None] + waves[: config.n_cells // 2 + 1]
    return linear_modes(config, 6).numpy() * np.exp(-1j * np.pi / config.n_cells * total)


def low(n: int, radius: float) -> np.ndarray:
    waves = wave_numbers(n) ** 2
    square = waves[:, None, None] + waves[:, None] + waves[: n // 2 + 1]
    return (square > 0) & (square <= radius**2)


class TestDensity:
    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_pancake(self, displaced_by, axis):
        """1 + delta = 1 / (1 - A cos kq), A = D1 a: exact until matter crosses (Zel'dovich 1970).

        Its modes are J_m(m A).
        """
        n, depth = 48, 0.4
        config = replace(CONFIG, n_cells=n)
        numbers = tuple(int(i == axis) for i in range(3))
        made = displaced_by(config, [(numbers, depth / D1)])
        found = density(config, made, Z).double().numpy()
        across = tuple(i for i in range(3) if i != axis)
        np.testing.assert_allclose(found.std(across), 0, atol=1e-5)
        m = np.arange(1, 5)  # beyond, the lattice is seen
        modes = np.fft.rfft(found.mean(across))[m] / n / np.sinc(m / n) ** 3
        modes *= np.exp(1j * np.pi / n * m)  # particles start on the corners of cells
        np.testing.assert_allclose(modes, jv(m, m * depth), atol=2e-4)

    def test_second_order_kernel(self, displaced_by):
        """Two waves make a third, of amplitude F2(k, l) a b (Goroff et al. 1986, ApJ 311, 6)."""
        n, a = 48, 0.05
        config = replace(CONFIG, n_cells=n)
        k, l = np.array([1, 2, 0]), np.array([1, -1, 1])  # noqa: E741
        made = displaced_by(config, [(tuple(k), a / D1), (tuple(l), a / D1)])
        modes = np.fft.rfftn(density(config, made, Z).double().numpy()) / cloud_window(n, 3)
        for other in (l, -l):
            m = k + other
            mu = k @ other / np.sqrt((k @ k) * (l @ l))
            ratio = np.sqrt((k @ k) / (l @ l))
            kernel = 5 / 7 + mu / 2 * (ratio + 1 / ratio) + 2 / 7 * mu**2
            where = m if m[2] >= 0 else -m
            start = np.exp(1j * np.pi / n * where.sum())
            amplitude = 2 * (modes[tuple(where)] * start).real / n**3
            assert amplitude == pytest.approx(kernel * a**2, abs=0.02 * a**2)

    @pytest.mark.parametrize("kind", DEPOSITS)
    @pytest.mark.parametrize("z", [6.0, 15.0])
    def test_faint_structure_grows_as_linear_theory_says(self, faint, z, kind):
        """To the last scale: of a lattice that is hardly disturbed all is known.

        A particle on a corner has half its mass on either side; if it moves by d along an axis, it
        takes as much from one side and gives it to the other.
        """
        n = FAINT.n_cells
        waves = [2 * np.pi / n * w for w in np.ix_(*[wave_numbers(n)] * 2, range(n // 2 + 1))]
        square = sum(w**2 for w in waves)
        square[0, 0, 0] = 1
        across = [np.cos(w / 2) for w in waves]
        window = sum(
            2 * waves[i] * np.sin(waves[i] / 2) * across[i - 1] * across[i - 2] for i in range(3)
        )
        linear = moved_linear_modes(FAINT) * window / square
        field = density(replace(FAINT, deposit=kind), faint, z)
        modes = np.fft.rfftn(field.double().numpy())
        some = low(n, 15)
        d1 = float(FAINT.cosmology.growth_factor(z))
        # Least squares: what the modes of linear theory are to be multiplied by.
        factor = np.vdot(linear[some], modes[some]) / np.vdot(linear[some], linear[some])
        assert factor.real == pytest.approx(d1, rel=1e-3)
        error = modes[some] - d1 * linear[some]
        assert np.linalg.norm(error) < 0.01 * np.linalg.norm(modes[some])

    @pytest.mark.parametrize(("kind", "order"), [("tsc", 3), ("cic", 2)])
    def test_large_scales_grow_as_linear_theory_says(self, displacement, kind, order):
        linear, some = moved_linear_modes(CONFIG), low(CONFIG.n_cells, 3.5)
        linear *= cloud_window(CONFIG.n_cells, order)
        for z in (6.0, 15.0):
            field = density(replace(CONFIG, deposit=kind), displacement, z).double().numpy()
            factor = np.vdot(linear[some], np.fft.rfftn(field)[some])
            factor /= np.vdot(linear[some], linear[some])
            assert factor.real == pytest.approx(float(CONFIG.cosmology.growth_factor(z)), rel=0.01)

    @pytest.mark.parametrize("kind", DEPOSITS)
    @pytest.mark.parametrize("z", [6.0, 15.0])
    def test_mass_is_conserved(self, displacement, kind, z):
        field = density(replace(CONFIG, deposit=kind), displacement, z)
        assert float(field.double().mean()) == pytest.approx(1, abs=1e-6)
        assert float(field.min()) >= 0

    @pytest.mark.parametrize("kind", DEPOSITS)
    def test_cells_are_those_of_a_plain_deposit(self, displacement, kind, plain_deposit):
        n = CONFIG.n_cells
        d1, d2 = growth(CONFIG.cosmology, Z)
        psi = d1 * displacement.first.double().numpy() + d2 * displacement.second.double().numpy()
        position = (np.indices((n, n, n)) + START + psi).reshape(3, -1)
        pad = 8
        position[0] += pad
        tall = plain_deposit(np.zeros((n + 2 * pad, n, n)), position, np.ones(n**3), kind)
        expected = tall[pad:-pad]
        expected[:pad] += tall[-pad:]
        expected[-pad:] += tall[:pad]
        found = density(replace(CONFIG, deposit=kind), displacement, Z)
        np.testing.assert_allclose(found, expected, atol=2e-5)

    def test_threads_change_no_bit(self, displacement):
        one, two, three = (density(CONFIG, displacement, Z, t) for t in (1, 2, 3))
        assert torch.equal(one, two)
        assert torch.equal(one, three)


class TestVelocity:
    @pytest.mark.parametrize("z", [5.0, 8.0, 15.0])
    def test_velocities_are_how_fast_displacements_grow(self, z):
        """v = a dx/dt = -H dx/dz, x in Mpc."""
        c, step = CONFIG.cosmology, 1e-3
        later, earlier = growth(c, z - step), growth(c, z + step)
        per_cell = CONFIG.cell / c.h * float(c.hubble(z))
        found = velocity_growth(CONFIG, np.array([z]))
        for order, tolerance in ((0, 1e-5), (1, 1e-3)):
            expected = (later[order] - earlier[order]) / (2 * step) * per_cell
            assert found[order][0] == pytest.approx(expected, rel=tolerance)

    @pytest.mark.parametrize("component", [0, 1, 2])
    def test_faint_structure_moves_as_linear_theory_says(self, faint, component):
        """v_k = i a H f1 delta_k k_i / k^2."""
        n, c = FAINT.n_cells, FAINT.cosmology
        k = [w * 2 * np.pi / FAINT.box for w in np.ix_(wave_numbers(n), wave_numbers(n), range(17))]
        square = sum(one**2 for one in k)
        square[0, 0, 0] = 1
        rate = float(c.hubble(Z) / (1 + Z) / c.h * c.growth_rate(Z) * c.growth_factor(Z))
        linear = moved_linear_modes(FAINT) * cloud_window(n, 3)
        expected = (1j * rate * k[component] / square * linear)[low(n, 6)]
        modes = np.fft.rfftn(velocity(FAINT, faint, Z, component).double().numpy())[low(n, 6)]
        assert np.linalg.norm(modes - expected) < 0.01 * np.linalg.norm(expected)

    def test_momentum_is_conserved(self, displacement):
        """The displacements of a periodic box have no mean, so neither has momentum."""
        mass = density(CONFIG, displacement, Z).double()
        for component in range(3):
            speed = velocity(CONFIG, displacement, Z, component).double()
            total = float((mass * speed).mean())
            assert abs(total) < 1e-4 * float(speed.square().mean().sqrt())


class TestLightCone:
    NEAR = replace(CONFIG, n_cells=16, z_min=6.0, z_max=6.7)

    def cone(self) -> LightCone:
        return LightCone.of(self.NEAR, 3)

    @pytest.mark.parametrize("kind", DEPOSITS)
    def test_momentum_is_that_of_a_plain_deposit(self, kind, plain_deposit):
        config, cone = replace(self.NEAR, deposit=kind), self.cone()
        n, count = config.n_cells, cone.n_planes
        assert count > 1.5 * n  # the box repeats
        moved = Displacement.of(config, 3)
        expected, pad = np.zeros((count, n, n)), 6
        for plane in range(-pad, count + pad):
            z = config.cosmology.redshift_at_distance(
                cone.near + (plane + START + 0.5) * config.cell
            )
            psi1 = moved.first[:, plane % n].double().numpy()
            psi2 = moved.second[:, plane % n].double().numpy()
            d1, d2 = growth(config.cosmology, z)
            v1, v2 = velocity_growth(config, z)
            position = d1 * psi1 + d2 * psi2
            position[0] += plane + START
            position[1:] += np.indices((n, n)) + START
            speed = v1 * psi1[0] + v2 * psi2[0]
            plain_deposit(expected, position.reshape(3, -1), speed.ravel(), kind)
        found = momentum_light_cone(config, cone, moved)
        np.testing.assert_allclose(found, expected, atol=1e-4 * expected.std())

    def test_it_follows_snapshots(self):
        """Where the light cone is at z, its momentum is nearly that of the whole box at z."""
        config, cone = self.NEAR, self.cone()
        moved = Displacement.of(config, 3)
        planes = momentum_light_cone(config, cone, moved)
        for plane in (3, 20):
            z = float(cone.z[plane])
            mass = density(config, moved, z)
            momentum = (mass * velocity(config, moved, z, 0))[plane % config.n_cells]
            error = (planes[plane] - momentum).square().mean() / momentum.square().mean()
            assert float(error) ** 0.5 < 0.01

    def test_threads_change_no_bit(self):
        moved = Displacement.of(self.NEAR, 3)
        one, two, three = (
            momentum_light_cone(self.NEAR, self.cone(), moved, threads) for threads in (1, 2, 3)
        )
        assert torch.equal(one, two)
        assert torch.equal(one, three)

    def test_steps_are_those_announced(self):
        moved, steps = Displacement.of(self.NEAR, 3), []
        momentum_light_cone(self.NEAR, self.cone(), moved, step=lambda: steps.append(1))
        assert len(steps) == light_cone_slabs(self.NEAR, self.cone(), moved)
