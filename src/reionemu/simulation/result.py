"""What one simulation comes to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PUBLISHED_REDSHIFTS: tuple[float, ...] = (
    *(5.0 + 0.5 * i for i in range(21)),
    *(float(z) for z in range(16, 21)),
)
"""Redshifts at which the published suite records histories and spectra: 5 to 15, and 16 to 20."""


@dataclass(frozen=True)
class Simulation:
    """One map and what goes with it: one set of parameters, one realization, one line of sight.

    Attributes
    ----------
    parameters : dict of float
        zmean_zre, alpha_zre, kb_zre [h/Mpc], b0_zre.
    seed, axis : int
        Initial conditions, and axis of the box along the line of sight.
    ksz_map : ndarray, shape (N, N), float32
        dT/T of the patchy kinetic Sunyaev-Zel'dovich effect, dimensionless.
    theta_max : float
        Side of the map [rad].
    t_cmb : float
        Mean temperature of the CMB [K].
    z : ndarray, shape (n_z,)
        Redshifts of the histories and spectra, ascending.
    x_m, x_v : ndarray, shape (n_z,)
        Mass- and volume-weighted **neutral** fraction of hydrogen.
    tau : float
        Optical depth to Thomson scattering, from today to the highest redshift of reionization.
    power_21cm : ndarray, shape (n_z, n_k, 3)
        k [h/Mpc], P(k) of the 21 cm brightness temperature [mK^2 (Mpc/h)^3], number of modes.
    """

    parameters: dict[str, float]
    seed: int
    axis: int
    ksz_map: np.ndarray
    theta_max: float
    t_cmb: float
    z: np.ndarray
    x_m: np.ndarray
    x_v: np.ndarray
    tau: float
    power_21cm: np.ndarray

    def __repr__(self) -> str:
        theta = ", ".join(f"{name}={value:g}" for name, value in self.parameters.items())
        n = len(self.ksz_map)
        return (
            f"Simulation({theta}, seed={self.seed}, axis={self.axis}: map {n} x {n}, "
            f"tau {self.tau:.4f})"
        )
