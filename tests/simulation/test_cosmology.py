"""Distances, growth, linear power and electrons against astropy, CAMB, quadrature and limits."""

from __future__ import annotations

import builtins
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from reionemu.errors import ConfigError
from reionemu.simulation import cosmology as module
from reionemu.simulation.cosmology import Cosmology

PUBLISHED_THETA = 0.2843331859916941  # rad: header of the published maps, 2000 Mpc/h at z = 15
PLAIN = Cosmology()


def without_radiation(**changes: float) -> Cosmology:
    """A cosmology in which radiation can be neglected to 1e-9."""
    return replace(PLAIN, t_cmb=0.01, n_eff=0.0, **changes)


def radiation(cosmology: Cosmology) -> float:
    """Omega of photons and massless neutrinos, from the Stefan-Boltzmann law."""
    stefan, c, gravity, megaparsec = 5.670374419e-8, 299792458.0, 6.6743e-11, 3.0856775814913673e22
    h_0 = cosmology.h * 1e5 / megaparsec
    photons = 4 * stefan * cosmology.t_cmb**4 / c**3 / (3 * h_0**2 / (8 * np.pi * gravity))
    return photons * (1 + 7 / 8 * (4 / 11) ** (4 / 3) * cosmology.n_eff)


PLAIN_LAMBDA = 1 - PLAIN.omega_m - radiation(PLAIN)


def expansion(cosmology: Cosmology, z: float) -> float:
    """H(z)/H0 from the Friedmann equation."""
    matter, light = cosmology.omega_m * (1 + z) ** 3, radiation(cosmology)
    return float(np.sqrt(matter + light * (1 + z) ** 4 + 1 - cosmology.omega_m - light))


class TestDistances:
    def test_defaults_reproduce_the_published_light_cone(self):
        near, far = PLAIN.comoving_distance([6.0, 15.0])
        assert 2000 / far == pytest.approx(PUBLISHED_THETA, rel=1e-6)
        assert np.ceil((far - near) / (2000 / 1024)) == 698

    def test_distance_is_that_of_astropy_in_other_words(self):
        from astropy.cosmology import LambdaCDM

        other = LambdaCDM(H0=67.32, Om0=0.315612, Ode0=PLAIN_LAMBDA, Tcmb0=2.7255, Neff=3.046)
        z = np.array([0.1, 1.0, 6.0, 15.0, 60.0])
        expected = other.comoving_distance(z).to_value("Mpc") * 0.6732
        np.testing.assert_allclose(PLAIN.comoving_distance(z), expected, rtol=1e-6)

    @pytest.mark.parametrize("z", [0.5, 6.0, 15.0, 1000.0])
    def test_distance_is_the_integral_of_the_friedmann_equation(self, z):
        integral = quad(lambda x: np.exp(x) / expansion(PLAIN, np.expm1(x)), 0, np.log1p(z))[0]
        assert PLAIN.comoving_distance(z) == pytest.approx(2997.92458 * integral, rel=1e-6)
        assert PLAIN.hubble(z) == pytest.approx(67.32 * expansion(PLAIN, z), rel=1e-5)

    def test_einstein_de_sitter(self):
        almost = without_radiation(omega_m=1 - 1e-9)
        z = np.array([0.3, 3.0, 30.0])
        np.testing.assert_allclose(
            almost.comoving_distance(z), 2 * 2997.92458 * (1 - (1 + z) ** -0.5), rtol=1e-7
        )

    @given(z=st.floats(1e-6, 1099))
    @settings(max_examples=50, deadline=None)
    def test_redshift_at_distance_is_the_inverse(self, z):
        back = float(PLAIN.redshift_at_distance(PLAIN.comoving_distance(z)))
        assert back == pytest.approx(z, rel=1e-8, abs=1e-10)

    @pytest.mark.parametrize("distance", [-1.0, 1e5, np.nan, [10.0, 1e5]])
    def test_no_redshift_beyond_the_table(self, distance):
        with pytest.raises(ConfigError, match=r"from 0 to .* Mpc/h \(z = 1100\)"):
            PLAIN.redshift_at_distance(distance)


class TestGrowth:
    def test_growth_is_the_solution_of_its_equation(self):
        om = PLAIN.omega_m

        def derivative(x, y):  # D'' + (2 + H'/H) D' = 3/2 Om(a) D, in x = ln a
            matter = om * np.exp(-3 * x)
            share = matter / (matter + 1 - om)
            return [y[1], (1.5 * share - 2) * y[1] + 1.5 * share * y[0]]

        z = np.array([30.0, 9.0, 8.0, 6.0, 1.0, 0.3, 0.0])
        start = np.log(1e-4)
        exact = solve_ivp(
            derivative, (start, 0), [1e-4, 1e-4], t_eval=-np.log1p(z), rtol=1e-10, atol=1e-14
        ).y
        np.testing.assert_allclose(PLAIN.growth_factor(z), exact[0] / exact[0, -1], rtol=1e-8)
        np.testing.assert_allclose(PLAIN.growth_rate(z), exact[1] / exact[0], rtol=1e-8)

    def test_einstein_de_sitter(self):
        almost = without_radiation(omega_m=1 - 1e-9)
        z = np.array([0.0, 1.0, 8.0])
        np.testing.assert_allclose(almost.growth_factor(z), 1 / (1 + z), rtol=1e-8)
        np.testing.assert_allclose(almost.growth_rate(z), 1, rtol=1e-8)
        np.testing.assert_allclose(almost.growth_factor_2(z), -3 / 7 / (1 + z) ** 2, rtol=1e-8)
        np.testing.assert_allclose(almost.growth_rate_2(z), 2, rtol=1e-8)

    def test_second_order_is_the_solution_of_its_equation(self):
        om = PLAIN.omega_m
        z = np.array([15.0, 9.0, 6.0])

        def derivative(x, y):  # D2'' + (2 + H'/H) D2' = 3/2 Om(a) (D2 - D1^2)
            matter = om * np.exp(-3 * x)
            share = matter / (matter + 1 - om)
            source = float(PLAIN.growth_factor(np.expm1(-x))) ** 2
            return [y[1], (1.5 * share - 2) * y[1] + 1.5 * share * (y[0] - source)]

        start = np.log(1e-3)
        early = -3 / 7 * float(PLAIN.growth_factor(999.0)) ** 2
        exact = solve_ivp(
            derivative, (start, 0), [early, 2 * early], t_eval=-np.log1p(z), rtol=1e-9, atol=1e-14
        ).y
        # The power laws of Om are good to 1e-4 when matter rules.
        np.testing.assert_allclose(PLAIN.growth_factor_2(z), exact[0], rtol=2e-4)
        np.testing.assert_allclose(PLAIN.growth_rate_2(z), exact[1] / exact[0], rtol=2e-4)

    @given(z=st.floats(0.0, 50.0), omega_m=st.floats(0.1, 0.9))
    @settings(max_examples=20, deadline=None)
    def test_growth_rate_is_the_slope_of_the_factor(self, z, omega_m):
        other = replace(PLAIN, omega_m=omega_m)
        a = np.array([0.9999, 1.0001]) / (1 + z)
        one = np.diff(np.log(other.growth_factor(1 / a - 1))) / np.diff(np.log(a))
        two = np.diff(np.log(-other.growth_factor_2(1 / a - 1))) / np.diff(np.log(a))
        assert other.growth_rate(z) == pytest.approx(one[0], rel=1e-6)
        # f2 = 2 Om^(6/11) and D2 are separate fits (Bouchet et al. 1995).
        assert other.growth_rate_2(z) == pytest.approx(two[0], rel=0.02)

    def test_growth_follows_camb_but_for_radiation(self):
        import camb

        z = [15.0, 8.0, 5.0, 0.0]
        params = camb.set_params(
            H0=67.32, ombh2=0.022384, omch2=0.120654, mnu=0.0, ns=0.966, WantCls=False
        )
        params.set_matter_power(redshifts=z, kmax=2.0)
        ratio = camb.get_results(params).get_sigma8()
        excess = ratio / ratio[-1] / PLAIN.growth_factor(z) - 1
        # Growth before matter ruled leaves D about 2/3 a_eq (1/a - 1) larger.
        early = 2 / 3 * radiation(PLAIN) / PLAIN.omega_m * np.array(z)
        np.testing.assert_allclose(excess, early, atol=2e-4)
        assert abs(excess).max() < 3e-3


class TestPower:
    def test_sigma_8_by_adaptive_quadrature(self):
        def contribution(log_k):
            k = np.exp(log_k)
            x = 8 * k
            window = 3 * (np.sin(x) - x * np.cos(x)) / x**3
            return k**3 * PLAIN.linear_power(k) * window**2 / (2 * np.pi**2)

        edges = np.log([1e-4, 0.1, 0.5, 1, 2, 4, 8, 16])
        pieces = [quad(contribution, a, b, limit=200, epsrel=1e-7)[0] for a, b in pairwise(edges)]
        assert np.sqrt(sum(pieces)) == pytest.approx(PLAIN.sigma8, rel=1e-4)

    def test_power_scales_with_sigma_8(self):
        k = np.array([1e-3, 0.1, 10.0])
        brighter = replace(PLAIN, sigma8=2 * PLAIN.sigma8)
        np.testing.assert_allclose(brighter.linear_power(k), 4 * PLAIN.linear_power(k), rtol=1e-12)

    def test_ends_are_power_laws_that_go_on_smoothly(self):
        def slope(k):
            power = PLAIN.linear_power(k * np.array([1.0, 1.001]))
            return np.diff(np.log(power))[0] / np.log(1.001)

        assert slope(1e-6) == pytest.approx(PLAIN.n_s, abs=3e-3)  # primordial
        assert slope(1.9e-4) == pytest.approx(slope(2.1e-4), abs=1e-3)
        assert slope(20.1) == pytest.approx(slope(19.9), abs=1e-3)
        assert -3 < slope(40.0) < -2.5  # k^-3 times a logarithm squared

    def test_power_of_another_normalization_of_camb(self):
        """A_s instead of sigma_8, and CAMB's own interpolator instead of ours."""
        import camb

        params = camb.set_params(
            H0=67.32,
            ombh2=PLAIN.omega_b * PLAIN.h**2,
            omch2=(PLAIN.omega_m - PLAIN.omega_b) * PLAIN.h**2,
            mnu=0.0,
            ns=PLAIN.n_s,
            As=2.1e-9,
            WantCls=False,
        )
        params.set_matter_power(redshifts=[0.0], kmax=5.0)
        results = camb.get_results(params)
        power = results.get_matter_power_interpolator(nonlinear=False)
        k = np.geomspace(1e-3, 3, 40)
        expected = power.P(0, k) * (PLAIN.sigma8 / results.get_sigma8_0()) ** 2
        np.testing.assert_allclose(PLAIN.linear_power(k), expected, rtol=2e-3)


class TestElectrons:
    def test_hydrogen_density(self):
        # rho_crit = 1.87834e-26 h^2 kg/m^3 and m_p = 1.67262e-27 kg
        expected = 0.7546 * 0.04939 * 1.87834e-26 * 0.6732**2 / 1.67262e-27
        assert PLAIN.hydrogen_density == pytest.approx(expected, rel=1e-4)
        assert PLAIN.helium_per_hydrogen == pytest.approx(0.2454 / 4 / 0.7546)

    def test_opacity(self):
        electrons = PLAIN.hydrogen_density * (1 + PLAIN.helium_per_hydrogen)
        per_length = 6.6524587e-29 * electrons * 3.0856776e22 / PLAIN.h
        assert PLAIN.opacity(0.0) == pytest.approx(per_length, rel=1e-6)
        np.testing.assert_allclose(PLAIN.opacity([1.0, 7.0]), per_length * np.array([4, 64]))


class TestConstruction:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("h", 0),
            ("omega_m", 1.0),
            ("omega_m", -0.1),
            ("omega_b", 0.4),
            ("sigma8", float("nan")),
            ("n_s", float("inf")),
            ("t_cmb", 0.0),
            ("n_eff", -1),
            ("helium_fraction", 1.0),
            ("h", "0.7 km"),
        ],
    )
    def test_impossible_values_are_refused_by_name(self, field, value):
        with pytest.raises(ConfigError, match=rf"Cosmology\.{field} must be"):
            Cosmology(**{field: value})

    def test_a_cosmology_that_camb_cannot_do_is_refused(self):
        with pytest.raises(ConfigError, match=r"CAMB has no spectrum for Cosmology\(h=0.05"):
            Cosmology(h=0.05).linear_power(0.1)

    @pytest.mark.parametrize(
        ("package", "use"),
        [("astropy", "hubble"), ("astropy", "opacity"), ("camb", "linear_power")],
    )
    def test_a_missing_package_is_named_with_the_way_to_get_it(self, monkeypatch, package, use):
        honest = builtins.__import__

        def refuse(name, *args, **kwargs):
            if name.partition(".")[0] == package:
                raise ImportError(f"No module named {package!r}")
            return honest(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", refuse)
        with pytest.raises(ConfigError, match=rf"{package} is needed .*reionemu\[simulate\]"):
            getattr(Cosmology(h=0.5, n_s=0.9), use)(1.0)

    def test_importing_loads_no_heavy_package(self):
        code = (
            f"import sys; import {module.__name__}; "
            "print([m for m in ('astropy', 'camb', 'scipy', 'torch', 'h5py') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout.strip() == "[]", done.stderr
