"""Make src/reionemu/inference/late_time_ksz.txt: shape of the late-time kSZ effect.

Usage: python tools/late_time_ksz.py [OUT]

The gas is taken to follow the matter, to be ionized from z = 6 on (helium once, from z = 3 on
twice), and to move as linear theory says, while its density is nonlinear (Ma & Fry 2002, PRL 88,
211301; Shaw, Rudd & Nagai 2012, ApJ 756, 15). With the momentum q = (1 + delta) v, and by Limber,

    C_ell = 1/2 int dchi / chi^2 (dtau/dchi)^2 e^(-2 tau) P_q(ell / chi) / c^2
    P_q(k) = (f a H)^2 int d^3k' / (2 pi)^3 (1 - mu^2) [P_nl(p) P(k') / k'^2 - P(p) P(k') / p^2],

where P_q is the power of the part of q that is transverse to k, p = |k - k'|, and mu is the cosine
between k and k'. The second term, of density correlated with velocity, matters at low k only and
is linear here. With P for P_nl the sum is the Ostriker-Vishniac effect. P_nl is HMCode-2020's,
without feedback (Mead et al. 2021, MNRAS 502, 1401).

Gas follows matter less on small scales. Shaw et al. find that cooling and star formation lower
D_3000 by up to a third, or 1 uK^2: from 3 to 2. In a cosmology such as theirs this gives 3.0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import camb
import numpy as np
from scipy.interpolate import RectBivariateSpline

from reionemu.files import write_bytes
from reionemu.simulation.cosmology import SPEED_OF_LIGHT, Cosmology

OUT = Path(__file__).parents[1] / "src" / "reionemu" / "inference" / "late_time_ksz.txt"
Z_MIN, Z_MAX, Z_HELIUM = 0.005, 6.0, 3.0
K_MIN, K_MAX = 2e-4, 150.0
"""h/Mpc, of CAMB; beyond, spectra go on as power laws."""

ELL = np.unique([3000.0, *np.round(np.geomspace(100, 20000, 121))])
LIKE_SHAW = Cosmology(h=0.7, omega_m=0.27, omega_b=0.044, sigma8=0.8, n_s=0.95)


class Power:
    """Spectra of matter [(Mpc/h)^3] at k [h/Mpc] and redshifts between 0 and `Z_MAX`."""

    def __init__(self, cosmology: Cosmology) -> None:
        self.cosmology = cosmology
        h2 = cosmology.h**2
        params = camb.set_params(
            H0=100 * cosmology.h,
            ombh2=cosmology.omega_b * h2,
            omch2=(cosmology.omega_m - cosmology.omega_b) * h2,
            mnu=0.0,
            nnu=cosmology.n_eff,
            TCMB=cosmology.t_cmb,
            YHe=cosmology.helium_fraction,
            As=2e-9,
            ns=cosmology.n_s,
            WantCls=False,
        )
        params.set_matter_power(redshifts=[0.0], kmax=2.0)
        sigma8 = camb.get_results(params).get_sigma8_0()
        params.InitPower.As *= (cosmology.sigma8 / sigma8) ** 2
        params.set_matter_power(redshifts=np.linspace(Z_MAX, 0, 61), kmax=1.1 * K_MAX * cosmology.h)
        params.NonLinear = camb.model.NonLinear_both
        params.NonLinearModel.set_params(halofit_version="mead2020")
        k, z, power = camb.get_results(params).get_matter_power_spectrum(K_MIN, K_MAX, 800)
        self._ln_k = np.log(k)
        self._ln_power = RectBivariateSpline(z, self._ln_k, np.log(power))

    def linear(self, k: np.ndarray, z: float) -> np.ndarray:
        """Linear spectrum."""
        return self.cosmology.linear_power(k) * self.cosmology.growth_factor(z) ** 2

    def nonlinear(self, k: np.ndarray, z: float) -> np.ndarray:
        """Nonlinear spectrum."""
        x, (first, last) = np.log(k), self._ln_k[[0, -1]]
        inside = np.clip(x, first, last)
        slope = np.where(x < first, 1.0, self._ln_power(z, last, dy=1).item())
        ln_power = self._ln_power(z, inside.ravel(), grid=False).reshape(x.shape)
        return np.exp(ln_power + slope * (x - inside))


def momentum_power(k: np.ndarray, z: float, power: Power, is_linear: bool = False) -> np.ndarray:
    """P_q / (f a H)^2 [(Mpc/h)^5] at k [h/Mpc]."""
    density = power.linear if is_linear else power.nonlinear
    mu, weight = np.polynomial.legendre.leggauss(64)
    other = np.geomspace(1e-4, 50, 200)
    velocity = power.linear(other, z)
    found = np.empty_like(k)
    for i, wavenumber in enumerate(k):
        p = np.sqrt(wavenumber**2 + other[:, None] ** 2 - 2 * wavenumber * other[:, None] * mu)
        kernel = density(p, z) / other[:, None] ** 2 - power.linear(p, z) / p**2
        over_mu = ((1 - mu**2) * kernel) @ weight
        found[i] = np.trapezoid(other**3 * velocity * over_mu, np.log(other)) / (4 * np.pi**2)
    return found


def late_time_dl(ell: np.ndarray, cosmology: Cosmology, is_linear: bool = False) -> np.ndarray:
    """D_ell of the kSZ effect between `Z_MIN` and `Z_MAX` [uK^2]."""
    power = Power(cosmology)
    z = np.concatenate([np.geomspace(Z_MIN, 0.5, 12)[:-1], np.linspace(0.5, Z_MAX, 34)])
    chi = cosmology.comoving_distance(z)
    helium = cosmology.helium_per_hydrogen
    electrons = np.where(z < Z_HELIUM, (1 + 2 * helium) / (1 + helium), 1.0)
    opacity = cosmology.opacity(z) * electrons
    depth = np.concatenate([[0], np.cumsum(np.diff(chi) * (opacity[1:] + opacity[:-1]) / 2)])
    speed = cosmology.growth_rate(z) * cosmology.hubble(z) / (1 + z)
    speed /= cosmology.h * SPEED_OF_LIGHT
    integrand = np.empty((len(z), len(ell)))
    for i in range(len(z)):
        k = np.geomspace(ell[0], ell[-1], 40) / chi[i]
        curl = momentum_power(k, z[i], power, is_linear)
        integrand[i] = np.exp(np.interp(np.log(ell / chi[i]), np.log(k), np.log(curl)))
    integrand *= ((opacity * speed / chi) ** 2 * np.exp(-2 * depth) / 2)[:, None]
    cl = np.trapezoid(integrand, chi, axis=0)
    return ell * (ell + 1) / (2 * np.pi) * cl * (cosmology.t_cmb * 1e6) ** 2


def main(out: Path) -> None:
    cosmology = Cosmology()
    dl = late_time_dl(ELL, cosmology)
    at_3000 = float(dl[ELL == 3000][0])
    nearby = np.array([2900.0, 3000.0, 3100.0])
    print(f"D_3000 = {at_3000:.3f} uK^2")
    print(f"all linear: {late_time_dl(nearby, cosmology, is_linear=True)[1]:.3f}")
    print(f"in a cosmology like that of Shaw et al.: {late_time_dl(nearby, LIKE_SHAW)[1]:.3f}")
    lines = [
        "# D_ell of the kSZ effect after reionization in units of that at ell = 3000, with the",
        "# density of matter for that of gas: tools/late_time_ksz.py says how.",
        f"# z: {Z_MIN:g} to {Z_MAX:g}",
        f"# dl_3000: {at_3000:.4f} uK^2",
        f"# cosmology: {cosmology}",
        "# ell shape",
        *(f"{x:.0f} {y / at_3000:.6f}" for x, y in zip(ELL, dl, strict=True)),
    ]
    write_bytes(out, ("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
