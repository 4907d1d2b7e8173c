"""Published amplitudes of the kSZ effect as band powers, with what is to be minded of each.

All are one number, D_ell at ell = 3000, that was fitted together with the other foregrounds and
marginalized over them, with a template of given shape over a range of multipoles: they say little
of the shape, and depend on the templates and on what was assumed of the correlation of the thermal
effect with the infrared background. Their posteriors are not Gaussian, as the likelihood of this
package is. They share data: SPT-SZ and SPTpol are in the first two. Use one of them at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..config import nearest, require_finite
from ..errors import ConfigError
from .band_powers import BandPowers

ELL = 3000.0

PLANCK_2018_TAU = (0.0544, 0.0073)
"""Optical depth and its standard deviation, Planck 2018 (VI, arXiv:1807.06209; TT,TE,EE+lowE).

Mostly of the E modes at ell < 10, with an instantaneous reionization; the kSZ effect is no part of
it.
"""

TAU_CONSTRAINTS = {"planck2018": PLANCK_2018_TAU}

TauConstraint = str | list[float] | tuple[float, float] | None

_GORCE = "Gorce, Douspis & Salvati 2022, A&A 662, A122 (arXiv:2202.08698)"


def reichardt_2021() -> BandPowers:
    """SPT-SZ and SPTpol: total D_3000 = 3.0 +- 1.0 uK^2 (Reichardt et al. 2021, ApJ 908, 199).

    arXiv:2002.06197. From ell = 2000 to 11000. Of the total: the patchy part that the authors give
    follows from what they assume of the rest. Its posterior ends at zero, three standard deviations
    away.
    """
    return _at_3000(
        "reichardt_2021", 3.0, 1.0, "Reichardt et al. 2021, ApJ 908, 199 (arXiv:2002.06197)"
    )


def gorce_2022() -> BandPowers:
    """The same data: total D_3000 = 3.4 uK^2 at 5 sigma (Gorce et al. 2022, A&A 662, A122).

    arXiv:2202.08698. Its spectra depend on cosmology, and those of the kSZ effect on a model of
    reionization, which narrows the range: 3.4 (+0.5, -0.3) at 68%. The error here is a fifth of
    the value, 0.68, which "5 sigma" means for a Gaussian: wider than either side.
    """
    return _at_3000("gorce_2022", 3.4, 0.68, _GORCE)


def gorce_2022_patchy() -> BandPowers:
    """The same, of reionization alone: D_3000 < 1.6 uK^2 at 95% (Gorce et al. 2022).

    An upper limit as half a Gaussian about 0: of a D_ell that is not negative, 95% are below 1.96
    standard deviations, so that one is 0.82 uK^2. It depends on the authors' models of patchy
    reionization and of the late-time effect; no late-time part is to be added.
    """
    return _at_3000("gorce_2022_patchy", 0.0, 1.6 / 1.96, _GORCE, is_total=False)


def spt3g_2026() -> BandPowers:
    """SPT-3G D1: total D_3000 = 1.75 +- 0.86 uK^2 (arXiv:2601.20551).

    Two years of data, from ell = 1700 to 11000, with angular dependences of the SZ effects and the
    infrared background free to vary. It depends on how the correlation of the thermal SZ effect
    with the infrared background is modelled. Two standard deviations from zero.
    """
    return _at_3000("spt3g_2026", 1.75, 0.86, "SPT-3G D1 (arXiv:2601.20551)")


MEASUREMENTS: dict[str, Callable[[], BandPowers]] = {
    "reichardt_2021": reichardt_2021,
    "gorce_2022": gorce_2022,
    "gorce_2022_patchy": gorce_2022_patchy,
    "spt3g_2026": spt3g_2026,
}
"""Functions by the names of the band powers that they return."""


def tau_constraint(tau: TauConstraint) -> tuple[float, float] | None:
    """Mean and standard deviation of an optical depth, given themselves or by name.

    Raises
    ------
    ConfigError
        For an unknown name, or if they are not two numbers, the second above zero.
    """
    if tau is None:
        return None
    if isinstance(tau, str):
        if tau not in TAU_CONSTRAINTS:
            raise ConfigError(
                f"tau: no constraint is called {tau!r}{nearest(tau, TAU_CONSTRAINTS)}; expected "
                f"{', '.join(TAU_CONSTRAINTS)}, or a mean and a standard deviation"
            )
        return TAU_CONSTRAINTS[tau]
    if not isinstance(tau, list | tuple) or len(tau) != 2:
        raise ConfigError(f"tau must be a mean and a standard deviation, got {tau!r}")
    mean, std = tau
    require_finite("tau", "mean", mean, minimum=0)
    require_finite("tau", "standard deviation", std, minimum=0, exclusive=True)
    return float(mean), float(std)


def _at_3000(name: str, dl: float, std: float, source: str, *, is_total: bool = True) -> BandPowers:
    return BandPowers(
        name=name,
        ell=np.array([ELL]),
        dl=np.array([dl]),
        covariance=np.array([[std**2]]),
        is_total=is_total,
        source=source,
    )
