"""The sum along the line of sight against integrals, and what its shortcuts cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from reionemu.simulation import ksz
from reionemu.simulation.config import SimulationConfig
from reionemu.simulation.cosmology import SPEED_OF_LIGHT
from reionemu.simulation.history import neutral_history
from reionemu.simulation.ksz import KszSum, proper_density
from reionemu.simulation.light_cone import LightCone
from reionemu.simulation.shared import compute

CONFIG = SimulationConfig(box=200.0, n_cells=32)
CONE = LightCone.of(CONFIG, 0)
CPU = torch.device("cpu")


def map_of(momentum: np.ndarray, ionized_above: np.ndarray, g: torch.Tensor) -> np.ndarray:
    """The map of reionization at z = 8, in planes as they come."""
    light = KszSum(CONE, momentum, ionized_above, CPU)
    for first in range(0, 32, 8):
        light.add(first, g[first : first + 8])
    z, tau = neutral_history(np.full(4, 8.0)).optical_depth(CONFIG.cosmology)
    return light.map(z, tau)


def uniform(speed: float) -> np.ndarray:
    momentum = np.empty((CONE.n_planes, 32, 32), np.float16)
    momentum[:] = (speed * proper_density(CONE.z))[:, None, None]
    return momentum


@pytest.mark.parametrize("z_end", [7.0, 11.0, 99.0])
def test_uniform_wind_has_an_integral(z_end):
    """dT/T = - int sigma_T n_e v/c e^-tau dchi, out to where gas is neutral."""
    c, speed = CONFIG.cosmology, 200.0
    z, tau = neutral_history(np.full(4, 8.0)).optical_depth(c)
    end = min(z_end, CONFIG.z_max)

    def integrand(at: float) -> float:
        per_z = SPEED_OF_LIGHT * c.h / float(c.hubble(at))
        return float(c.opacity(at)) * np.exp(-np.interp(at, z, tau)) * per_z

    depth, _ = quad(integrand, CONFIG.z_min, end, epsrel=1e-4, limit=200)
    found = map_of(uniform(speed), CONE.z - z_end, torch.zeros((32, 32, 32)))
    assert np.ptp(found) < 1e-6 * abs(found.mean())
    half_a_plane = 0.5 * CONFIG.cell * float(c.opacity(end))
    assert abs(found.mean() / (-speed / SPEED_OF_LIGHT) - depth) < half_a_plane
    assert half_a_plane < 0.02 * depth


def test_gas_that_recedes_cools():
    found = map_of(uniform(100.0), CONE.z * 0 - 1, torch.zeros((32, 32, 32)))
    assert found.max() < 0


def test_a_map_is_linear_in_the_momentum():
    rng = np.random.default_rng(3)
    momentum = (100 * rng.standard_normal((CONE.n_planes, 32, 32))).astype(np.float16)
    g = torch.from_numpy(rng.standard_normal((32, 32, 32), np.float32))
    level = np.linspace(-1, 1, CONE.n_planes)
    forward = map_of(momentum, level, g)
    assert forward.std() > 0
    np.testing.assert_array_equal(map_of(-momentum, level, g), -forward)
    # Doubling is exact in binary.
    np.testing.assert_array_equal(map_of(2 * momentum, level, g), 2 * forward)


def test_every_plane_is_seen_where_it_is_ionized(monkeypatch):
    monkeypatch.setattr(ksz, "SAME_DEPTH", 0.0)
    rng = np.random.default_rng(4)
    momentum = (100 * rng.standard_normal((CONE.n_planes, 32, 32))).astype(np.float16)
    g = rng.standard_normal((32, 32, 32)).astype(np.float32)
    level = np.linspace(-2, 2, CONE.n_planes)
    z, tau = neutral_history(np.full(4, 8.0)).optical_depth(CONFIG.cosmology)
    rows, columns = CONE.seen_cells
    expected = np.zeros((32, 32))
    for plane in range(CONE.n_planes):
        seen = g[plane % 32][np.ix_(rows[plane], columns[plane])] > np.float32(level[plane])
        screen = np.exp(-np.interp(CONE.z[plane], z, tau))
        expected += momentum[plane].astype(float) * seen * screen
    per_speed = CONFIG.cell * float(CONFIG.cosmology.opacity(0)) * 100 / SPEED_OF_LIGHT
    found = map_of(momentum, level, torch.from_numpy(g))
    np.testing.assert_allclose(found, -per_speed * expected, atol=1e-5 * found.std())


def test_momenta_in_float16_and_shared_depths_change_no_spectrum(theta, monkeypatch, flat_dl):
    """Both by less than 1e-3 of D_ell."""
    config = replace(CONFIG, box=128.0)
    kept = {}

    def allocate(name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        kept[name] = np.empty(shape, np.float32 if name == "momentum" else dtype)
        return kept[name]

    compute(config, 1, 0, allocate=allocate)
    cone = LightCone.of(config, 1)
    g = np.fft.irfftn(kept["modes"][1]) * 0.5
    z, tau = neutral_history(8 + g).optical_depth(config.cosmology)
    level = (cone.z - 8) / (9 * theta["b0_zre"])
    edges = np.linspace(500, 5000, 6)

    def dl(momentum: np.ndarray, depth: float) -> np.ndarray:
        monkeypatch.setattr(ksz, "SAME_DEPTH", depth)
        light = KszSum(cone, kept["momentum"].astype(np.float16), level, CPU)
        light._momentum = torch.from_numpy(momentum)
        light._seen_on_cpu = light._seen_on_device
        light.add(0, torch.from_numpy(g.astype(np.float32)))
        return flat_dl(light.map(z, tau), config.theta_max, edges)

    exact = dl(kept["momentum"], 0.0)
    halved = dl(kept["momentum"].astype(np.float16), 0.0)
    grouped = dl(kept["momentum"], 64.0)
    assert np.all(exact > 0)
    for other in (halved, grouped):
        assert 0 < np.abs(other / exact - 1).max() < 1e-3


def test_devices_agree():
    """The two ways to pick what is seen, which are for the CPU and for a GPU."""
    rng = np.random.default_rng(5)
    momentum = (100 * rng.standard_normal((CONE.n_planes, 32, 32))).astype(np.float16)
    light = KszSum(CONE, momentum, np.linspace(-1, 1, CONE.n_planes), CPU)
    g = torch.from_numpy(rng.standard_normal((32, 32), np.float32))
    for plane in (0, 40, CONE.n_planes - 1):
        one, other = light._seen_on_cpu(plane, g), light._seen_on_device(plane, g)
        assert torch.equal(one.abs(), other.abs())
        assert torch.equal(one, other)
