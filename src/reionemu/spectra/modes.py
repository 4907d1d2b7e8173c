"""The Fourier modes of a map, the bins they are in, and how a window mixes them.

Modes are pairs of whole numbers (a, b), the wave vector in units of l_min = 2 pi / theta. A square
map and its window look the same from all eight sides, so one octant, 0 <= b <= a, stands for all.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ..errors import MapError

NEGLIGIBLE = 3e-5
"""Share of the power at its peak below which the transform of a window is cut off; of the power
that a Hann window spreads over the modes around one, 3e-5 is then given to nearer ones."""


@dataclass(frozen=True, eq=False)
class OctantModes:
    """The modes of one octant that are in some bin.

    Attributes
    ----------
    n_pixels : int
        Pixels on a side of the map, N.
    a, b : ndarray of int, shape (m,)
    times : ndarray, shape (m,)
        How many modes of the whole plane each stands for.
    shell : ndarray of int, shape (m,)
        The modes of a bin are divided into shells one mode wide, over which a spectrum is flat.
    bin_of_shell : ndarray of int, shape (s,)
    table : ndarray of int, shape (N//2 + 1, N//2 + 1)
        Shell by |a| and |b|; s for modes in none.
    """

    n_pixels: int
    a: np.ndarray
    b: np.ndarray
    times: np.ndarray
    shell: np.ndarray
    bin_of_shell: np.ndarray
    table: np.ndarray

    @property
    def band(self) -> np.ndarray:
        """Bin of each mode, shape (m,)."""
        return self.bin_of_shell[self.shell]


def modes_in_bins(n_pixels: int, l_min: float, edges: np.ndarray) -> OctantModes:
    """Sort modes below the Nyquist frequency, all but the mean, into bins closed on the left.

    Parameters
    ----------
    n_pixels : int
        Pixels on a side of the map.
    l_min : float
        Multipole of the fundamental mode.
    edges : ndarray, shape (b + 1,)
        Multipoles.

    Raises
    ------
    MapError
        If the map has fewer than 16 x 16 pixels, or a bin has no mode.
    """
    if n_pixels < 16:
        raise MapError(f"a map of {n_pixels} x {n_pixels} pixels is too small for band powers")
    a, b = np.tril_indices(n_pixels // 2 + 1)
    radius = np.hypot(a, b)
    band = np.searchsorted(edges, l_min * radius, side="right") - 1
    inside = (band >= 0) & (band < len(edges) - 1) & (radius > 0) & (radius < n_pixels / 2)
    a, b, radius, band = a[inside], b[inside], radius[inside], band[inside]
    for i in np.flatnonzero(np.bincount(band, minlength=len(edges) - 1) == 0)[:1]:
        raise MapError(
            f"no mode of the map is between ell = {edges[i]:g} and {edges[i + 1]:g}: its modes are "
            f"{l_min:.1f} apart; ask for fewer or wider bins"
        )
    shells, shell = np.unique(band * n_pixels + radius.astype(int), return_inverse=True)
    table = np.full((n_pixels // 2 + 1,) * 2, len(shells))
    table[a, b] = table[b, a] = shell
    times = 8.0 / (1 + (a == b)) / (1 + (b == 0))
    return OctantModes(n_pixels, a, b, times, shell, shells // n_pixels, table)


def taper(n_pixels: int, window: str) -> np.ndarray:
    """The factor of the window along one axis, shape (N,): it is the outer product with itself.

    The Hann window sin^2(pi x / theta) is taken at the centres of pixels, so that it is symmetric
    and its transform vanishes beyond the first mode (that of `np.hanning` does not).
    """
    if window == "none":
        return np.ones(n_pixels)
    return np.sin(np.pi * (np.arange(n_pixels) + 0.5) / n_pixels) ** 2


def pixel_window(modes: OctantModes) -> np.ndarray:
    """What averaging over square pixels leaves of the power in each mode, shape (m,).

    It is sinc^2(l_x theta / 2N) sinc^2(l_y theta / 2N).
    """
    return (np.sinc(modes.a / modes.n_pixels) * np.sinc(modes.b / modes.n_pixels)) ** 2


def sum_over_coupled(modes: OctantModes, window: str) -> tuple[np.ndarray, np.ndarray]:
    """Sums of |W2(l - l') / W2(0)|^2 over pairs of modes that share a shell, or a bin.

    W2 is the transform of the square of the window: the correlation of the modes of a Gaussian
    field with a smooth spectrum.

    Returns
    -------
    in_shell, in_bin : ndarray, shape (s,)
        For each shell, the sum over l in it and l' in the same shell, or in the same bin.
    """
    n = modes.n_pixels
    transform = np.abs(np.fft.rfft(taper(n, window) ** 2))
    coupling = (transform / transform[0]) ** 2
    reach = int(np.flatnonzero(coupling > NEGLIGIBLE)[-1])
    bins = np.append(modes.bin_of_shell, -1)
    band = modes.band
    in_shell, in_bin = np.zeros(len(band)), np.zeros(len(band))
    for shift in itertools.product(range(-reach, reach + 1), repeat=2):
        # Beyond the Nyquist frequency modes are those of the other side.
        x, y = (np.abs(k + d) for k, d in zip((modes.a, modes.b), shift, strict=True))
        other = modes.table[np.minimum(x, n - x), np.minimum(y, n - y)]
        weight = coupling[abs(shift[0])] * coupling[abs(shift[1])]
        in_shell += weight * (other == modes.shell)
        in_bin += weight * (bins[other] == band)
    n_shells = len(modes.bin_of_shell)
    return (
        np.bincount(modes.shell, modes.times * in_shell, n_shells),
        np.bincount(modes.shell, modes.times * in_bin, n_shells),
    )


def response(modes: OctantModes, window: str, l_min: float) -> tuple[np.ndarray, np.ndarray]:
    """How the sums over bins of l (l + 1) / 2 pi times the power answer to D_ell of the sky.

    The mean power in mode l of T w, less its weighted mean, is sum_l' K(l, l') C(l'), with

        K(l, l') ~ |W(l - l') - W(l) W(l') / W(0)|^2 ,

    W the transform of the window, and the sum of |W|^2 scaled to one. l' runs over modes half as
    far apart as those of the map, which are as fine as it can tell: its correlation with itself
    is twice as wide. Without a window the map is periodic, and only l' = l is left.

    Returns
    -------
    ell : ndarray, shape (n,)
        Multipoles l_min / 4 apart, from 0 to all that the bins can see.
    weight : ndarray, shape (b, n)
        sum_{l in b} l (l + 1) P(l) / 2 pi = sum_ell weight(b, ell) D_ell, for a D_ell that is
        linear between these multipoles: each l' is shared by its two neighbours.
    """
    transform = _centred_transform(taper(modes.n_pixels, window))
    reached = np.flatnonzero(transform**2 > NEGLIGIBLE)
    if window == "none":
        reached = reached[reached % 2 == 0]
    norm = (2 * np.sum(transform[reached] ** 2) - 1) ** 2
    far = np.hypot(modes.a, modes.b).max() + np.hypot(reached[-1], reached[-1]) / 2
    n_ell, n_bins = int(4 * far) + 2, int(modes.bin_of_shell[-1]) + 1
    weight = np.zeros(n_bins * n_ell)
    # Only the lowest modes have a part in the weighted mean; it ties them to all near it.
    low = modes.a <= 1
    for some, distances in ((~low, reached), (low, np.arange(reached[-1] + 1))):
        a, b, band = 2 * modes.a[some], 2 * modes.b[some], modes.band[some]
        power = modes.times[some] * _square(l_min / 2 * np.hypot(a, b)) / norm
        for dx, dy in itertools.product(np.unique([-distances, distances]), repeat=2):
            x, y = a + dx, b + dy  # in units of half a mode
            amplitude = transform[abs(dx)] * transform[abs(dy)]
            if some is low:
                amplitude = amplitude - np.prod(transform[np.abs([a, b, x, y])], axis=0)
            position = 2 * np.hypot(x, y)
            share, cell = np.modf(position)
            ell = np.where(position > 0, l_min / 4 * position, np.inf)  # the mean is not seen
            seen = power * amplitude**2 / _square(ell)
            index = band * n_ell + cell.astype(int)
            weight += np.bincount(index, seen * (1 - share), len(weight))
            weight += np.bincount(index + 1, seen * share, len(weight))
    return l_min / 4 * np.arange(n_ell), weight.reshape(n_bins, n_ell)


def _square(ell: np.ndarray) -> np.ndarray:
    return ell * (ell + 1)


def _centred_transform(values: np.ndarray) -> np.ndarray:
    """Transform about the centre, by frequency in half modes, shape (N + 1,), 1 at zero."""
    n = len(values)
    half_modes = np.arange(n + 1)
    phase = np.exp(1j * np.pi * half_modes * (n - 1) / (2 * n))
    return (np.fft.rfft(values, 2 * n) * phase).real / values.sum()
