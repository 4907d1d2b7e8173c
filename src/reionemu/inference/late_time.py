"""The kSZ effect of the time after reionization, which light cones that end at z = 6 lack."""

from __future__ import annotations

from importlib import resources

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ConfigError

LATE_TIME = "late_time_dl3000"
"""Name of the parameter: its D_ell at ell = 3000 [uK^2]."""

PIVOT = 3000.0

DEFAULT_PRIOR = (2.4, 0.7)
"""Mean and standard deviation of `LATE_TIME` [uK^2].

Were gas distributed like matter, it would be 3.6 (see `LateTimeTemplate`). Cooling and star
formation lower it by up to a third (Shaw, Rudd & Nagai 2012, ApJ 756, 15), which gives 2.4, and
feedback may do more. The width, 30%, is about the distance to either: to no such effect at all, at
1.7 standard deviations, and to twice as strong a one.
"""

_FILE = "late_time_ksz.txt"


class LateTimeTemplate:
    """Shape of the D_ell of the kSZ effect between z = 0 and 6, when all hydrogen is ionized.

    By Limber's approximation, with the nonlinear density of matter for that of gas, and with linear
    velocities (Ma & Fry 2002, PRL 88, 211301; Shaw, Rudd & Nagai 2012): tools/late_time_ksz.py has
    the equations, and made the table that is read here. That gas follows matter less on small
    scales is in the prior of the amplitude, but not in the shape: far above ell = 3000 the true
    spectrum rises less than this.

    Attributes
    ----------
    ell, shape : ndarray, shape (k,)
        The table: 1 at ell = 3000.
    """

    def __init__(self) -> None:
        text = resources.files(__package__).joinpath(_FILE).read_text(encoding="ascii")
        self.ell, self.shape = np.loadtxt(text.splitlines(), unpack=True)

    def at(self, ell: ArrayLike) -> np.ndarray:
        """D_ell in units of that at ell = 3000, interpolated in its logarithms.

        Parameters
        ----------
        ell : array_like, shape (n,)

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        ConfigError
            If a multipole is outside the table, 100 to 20000.
        """
        ell = np.asarray(ell, dtype=np.float64)
        low, high = self.ell[[0, -1]]
        outside = ~((ell >= low) & (ell <= high))
        if outside.any():
            raise ConfigError(
                f"the late-time template is known from ell = {low:g} to {high:g}, not at "
                f"{ell[outside].flat[0]:g}; leave such bins out, or cut their windows there"
            )
        return np.exp(np.interp(np.log(ell), np.log(self.ell), np.log(self.shape)))
