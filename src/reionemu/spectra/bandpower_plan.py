"""Estimating the band powers of many maps of one size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import MapError
from .bin_tables import Binning, Noise, bin_tables
from .config import ClConfig
from .flat_sky import Spectrum, fine_centres
from .workspace import workspace


@dataclass(frozen=True, eq=False)
class Bandpowers(Spectrum):
    """A power spectrum in bins, of one map or of a pair.

    Attributes
    ----------
    ell : ndarray, shape (b,)
        Effective multipole of each bin.
    dl : ndarray, shape (b,)
        Band powers: means of ell (ell + 1) C_ell / (2 pi) [uK^2].
    cl, dcl : ndarray, shape (b,)
        `dl` and `ddl` times 2 pi / (ell (ell + 1)) [uK^2].
    ddl : ndarray, shape (b,)
        Standard deviation of `dl` over realizations of Gaussian fields with these spectra [uK^2].
    binning : Binning
    """

    ddl: np.ndarray
    binning: Binning


class BandpowerPlan:
    """Bins, window functions and mode coupling for maps of one size; cheap to make a second time.

    Parameters
    ----------
    n_pixels : int
        Pixels on a side, N.
    theta : float
        Side of the map [rad].
    config : ClConfig
    noise : float, ndarray or callable, optional
        See `bandpower`.

    Attributes
    ----------
    binning : Binning
    response : ndarray, shape (b,)
        What the mean over modes gives for a sky with D_ell = 1, and is divided by.
    noise : ndarray, shape (b,)
        What is subtracted from the band powers of a map [uK^2].

    Raises
    ------
    MapError
        If a bin holds no mode or reaches beyond the Nyquist frequency.
    ConfigError
        If the noise is not known, and finite, at all multipoles of the bins.
    """

    def __init__(
        self, n_pixels: int, theta: float, config: ClConfig, *, noise: Noise | None = None
    ) -> None:
        self.theta = theta
        edges = config.edges or default_edges(n_pixels, theta, config)
        self._tables = bin_tables(n_pixels, theta, edges, config.window, config.pixel_window)
        self.binning, self.response = self._tables.binning, self._tables.response
        self.noise = self._tables.bandpower_of(config.noise_cl if noise is None else noise)

    def spectrum(self, temperature: np.ndarray, unit: float = 1.0) -> Bandpowers:
        """Band powers of a map that `check_map` has passed.

        Parameters
        ----------
        temperature : ndarray, shape (N, N)
        unit : float
            What one unit of the map is [uK].
        """
        sums = self._sums(self._transform(temperature)[1])
        return self._bandpowers(sums, sums**2, unit, self.noise)

    def cross(self, first: np.ndarray, second: np.ndarray, unit: float = 1.0) -> Bandpowers:
        """Cross-spectrum of two maps that `check_map` has passed, less no noise.

        The variance of its modes is (C_12^2 + C_11 C_22) / 2 where that of a spectrum is C^2.
        """
        modes, power = self._transform(first)
        modes, first_sums = modes.copy(), self._sums(power)
        others, power = self._transform(second)
        second_sums = self._sums(power)
        sums = self._sums((modes * others.conj()).real)
        return self._bandpowers(sums, (sums**2 + first_sums * second_sums) / 2, unit, 0.0)

    def _transform(self, temperature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """FFT of w (T - m), shape (N, N//2 + 1), and its squared modulus; the next overwrites them.

        m is the mean of T weighted by w.
        """
        line, work = self._tables.taper, workspace(len(temperature))
        mean = line @ temperature @ line / line.sum() ** 2
        np.subtract(temperature, mean, out=work.windowed)
        work.windowed *= line
        work.windowed *= line[:, None]
        work.transform()
        return work.modes, work.power

    def _sums(self, power: np.ndarray) -> np.ndarray:
        """Sums over shells of l (l + 1) / 2 pi times the power, shape (s,)."""
        return self._tables.summation @ power.ravel()

    def _bandpowers(
        self, sums: np.ndarray, squares: np.ndarray, unit: float, noise: np.ndarray | float
    ) -> Bandpowers:
        """The result from sums over shells, and from the squares that their variance is made of.

        For Gaussian fields the covariance of two modes is C |W2(l - l')| / W2(0), with W2 the
        transform of w^2, so that

            Var(D_b) = 2 / n_b^2  sum_{l, l' in b} D_l D_l' |W2(l - l') / W2(0)|^2 .

        D^2 is taken from the shells, less the bias that their own scatter gives to a square.
        """
        tables, ell = self._tables, self.binning.ell
        n_pixels = len(tables.taper)
        scale = (unit * self.theta / n_pixels**2) ** 2 / np.mean(tables.taper**2) ** 2
        scale = scale / self.binning.modes / tables.response
        squares = squares / tables.shell_modes**2 / (1 + tables.shell_variance)
        dl = scale * tables.in_bins(sums) - noise
        ddl = scale * np.sqrt(2 * tables.in_bins(tables.coupled_in_bin * squares))
        to_cl = 2 * np.pi / (ell * (ell + 1))
        return Bandpowers(ell, to_cl * dl, dl, to_cl * ddl, ddl=ddl, binning=self.binning)


def default_edges(n_pixels: int, theta: float, config: ClConfig) -> tuple[float, ...]:
    """`config.nbins` equal bins over the range that the drop-in estimator states for its own.

    Raises
    ------
    MapError
        If nothing is left above `config.ell_cut`.
    """
    centres = fine_centres(n_pixels, theta)
    kept = centres[centres >= config.ell_cut]
    if len(kept) < 2:
        raise MapError(
            f"ell_cut = {config.ell_cut:g} leaves nothing: the bins of a map of {n_pixels} pixels "
            f"and {theta:g} rad can be from {centres[0]:.1f} to {centres[-1]:.1f}"
        )
    return tuple(np.linspace(kept[0], kept[-1], config.nbins + 1).tolist())
