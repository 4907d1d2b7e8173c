"""The angular power spectrum of a small square map, with a Hann window, in linear ell bins.

For a map of N x N pixels and side theta, the modes are l = 2 pi f. In units of the fundamental
mode l_min = 2 pi / theta they are pairs of whole numbers, so everything about which mode falls in
which bin depends on N alone: it is worked out once and cached.
One map then costs a multiplication by the window, one real FFT and one sparse matrix product.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import MapError
from .config import ClConfig
from .workspace import workspace


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A binned angular power spectrum.

    Attributes
    ----------
    ell : ndarray, shape (b,)
        Bin centres.
    cl : ndarray, shape (b,)
        Mean power C_ell in each bin [uK^2].
    dl : ndarray, shape (b,)
        ell (ell + 1) C_ell / (2 pi) at the bin centres [uK^2].
    dcl : ndarray, shape (b,)
        Standard deviation of `cl` over realizations of a Gaussian field with this spectrum
        [uK^2]; see `FlatSkyPlan.standard_deviation`.
    """

    ell: np.ndarray
    cl: np.ndarray
    dl: np.ndarray
    dcl: np.ndarray


def flat_sky_spectrum(
    temperature: np.ndarray, theta: float, config: ClConfig | None = None
) -> Spectrum:
    """Estimate the power spectrum of one map.

    The map is multiplied by the outer product of two Hann windows, transformed, and squared:
    C = |FFT(T w) (theta/N)^2|^2 / (theta^2 <w^2>). Power is averaged in N//2 equal bins between
    l_min = 2 pi/theta and l_min N/2, those centred below `config.ell_cut` are dropped, and the
    rest are averaged again, weighted by their numbers of modes, into `config.nbins` equal bins
    between the first and the last centre kept (closed on the left).

    Parameters
    ----------
    temperature : ndarray, shape (N, N)
        Temperature anisotropy [uK].
    theta : float
        Side of the map [rad].
    config : ClConfig, optional
        `nbins` and `ell_cut` are used.

    Returns
    -------
    Spectrum

    Raises
    ------
    MapError
        If the map is not a finite, square, two-dimensional array of real numbers, `theta` is not
        positive, or no bin is left above `ell_cut`.
    """
    config = config or ClConfig()
    temperature = check_map(temperature, theta)
    return FlatSkyPlan(temperature.shape[0], theta, config).spectrum(temperature)


def check_map(temperature: np.ndarray, theta: float) -> np.ndarray:
    """Return the map as an array if a spectrum can be made of it, else raise MapError.

    Parameters
    ----------
    temperature : array_like, shape (N, N)
    theta : float
        Side of the map [rad].
    """
    array = np.asarray(temperature)
    if array.ndim != 2:
        raise MapError(f"the map must be 2-D, N x N pixels; it has {array.ndim} dimensions")
    if array.shape[0] != array.shape[1]:
        raise MapError(f"the map must be square; its shape is {array.shape}")
    if array.size == 0:
        raise MapError("the map is empty")
    if array.dtype.kind not in "fiu":
        raise MapError(f"the map must hold real numbers; its type is {array.dtype}")
    if not (np.isfinite(theta) and theta > 0):
        raise MapError(f"the side of the map must be a positive angle in radians, not {theta!r}")
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if bad:
        raise MapError(f"the map has {bad} pixels that are not finite (NaN or infinite)")
    return array


class FlatSkyPlan:
    """Binning, window and mode coupling for maps of one size; cheap to make a second time.

    Parameters
    ----------
    n_pixels : int
        Pixels on a side, N.
    theta : float
        Side of the map [rad].
    config : ClConfig
        `nbins` and `ell_cut` are used.

    Attributes
    ----------
    ell : ndarray, shape (b,)
        Bin centres.
    modes : ndarray, shape (b,)
        Number of modes in each bin, conjugate pairs counted as two.

    Raises
    ------
    MapError
        If no bin centre reaches `ell_cut`, or a bin of the result holds no mode.
    """

    def __init__(self, n_pixels: int, theta: float, config: ClConfig) -> None:
        if n_pixels < 5:
            raise MapError(f"a map of {n_pixels} x {n_pixels} pixels is too small for a spectrum")
        self.theta = theta
        ends = _modes_at_the_ends(n_pixels, theta)
        self.grid = _mode_grid(n_pixels, ends)
        centres = fine_centres(n_pixels, theta)
        first = int(np.searchsorted(centres, config.ell_cut))
        if first == len(centres):
            raise MapError(
                f"ell_cut = {config.ell_cut:g} leaves nothing: the bins of a map of {n_pixels} "
                f"pixels and {theta:g} rad are centred from {centres[0]:.1f} to {centres[-1]:.1f}"
            )
        self.ell, self._wide = _wide_bins(centres, first, config.nbins)
        self.modes = self._widen(self.grid.fine_modes)
        if np.any(self.modes == 0):
            raise MapError(
                f"a map of {n_pixels} x {n_pixels} pixels has no mode in some of its bins; "
                "ask for fewer bins"
            )
        self._coupling = _mode_coupling(n_pixels, ends, tuple(self._wide.tolist()))

    def spectrum(self, temperature: np.ndarray, unit: float = 1.0) -> Spectrum:
        """Spectrum of a map that `check_map` has passed.

        Parameters
        ----------
        temperature : ndarray, shape (N, N)
        unit : float
            What one unit of the map is [uK].
        """
        fine = self.fine_sums(temperature)
        scale = (unit * self.theta) ** 2 / self.grid.n_pixels**4 / self.grid.mean_square_window
        cl = scale * self._widen(fine) / self.modes
        dl = self.ell * (self.ell + 1) * cl / (2 * np.pi)
        return Spectrum(self.ell, cl, dl, dcl=scale * self.standard_deviation(fine))

    def fine_sums(self, temperature: np.ndarray) -> np.ndarray:
        """Sum of |FFT(T w)|^2 over the modes of each narrow bin, shape (N//2,).

        The zero mode is in no bin, so the mean of the windowed map need not be removed.
        """
        grid, work = self.grid, workspace(self.grid.n_pixels)
        np.multiply(temperature, grid.window, out=work.windowed)
        work.transform()
        return grid.summation @ work.power.ravel()

    def standard_deviation(self, fine_power: np.ndarray) -> np.ndarray:
        """Standard deviation of the binned mean power, in the units of `fine_power` per mode.

        For a Gaussian field the covariance of two windowed modes is C |W2(l - l')| / W2(0), with
        W2 the transform of w^2, so that

            Var(C_b) = 2 / n_b^2  sum_{l, l' in b} C_l C_l' |W2(l - l') / W2(0)|^2 :

        conjugate pairs count once, and the window correlates neighbours (for wide bins the sum
        tends to n_b <w^4>/<w^2>^2). C_l^2 is estimated from the narrow bins, less the bias that
        their own scatter gives to a square.
        """
        modes = np.maximum(self.grid.fine_modes, 1)
        squared = (fine_power / modes) ** 2 / (1 + self._coupling.fine_variance)
        variance = 2 * self._widen(self._coupling.within_wide * squared) / self.modes**2
        return np.sqrt(variance)

    def _widen(self, fine: np.ndarray) -> np.ndarray:
        """Sum a quantity per narrow bin, shape (N//2,), over the bins of the result."""
        return _sum_by(self._wide, fine, len(self.ell))


def fine_centres(n_pixels: int, theta: float) -> np.ndarray:
    """Centres of the narrow bins of a map, shape (N//2,)."""
    l_min = 2 * np.pi / theta
    edges = np.linspace(l_min, l_min * n_pixels / 2, n_pixels // 2 + 1)
    return 0.5 * (edges[1:] + edges[:-1])


@dataclass(frozen=True)
class _ModeGrid:
    """What depends on the number of pixels alone (but for modes on the very edges).

    `index` (N, N) is the narrow bin of each mode, `n_fine` for modes in none; `fine_modes`
    (n_fine,) counts modes; `summation` is the sparse matrix (n_fine, N (N//2 + 1)) that sums the
    output of a real FFT over bins.
    """

    n_pixels: int
    n_fine: int
    hann: np.ndarray
    window: np.ndarray
    mean_square_window: float
    index: np.ndarray
    fine_modes: np.ndarray
    summation: Any


Ends = tuple[tuple[tuple[int, int], bool], ...]


def _modes_at_the_ends(n_pixels: int, theta: float) -> Ends:
    """Modes whose l is that of the first or of the last edge, and whether each is inside.

    In whole numbers a mode (a, b) with a^2 + b^2 = 1 is on the first edge, so in the first bin,
    and one with a^2 + b^2 = (N/2)^2 is on the last, so in none. In floating point l = 2 pi f and
    the edges are rounded apart, differently for each theta, and published spectra went by that.
    """
    wave = 2 * np.pi * np.fft.fftfreq(n_pixels, d=theta / n_pixels)
    l_min = 2 * np.pi / theta
    ends = [((0, 1), bool(wave[1] >= l_min))]
    if n_pixels % 2 == 0:
        for mode in _modes_of_radius(n_pixels // 2):
            x, y = wave[list(mode)]
            ends.append((mode, bool(np.sqrt(x * x + y * y) < l_min * n_pixels / 2)))
    return tuple(ends)


@lru_cache(maxsize=8)
def _modes_of_radius(radius: int) -> tuple[tuple[int, int], ...]:
    """Whole numbers (a, b), 0 <= a <= b, with a^2 + b^2 = radius^2."""
    pairs = ((a, math.isqrt(radius**2 - a**2)) for a in range(radius + 1))
    return tuple((a, b) for a, b in pairs if a <= b and a**2 + b**2 == radius**2)


@lru_cache(maxsize=8)
def _mode_grid(n_pixels: int, ends: Ends) -> _ModeGrid:
    hann = np.hanning(n_pixels)
    window = np.outer(hann, hann)
    index = _fine_index(n_pixels, ends)
    n_fine = n_pixels // 2
    return _ModeGrid(
        n_pixels=n_pixels,
        n_fine=n_fine,
        hann=hann,
        window=window,
        mean_square_window=float(np.mean(window**2)),
        index=index,
        fine_modes=np.bincount(index.ravel(), minlength=n_fine + 1)[:n_fine],
        summation=_summation(index, n_fine),
    )


def _summation(index: np.ndarray, n_fine: int) -> Any:
    """Which outputs of a real FFT are summed into which bin.

    A real FFT holds one of each pair of conjugate modes, which counts twice, but both of those in
    the columns l_x = 0 and, for even N, l_x = N/2.
    """
    from scipy.sparse import csr_array

    n_pixels = len(index)
    half = index[:, : n_pixels // 2 + 1]
    weight = np.full(half.shape, 2.0)
    weight[:, 0] = 1.0
    if n_pixels % 2 == 0:
        weight[:, -1] = 1.0
    flat = half.ravel()
    used = np.flatnonzero(flat < n_fine)
    shape = (n_fine, flat.size)
    return csr_array((weight.ravel()[used], (flat[used], used)), shape=shape)


def _fine_index(n_pixels: int, ends: Ends) -> np.ndarray:
    """Narrow bin of each mode, shape (N, N); modes in none (zero mode, corners) get N//2."""
    n_fine = n_pixels // 2
    wave = np.rint(np.fft.fftfreq(n_pixels) * n_pixels)
    radius = np.sqrt(wave[:, None] ** 2 + wave[None, :] ** 2)
    width = (n_pixels / 2 - 1) / n_fine
    index = np.floor((radius - 1) / width)
    index[(radius < 1) | (radius >= n_pixels / 2)] = n_fine
    for (a, b), inside in ends:
        home = (0 if b == 1 else n_fine - 1) if inside else n_fine
        for x, y in {(a, b), (b, a)}:
            index[np.ix_(np.abs(wave) == x, np.abs(wave) == y)] = home
    return np.minimum(index, n_fine).astype(np.intp)


def _sum_by(index: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Sums of `values` that share an index from 0 to n - 1; those with index n are dropped."""
    return np.bincount(index, weights=values, minlength=n + 1)[:n]


def _wide_bins(centres: np.ndarray, first: int, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the result's bins, and the bin of each narrow one (those in none get the last).

    Wide bins are closed on the left, so the very last narrow bin is in none of them.
    """
    kept = centres[first:]
    index = np.empty(len(centres), dtype=np.intp)
    if n_bins >= len(kept):
        index[:first] = len(kept)
        index[first:] = np.arange(len(kept))
        return kept, index
    edges = np.linspace(kept[0], kept[-1], n_bins + 1)
    index[:first] = n_bins
    index[first:] = np.searchsorted(edges, kept, side="right") - 1
    return 0.5 * (edges[1:] + edges[:-1]), index


@dataclass(frozen=True)
class _Coupling:
    """What the variance needs of the window, for each narrow bin, shape (N//2,) each.

    `fine_variance` is the relative variance of the mean power in the narrow bin; `within_wide` the
    sum over its modes of their coupling with all modes of the same wide bin.
    """

    fine_variance: np.ndarray
    within_wide: np.ndarray


@lru_cache(maxsize=8)
def _mode_coupling(n_pixels: int, ends: Ends, wide_of_fine: tuple[int, ...]) -> _Coupling:
    """Sum |W2(l - l') / W2(0)|^2 over pairs of modes that share a bin.

    The transform of the squared Hann window vanishes beyond two modes, so the sum over l' takes
    25 shifts of the map from modes to bins, and no more.
    """
    grid = _mode_grid(n_pixels, ends)
    transform = np.abs(np.fft.fft(grid.hann**2))
    coupling = (transform / transform[0]) ** 2
    wide = np.append(wide_of_fine, max(wide_of_fine) + 1)[grid.index]
    within_fine = np.zeros(grid.index.shape)
    within_wide = np.zeros(grid.index.shape)
    for shift in itertools.product(range(-2, 3), repeat=2):
        weight = coupling[shift[0]] * coupling[shift[1]]
        within_fine += weight * (np.roll(grid.index, shift, axis=(0, 1)) == grid.index)
        within_wide += weight * (np.roll(wide, shift, axis=(0, 1)) == wide)
    index, modes = grid.index.ravel(), np.maximum(grid.fine_modes, 1)
    fine_sum = _sum_by(index, within_fine.ravel(), grid.n_fine)
    return _Coupling(
        fine_variance=2 * fine_sum / modes**2,
        within_wide=_sum_by(index, within_wide.ravel(), grid.n_fine),
    )
