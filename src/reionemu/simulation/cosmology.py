"""Flat LCDM: distances, growth of structure, linear power spectrum, electrons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..config import require_finite
from ..errors import ConfigError

if TYPE_CHECKING:
    from astropy.cosmology import FlatLambdaCDM
    from scipy.interpolate import CubicHermiteSpline, CubicSpline

SPEED_OF_LIGHT = 299792.458
"""km/s"""

Z_HIGHEST = 1100.0
"""Highest redshift of which a distance can be turned back into a redshift."""

K_RANGE = (2e-4, 20.0)
"""Wavenumbers [h/Mpc] at which CAMB is asked for the spectrum; beyond, it goes on as power laws.

CAMB's own table ends at about 7e-5. At the other end the power law is 0.1% off at 25 h/Mpc, 1.5% at
40 and 9% at 100, but going there with CAMB takes three times as long.
"""


@dataclass(frozen=True)
class Cosmology:
    """A flat universe of matter, a cosmological constant, photons and massless neutrinos.

    Radiation counts in distances and in the expansion rate, and in CAMB's transfer function, but
    not in the growth of structure. Lengths are comoving.

    The defaults are those of the published simulations as far as their output tells: the best fit
    of Planck 2018 (VI, table 1: Plik), with the Omega_m that makes 2000 Mpc/h at z = 15 subtend
    their 0.284333 rad. It is 0.3156 rather than 0.3158 because that fit has a massive neutrino.

    Parameters
    ----------
    h : float
        Hubble constant in units of 100 km/s/Mpc.
    omega_m, omega_b : float
        Density of all matter, and of baryons, today, in units of the critical one.
    sigma8 : float
        Rms of the linear density at z = 0 in spheres of 8 Mpc/h.
    n_s : float
        Tilt of the primordial power spectrum.
    t_cmb : float
        Temperature of the CMB today [K].
    n_eff : float
        Effective number of massless neutrinos.
    helium_fraction : float
        Mass of helium in units of that of all baryons (Y_p).
    """

    h: float = 0.6732
    omega_m: float = 0.315612
    omega_b: float = 0.04939
    sigma8: float = 0.8120
    n_s: float = 0.96605
    t_cmb: float = 2.7255
    n_eff: float = 3.046
    helium_fraction: float = 0.2454

    def __post_init__(self) -> None:
        name = type(self).__name__
        require_finite(name, "h", self.h, minimum=0, below=5, exclusive=True)  # of 100 km/s/Mpc
        require_finite(name, "omega_m", self.omega_m, minimum=0, below=1, exclusive=True)
        require_finite(name, "omega_b", self.omega_b, minimum=0, below=self.omega_m, exclusive=True)
        require_finite(name, "sigma8", self.sigma8, minimum=0, below=10, exclusive=True)
        require_finite(name, "n_s", self.n_s, minimum=-5, below=5)
        require_finite(name, "t_cmb", self.t_cmb, minimum=0, below=10, exclusive=True)
        require_finite(name, "n_eff", self.n_eff, minimum=0, below=20)
        require_finite(name, "helium_fraction", self.helium_fraction, minimum=0, below=1)

    def comoving_distance(self, z: ArrayLike) -> np.ndarray:
        """Distance to redshift z along the line of sight [Mpc/h]."""
        background = _background(self)
        return background.comoving_distance(np.asarray(z, float)).value * self.h

    def redshift_at_distance(self, distance: ArrayLike) -> np.ndarray:
        """Redshift at a distance [Mpc/h]: the inverse of `comoving_distance`.

        Raises
        ------
        ConfigError
            If a distance is negative, or beyond z = 1100.
        """
        spline = _sqrt_a_spline(self)
        distance = np.asarray(distance, float)
        farthest = spline.x[-1]
        if not np.all((distance >= 0) & (distance <= farthest)):
            raise ConfigError(
                f"distances must be from 0 to {farthest:.1f} Mpc/h (z = {Z_HIGHEST:g}), "
                f"got {distance.min():g} to {distance.max():g}"
            )
        return spline(distance) ** -2 - 1

    def hubble(self, z: ArrayLike) -> np.ndarray:
        """Expansion rate H(z) [km/s/Mpc]."""
        return _background(self).H(np.asarray(z, float)).value

    def omega_m_at(self, z: ArrayLike) -> np.ndarray:
        """Density of matter at z in units of the critical one, without radiation."""
        matter = self.omega_m * (1 + np.asarray(z, float)) ** 3
        return matter / (matter + 1 - self.omega_m)

    def growth_factor(self, z: ArrayLike) -> np.ndarray:
        """First-order growth factor D1(z), 1 at z = 0.

        Radiation, left out, would make it larger by 2/3 Omega_r/Omega_m z: 0.14% at z = 8. The
        published densities follow the growth without it to 0.05% between z = 5.5 and 16.
        """
        return _growth(self, z) / _growth(self, 0.0)

    def growth_rate(self, z: ArrayLike) -> np.ndarray:
        """First-order growth rate f1 = d ln D1 / d ln a."""
        # From D'' + (2 + H'/H) D' = 3/2 Om D, the derivative of H int da/(aH)^3.
        a = 1 / (1 + np.asarray(z, float))
        return self.omega_m_at(z) * (2.5 * a / _growth(self, z) - 1.5)

    def growth_factor_2(self, z: ArrayLike) -> np.ndarray:
        """Second-order growth factor D2(z) = -3/7 D1^2 Om(z)^(-1/143)."""
        return -3 / 7 * self.growth_factor(z) ** 2 * self.omega_m_at(z) ** (-1 / 143)

    def growth_rate_2(self, z: ArrayLike) -> np.ndarray:
        """Second-order growth rate f2 = d ln D2 / d ln a = 2 Om(z)^(6/11)."""
        return 2 * self.omega_m_at(z) ** (6 / 11)

    def linear_power(self, k: ArrayLike) -> np.ndarray:
        """Linear power spectrum of matter at z = 0 [(Mpc/h)^3] at k [h/Mpc] > 0.

        From CAMB, normalized to sigma8; beyond `K_RANGE` the ends go on as power laws.

        Raises
        ------
        ConfigError
            If CAMB is not installed, or has no answer for this cosmology.
        """
        return _power_function(self)(np.asarray(k, float))

    @property
    def hydrogen_density(self) -> float:
        """Hydrogen nuclei per comoving volume [m^-3]."""
        baryons = self.omega_b * _background(self).critical_density0.si.value
        from astropy import constants

        return (1 - self.helium_fraction) * baryons / constants.m_p.si.value

    @property
    def helium_per_hydrogen(self) -> float:
        """Helium nuclei per hydrogen nucleus, of four times the mass."""
        return self.helium_fraction / (4 * (1 - self.helium_fraction))

    def opacity(self, z: ArrayLike) -> np.ndarray:
        """Optical depth to Thomson scattering per comoving length, d tau/d chi [h/Mpc].

        Of a mean density of ionized hydrogen and singly ionized helium: sigma_T n_e / (1 + z).
        """
        electrons = self.hydrogen_density * (1 + self.helium_per_hydrogen)
        from astropy import constants, units

        per_length = constants.sigma_T.si.value * electrons * units.Mpc.to("m") / self.h
        return per_length * (1 + np.asarray(z, float)) ** 2


def _missing(package: str, error: ImportError) -> ConfigError:
    return ConfigError(
        f"{package} is needed to simulate, and cannot be imported ({error}): "
        "pip install 'reionemu[simulate]'"
    )


@lru_cache(maxsize=16)
def _background(cosmology: Cosmology) -> FlatLambdaCDM:
    try:
        from astropy.cosmology import FlatLambdaCDM
    except ImportError as error:
        raise _missing("astropy", error) from None
    return FlatLambdaCDM(
        H0=100 * cosmology.h,
        Om0=cosmology.omega_m,
        Tcmb0=cosmology.t_cmb,
        Neff=cosmology.n_eff,
        Ob0=cosmology.omega_b,
    )


@lru_cache(maxsize=16)
def _sqrt_a_spline(cosmology: Cosmology) -> CubicHermiteSpline:
    """Square root of the scale factor against distance: a straight line while matter rules."""
    from scipy.interpolate import CubicHermiteSpline

    root = np.linspace(1, (1 + Z_HIGHEST) ** -0.5, 2000)
    z = root**-2 - 1
    slope = -(root**3) / 2 * cosmology.hubble(z) / (cosmology.h * SPEED_OF_LIGHT)
    return CubicHermiteSpline(cosmology.comoving_distance(z), root, slope)


def _growth(cosmology: Cosmology, z: ArrayLike) -> np.ndarray:
    """Growth factor that is the scale factor while matter rules.

    5/2 Om H int da/(aH)^3 without radiation, which is a 2F1(1/3, 1; 11/6; 1 - 1/Om(z)).
    """
    from scipy.special import hyp2f1

    a = 1 / (1 + np.asarray(z, float))
    return a * hyp2f1(1 / 3, 1, 11 / 6, 1 - 1 / cosmology.omega_m_at(z))


@lru_cache(maxsize=16)
def _power_function(cosmology: Cosmology) -> Callable[[np.ndarray], np.ndarray]:
    from scipy.interpolate import CubicSpline

    k, power = _camb_power(cosmology)
    spline = CubicSpline(np.log(k), np.log(power))
    return lambda wavenumber: np.exp(_with_straight_ends(spline, np.log(wavenumber)))


def _with_straight_ends(spline: CubicSpline, x: np.ndarray) -> np.ndarray:
    inside = np.clip(x, spline.x[0], spline.x[-1])
    return spline(inside) + spline(inside, 1) * (x - inside)


def _camb_power(cosmology: Cosmology) -> tuple[np.ndarray, np.ndarray]:
    """CAMB's linear spectrum of matter at z = 0, normalized to sigma8."""
    try:
        import camb
    except ImportError as error:
        raise _missing("camb", error) from None
    h2 = cosmology.h**2
    params: Any = camb.set_params(
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
    params.set_matter_power(redshifts=[0.0], kmax=1.1 * K_RANGE[1] * cosmology.h)
    try:
        results = camb.get_results(params)
    except camb.CAMBError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"CAMB has no spectrum for {cosmology} ({reason})") from None
    k, _, power = results.get_matter_power_spectrum(
        minkh=K_RANGE[0], maxkh=K_RANGE[1], npoints=1000
    )
    return k, power[0] * (cosmology.sigma8 / _sigma_8(k, power[0])) ** 2


def _sigma_8(k: np.ndarray, power: np.ndarray) -> float:
    """Rms of the density in spheres of 8 Mpc/h, of a spectrum given at evenly spaced log k."""
    x = 8 * k
    window = 3 * (np.sin(x) - x * np.cos(x)) / x**3
    variance = np.sum(k**3 * power * window**2) * np.log(k[1] / k[0]) / (2 * np.pi**2)
    return float(np.sqrt(variance))
