"""Neutral fractions and optical depth against closed forms and direct counting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import reionemu
from reionemu.errors import ConfigError
from reionemu.simulation.cosmology import Cosmology
from reionemu.simulation.history import (
    NeutralHistory,
    ionized_optical_depth,
    neutral_history,
    optical_depth,
)

PLAIN = Cosmology()
DARK = replace(PLAIN, t_cmb=0.01, n_eff=0.0)  # no radiation to speak of


def closed_form(z: float, cosmology: Cosmology) -> float:
    """Optical depth of an ionized universe without radiation.

    tau = 2 c sigma_T n_e0 / (3 H0 Om) [sqrt(Om (1 + z)^3 + 1 - Om) - 1]
    """
    matter = cosmology.omega_m
    root = np.sqrt(matter * (1 + z) ** 3 + 1 - matter)
    return float(cosmology.opacity(0.0)) * 2997.92458 * 2 / (3 * matter) * (root - 1)


class TestNeutralHistory:
    def test_fractions_are_counts_of_cells(self):
        rng = np.random.default_rng(3)
        z_re = (8 + 1.4 * rng.standard_normal((20, 20, 20))).astype(np.float32)
        mass = rng.uniform(0.2, 3, z_re.shape).astype(np.float32)
        redshifts = [5.0, 6.5, 7.0, 8.0, 8.125, 10.5, 20.0]
        history = neutral_history(torch.from_numpy(z_re), torch.from_numpy(mass)).at(redshifts)
        # A cell is neutral at z > z_re.
        np.testing.assert_allclose(history.x_v, [np.mean(z_re < z) for z in redshifts], atol=1e-12)
        by_mass = [np.sum(mass[z_re < z], dtype=float) / mass.sum(dtype=float) for z in redshifts]
        np.testing.assert_allclose(history.x_m, by_mass, atol=1e-12)

    @pytest.mark.parametrize("z", [3.0, 5.5, 8.0, 16.0, 40.25])
    def test_edges_are_exact_to_the_last_bit_of_single_precision(self, z):
        below, above = np.nextafter(np.float32(z), np.float32([0, 99]))
        history = neutral_history(np.array([below, z, above], np.float32)).at([z])
        assert history.x_v == pytest.approx([1 / 3])

    def test_without_weights_mass_is_volume(self):
        history = neutral_history(np.array([6.0, 7.0, 9.0]))
        np.testing.assert_array_equal(history.x_m, history.x_v)

    def test_extreme_redshifts_are_kept(self):
        history = neutral_history(np.array([-3.0, 7.0, 1000.0]))
        assert history.z[0] == 0
        assert history.z[-1] == 60
        assert history.at([5.0, 60.0]).x_v == pytest.approx([1 / 3, 2 / 3])

    def test_many_equal_cells_lose_no_mass(self):
        """Sums in single precision would be off by 1e-3."""
        z_re = torch.full((2_000_000,), 7.3)
        z_re[::2] = 9.3
        mass = torch.linspace(0.9, 1.3, len(z_re))
        expected = float(mass[::2].double().sum() / mass.double().sum())
        assert neutral_history(z_re, mass).at([8.0]).x_m == pytest.approx([1 - expected], abs=1e-9)

    @given(z_re=npst.arrays(np.float32, 30, elements=st.floats(-5, 70, width=32)))
    @settings(max_examples=25, deadline=None)
    def test_fractions_rise_with_redshift(self, z_re):
        history = neutral_history(z_re)
        assert history.x_v[0] == 0
        assert np.all(np.diff(history.x_v) >= 0)
        assert history.x_v[-1] <= 1

    def test_input_is_left_alone(self):
        z_re = torch.tensor([-1.0, 7.0, 99.0])
        neutral_history(z_re)
        assert z_re.tolist() == [-1.0, 7.0, 99.0]


class TestOpticalDepth:
    @pytest.mark.parametrize("z_sudden", [6.0, 7.5, 12.0])
    def test_sudden_reionization_has_a_closed_form(self, z_sudden):
        history = neutral_history(np.full(10, z_sudden - 1e-6))
        tau = history.optical_depth(DARK)[1][-1]
        # The step is smeared over a bin, 1/128.
        assert tau == pytest.approx(closed_form(z_sudden, DARK), rel=1.5e-3)

    @given(z=st.floats(3.0, 30.0), omega_m=st.floats(0.1, 0.9))
    @settings(max_examples=20, deadline=None)
    def test_uniform_medium_has_a_closed_form(self, z, omega_m):
        dark = replace(DARK, omega_m=omega_m)
        assert ionized_optical_depth(z, dark) == pytest.approx(closed_form(z, dark), rel=1e-7)
        grid = np.linspace(3, z + 1e-3, 400)
        tau = optical_depth(grid, np.ones(400), dark)
        assert tau[-1] == pytest.approx(closed_form(grid[-1], dark), rel=1e-5)

    def test_radiation_lowers_it(self):
        # (1 + z) Omega_r / (2 Omega_m) less per redshift: 0.1% at z = 7
        ratio = ionized_optical_depth(8.0, PLAIN) / ionized_optical_depth(8.0, DARK)
        assert 1 - 1.2e-3 < ratio < 1 - 0.6e-3

    def test_second_electron_of_helium(self):
        z, ionized = np.linspace(5, 20, 500), np.linspace(1, 0, 500)
        single, double = (optical_depth(z, ionized, DARK, kind) for kind in ("single", "double"))
        share = 1 / (1 + 1 / DARK.helium_per_hydrogen)
        np.testing.assert_allclose(double - single, share * closed_form(3.0, DARK), rtol=1e-6)

    def test_it_is_cumulative(self):
        z = np.linspace(4, 12, 801)
        ionized = np.linspace(1, 0.2, 801)
        whole = optical_depth(z, ionized, PLAIN)
        np.testing.assert_array_equal(optical_depth(z[:301], ionized[:301], PLAIN), whole[:301])
        assert np.all(np.diff(whole) > 0)
        assert whole[0] == ionized_optical_depth(4.0, PLAIN)

    def test_hydrogen_counts_as_ionized_below_redshift_5(self):
        late = neutral_history(np.array([4.0, 4.5, 8.0]))
        z, tau = late.optical_depth(PLAIN)
        assert z[0] == 5
        assert tau[0] == ionized_optical_depth(5.0, PLAIN)

    @given(shift=st.floats(0.1, 3.0))
    @settings(max_examples=10, deadline=None)
    def test_earlier_reionization_is_deeper(self, shift):
        z_re = np.linspace(6, 9, 50)
        late, early = (neutral_history(f).optical_depth(PLAIN)[1][-1] for f in (z_re, z_re + shift))
        assert early > late

    def test_optical_depth_of_the_example_suite(self):
        """Simulations of another code: Planck 2018, helium twice ionized, 26 redshifts kept."""
        planck = Cosmology(h=0.6736, omega_m=0.3153, omega_b=0.0493)
        raw = Path(reionemu.__file__).parent / "example_suite" / "raw"
        ratios = []
        for path in sorted(raw.glob("*/pk_arrays.hdf5")):
            with h5py.File(path) as file:
                z, x_m = file["data/zval_list"][()], file["data/xmval_list"][()]
                tau = file["header/tau"][()]
            history = NeutralHistory(z, x_m, x_m).at(np.arange(5, 20, 1 / 128))
            ratios.append(history.optical_depth(planck, "double")[1][-1] / float(tau))
        assert len(ratios) > 4
        np.testing.assert_allclose(ratios, 1, atol=3e-3)

    @pytest.mark.parametrize(
        ("z", "ionized", "message"),
        [
            ([2.0, 3.0], [1.0, 1.0], "from 3 up"),
            ([6.0, 5.0], [1.0, 1.0], "ascending"),
            ([5.0, 6.0], [1.0], "one shape"),
            ([], [], "one shape"),
            ([[5.0]], [[1.0]], "one shape"),
        ],
    )
    def test_impossible_histories_are_refused(self, z, ionized, message):
        with pytest.raises(ConfigError, match=message):
            optical_depth(z, ionized, PLAIN)

    def test_unknown_helium_is_refused(self):
        with pytest.raises(ConfigError, match="helium must be one of double, single"):
            optical_depth([5.0], [1.0], PLAIN, "doubble")
