"""Power spectra of the 21 cm brightness temperature, on a coarse grid.

    T = 27 mK x_HI (1 + delta) (Ob h^2 / 0.023) sqrt(0.15 / (Om h^2) (1 + z) / 10)

(Furlanetto, Oh & Briggs 2006, Phys. Rep. 433, 181, for a spin temperature far above that of the
CMB and without peculiar velocities). A spectrum at each of some 26 redshifts on all cells would
cost far more than everything else, so both fields are cut off at the Nyquist frequency of a grid
some times coarser. What g loses by that is taken to be Gaussian, of the rms s that is missing: a
coarse cell has the neutral fraction Phi((t - g) / s), with the t that makes their mean what it is.
The spectra are then mostly within 20 per cent of those of all cells, and within 60 per cent in the
first tenth of reionization, while the power on large scales passes through its minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.special import ndtr

from .config import SimulationConfig
from .cosmology import Cosmology
from .fourier import Shells, wave_numbers
from .matter import growth
from .shared import Shared, nodes, stride
from .zreion import Smoothing

NEGLIGIBLE = 1e-4
"""A fraction of the volume whose effect on a spectrum is."""

_LEVEL_BINS = 128


def mean_brightness(cosmology: Cosmology, z: np.ndarray) -> np.ndarray:
    """Brightness temperature of neutral gas of mean density [mK]."""
    h2 = cosmology.h**2
    return (
        27 * (cosmology.omega_b * h2 / 0.023) * np.sqrt(0.15 / (cosmology.omega_m * h2))
    ) * np.sqrt((1 + z) / 10)


def low_modes(modes: torch.Tensor, size: int) -> torch.Tensor:
    """The modes of a grid of N^3 cells that a grid of size^3 has, scaled for it.

    Those at its Nyquist frequency are left out.
    """
    n = modes.shape[-3]
    kept = torch.from_numpy(wave_numbers(size) % n).to(modes.device)
    low = modes[..., kept, :, : size // 2 + 1][..., kept, :].clone()
    if size < n:
        half = size // 2
        low[..., half, :, :] = low[..., :, half, :] = low[..., :, :, half] = 0
    return low.mul_((size / n) ** 3)


@dataclass(frozen=True)
class Brightness:
    """Spectra of simulations with the same initial conditions.

    Attributes
    ----------
    per_growth : pair of Tensor, shape (M, M, M), float32
        delta = D1 a + D1^2 b through the first and the last of the redshifts that are kept.
    """

    config: SimulationConfig
    per_growth: tuple[torch.Tensor, torch.Tensor]

    @classmethod
    def of(cls, config: SimulationConfig, shared: Shared, device: torch.device) -> Brightness:
        """The coarse density of a realization."""
        n = config.n_cells
        size = coarse_cells(n)
        ends = [0, len(shared.modes) - 1]
        smoothing = Smoothing(config, "cpu")
        kept = wave_numbers(size) % n
        fields = []
        for node in ends:
            modes = torch.from_numpy(shared.modes[node][kept][:, kept, : size // 2 + 1])
            factor = torch.stack([smoothing.plane(i)[kept][:, : size // 2 + 1] for i in kept])
            delta = (modes / factor).mul_((size / n) ** 3)
            delta[0, 0, 0] = 0  # modes are those of 1 + delta
            fields.append(_field(delta))
        z = np.array([nodes(config)[node] for node in ends])
        (d0, d1), _ = growth(config.cosmology, z)
        square = (fields[1] / d1 - fields[0] / d0) / (d1 - d0)
        linear = fields[0] / d0 - d0 * square
        return cls(config, (linear.to(device), square.to(device)))

    def spectra(
        self,
        z: np.ndarray,
        x_v: np.ndarray,
        g: torch.Tensor,
        missing: float,
        ionized_above: np.ndarray,
    ) -> np.ndarray:
        """Spectra at redshifts z of the brightness of gas in the coarse cells.

        Where less than 1e-4 of the volume is neutral they are 0, and where less than that is
        ionized they are those of the density.

        Parameters
        ----------
        z, x_v : ndarray, shape (n_z,)
            Redshifts, and the neutral fraction there.
        g : Tensor, shape (M, M, M)
            The filtered density, on the coarse grid.
        missing : float
            Rms of what g lacks, or 0.
        ionized_above : ndarray, shape (n_z,)
            The g above which gas is ionized, which is known if nothing is missing.

        Returns
        -------
        ndarray, shape (n_z, M/2 - 1, 3)
            k [h/Mpc], the mean over the modes of a bin; P [mK^2 (Mpc/h)^3]; number of modes, of
            which a pair k and -k counts as one.
        """
        _, k, count = self._bins
        linear, square = self.per_growth
        table = np.zeros((len(z), len(k), 3))
        table[:, :, 0], table[:, :, 2] = k, count
        growths, _ = growth(self.config.cosmology, z)
        levels = _levels(g, missing, x_v) if missing else ionized_above.tolist()
        for i, d in enumerate(growths.tolist()):
            if x_v[i] < NEGLIGIBLE:
                continue
            if x_v[i] > 1 - NEGLIGIBLE:
                a, b, c = self._of_density
                table[i, :, 1] = a * d**2 + b * d**3 + c * d**4
                continue
            mass = torch.add(linear, square, alpha=d).mul_(d).add_(1)
            neutral = _normal_below((levels[i] - g).div_(missing)) if missing else g < levels[i]
            modes = torch.fft.rfftn(mass.mul_(neutral))
            table[i, :, 1] = self._binned(modes, modes)
        table[:, :, 1] *= mean_brightness(self.config.cosmology, z)[:, None] ** 2
        return table

    @cached_property
    def _of_density(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What D^2, D^3 and D^4 are multiplied by in the spectrum of the density."""
        linear, square = (torch.fft.rfftn(field) for field in self.per_growth)
        across = 2 * self._binned(linear, square)
        return self._binned(linear, linear), across, self._binned(square, square)

    def _binned(self, a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
        """Cross-spectrum of two fields, given their modes [(Mpc/h)^3], shape (M/2 - 1,)."""
        bins, k, count = self._bins
        power = (a * b.conj()).real.reshape(-1) * self._counts_as
        sums = torch.bincount(bins, power, minlength=len(k) + 2)[1:-1].double()
        return sums.cpu().numpy() / count * self.config.box**3 / len(a) ** 6

    @cached_property
    def _counts_as(self) -> torch.Tensor:
        """How many independent modes each number of a real transform stands for: 1, or 1/2."""
        size = len(self.per_growth[0])
        weight = torch.ones((size, size, size // 2 + 1), device=self.per_growth[0].device)
        weight[:, :, 0] = 0.5
        weight[:, :, -1] = 0.5
        return weight.view(-1)

    @cached_property
    def _bins(self) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
        """Bin of each mode, mean k and number of modes of the bins 1, 2, ... M/2 - 1.

        Bins are 2 pi / box wide and centred on its multiples; bin 0 is the zero mode, and the last
        one all that lies beyond.
        """
        size = len(self.per_growth[0])
        shells = Shells(size, self._counts_as.device)
        along = torch.tensor(shells.along, device=shells.across.device)
        radius = (along[:, None, None] + shells.across).float().sqrt_()
        bins = radius.round().clamp_(max=size // 2).long().view(-1)
        weight = self._counts_as
        count = torch.bincount(bins, weight)[1:-1].cpu().numpy()
        k = torch.bincount(bins, weight * radius.view(-1))[1:-1].cpu().numpy()
        return bins, k / count * 2 * np.pi / self.config.box, count


def coarse_cells(n_cells: int) -> int:
    """Cells along a side of the coarse grid."""
    return 2 * (n_cells // stride(n_cells) // 2)


def _field(modes: torch.Tensor) -> torch.Tensor:
    size = len(modes)
    return torch.fft.irfftn(modes, s=(size, size, size))


def _levels(g: torch.Tensor, missing: float, x_v: np.ndarray) -> list[float]:
    """The t for which the mean of Phi((t - g) / missing) is x_v, for each x_v."""
    low, high = float(g.min()), float(g.max())
    if low == high:
        low, high = low - missing, high + missing
    bins = ((g - low) * (_LEVEL_BINS / (high - low))).int().clamp_(0, _LEVEL_BINS - 1)
    share = torch.bincount(bins.view(-1), minlength=_LEVEL_BINS).cpu().numpy() / g.numel()
    centre = low + (np.arange(_LEVEL_BINS) + 0.5) * (high - low) / _LEVEL_BINS
    t = np.linspace(low - 5 * missing, high + 5 * missing, 4 * _LEVEL_BINS)
    mean = ndtr((t[:, None] - centre) / missing) @ share
    return np.interp(x_v, mean, t).tolist()


def _normal_below(x: torch.Tensor) -> torch.Tensor:
    """The cumulative normal distribution, in place."""
    return x.mul_(-(0.5**0.5)).erfc_().mul_(0.5)
