"""Spectra between bins and through windows: splines, covariances, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.errors import ConfigError
from reionemu.models.emulator import Prediction
from reionemu.models.interpolation import (
    interpolate,
    interpolation_matrix,
    through_windows,
    window_matrix,
)
from reionemu.models.spline import spline_matrix
from reionemu.spectra import ClConfig
from reionemu.spectra.bandpower_plan import BandpowerPlan

ELL = np.array([1500.0, 2400.0, 3300.0, 4200.0, 5100.0])


def prediction(mean=None, covariance=None, quantity="dl_ksz", ell=ELL) -> Prediction:
    """Of a smooth spectrum, or the one given."""
    mean = smooth(ell) if mean is None else np.asarray(mean, float)
    std = None if covariance is None else np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    return Prediction(ell, mean, std, quantity, covariance)


def smooth(ell):
    """A spectrum with a maximum near 2500, of the shape of patchy kSZ."""
    x = np.log(np.asarray(ell) / 2500.0)
    return 1.3 - 0.5 * x**2 + 0.2 * x**3


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.floats(0.1, 10), min_size=4, max_size=4),
    fractions=st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
def test_it_is_the_natural_cubic_spline_of_scipy(values, fractions):
    from scipy.interpolate import CubicSpline

    nodes = ELL[[0, 1, 2, 4]]
    ell = nodes[0] * (nodes[-1] / nodes[0]) ** np.array(fractions)
    expected = CubicSpline(np.log(nodes), values, bc_type="natural")(np.log(ell))
    np.testing.assert_allclose(spline_matrix(nodes, ell) @ values, expected, rtol=1e-10)


def test_at_the_bins_nothing_changes():
    covariance = np.diag(np.arange(1.0, 6.0)) + 0.3
    found = interpolate(prediction(covariance=covariance), ELL)
    np.testing.assert_allclose(found.mean, smooth(ELL), rtol=1e-13)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-12)


@pytest.mark.parametrize("quantity", ["dl_ksz", "cl_ksz"])
def test_a_straight_line_in_ln_ell_is_followed_exactly(quantity):
    def line(ell):
        dl = 2.0 + 0.7 * np.log(ell)
        return dl if quantity == "dl_ksz" else dl * 2 * np.pi / (ell * (ell + 1))

    ell = np.array([1600.0, 2000.0, 5000.0])
    found = interpolate(prediction(line(ELL), quantity=quantity), ell)
    np.testing.assert_allclose(found.mean, line(ell), rtol=1e-12)
    assert found.std is None
    assert found.covariance is None
    beyond = np.array([1400.0, 6000.0])
    np.testing.assert_allclose(spline_matrix(ELL, beyond) @ np.log(ELL), np.log(beyond))


def test_a_smooth_spectrum_is_found_to_a_percent():
    ell = np.linspace(ELL[0], ELL[-1], 50)
    error = interpolate(prediction(), ell).mean / smooth(ell) - 1
    assert np.abs(error).max() < 0.015  # in the first cell, where the curvature is taken as none
    assert np.abs(error[ell > ELL[1]]).max() < 0.003


def test_the_covariance_is_that_of_interpolated_draws():
    rng = np.random.default_rng(3)
    root = rng.standard_normal((5, 5))
    ell = np.array([1500.0, 1900.0, 4000.0])
    given = prediction(covariance=root @ root.T)
    found = interpolate(given, ell)
    draws = smooth(ELL) + rng.standard_normal((40_000, 5)) @ root.T
    by_hand = interpolate(prediction(draws), ell).mean
    scale = np.sqrt(np.outer(np.diag(found.covariance), np.diag(found.covariance)))
    assert (np.abs(np.cov(by_hand.T) - found.covariance) < 0.03 * scale).all()
    np.testing.assert_allclose(found.std, np.sqrt(np.diag(found.covariance)))


def test_many_points_are_each_as_one():
    rng = np.random.default_rng(0)
    roots = rng.standard_normal((3, 5, 5))
    mean, covariance = rng.uniform(1, 2, (3, 5)), roots @ roots.swapaxes(1, 2)
    windows, ell = np.full((2, 4), 0.25), np.array([1600.0, 2000.0, 2500.0, 3000.0])
    together = through_windows(prediction(mean, covariance), windows, ell)
    for i in range(3):
        one = through_windows(prediction(mean[i], covariance[i]), windows, ell)
        np.testing.assert_allclose(together.mean[i], one.mean, rtol=1e-13)
        np.testing.assert_allclose(together.covariance[i], one.covariance, rtol=1e-12)


def test_a_window_averages_the_spectrum_between_bins():
    ell = np.linspace(2000.0, 3000.0, 101)
    flat = np.full((1, 101), 1 / 101)
    found = through_windows(prediction(), flat, ell)
    np.testing.assert_allclose(found.mean, interpolate(prediction(), ell).mean.mean())
    np.testing.assert_allclose(found.ell, [2500.0])


def test_with_its_own_windows_a_curved_spectrum_is_recovered_from_its_averages():
    """A line in ln(ell) is curved in ell: averages over wide bins are not its values inside."""
    edges = np.linspace(1000.0, 7000.0, 5)
    window_ell = np.linspace(1000.0, 7000.0, 601)
    bins = np.digitize(window_ell, edges[1:-1])
    windows = np.stack([(bins == i) / (bins == i).sum() for i in range(4)])

    def line(ell):
        return 12.0 - np.log(ell)

    given = prediction(windows @ line(window_ell), ell=windows @ window_ell)
    ell = np.array([2000.0, 3000.0, 6000.0])
    plain, own = (interpolate(given, ell, own=w).mean for w in (None, (windows, window_ell)))
    np.testing.assert_allclose(own, line(ell), rtol=1e-12)
    assert np.abs(plain / line(ell) - 1).max() > 1e-3


def test_windows_of_the_estimator_are_taken_as_they_are():
    """Band powers of eight bins through the windows of three inside them, of a known spectrum."""
    fine, wide = (
        BandpowerPlan(128, 0.0711, ClConfig(estimator="bandpower", edges=edges)).binning
        for edges in (tuple(range(1000, 5001, 500)), (2000, 2600, 3200, 3800))
    )

    def spectrum(ell):
        return smooth(np.maximum(ell, 500.0))

    given = prediction(fine.windows @ spectrum(fine.window_ell), ell=fine.ell)
    own = fine.windows, fine.window_ell
    found = through_windows(given, wide.windows, wide.window_ell, own=own)
    np.testing.assert_allclose(found.mean, wide.windows @ spectrum(wide.window_ell), rtol=2e-3)
    np.testing.assert_allclose(found.ell, wide.ell)


@pytest.mark.parametrize(
    ("ell", "message"),
    [
        ([1400.0], r"ell = 1400 is outside the range of the emulator's bins, 1500 to 5100"),
        ([2000.0, 5101.0], "ell = 5101 is outside"),
        ([np.nan], "finite"),
        ([], "shape"),
        ("two thousand", "not an array of numbers"),
    ],
)
def test_multipoles_without_a_spectrum_are_refused(ell, message):
    with pytest.raises(ConfigError, match=message):
        interpolate(prediction(), ell)


@pytest.mark.parametrize(
    ("windows", "ell", "message"),
    [
        ([[1.0, 0, 0], [0.5, 0.4, 0]], [2000, 3000, 4000], "window 1 sums to 0.9"),
        ([[1.0, 0, 0], [0.0, 0.98, 0.02]], [2000, 3000, 6000], "window 1 has 2.0% of its weight"),
        ([[0.5, 0.5]], [2000, 3000, 4000], "2 columns, but there are 3 multipoles"),
        ([[0.5, 0.5]], [3000, 2000], "ascending"),
        ([[0.5, np.inf]], [2000, 3000], "finite"),
        ([0.5, 0.5], [2000, 3000], "2 dimensions"),
    ],
)
def test_windows_that_are_none_are_refused_by_row(windows, ell, message):
    with pytest.raises(ConfigError, match=message):
        through_windows(prediction(), windows, np.array(ell, float))


def test_own_windows_must_be_those_of_the_bins():
    ell = np.linspace(1000, 6000, 50)
    same = np.full((5, 50), 1 / 50)
    for windows, message in ((same, "overlap too much"), (same[:3], "3 windows of 5 bins")):
        with pytest.raises(ConfigError, match=message):
            interpolate(prediction(), [2000.0], own=(windows, ell))


@pytest.mark.parametrize("quantity", ["dl_ksz", "cl_ksz"])
def test_one_bin_is_known_at_its_centre_alone(quantity):
    one = prediction([1.7], np.array([[0.04]]), quantity, np.array([3000.0]))
    found = interpolate(one, [3000.0])
    np.testing.assert_allclose(found.mean, [1.7], rtol=1e-15)
    np.testing.assert_allclose(found.covariance, [[0.04]], rtol=1e-15)
    peaked = through_windows(one, [[0.0, 1.0]], [2900.0, 3000.0])
    np.testing.assert_allclose(peaked.mean, [1.7], rtol=1e-15)
    with pytest.raises(ConfigError, match="ell = 3001 is outside the range of the emulator's bins"):
        interpolate(one, [3000.0, 3001.0])
    with pytest.raises(ConfigError, match=r"window 0 has 50.0% of its weight outside"):
        through_windows(one, [[0.5, 0.5]], [2900.0, 3000.0])


def test_matrices_give_d_ell_of_either_quantity():
    """Of C_ell too, through windows: sum_n w_n D(ell_n), not the C_ell that a prediction has."""
    ell, to_dl = np.array([1600.0, 3000.0]), ELL * (ELL + 1) / (2 * np.pi)
    windows, window_ell = np.array([[0.3, 0.5, 0.2]]), np.array([2000.0, 2500.0, 3500.0])
    dl, cl = smooth(ELL), smooth(ELL) / to_dl
    for matrix, others in (
        (interpolation_matrix, (ell,)),
        (window_matrix, (windows, window_ell)),
    ):
        of_dl, of_cl = (matrix(ELL, quantity, *others) for quantity in ("dl_ksz", "cl_ksz"))
        np.testing.assert_allclose(of_cl @ cl, of_dl @ dl, rtol=1e-13)
    spline = spline_matrix(ELL, np.append(ell, window_ell)) @ dl
    np.testing.assert_allclose(interpolation_matrix(ELL, "dl_ksz", ell) @ dl, spline[:2])
    np.testing.assert_allclose(of_dl @ dl, windows @ spline[2:], rtol=1e-13)


def test_matrices_are_the_identity_at_the_bins():
    found = interpolation_matrix(ELL, "dl_ksz", ELL)
    np.testing.assert_allclose(found, np.eye(5), rtol=0, atol=1e-14)
    own = np.full((5, 3), 1 / 3), np.array([1.0, 2.0, 3.0])
    with pytest.raises(ConfigError, match="overlap too much"):
        interpolation_matrix(ELL, "dl_ksz", ELL, own=own)
    with pytest.raises(ConfigError, match="quantity"):
        interpolation_matrix(ELL, "dl_tsz", ELL)
    for nodes in ([2000.0, 1000.0], [0.0, 1000.0]):
        with pytest.raises(ConfigError, match="positive, ascending centres"):
            window_matrix(nodes, "dl_ksz", [[1.0]], [1500.0])


def test_windows_of_the_bins_give_the_band_powers_back():
    """What goes through its own windows is what was predicted, whatever the spectrum."""
    edges = np.linspace(1000.0, 7000.0, 5)
    window_ell = np.linspace(1000.0, 7000.0, 601)
    bins = np.digitize(window_ell, edges[1:-1])
    windows = np.stack([(bins == i) / (bins == i).sum() for i in range(4)])
    centres, own = windows @ window_ell, (windows, window_ell)
    inner = np.abs(window_ell - 4000) < np.abs(centres - 4000).max()
    narrow = windows[1:3] * inner / (windows[1:3] * inner).sum(axis=1, keepdims=True)
    found = window_matrix(centres, "dl_ksz", narrow, window_ell, own=own)
    np.testing.assert_allclose(found, np.eye(4)[1:3], rtol=0, atol=1e-12)
