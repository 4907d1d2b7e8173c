"""Optical depth of a curve, but for a constant factor.

1 - x_HI(z) is the mass that was ionized before z, so that the optical depth is a mean over the
redshifts of reionization: tau = <tau(z_re)>, where tau(z), of gas ionized from z on, is

    tau(z) ~ int_0^z (1 + z')^2 / E(z') dz' = 2 / (3 Om) (sqrt(Om (1 + z)^3 + 1 - Om) - 1)

in a flat universe. Since x_HI = Phi(t), t(z_re) is a standard normal number, and the mean is taken
by Gauss-Hermite quadrature. Hydrogen counts as ionized below z = 5 whatever the history.
"""

from __future__ import annotations

import numpy as np

from .curve import Curves

Z_IONIZED = 5.0

_T, _WEIGHTS = np.polynomial.hermite_e.hermegauss(21)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def mean_depth(curves: Curves, omega_m: float) -> np.ndarray:
    """Optical depths, shape (n,), in units of those of a constant electron density."""
    return _root(_reionized(curves)[1], omega_m) @ _WEIGHTS - 1


def mean_depth_gradient(curves: Curves, omega_m: float) -> np.ndarray:
    """Derivatives of ln(mean depth), by what `Curves.sensitivity` does: shape (n, 3 + K)."""
    nu, z = _reionized(curves)
    by_z = 1.5 * omega_m * (1 + z) ** 2 / _root(z, omega_m) * (z > Z_IONIZED)
    by_z *= _WEIGHTS / mean_depth(curves, omega_m)[:, None]
    # At fixed t, dz = -dt / (dt/dz).
    by_t = -by_z * curves.width[:, None] / curves.slope(nu)
    return np.einsum("nk,nkj->nj", by_t, curves.sensitivity(nu))


def _reionized(curves: Curves) -> tuple[np.ndarray, np.ndarray]:
    """Values of nu and z, shape (n, 21) each, at the nodes of the quadrature."""
    nu = curves.invert(_T)
    z = curves.centre[:, None] + curves.width[:, None] * nu
    return nu, np.maximum(z, Z_IONIZED)


def _root(z: np.ndarray, omega_m: float) -> np.ndarray:
    return np.sqrt(omega_m * (1 + z) ** 3 + 1 - omega_m)
