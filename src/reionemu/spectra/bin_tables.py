"""What the modes of a size of map are worth in each bin, worked out once for many maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import ConfigError, MapError
from .modes import OctantModes, modes_in_bins, pixel_window, response, sum_over_coupled, taper

Noise = float | np.ndarray | Callable[[np.ndarray], np.ndarray]
"""C_ell [uK^2]: a constant, values at ell = 0, 1, 2 ..., or a function of ell."""


@dataclass(frozen=True, eq=False)
class Binning:
    """What the band powers of maps of one size have in common.

    Attributes
    ----------
    edges : ndarray, shape (b + 1,)
        Multipoles between which a mode is in the bin; closed on the left.
    modes : ndarray, shape (b,)
        Number of modes in each bin, conjugate pairs counted as two.
    window_ell : ndarray, shape (n,)
        Multipoles of the window functions, l_min / 4 = pi / (2 theta) apart. Between them spectra
        are taken to be linear.
    windows : ndarray, shape (b, n)
        Band-power window functions: <D_b> = sum_n windows[b, n] D(window_ell[n]). Each sums to 1.
    ell : ndarray, shape (b,)
        Effective multipole of each bin, sum_n windows[b, n] window_ell[n].
    """

    edges: np.ndarray
    modes: np.ndarray
    window_ell: np.ndarray
    windows: np.ndarray
    ell: np.ndarray


@dataclass(frozen=True, eq=False)
class BinTables:
    """What a plan knows of the modes of its maps.

    `gain` is l (l + 1) / 2 pi, over the pixel window if that is divided out, of the octant's modes,
    and `ell` their multipoles; `summation` the sparse matrix (s, N (N//2 + 1)) that sums the output
    of a real FFT, with that gain, over shells; `response` what it gives for a sky with D_ell = 1;
    `shell_variance` the relative variance of the power in a shell; `coupled_in_bin` the sum over
    the modes of a shell of their coupling with those of its bin.
    """

    modes: OctantModes
    ell: np.ndarray
    gain: np.ndarray
    taper: np.ndarray
    binning: Binning
    response: np.ndarray
    shell_modes: np.ndarray
    shell_variance: np.ndarray
    coupled_in_bin: np.ndarray
    summation: Any

    def in_bins(self, shells: np.ndarray) -> np.ndarray:
        """Sum a quantity per shell, shape (s,), over bins."""
        return np.bincount(self.modes.bin_of_shell, shells)

    def bandpower_of(self, noise: Noise) -> np.ndarray:
        """Band powers of noise, which the pixels do not smooth, shape (b,)."""
        cl = np.asarray(noise(self.ell) if callable(noise) else noise, dtype=np.float64)
        if cl.ndim == 0:
            cl = np.full(len(self.ell), cl)
        elif cl.ndim == 1 and not callable(noise):
            cl = np.interp(self.ell, np.arange(len(cl)), cl, right=np.nan)
        if cl.shape != self.ell.shape or not np.isfinite(cl).all():
            raise ConfigError(
                "the noise must be a finite C_ell: a number, a value for each of ell = 0, 1, ... "
                f"{np.ceil(self.ell.max()):.0f}, or a function of an array of multipoles"
            )
        total = np.bincount(self.modes.band, self.modes.times * self.gain * cl)
        return total / self.binning.modes / self.response


@lru_cache(maxsize=4)
def bin_tables(
    n_pixels: int, theta: float, edges: tuple[float, ...], window: str, deconvolve: bool
) -> BinTables:
    """Tables for maps of that size; `deconvolve` is whether to divide out the pixel window.

    Raises
    ------
    MapError
        If a bin holds no mode or reaches beyond the Nyquist frequency.
    """
    l_min = 2 * np.pi / theta
    # The comparison forgives rounding: an edge may be meant to be the Nyquist frequency.
    if edges[-1] > (1 + 1e-9) * l_min * n_pixels / 2:
        raise MapError(
            f"the bins reach to ell = {edges[-1]:g}, beyond the Nyquist frequency of a map of "
            f"{n_pixels} pixels and {theta:g} rad, {l_min * n_pixels / 2:.1f}"
        )
    modes = modes_in_bins(n_pixels, l_min, np.array(edges))
    ell = l_min * np.hypot(modes.a, modes.b)
    gain = ell * (ell + 1) / (2 * np.pi)
    if deconvolve:
        gain /= pixel_window(modes)
    window_ell, windows = response(modes, window, l_min)
    total = windows.sum(axis=1)
    n_modes = np.bincount(modes.band, modes.times)
    windows /= total[:, None]
    shell_modes = np.bincount(modes.shell, modes.times)
    in_shell, in_bin = sum_over_coupled(modes, window)
    return BinTables(
        modes=modes,
        ell=ell,
        gain=gain,
        taper=taper(n_pixels, window),
        binning=Binning(np.array(edges), n_modes, window_ell, windows, windows @ window_ell),
        response=total / n_modes,
        shell_modes=shell_modes,
        shell_variance=2 * in_shell / shell_modes**2,
        coupled_in_bin=in_bin,
        summation=_summation(modes, gain),
    )


def _summation(modes: OctantModes, gain: np.ndarray) -> Any:
    """Which outputs of a real FFT are summed into which shell, and with what weight.

    A real FFT holds one of each pair of conjugate modes, which counts twice, but both of those in
    the column l_x = 0. (Modes at the Nyquist frequency are in no bin.)
    """
    from scipy.sparse import csr_array

    n = modes.n_pixels
    gains = np.zeros(modes.table.shape)
    gains[modes.a, modes.b] = gains[modes.b, modes.a] = gain
    gains[:, 1:] *= 2
    row = np.minimum(np.arange(n), n - np.arange(n))
    shell, weight = modes.table[row].ravel(), gains[row].ravel()
    used = np.flatnonzero(shell < len(modes.bin_of_shell))
    shape = (len(modes.bin_of_shell), len(shell))
    return csr_array((weight[used], (shell[used], used)), shape=shape)
