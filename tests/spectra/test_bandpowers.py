"""Band powers against formulas, brute force and other codes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.errors import ConfigError, MapError
from reionemu.spectra import (
    BandpowerPlan,
    ClConfig,
    bandpower,
    bandpower_covariance,
    cross_bandpower,
    flat_sky_spectrum,
)

THETA = 0.0711
L_MIN = 2 * np.pi / THETA
PUBLISHED = (1024, 0.2843331859916941)
LOWEST = tuple(L_MIN * np.array([0.9, 1.1, 2, 3.5, 6, 8]))
"""Edges of bins from the fundamental mode up: only the lowest see whether the mean is gone."""


def options(**given: object) -> ClConfig:
    return ClConfig(estimator="bandpower", **given)


def multipoles(n: int, theta: float = THETA) -> np.ndarray:
    """|l| of every mode of the full transform, shape (n, n)."""
    wave = 2 * np.pi * np.fft.fftfreq(n, theta / n)
    return np.hypot(wave[:, None], wave)


def to_dl(ell: np.ndarray) -> np.ndarray:
    return ell * (ell + 1) / (2 * np.pi)


def hann(n: int) -> np.ndarray:
    line = np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2
    return np.outer(line, line)


def gaussian_map(
    rng: np.random.Generator, n: int, theta: float, dl: object = lambda ell: np.ones_like(ell)
) -> np.ndarray:
    """A periodic Gaussian map of the spectrum dl(ell), without a mean."""
    ell = multipoles(n, theta)
    ell[0, 0] = 1.0
    power = dl(ell) / to_dl(ell)
    power[0, 0] = 0.0
    noise = np.fft.fft2(rng.standard_normal((n, n)))
    return np.fft.ifft2(noise * np.sqrt(power)).real * n / theta


def some_map(n: int, seed: int = 0) -> np.ndarray:
    """A map with a steep spectrum, an offset and noise: power of every size in every bin."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, n)).cumsum(axis=0).cumsum(axis=1) + 3.0


def mean_power(n: int, dl: object, theta: float = THETA) -> np.ndarray:
    """Expected |FFT(w (T - m))|^2 / (N^2 sum w^2) of every mode, by brute force.

    The sky is periodic on 2 theta, and its every plane wave goes through the estimator's steps.
    """
    window = hann(n)
    waves = np.rint(np.fft.fftfreq(2 * n) * 2 * n)
    lines = np.exp(1j * np.pi * np.outer(waves, np.arange(n)) / n)
    power = np.zeros((n, n))
    for i, x in enumerate(waves):
        ell = np.pi / theta * np.hypot(x, waves)
        cl = np.where(ell > 0, dl(np.maximum(ell, 1.0)) / to_dl(np.maximum(ell, 1.0)), 0.0)
        planes = lines[i][:, None] * lines[:, None, :]
        planes = planes - (window * planes).sum(axis=(1, 2), keepdims=True) / window.sum()
        power += np.einsum("i,ijk->jk", cl, np.abs(np.fft.fft2(window * planes)) ** 2)
    return power / (4 * n**2 * np.sum(window**2))


def mean_in_bins(values: np.ndarray, edges: np.ndarray, theta: float = THETA) -> np.ndarray:
    ell = multipoles(len(values), theta)
    inside = [(ell >= lo) & (ell < hi) for lo, hi in itertools.pairwise(edges)]
    return np.array([values[i].mean() for i in inside])


SKIES = {
    "flat": lambda ell: np.ones_like(ell),
    "falling": lambda ell: (ell / 3000.0) ** -1.5,
    "rising": lambda ell: (ell / 3000.0) ** 2,
    "wavy": lambda ell: 2 + np.cos(ell / 150.0),
}


@pytest.mark.parametrize("name", SKIES)
def test_windows_predict_the_brute_force_mean(name: str) -> None:
    """Leakage of the Hann window, and the mean removed, in bins from the fundamental mode up."""
    n, edges = 24, tuple(L_MIN * np.array([0.9, 1.1, 2, 3.5, 6, 9, 12]))
    binning = BandpowerPlan(n, THETA, options(edges=edges)).binning
    at_nodes = SKIES[name](np.maximum(binning.window_ell, L_MIN / 4))

    def mean(dl: object) -> np.ndarray:
        return mean_in_bins(mean_power(n, dl) * to_dl(multipoles(n)), binning.edges)

    brute = mean(lambda ell: np.interp(ell, binning.window_ell, at_nodes)) / mean(SKIES["flat"])
    # The tails of the window that are cut off matter most where a spectrum falls steeply.
    np.testing.assert_allclose(binning.windows @ at_nodes, brute, rtol=2e-3)


@pytest.mark.parametrize("name", SKIES)
def test_windows_predict_the_mean_of_a_periodic_map(name: str) -> None:
    n, dl = 48, SKIES[name]
    edges = tuple(L_MIN * np.array([1, 2, 3.3, 7, 12, 24]))
    binning = BandpowerPlan(n, THETA, options(edges=edges, window="none")).binning
    ell = np.maximum(multipoles(n), 1.0)
    at_nodes = dl(np.maximum(binning.window_ell, 1.0))
    nodes = np.interp(ell, binning.window_ell, at_nodes)
    np.testing.assert_allclose(
        binning.windows @ at_nodes, mean_in_bins(nodes, np.array(edges)), rtol=1e-12
    )


@pytest.mark.parametrize(("n", "theta"), [(128, THETA), PUBLISHED])
@pytest.mark.parametrize("window", ["hann", "none"])
def test_windows_sum_to_one_about_the_effective_multipole(
    n: int, theta: float, window: str
) -> None:
    binning = BandpowerPlan(n, theta, options(window=window)).binning
    np.testing.assert_allclose(binning.windows.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(binning.windows @ binning.window_ell, binning.ell, rtol=1e-12)
    assert np.all(binning.windows >= 0)
    mean_ell = mean_in_bins(multipoles(n, theta), binning.edges, theta)
    np.testing.assert_allclose(binning.ell, mean_ell, rtol=2e-3)


def test_a_flat_spectrum_leaks_two_thirds_of_the_square_of_a_mode_over_ell() -> None:
    """For C ~ l^-2 and a Hann window: (l_min / l)^2 2/3 too much, by the second moments of both.

    It is what normalization by <w^2> alone would leave, and what dividing by it takes away.
    """
    n, theta = PUBLISHED
    plan = BandpowerPlan(n, theta, options())
    ell = multipoles(n, theta)
    expected = mean_in_bins(
        2 / 3 * (2 * np.pi / theta / np.maximum(ell, 1)) ** 2, plan.binning.edges, theta
    )
    np.testing.assert_allclose(plan.response - 1, expected, rtol=0.02)
    assert np.all(plan.response < 1.0001)


def test_a_flat_spectrum_comes_back_flat_from_the_fundamental_mode_up() -> None:
    """By brute force: windows that sum to one would not show a wrong response."""
    n = 24
    for edges in (None, tuple(L_MIN * np.array([0.9, 1.1, 2, 3.5, 6, 9, 12]))):
        config = options(edges=edges) if edges else options(ell_cut=0)
        plan = BandpowerPlan(n, THETA, config)
        brute = mean_in_bins(
            mean_power(n, SKIES["flat"]) * to_dl(multipoles(n)), plan.binning.edges
        )
        np.testing.assert_allclose(brute / plan.response, 1, atol=5e-4)


def flat_scatter(n: int, theta: float, patches: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, scatter and stated error of D over quarters of periodic maps with D_ell = 1."""
    rng = np.random.default_rng(n)
    plan = BandpowerPlan(n, theta, options())
    found = [
        plan.spectrum(patch)
        for _ in range(patches // 4)
        for half in np.split(gaussian_map(rng, 2 * n, 2 * theta), 2)
        for patch in np.split(half, 2, axis=1)
    ]
    dl = [s.dl for s in found]
    stated = np.sqrt(np.mean([s.ddl**2 for s in found], axis=0))
    return np.mean(dl, axis=0), np.std(dl, axis=0, ddof=1), stated


def test_patches_of_a_flat_sky_are_flat_and_scatter_as_stated() -> None:
    """Hann windows on maps that are not periodic: mean 1, errors within 5% of the scatter.

    The scatter of 4000 patches is itself known to 1.1%.
    """
    mean, scatter, stated = flat_scatter(64, THETA, 4000)
    assert np.all(np.abs(mean - 1) < 4 * scatter / np.sqrt(4000))
    assert np.all(scatter / np.sqrt(4000) < 0.004)
    np.testing.assert_allclose(stated / scatter, 1, atol=0.05)


@pytest.mark.slow
def test_patches_of_a_flat_sky_are_flat_to_two_in_a_thousand() -> None:
    """Every default bin of a map as wide as the published ones; the drop-in gives 1.12, 1.02 ..."""
    mean, scatter, stated = flat_scatter(256, PUBLISHED[1], 6000)
    assert np.all(scatter / np.sqrt(6000) < 0.0006)
    np.testing.assert_allclose(mean, 1, atol=0.002)
    np.testing.assert_allclose(stated / scatter, 1, atol=0.05)


def test_the_drop_in_estimator_does_not_give_a_flat_spectrum_back() -> None:
    """In the published maps: 1.115, 1.017, 1.009, 1.007, 1.003, at the centres of wide bins."""
    n, theta = PUBLISHED
    rng = np.random.default_rng(4)
    dl = np.mean(
        [flat_sky_spectrum(gaussian_map(rng, n, theta), theta).dl for _ in range(6)], axis=0
    )
    np.testing.assert_allclose(dl, [1.115, 1.017, 1.009, 1.007, 1.003], atol=0.02)


@pytest.mark.parametrize("name", ["falling", "rising"])
def test_errors_of_a_periodic_map_are_its_scatter(name: str) -> None:
    trials, rng = 2500, np.random.default_rng(2)
    plan = BandpowerPlan(48, THETA, options(window="none", nbins=3))
    found = [plan.spectrum(gaussian_map(rng, 48, THETA, SKIES[name])) for _ in range(trials)]
    stated = np.sqrt(np.mean([s.ddl**2 for s in found], axis=0))
    scatter = np.std([s.dl for s in found], axis=0, ddof=1)
    np.testing.assert_allclose(stated / scatter, 1, atol=0.05)
    expected = plan.binning.windows @ np.asarray(
        SKIES[name](np.maximum(plan.binning.window_ell, 1))
    )
    error = scatter / np.sqrt(trials)
    assert np.all(np.abs(np.mean([s.dl for s in found], axis=0) - expected) < 4 * error)


@pytest.mark.parametrize("window", ["hann", "none"])
def test_cross_spectra_and_their_errors(window: str) -> None:
    """Two maps of correlation 0.4, and one of them twice as loud: D_12 = 0.8."""
    trials, rng = 2500, np.random.default_rng(3)
    plan = BandpowerPlan(32, THETA, options(window=window, nbins=2, ell_cut=400.0))
    found = []
    for _ in range(trials):
        first, other = gaussian_map(rng, 32, THETA), gaussian_map(rng, 32, THETA)
        found.append(plan.cross(first, 2 * (0.4 * first + np.sqrt(1 - 0.16) * other)))
    dl = np.array([s.dl for s in found])
    scatter = dl.std(axis=0, ddof=1)
    # The map is periodic: what a Hann window mixes in is a little other than from a wide sky.
    assert np.all(np.abs(dl.mean(axis=0) - 0.8) < 4 * scatter / np.sqrt(trials) + 0.004)
    stated = np.sqrt(np.mean([s.ddl**2 for s in found], axis=0))
    np.testing.assert_allclose(stated / scatter, 1, atol=0.05)


@pytest.mark.parametrize("config", [options(), options(window="none", pixel_window=True)])
def test_a_map_crossed_with_itself_gives_its_spectrum(config: ClConfig) -> None:
    alone, crossed = (
        f
        for f in (
            bandpower(some_map(64), THETA, config),
            cross_bandpower(some_map(64), some_map(64), THETA, config),
        )
    )
    for name in ("ell", "dl", "ddl", "cl", "dcl"):
        np.testing.assert_allclose(getattr(crossed, name), getattr(alone, name), rtol=1e-12)


EDGES = tuple(500.0 * np.arange(2, 8))


@pytest.mark.parametrize("n", [128, 135])
def test_pixell_gives_the_same(n: int) -> None:
    """Exactly the same without a window; with one, apart from the response to a flat spectrum."""
    from pixell import enmap, wcsutils

    side = np.degrees(THETA / n)
    wcs = wcsutils.explicit(ctype=["", ""], cdelt=[side, side], crpix=[1, 1], crval=[0, 0])
    temperature, window = some_map(n), hann(n)
    masked = (temperature - np.average(temperature, weights=window)) * window
    for name, work, norm in (("none", temperature, 1), ("hann", masked, np.mean(window**2))):
        harmonic = enmap.fft(enmap.enmap(work, wcs), normalize="phys")
        power = enmap.calc_ps2d(harmonic) / norm
        means = enmap.lbin(power * to_dl(power.modlmap()), bsize=500.0)[0]
        found = bandpower(temperature, THETA, options(edges=EDGES, window=name))
        np.testing.assert_allclose(found.dl, means[2:7], rtol=1e-3 if name == "none" else 4e-3)
        response = BandpowerPlan(n, THETA, options(edges=EDGES, window=name)).response
        np.testing.assert_allclose(found.dl * response, means[2:7], rtol=1e-10)


@pytest.mark.parametrize("n", [128, 135])
def test_powerbox_gives_the_same(n: int) -> None:
    """It averages C within bins; of a map with modes times sqrt(l (l + 1) / 2 pi), that is D."""
    import powerbox

    temperature = some_map(n)
    modes = np.fft.fft2(temperature) * np.sqrt(to_dl(multipoles(n)))
    result = powerbox.get_power(
        np.fft.ifft2(modes).real,
        THETA,
        bins=np.array(EDGES),
        remove_shotnoise=False,
        ignore_zero_mode=True,
        bins_upto_boxlen=True,
    )
    found = bandpower(temperature, THETA, options(edges=EDGES, window="none"))
    np.testing.assert_allclose(found.dl, result.power, rtol=1e-10)
    np.testing.assert_array_equal(found.binning.modes, result.nsamples)


@pytest.mark.parametrize("window", ["hann", "none"])
@pytest.mark.parametrize("n", [16, 33, 64])
def test_matches_the_definition(n: int, window: str) -> None:
    """The mean over modes with a full complex FFT and one mask per bin."""
    temperature = some_map(n)
    w = hann(n) if window == "hann" else np.ones((n, n))
    masked = w * (temperature - np.sum(w * temperature) / w.sum())
    power = np.abs(np.fft.fft2(masked) * (THETA / n) ** 2) ** 2 / THETA**2 / np.mean(w**2)
    config = options(window=window, edges=LOWEST)
    plan = BandpowerPlan(n, THETA, config)
    found = bandpower(temperature, THETA, config)
    expected = mean_in_bins(power * to_dl(multipoles(n)), found.binning.edges) / plan.response
    np.testing.assert_allclose(found.dl, expected, rtol=1e-10)
    np.testing.assert_allclose(found.cl, found.dl / to_dl(found.ell), rtol=1e-12)
    np.testing.assert_allclose(found.dcl, found.ddl / to_dl(found.ell), rtol=1e-12)


def test_default_bins_are_those_that_the_drop_in_estimator_states() -> None:
    for n, theta in ((64, THETA), (101, 0.2), PUBLISHED):
        edges = BandpowerPlan(n, theta, options()).binning.edges
        stated = flat_sky_spectrum(np.ones((n, n)), theta).ell
        np.testing.assert_allclose((edges[1:] + edges[:-1]) / 2, stated, rtol=1e-12)


@pytest.mark.parametrize("window", ["hann", "none"])
def test_an_offset_changes_nothing(window: str) -> None:
    """The weighted mean goes before the window, so that nothing of it leaks into the first bin."""
    config = options(window=window, edges=LOWEST)
    one, other = (bandpower(some_map(64) + c, THETA, config) for c in (0.0, 1e6))
    np.testing.assert_allclose(other.dl, one.dl, rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-6, 1e6), n=st.integers(40, 70), seed=st.integers(0, 9))
def test_power_goes_as_the_square_of_the_map(scale: float, n: int, seed: int) -> None:
    one, scaled = (bandpower(c * some_map(n, seed), THETA) for c in (1.0, -scale))
    in_units = BandpowerPlan(n, THETA, options()).spectrum(some_map(n, seed), unit=scale)
    for name in ("dl", "ddl", "cl", "dcl"):
        expected = scale**2 * getattr(one, name)
        np.testing.assert_allclose(getattr(scaled, name), expected, rtol=1e-9)
        np.testing.assert_allclose(getattr(in_units, name), expected, rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(40, 70), turns=st.integers(0, 3), dx=st.integers(0, 39))
def test_turning_mirroring_and_shifting_a_periodic_map_change_nothing(
    n: int, turns: int, dx: int
) -> None:
    config = options(window="none")
    moved = np.roll(np.rot90(some_map(n), turns).T, (dx, 7), axis=(0, 1))
    one, other = bandpower(some_map(n), THETA, config), bandpower(moved, THETA, config)
    np.testing.assert_allclose(other.dl, one.dl, rtol=1e-9)
    np.testing.assert_allclose(other.ddl, one.ddl, rtol=1e-9)


@pytest.mark.parametrize("window", ["hann", "none"])
def test_the_pixel_window_is_divided_out(window: str) -> None:
    """Maps drawn on pixels eight times as fine, averaged: D_ell = 1 again, up to aliasing."""
    n, fine, rng = 32, 8, np.random.default_rng(8)
    config = options(window=window, nbins=4, pixel_window=True)
    plan = BandpowerPlan(n, THETA, config)
    plain = BandpowerPlan(n, THETA, options(window=window, nbins=4))

    def band_limited(ell: np.ndarray) -> np.ndarray:
        return np.where(ell < L_MIN * n / 2, 1.0, 0.0)

    dl, smoothed = [], []
    for _ in range(150):
        full = gaussian_map(rng, n * fine, THETA, band_limited)
        coarse = full.reshape(n, fine, n, fine).mean(axis=(1, 3))
        dl.append(plan.spectrum(coarse).dl)
        smoothed.append(plain.spectrum(coarse).dl)
    error = np.std(dl, axis=0) / np.sqrt(len(dl))
    np.testing.assert_allclose(np.mean(dl, axis=0)[:3], 1, atol=0.02 + 4 * error[:3].max())
    assert np.all(np.mean(smoothed, axis=0)[2:] < 0.85)


def test_known_noise_is_subtracted() -> None:
    n, theta, sigma = 64, THETA, 5.0
    white = (sigma * theta / n) ** 2
    temperature = sigma * np.random.default_rng(1).standard_normal((n, n))
    plain = bandpower(temperature, theta)
    noise = plain.dl - bandpower(temperature, theta, options(noise_cl=white)).dl
    # Noise leaks as a sky does: band powers of D = white l (l + 1) / 2 pi.
    binning = plain.binning
    np.testing.assert_allclose(
        noise, binning.windows @ (white * to_dl(binning.window_ell)), rtol=2e-3
    )
    assert np.all(np.abs(plain.dl - noise) < 4 * plain.ddl)
    table = np.full(5000, white)
    for given_as in (white, table, lambda ell: white + 0 * ell, lambda ell: white):
        found = bandpower(temperature, theta, noise=given_as)
        np.testing.assert_allclose(found.dl, plain.dl - noise, rtol=1e-9)
        np.testing.assert_allclose(found.ddl, plain.ddl, rtol=1e-12)


def test_noise_of_a_pixel_is_not_smoothed_by_it() -> None:
    """Where the pixel window is divided out of the map, it is divided out of the noise, too."""
    n, trials, white = 64, 400, (THETA / 64) ** 2
    rng = np.random.default_rng(6)
    plan = BandpowerPlan(n, THETA, options(noise_cl=white, pixel_window=True))
    found = [plan.spectrum(rng.standard_normal((n, n))) for _ in range(trials)]
    error = np.mean([s.ddl for s in found], axis=0) / np.sqrt(trials)
    assert np.all(np.abs(np.mean([s.dl for s in found], axis=0)) < 4 * error)


@pytest.mark.parametrize(
    "noise",
    [np.ones(100), np.ones((2, 5000)), np.nan, lambda ell: ell[:3], lambda ell: np.inf * ell],
)
def test_noise_that_is_not_known_everywhere_is_refused(noise: object) -> None:
    with pytest.raises(ConfigError, match=r"finite C_ell.*0, 1, \.\.\. 27\d\d"):
        bandpower(some_map(64), THETA, noise=noise)


def test_covariance_is_the_unbiased_one_with_its_error() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((4, 4))
    truth = mixing @ mixing.T
    draws = rng.standard_normal((3000, 6, 4)) @ mixing.T
    found = [bandpower_covariance(d) for d in draws]
    covariance, error = (np.array(part) for part in zip(*found, strict=True))
    np.testing.assert_allclose(covariance[0], np.cov(draws[0], rowvar=False), rtol=1e-12)
    scatter = covariance.std(axis=0)
    assert np.all(np.abs(covariance.mean(axis=0) - truth) < 4 * scatter / np.sqrt(3000))
    expected = np.sqrt((truth**2 + np.outer(np.diag(truth), np.diag(truth))) / 5)
    np.testing.assert_allclose(scatter, expected, rtol=0.1)
    stated = np.sqrt(
        (covariance[0] ** 2 + np.outer(np.diag(covariance[0]), np.diag(covariance[0]))) / 5
    )
    np.testing.assert_allclose(error[0], stated, rtol=1e-12)


@pytest.mark.parametrize("dl", [np.ones((1, 3)), np.ones(3), np.array([[1.0, np.nan], [1, 2]])])
def test_a_covariance_needs_two_finite_maps(dl: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="two maps or more"):
        bandpower_covariance(dl)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (options(edges=(1000, 2900)), r"reach to ell = 2900, beyond the Nyquist.*2827\.9"),
        (options(edges=(1000, 1001, 2000)), r"no mode.*between ell = 1000 and 1001.*88\.4 apart"),
        (options(nbins=300), "no mode.*ask for fewer or wider bins"),
        (options(ell_cut=5000.0), r"ell_cut = 5000 leaves nothing.*64 pixels.*27\d\d"),
    ],
)
def test_bins_that_a_map_cannot_have_are_refused(config: ClConfig, words: str) -> None:
    with pytest.raises(MapError, match=words):
        bandpower(some_map(64), THETA, config)


def test_bad_maps_are_refused() -> None:
    with pytest.raises(MapError, match="15 x 15 pixels is too small"):
        bandpower(np.ones((15, 15)), THETA, options(ell_cut=0))
    with pytest.raises(MapError, match="square"):
        bandpower(np.ones((64, 63)), THETA)
    with pytest.raises(MapError, match="of one size"):
        cross_bandpower(np.ones((64, 64)), np.ones((32, 32)), THETA)


def test_an_edge_at_the_nyquist_frequency_is_allowed() -> None:
    edges = (1000.0, np.pi * 64 / THETA)
    ell = multipoles(64)
    modes = bandpower(some_map(64), THETA, options(edges=edges)).binning.modes
    assert modes[0] == np.sum((ell >= 1000) & (ell < L_MIN * 32 * (1 - 1e-9)))


def test_any_type_and_memory_order_gives_the_same() -> None:
    temperature = (100 * np.random.default_rng(1).standard_normal((64, 64))).astype(np.float32)
    expected = bandpower(temperature.astype(np.float64), THETA).dl
    before = temperature.copy()
    for same in (temperature, np.asfortranarray(temperature), temperature.astype(">f8")):
        np.testing.assert_allclose(bandpower(same, THETA).dl, expected, rtol=1e-10)
    np.testing.assert_array_equal(temperature, before)
