"""Arrays that transforms write to: new ones for each map would cost more than the work."""

from __future__ import annotations

import threading

import numpy as np


class Workspace:
    """Room for one map of N x N pixels, its real FFT and the power in it.

    Attributes
    ----------
    windowed : ndarray, shape (N, N)
    modes : ndarray of complex, shape (N, N//2 + 1)
    power, squares : ndarray, shape (N, N//2 + 1)
    """

    def __init__(self, n_pixels: int) -> None:
        self.windowed = np.empty((n_pixels, n_pixels))
        self.modes = np.empty((n_pixels, n_pixels // 2 + 1), dtype=np.complex128)
        self.power = np.empty(self.modes.shape)
        self.squares = np.empty(self.modes.shape)

    def transform(self) -> None:
        """Fill `modes` with the FFT of `windowed`, and `power` with their squared moduli."""
        np.fft.rfft2(self.windowed, out=self.modes)
        np.square(self.modes.real, out=self.power)
        np.square(self.modes.imag, out=self.squares)
        self.power += self.squares


_of_thread = threading.local()


def workspace(n_pixels: int) -> Workspace:
    """This thread's arrays for maps of that size."""
    kept = getattr(_of_thread, "workspace", None)
    if kept is None or len(kept.windowed) != n_pixels:
        kept = _of_thread.workspace = Workspace(n_pixels)
    return kept
