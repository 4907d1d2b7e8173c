"""Curves of reionization against quadrature and finite differences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import chebyshev
from scipy import integrate, special

from reionemu.models.history.curve import (
    KNOTS,
    Curves,
    hat_integrals,
    normal_cdf,
    normal_density,
)
from reionemu.models.history.depth import mean_depth, mean_depth_gradient
from reionemu.models.history.spread import T_MAX, fit_std, powers, tamed
from reionemu.models.history.surface import exponents, terms, terms_gradient
from reionemu.simulation.cosmology import Cosmology
from reionemu.simulation.history import optical_depth

OMEGA_M = Cosmology().omega_m


def curves(n: int = 1, seed: int = 0, least: float = 0.05) -> Curves:
    rng = np.random.default_rng(seed)
    return Curves(
        rng.uniform(7, 9, n),
        rng.uniform(0.1, 2, n),
        rng.normal(0, 0.3, n),
        rng.uniform(least, 2, (n, len(KNOTS))),
    )


def test_normal_distribution():
    t = np.linspace(-38, 38, 2001)
    np.testing.assert_allclose(normal_cdf(t), special.ndtr(t), rtol=1e-12, atol=1e-300)
    assert normal_density(np.array(0.0)) == pytest.approx(1 / np.sqrt(2 * np.pi))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(-9, 9))
def test_curve_is_the_integral_of_its_slope(seed, nu):
    some = curves(seed=seed)
    inner = np.sort(np.concatenate([KNOTS, [0, nu]]))
    inner = inner[(inner >= min(0, nu)) & (inner <= max(0, nu))]

    def slope(x):
        return np.interp(x, KNOTS, some.slopes[0])

    pieces = [integrate.fixed_quad(slope, a, b, n=2)[0] for a, b in pairwise(inner)]
    expected = some.offset[0] + np.sign(nu) * sum(pieces)
    point = np.array([[nu]])
    assert some.normal(point)[0, 0] == pytest.approx(expected, abs=1e-12)
    assert some.slope(point)[0, 0] == pytest.approx(slope(nu), abs=1e-12)
    assert hat_integrals(point).sum() == pytest.approx(nu, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_curve_increases_and_is_inverted(seed):
    some = curves(3, seed)
    nu = np.tile(np.linspace(-8, 8, 400), (3, 1))
    assert (np.diff(some.normal(nu)) > 0).all()
    t = np.linspace(-6, 6, 51)
    np.testing.assert_allclose(some.normal(some.invert(t)), np.tile(t, (3, 1)), atol=1e-11)


def test_sensitivity_is_a_derivative():
    some, z, h = curves(4, 1), np.linspace(5, 12, 9), 1e-6

    def at(k: int, step: float) -> np.ndarray:
        vector = [some.centre.copy(), np.log(some.width), some.offset.copy(), some.slopes.copy()]
        if k < 3:
            vector[k] += step
        else:
            vector[3][:, k - 3] += step
        other = Curves(vector[0], np.exp(vector[1]), vector[2], vector[3])
        return other.normal(other.scaled(z)), np.log(mean_depth(other, OMEGA_M))

    exact = some.sensitivity(some.scaled(z))
    depth = mean_depth_gradient(some, OMEGA_M)
    for k in range(3 + len(KNOTS)):
        (up, tau_up), (down, tau_down) = at(k, h), at(k, -h)
        np.testing.assert_allclose(exact[..., k], (up - down) / (2 * h), atol=1e-6)
        np.testing.assert_allclose(depth[:, k], (tau_up - tau_down) / (2 * h), atol=1e-7)


def test_mean_depth_is_the_integral_along_the_line_of_sight():
    """Against `optical_depth`, up to the one constant and helium, whose share is not constant."""
    some = curves(6, 2, least=0.7)
    z = np.arange(5, 60, 1 / 256)
    x_hi = normal_cdf(some.normal(some.scaled(z)))
    tau = np.array([optical_depth(z, 1 - x, Cosmology())[-1] for x in x_hi])
    ratio = tau / mean_depth(some, OMEGA_M)
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=1e-3)


def test_terms_are_chebyshev_products_low_degrees_first():
    u = np.random.default_rng(0).uniform(-1, 1, (7, 4))
    powers_of, values = exponents(4, 3), terms(u, 3)
    for row, degrees in enumerate(powers_of):
        expected = np.prod(
            [chebyshev.chebval(u[:, j], np.eye(4)[d]) for j, d in enumerate(degrees)], axis=0
        )
        np.testing.assert_allclose(values[:, row], expected, atol=1e-14)
    assert values.shape == (7, 35)
    np.testing.assert_array_equal(values[:, :15], terms(u, 2))
    assert terms(u, 0).tolist() == [[1.0]] * 7


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_terms_gradient(degree):
    u, h = np.random.default_rng(0).uniform(-1, 1, (7, 4)), 1e-6
    exact = terms_gradient(u, degree)
    for j in range(4):
        step = h * np.eye(4)[j]
        rise = terms(u + step, degree) - terms(u - step, degree)
        np.testing.assert_allclose(exact[..., j], rise / (2 * h), atol=1e-7)


def test_standard_deviations_are_recovered():
    rng = np.random.default_rng(0)
    n, std, slope = 40_000, np.array([0.02, 0.01]), np.array([0.5, -0.3])
    R = np.array([[1.0, -0.6], [-0.6, 1.0]])
    u, t = rng.uniform(-1, 1, (n, 2)), rng.uniform(-2, 2, n)
    modes = np.stack([np.ones(n), t], axis=-1)
    e = rng.multivariate_normal([0, 0], np.outer(std, std) * R, n) * np.exp(u @ slope)[:, None]
    found, found_slope = fit_std(modes, (modes * e).sum(axis=1), u, np.ones(n), R)
    np.testing.assert_allclose(np.exp(found), std, rtol=0.02)
    np.testing.assert_allclose(found_slope, slope, atol=0.02)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_tamed_errors_leave_curves_monotone(c):
    t = np.linspace(-T_MAX - 1, T_MAX + 1, 300)
    mild = tamed(np.array(c))
    assert (np.diff(t + powers(t) @ mild) > 0).all()
    assert mild[0] == c[0]
    np.testing.assert_array_equal(tamed(0.01 * np.array(c)), 0.01 * np.array(c))
