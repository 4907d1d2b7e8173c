"""The filter of the redshift-of-reionization field, in its parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import spherical_jn

from reionemu.simulation.config import SimulationConfig
from reionemu.simulation.fourier import wave_numbers
from reionemu.simulation.zreion import (
    Smoothing,
    bias_table,
    cell_window,
    growth_weights,
    sphere_window,
)

CONFIG = SimulationConfig(box=60.0, n_cells=16)


def test_the_sphere_is_a_spherical_bessel_function():
    x = np.concatenate([np.logspace(-5, 2, 400), [0.00999999, 0.01]])
    np.testing.assert_allclose(sphere_window(x), 3 * spherical_jn(1, x) / x, atol=2e-9)
    assert sphere_window(np.zeros(1)) == 1


def test_the_cell_is_a_triangle():
    """The transform of a triangle two cells wide, by quadrature."""
    n = 16
    u = (np.arange(-20_000, 20_000) + 0.5) / 20_000
    phase = 2 * np.pi / n * wave_numbers(n)[:, None] * u
    expected = np.mean((1 - np.abs(u)) * np.cos(phase), axis=1) * 2
    np.testing.assert_allclose(cell_window(n), expected, atol=1e-8)


def test_smoothing_is_the_ratio_of_the_two():
    n, smoothing = CONFIG.n_cells, Smoothing(CONFIG)
    waves = wave_numbers(n)
    k = (
        2
        * np.pi
        / CONFIG.box
        * np.sqrt(waves[:, None, None] ** 2.0 + waves[:, None] ** 2 + np.arange(n // 2 + 1) ** 2)
    )
    w = np.sinc(waves / n) ** 2
    expected = sphere_window(k * 1.0) / (w[:, None, None] * w[:, None] * w[: n // 2 + 1])
    found = torch.stack([smoothing.plane(i) for i in range(n)])
    np.testing.assert_allclose(found, expected, rtol=2e-6)


@pytest.mark.parametrize(("alpha", "kb"), [(0.2, 0.9), (0.9, 0.1), (0.0, 1.0)])
def test_bias_falls_with_wavenumber(alpha, kb):
    table = bias_table(CONFIG, alpha, kb)
    assert table[0] == 0
    for square in (1, 14, 192):
        k = 2 * np.pi / CONFIG.box * np.sqrt(square)
        assert table[square] == pytest.approx((1 + k / kb) ** -alpha, rel=1e-6)


@given(wanted=st.floats(0.10, 0.16), a=st.floats(-2, 2), b=st.floats(-2, 2), c=st.floats(-2, 2))
@settings(max_examples=30, deadline=None)
def test_a_parabola_is_met_exactly(wanted, a, b, c):
    nodes = np.array([0.16, 0.14, 0.125, 0.112, 0.10])
    chosen, weights = growth_weights(nodes, wanted)
    found = weights @ (a + b * nodes[chosen] + c * nodes[chosen] ** 2)
    assert found == pytest.approx(a + b * wanted + c * wanted**2, abs=1e-9)


@given(wanted=st.floats(0.10, 0.16))
@settings(max_examples=30, deadline=None)
def test_the_three_nearest_are_taken(wanted):
    nodes = np.array([0.16, 0.14, 0.125, 0.112, 0.10])
    distance = np.abs(nodes - wanted)
    assume(len(np.unique(distance.round(9))) == 5)
    chosen, _ = growth_weights(nodes, wanted)
    assert sorted(chosen) == sorted(np.argsort(distance)[:3].tolist())


def test_a_kept_redshift_stands_for_itself():
    chosen, weights = growth_weights(np.array([0.14, 0.125, 0.112]), 0.125)
    assert dict(zip(chosen, weights.tolist(), strict=True)) == {0: 0.0, 1: 1.0, 2: 0.0}
