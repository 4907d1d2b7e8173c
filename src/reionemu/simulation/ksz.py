"""The kinetic Sunyaev-Zel'dovich effect of ionized gas on the light cone.

    dT/T = - int dchi (dtau/dchi) x_e (1 + delta) v/c e^-tau,    dtau/dchi = sigma_T n_e0 (1 + z)^2

with chi and n_e0 comoving, v along the line of sight: electrons that recede cool (Sunyaev &
Zel'dovich 1980, MNRAS 190, 413).
"""

from __future__ import annotations

import numpy as np
import torch

from .cosmology import SPEED_OF_LIGHT
from .light_cone import LightCone

SAME_DEPTH = 31.25
"""Planes within this depth share a value of e^-tau [Mpc/h]: it changes by less than 1e-3 there."""


def planes_per_depth(cell: float) -> int:
    """Planes of cells of that size [Mpc/h] that share a value of e^-tau."""
    return max(1, int(SAME_DEPTH / cell))


def proper_density(z: np.ndarray) -> np.ndarray:
    """(1 + z)^2 / 100: how dtau/dchi grows with z, scaled so that float16 holds momenta well."""
    return (1 + z) ** 2 / 100


class KszSum:
    """Adds up what ionized gas does to the light that passes it.

    Parameters
    ----------
    cone : LightCone
    momentum : ndarray, shape (n_planes, N, N), float16
        (1 + delta) v [km/s] times `proper_density`, as the pixels see it.
    ionized_above : ndarray, shape (n_planes,)
        The g above which a cell of each plane is ionized.
    device : torch.device
        Where g is.
    """

    def __init__(
        self,
        cone: LightCone,
        momentum: np.ndarray,
        ionized_above: np.ndarray,
        device: torch.device,
    ) -> None:
        n = cone.config.n_cells
        self._cone, self._momentum = cone, torch.from_numpy(momentum)
        self._ionized_above = ionized_above.tolist()
        self._together = planes_per_depth(cone.config.cell)
        groups = -(-cone.n_planes // self._together)
        self._sums = torch.zeros((groups, n, n), device=device)

    def add(self, first: int, planes: torch.Tensor) -> None:
        """Add consecutive planes of the box, given their g, wherever the light cone meets them."""
        see = self._seen_on_cpu if planes.device.type == "cpu" else self._seen_on_device
        for i, g in enumerate(planes, start=first):
            for plane in self._cone.planes_of(i):
                self._sums[plane // self._together] += see(plane, g)

    def _seen_on_cpu(self, plane: int, g: torch.Tensor) -> torch.Tensor:
        """Momentum of the ionized gas that the pixels see in a plane, float16.

        NumPy compares and picks several times faster than PyTorch, and a product with 0 or 1 is
        the same, and six times faster, of the bits as whole numbers.
        """
        ionized = self._cone.as_seen(plane, g.numpy() > np.float32(self._ionized_above[plane]))
        bits = self._momentum[plane].numpy().view(np.int16) * ionized.view(np.int8)
        return torch.from_numpy(bits).view(torch.float16)

    def _seen_on_device(self, plane: int, g: torch.Tensor) -> torch.Tensor:
        rows, columns = (torch.from_numpy(i[plane]).to(g.device) for i in self._cone.seen_cells)
        ionized = (g > self._ionized_above[plane])[rows][:, columns]
        return self._momentum[plane].to(g.device) * ionized

    def map(self, z: np.ndarray, tau: np.ndarray) -> np.ndarray:
        """dT/T, float32, shape (N, N), with the optical depth tau to redshifts z, shape (n,)."""
        config = self._cone.config
        groups = np.arange(0, self._cone.n_planes, self._together)
        count = np.diff([*groups, self._cone.n_planes])
        middle = np.add.reduceat(self._cone.z, groups) / count
        per_speed = config.cell * config.cosmology.opacity(0.0) / proper_density(np.zeros(1))
        weight = -per_speed / SPEED_OF_LIGHT * np.exp(-np.interp(middle, z, tau))
        weights = torch.from_numpy(weight).to(self._sums.device, torch.float32)
        return torch.tensordot(weights, self._sums, dims=1).cpu().numpy()
