"""`dcl` against the scatter of the estimate over Gaussian maps.

The standard deviation of a Gaussian quantity measured from n samples is itself uncertain by
1/sqrt(2n): 3.5% for 400 maps, 1.1% for 4000. The claim under test is agreement within 5%.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from reionemu.spectra import ClConfig, FlatSkyPlan, Spectrum

THETA = 0.0711
CLAIM = 0.05
SLOPES = (-2.0, -3.5)


def spectra(slope: float, n: int, trials: int, config: ClConfig) -> Iterator[Spectrum]:
    """Spectra of `trials` periodic Gaussian fields with C = (ell/3000)^slope [uK^2]."""
    rng = np.random.default_rng([n, trials])
    freq = np.fft.fftfreq(n, THETA / n)
    ell = 2 * np.pi * np.hypot(freq[:, None], freq[None, : n // 2 + 1])
    ell[0, 0] = np.inf
    amplitude = (ell / 3000.0) ** (slope / 2) * n / THETA
    plan = FlatSkyPlan(n, THETA, config)
    for _ in range(trials):
        noise = np.fft.rfft2(rng.standard_normal((n, n)))
        yield plan.spectrum(np.fft.irfft2(noise * amplitude, s=(n, n)))


def ratios(slope: float, n: int, trials: int, config: ClConfig) -> np.ndarray:
    """Root mean square `dcl` over the scatter of `cl`, in each bin."""
    found = list(spectra(slope, n, trials, config))
    stated = np.sqrt(np.mean([s.dcl**2 for s in found], axis=0))
    return stated / np.std([s.cl for s in found], axis=0, ddof=1)


@pytest.mark.parametrize("slope", SLOPES)
def test_dcl_is_the_scatter_within_five_percent(slope: float) -> None:
    found = ratios(slope, 128, 4000, ClConfig())
    assert found.shape == (5,)
    np.testing.assert_allclose(found, 1.0, atol=CLAIM)


@pytest.mark.parametrize("slope", SLOPES)
def test_dcl_is_the_scatter_for_larger_maps(slope: float) -> None:
    """Within 5% and three times the 3.5% that the scatter of 400 maps is uncertain by."""
    found = ratios(slope, 256, 400, ClConfig())
    np.testing.assert_allclose(found, 1.0, atol=CLAIM + 3 * 0.035)
    assert abs(found.mean() - 1) < CLAIM  # five bins together are surer than one


@pytest.mark.slow
@pytest.mark.parametrize("slope", SLOPES)
def test_dcl_is_the_scatter_for_larger_maps_within_five_percent(slope: float) -> None:
    np.testing.assert_allclose(ratios(slope, 256, 4000, ClConfig()), 1.0, atol=CLAIM)


@pytest.mark.parametrize("nbins", [1, 2, 1000])
def test_dcl_is_the_scatter_in_wider_and_narrower_bins(nbins: int) -> None:
    """Narrow bins hold tens of modes, so their power is far from normally distributed."""
    trials = 1000
    found = ratios(-2.0, 64, trials, ClConfig(nbins=nbins))
    np.testing.assert_allclose(found, 1.0, atol=CLAIM + 4 / np.sqrt(2 * trials))
