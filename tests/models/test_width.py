"""Linear theory of the width of reionization, against SciPy, integrals and CAMB."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.models.width import SHAPE_RADII, LinearTheory

THEORY = LinearTheory()
THETA = np.array([[8.0, 0.2, 0.9, 0.6], [6.1, 0.75, 0.3, 0.42], [9.8, 0.11, 1.9, 0.79]])


def finite_differences(function, theta, step=1e-5):
    """d function / d theta, shape (n, m, p)."""
    columns = []
    for i in range(theta.shape[1]):
        shift = np.zeros(theta.shape[1])
        shift[i] = step
        columns.append((function(theta + shift) - function(theta - shift)) / (2 * step))
    return np.stack(columns, axis=-1)


def test_growth_is_the_hypergeometric_function_of_scipy():
    """D = a 2F1(1/3, 1; 11/6; -x), x = a^3 (1 - Om)/Om: of this the series is Pfaff's transform."""
    from scipy.special import hyp2f1

    z = np.array([0.0, 0.3, 1.0, 5.0, 8.0, 20.0])
    for omega_m, precision in ((0.2, 1e-5), (0.315612, 2e-8), (0.5, 1e-12)):
        x = (1 - omega_m) / omega_m
        growth = hyp2f1(1 / 3, 1, 11 / 6, -x / (1 + z) ** 3) / (1 + z)
        expected = np.log(growth / hyp2f1(1 / 3, 1, 11 / 6, -x))
        found = LinearTheory(omega_m=omega_m)._ln_growth(z)
        np.testing.assert_allclose(found, expected, rtol=0, atol=precision)


@settings(max_examples=20, deadline=None)
@given(z=st.floats(3, 20), omega_m=st.floats(0.2, 0.6))
def test_growth_is_heaths_integral(z, omega_m):
    """D1 ~ H(a) int_0^a da' / (a' H(a'))^3: Heath 1977, MNRAS 179, 351."""
    from scipy.integrate import quad

    def hubble(a):
        return np.sqrt(omega_m / a**3 + 1 - omega_m)

    def growth(a):
        return hubble(a) * quad(lambda b: (b * hubble(b)) ** -3, 0, a, epsrel=1e-10)[0]

    theory = LinearTheory(omega_m=omega_m)
    found = np.diff(theory._ln_growth(np.array([2.0, z])))[0]
    assert found == pytest.approx(np.log(growth(1 / (1 + z)) / growth(1 / 3)), abs=1e-7)


def test_it_is_the_growth_of_the_simulations():
    pytest.importorskip("astropy")
    from reionemu.simulation import Cosmology

    z = np.array([5.5, 8.0, 12.0])
    expected = Cosmology().growth_factor(z)
    np.testing.assert_allclose(np.exp(THEORY._ln_growth(z)), expected, rtol=1e-6)


def test_the_width_is_that_of_cambs_power_spectrum():
    """sigma_z = (1 + zmean) b0 D sigma, integrated by trapezoids over the spectrum of CAMB."""
    pytest.importorskip("camb")
    from reionemu.simulation import Cosmology

    cosmology = Cosmology()
    k = np.geomspace(2e-3, 20, 4000)
    power = k**3 * cosmology.linear_power(k) / (2 * np.pi**2)
    top_hat = 3 * (np.sin(k) - k * np.cos(k)) / k**3
    coordinates = THEORY.coordinates(THETA)
    for (zmean, alpha, kb, b0), found in zip(THETA, coordinates, strict=True):
        integrand = power * (top_hat / (1 + k / kb) ** alpha) ** 2
        sigma = np.sqrt(np.trapezoid(integrand, np.log(k)))
        width = (1 + zmean) * b0 * cosmology.growth_factor(zmean) * sigma
        assert np.exp(found[3]) == pytest.approx(width, rel=0.02)
        for ln_share, radius in zip(found[1:3], SHAPE_RADII, strict=True):
            beyond = np.trapezoid(integrand * np.exp(-((k * radius) ** 2)), np.log(k))
            assert np.exp(ln_share) == pytest.approx(np.sqrt(beyond) / sigma, rel=0.02)


def test_it_is_normalized_to_sigma8():
    """Without a bias, and with the top hat of 8 Mpc/h in place of its own."""
    k, weights = THEORY._integrand

    def top_hat(x):
        return 3 * (np.sin(x) - x * np.cos(x)) / x**3

    share = (top_hat(8 * k) / top_hat(k)) ** 2
    assert np.sqrt(weights[:, 0] @ share) == pytest.approx(0.812, rel=1e-3)


def test_the_sum_over_wavenumbers_is_fine_enough(monkeypatch):
    from reionemu.models import width

    coarse = THEORY.coordinates(THETA)
    monkeypatch.setattr(width, "N_K", 3000)
    np.testing.assert_allclose(coarse, LinearTheory().coordinates(THETA), atol=2e-4)


def test_the_jacobian_is_that_of_finite_differences():
    expected = finite_differences(THEORY.coordinates, THETA)
    np.testing.assert_allclose(THEORY.coordinates_jacobian(THETA), expected, rtol=1e-6, atol=1e-8)


@settings(max_examples=20, deadline=None)
@given(
    zmean=st.floats(5, 12), alpha=st.floats(0, 2), kb=st.floats(0.05, 5), factor=st.floats(1.1, 3)
)
def test_a_larger_bias_is_wider_and_a_smaller_kb_narrower_and_from_larger_scales(
    zmean, alpha, kb, factor
):
    theta = np.array([[zmean, alpha, kb, 0.5], [zmean, alpha, kb, 0.5 * factor]])
    one, two = THEORY.coordinates(theta)
    np.testing.assert_allclose(two - one, [0, 0, 0, np.log(factor)], atol=1e-12)
    theta[1] = zmean, alpha + 0.1, kb / factor, 0.5
    one, two = THEORY.coordinates(theta)
    assert two[3] < one[3]
    assert (two[1:3] > one[1:3]).all()
    assert one[2] < one[1] < 0


def test_a_cosmology_is_read_from_its_record():
    found = LinearTheory.from_mapping({"omega_m": 0.3, "h": 0.7, "n_eff": 3.046})
    assert (found.omega_m, found.h, found.sigma8) == (0.3, 0.7, LinearTheory().sigma8)
