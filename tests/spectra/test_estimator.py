"""The flat-sky estimator against its formula, its symmetries and analytic spectra."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.errors import MapError
from reionemu.spectra import ClConfig, FlatSkyPlan, flat_sky, flat_sky_spectrum

THETA = 0.0711


def narrow_bins(n: int, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """Edges and centres of the n//2 equal bins from 2 pi/theta to n pi/theta."""
    l_min = 2 * np.pi / theta
    edges = np.linspace(l_min, l_min * n / 2, n // 2 + 1)
    return edges, (edges[1:] + edges[:-1]) / 2


def multipoles(n: int, theta: float) -> np.ndarray:
    """|l| of every mode of the full transform, shape (n, n): l = 2 pi f, rounded as it comes."""
    wave = 2 * np.pi * np.fft.fftfreq(n, theta / n)
    return np.sqrt(wave[:, None] ** 2 + wave[None, :] ** 2)


def spectrum_by_definition(
    temperature: np.ndarray, theta: float, nbins: int, ell_cut: float
) -> tuple[np.ndarray, np.ndarray]:
    """Bin centres and C_ell [uK^2] by full complex FFT and one mask per bin."""
    n = len(temperature)
    window = np.hanning(n)[:, None] * np.hanning(n)[None, :]
    windowed = temperature * window
    windowed = windowed - windowed.mean()
    power = np.abs(np.fft.fft2(windowed) * (theta / n) ** 2) ** 2 / theta**2
    ell = multipoles(n, theta)
    edges, centres = narrow_bins(n, theta)
    masks = [(ell >= lo) & (ell < hi) & (ell > 0) for lo, hi in itertools.pairwise(edges)]
    modes = np.array([m.sum() for m in masks])
    mean = np.array([power[m].mean() if m.any() else 0.0 for m in masks])
    keep = centres >= ell_cut
    centres, modes, mean = centres[keep], modes[keep], mean[keep]
    if nbins < len(centres):
        wide = np.linspace(centres[0], centres[-1], nbins + 1)
        inside = [(centres >= lo) & (centres < hi) for lo, hi in itertools.pairwise(wide)]
        mean = np.array([np.average(mean[i], weights=modes[i]) for i in inside])
        centres = (wide[1:] + wide[:-1]) / 2
    return centres, mean / np.mean(window**2)


def some_map(n: int, seed: int = 0) -> np.ndarray:
    """A map with a steep spectrum, an offset and noise: power of every size in every bin."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, n)).cumsum(axis=0).cumsum(axis=1) + 3.0


@pytest.mark.parametrize("n", [64, 65, 96, 101, 127, 128, 255, 256])
@pytest.mark.parametrize("nbins", [1, 2, 5, 7, 19, 1000])
def test_matches_the_definition(n: int, nbins: int) -> None:
    temperature = some_map(n)
    found = flat_sky_spectrum(temperature, THETA, ClConfig(nbins=nbins))
    ell, cl = spectrum_by_definition(temperature, THETA, nbins, 1000.0)
    np.testing.assert_allclose(found.ell, ell, rtol=1e-12)
    np.testing.assert_allclose(found.cl, cl, rtol=1e-10)


@pytest.mark.parametrize("theta", [0.01, 0.0711, 0.2])
@pytest.mark.parametrize("ell_cut", [0.0, 300.0, 1000.0])
def test_matches_the_definition_for_other_sides_and_cuts(theta: float, ell_cut: float) -> None:
    for n in (72, 91):
        found = flat_sky_spectrum(some_map(n), theta, ClConfig(nbins=6, ell_cut=ell_cut))
        ell, cl = spectrum_by_definition(some_map(n), theta, 6, ell_cut)
        np.testing.assert_allclose(found.ell, ell, rtol=1e-12)
        np.testing.assert_allclose(found.cl, cl, rtol=1e-10)


def test_the_cut_keeps_a_bin_centred_exactly_on_it() -> None:
    centres = narrow_bins(64, THETA)[1]
    kept = flat_sky_spectrum(some_map(64), THETA, ClConfig(nbins=999, ell_cut=centres[10])).ell
    np.testing.assert_array_equal(kept, centres[10:])


def test_as_many_bins_as_there_are_gives_the_narrow_ones() -> None:
    narrow = narrow_bins(96, THETA)[1]
    narrow = narrow[narrow >= 1000]
    for nbins in (len(narrow), len(narrow) + 1, 10**6):
        found = flat_sky_spectrum(some_map(96), THETA, ClConfig(nbins=nbins)).ell
        np.testing.assert_array_equal(found, narrow)


def test_every_number_of_bins_is_right_or_refused() -> None:
    """Nearly as many wide bins as narrow ones leave some wide bin without any: an error."""
    refused = 0
    for n in (32, 63, 64, 65):
        temperature = some_map(n)
        narrow = narrow_bins(n, THETA)[1]
        kept = narrow[narrow >= 1000]
        for nbins in range(1, len(kept)):
            edges = np.linspace(kept[0], kept[-1], nbins + 1)
            if np.histogram(kept[:-1], edges)[0].all():
                found = flat_sky_spectrum(temperature, THETA, ClConfig(nbins=nbins))
                cl = spectrum_by_definition(temperature, THETA, nbins, 1000.0)[1]
                np.testing.assert_allclose(found.cl, cl, rtol=1e-10)
            else:
                refused += 1
                with pytest.raises(MapError, match=f"{n} x {n} pixels.*ask for fewer bins"):
                    flat_sky_spectrum(temperature, THETA, ClConfig(nbins=nbins))
    assert refused >= 3


def test_mode_counts_are_those_of_the_annuli() -> None:
    n, ell = 80, multipoles(80, THETA)
    plan = FlatSkyPlan(n, THETA, ClConfig(nbins=999, ell_cut=0))
    edges = narrow_bins(n, THETA)[0]
    expected = [np.sum((ell >= lo) & (ell < hi)) for lo, hi in itertools.pairwise(edges)]
    np.testing.assert_array_equal(plan.modes, expected)


@settings(max_examples=40, deadline=None)
@given(
    scale=st.floats(1e-6, 1e6),
    sign=st.sampled_from([-1.0, 1.0]),
    n=st.integers(40, 70),
    seed=st.integers(0, 9),
)
def test_power_goes_as_the_square_of_the_map(scale: float, sign: float, n: int, seed: int) -> None:
    one = flat_sky_spectrum(some_map(n, seed), THETA)
    scaled = flat_sky_spectrum(sign * scale * some_map(n, seed), THETA)
    for name in ("cl", "dl", "dcl"):
        expected = scale**2 * getattr(one, name)
        np.testing.assert_allclose(getattr(scaled, name), expected, rtol=1e-10)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(40, 70), seed=st.integers(0, 9), theta=st.floats(0.02, 0.08))
def test_dl_is_cl_times_ell_ell_plus_one(n: int, seed: int, theta: float) -> None:
    found = flat_sky_spectrum(some_map(n, seed), theta)
    expected = found.ell * (found.ell + 1) * found.cl / 2 / np.pi
    np.testing.assert_allclose(found.dl, expected, rtol=1e-14)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(40, 70), seed=st.integers(0, 9), turns=st.integers(1, 3), flip=st.booleans())
def test_turning_or_mirroring_the_map_changes_nothing(
    n: int, seed: int, turns: int, flip: bool
) -> None:
    temperature = some_map(n, seed)
    turned = np.rot90(temperature, turns)
    turned = turned.T if flip else turned
    one, other = flat_sky_spectrum(temperature, THETA), flat_sky_spectrum(turned, THETA)
    np.testing.assert_allclose(other.cl, one.cl, rtol=1e-9)
    np.testing.assert_allclose(other.dcl, one.dcl, rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(40, 70), factor=st.sampled_from([0.125, 0.25, 0.5, 2.0, 4.0, 8.0]))
def test_a_change_of_side_rescales_both_axes(n: int, factor: float) -> None:
    """By powers of two, which round nothing: narrow centres can lie exactly on wide edges."""
    one = flat_sky_spectrum(some_map(n), THETA, ClConfig(ell_cut=0))
    other = flat_sky_spectrum(some_map(n), THETA * factor, ClConfig(ell_cut=0))
    np.testing.assert_allclose(other.ell, one.ell / factor, rtol=1e-12)
    np.testing.assert_allclose(other.cl, one.cl * factor**2, rtol=1e-10)


def test_the_input_is_left_as_it_was() -> None:
    temperature = some_map(64)
    before = temperature.copy()
    flat_sky_spectrum(temperature, THETA)
    np.testing.assert_array_equal(temperature, before)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, ">f8", np.int16])
def test_other_real_types_give_the_spectrum_of_their_values(dtype: object) -> None:
    temperature = (100 * np.random.default_rng(1).standard_normal((64, 64))).astype(dtype)
    found = flat_sky_spectrum(temperature, THETA)
    expected = flat_sky_spectrum(temperature.astype(np.float64), THETA)
    np.testing.assert_allclose(found.cl, expected.cl, rtol=1e-10)


def test_any_memory_order_gives_the_same() -> None:
    temperature = some_map(64)
    strided = np.zeros((64, 128))
    strided[:, ::2] = temperature
    for view in (np.asfortranarray(temperature), strided[:, ::2]):
        np.testing.assert_array_equal(
            flat_sky_spectrum(view, THETA).cl, flat_sky_spectrum(temperature, THETA).cl
        )


def test_white_noise_gives_its_level() -> None:
    """Pixels of variance s^2 have C = s^2 theta^2 / N^2 at every l, whatever the window."""
    n, sigma, trials = 64, 7.0, 600
    rng = np.random.default_rng(5)
    spectra = [flat_sky_spectrum(sigma * rng.standard_normal((n, n)), THETA) for _ in range(trials)]
    level = (sigma * THETA / n) ** 2
    error = np.mean([s.dcl for s in spectra], axis=0) / np.sqrt(trials)
    assert np.all(np.abs(np.mean([s.cl for s in spectra], axis=0) - level) < 4 * error)
    assert np.all(error < 0.01 * level)


@pytest.mark.parametrize("slope", [-1.0, -2.0, -3.5])
def test_power_law_is_recovered(slope: float) -> None:
    """The mean over Gaussian maps is the spectrum, smoothed by the window's transform.

    The smoothed spectrum is computed here by convolution; how far it is from the bare one (a few
    per cent in the first bin of the steepest) is bounded too.
    """
    n, trials = 64, 500
    rng = np.random.default_rng(3)
    ell = multipoles(n, THETA)
    power = np.zeros_like(ell)
    power[ell > 0] = (ell[ell > 0] / 3000.0) ** slope
    maps = [
        np.fft.ifft2(np.fft.fft2(rng.standard_normal((n, n))) * np.sqrt(power)).real * n / THETA
        for _ in range(trials)
    ]
    spectra = [flat_sky_spectrum(m, THETA) for m in maps]

    window = np.outer(np.hanning(n), np.hanning(n))
    kernel = np.abs(np.fft.fft2(window)) ** 2 / n**4
    smoothed = np.fft.ifft2(np.fft.fft2(power) * np.fft.fft2(kernel)).real / np.mean(window**2)
    mean = np.mean([s.cl for s in spectra], axis=0)
    error = np.mean([s.dcl for s in spectra], axis=0) / np.sqrt(trials)
    assert np.all(np.abs(mean - _mean_in_wide_bins(smoothed, n)) < 4 * error)
    np.testing.assert_allclose(_mean_in_wide_bins(power, n), mean, rtol=0.05)


def _mean_in_wide_bins(power: np.ndarray, n: int) -> np.ndarray:
    """Mean of a quantity per mode over the default bins above ell = 1000."""
    ell, (edges, centres) = multipoles(n, THETA), narrow_bins(n, THETA)
    kept = centres[centres >= 1000]
    wide = np.linspace(kept[0], kept[-1], 6)
    fine = np.clip(np.searchsorted(edges, ell, side="right") - 1, 0, len(centres) - 1)
    inside = (ell >= edges[0]) & (ell < edges[-1])
    centre = np.where(inside, centres[fine], -1.0)
    return np.array(
        [power[(centre >= a) & (centre < b)].mean() for a, b in itertools.pairwise(wide)]
    )


def test_a_second_plan_of_a_size_reuses_the_work() -> None:
    n, config = 83, ClConfig()
    FlatSkyPlan(n, THETA, config)
    grids = flat_sky._mode_grid.cache_info()
    couplings = flat_sky._mode_coupling.cache_info()
    plan = FlatSkyPlan(n, THETA, config)
    assert flat_sky._mode_grid.cache_info().misses == grids.misses
    assert flat_sky._mode_coupling.cache_info().misses == couplings.misses
    assert flat_sky._mode_grid.cache_info().hits > grids.hits
    assert plan.grid is FlatSkyPlan(n, THETA * 1.1, config).grid


def test_one_plan_serves_many_maps() -> None:
    plan = FlatSkyPlan(64, THETA, ClConfig())
    for seed in range(3):
        temperature = some_map(64, seed)
        np.testing.assert_array_equal(
            plan.spectrum(temperature).cl, flat_sky_spectrum(temperature, THETA).cl
        )
