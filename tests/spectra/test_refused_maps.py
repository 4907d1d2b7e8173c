"""Maps and options that no spectrum can be made of: the error says which and why."""

from __future__ import annotations

import numpy as np
import pytest

from reionemu.errors import ConfigError, MapError
from reionemu.spectra import ClConfig, flat_sky_spectrum

THETA = 0.0711
GOOD = np.random.default_rng(0).standard_normal((64, 64))


def with_pixel(value: float) -> np.ndarray:
    bad = GOOD.copy()
    bad[3, 5] = value
    return bad


@pytest.mark.parametrize(
    ("temperature", "words"),
    [
        (np.ones((64, 63)), r"square.*\(64, 63\)"),
        (np.ones(64), "2-D.*1 dimension"),
        (np.ones((2, 64, 64)), "2-D.*3 dimensions"),
        (np.float64(1.0), "2-D.*0 dimensions"),
        (np.ones((0, 0)), "empty"),
        (GOOD.astype(complex), "real numbers.*complex128"),
        (GOOD > 0, "real numbers.*bool"),
        (np.full((64, 64), "1"), "real numbers.*U1"),
        (np.full((64, 64), None), "real numbers.*object"),
        (with_pixel(np.nan), "1 pixel.*not finite"),
        (with_pixel(-np.inf), "1 pixel.*not finite"),
        (np.full((64, 64), np.nan), "4096 pixels.*not finite"),
        (np.ones((1, 1)), "1 x 1 pixels is too small"),
        (np.ones((4, 4)), "4 x 4 pixels is too small"),
    ],
)
def test_bad_maps_are_refused(temperature: np.ndarray, words: str) -> None:
    with pytest.raises(MapError, match=words) as caught:
        flat_sky_spectrum(temperature, THETA, ClConfig(ell_cut=0))
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("theta", [0.0, -0.0711, np.nan, np.inf])
def test_a_side_that_is_no_angle_is_refused(theta: float) -> None:
    with pytest.raises(MapError, match="positive angle in radians"):
        flat_sky_spectrum(GOOD, theta)


def test_a_cut_above_the_last_bin_names_the_range() -> None:
    last = 2 * np.pi / THETA * 32
    with pytest.raises(MapError, match=r"ell_cut = 5000 leaves nothing.*64 pixels.*27\d\d") as e:
        flat_sky_spectrum(GOOD, THETA, ClConfig(ell_cut=5000))
    assert float(str(e.value).split()[-1]) < last


def test_one_bin_left_above_the_cut_is_enough() -> None:
    l_min = 2 * np.pi / THETA
    width = l_min * 31 / 32
    found = flat_sky_spectrum(GOOD, THETA, ClConfig(ell_cut=32 * l_min - width))
    np.testing.assert_allclose(found.ell, [32 * l_min - width / 2], rtol=1e-12)
    assert found.cl[0] > 0


def test_a_map_of_one_value_has_no_power_away_from_the_window() -> None:
    """A constant is not an error; a Hann window keeps it within a few modes of zero."""
    found = flat_sky_spectrum(np.full((64, 64), 3.0), THETA)
    assert np.all(found.cl < 1e-6 * 9 * THETA**2)
    assert np.all(np.isfinite(found.dcl))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nbins": 0}, "nbins.*>= 1.*0"),
        ({"nbins": -3}, "nbins.*-3"),
        ({"nbins": 2.5}, "nbins.*whole number.*2.5"),
        ({"nbins": True}, "nbins.*True"),
        ({"ell_cut": np.nan}, "ell_cut.*finite.*nan"),
        ({"ell_cut": np.inf}, "ell_cut.*finite.*inf"),
        ({"ell_cut": "high"}, "ell_cut.*number.*'high'"),
    ],
)
def test_bad_options_are_refused_when_made(options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ClConfig(**options)
