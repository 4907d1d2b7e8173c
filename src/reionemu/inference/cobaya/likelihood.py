"""Band powers of the kSZ effect as a likelihood of Cobaya."""

from __future__ import annotations

from typing import Any

import numpy as np
from cobaya.likelihood import Likelihood

from ... import __version__
from ..band_powers import BandPowers
from ..expectation import seen_template
from ..gaussian import log_gaussian
from ..late_time import LATE_TIME
from ..measurements import TauConstraint, tau_constraint
from .choices import observed
from .reporting import reported
from .theory import BAND_POWERS, HISTORY


class KSZLikelihood(Likelihood):
    """A Gaussian in band powers, the same as `reionemu.inference.Problem` has.

    Its covariance is that of the data, with what the theory is unsure of at each point. Data of
    the total kSZ effect need the parameter late_time_dl3000, the D_ell at ell = 3000 [uK^2] of the
    time after reionization, whose spectrum has the shape of `LateTimeTemplate`.

    Attributes
    ----------
    data : str or None
        An option: a file of band powers, as `reionemu.inference.read_band_powers` reads.
    measurement : str or None
        An option, in place of `data`: the name of published ones, such as reichardt_2021.
    tau : str, (float, float) or None
        An option: planck2018, or a mean and a standard deviation. A Gaussian in the optical depth
        of the theory is then a part of the likelihood. Leave it out where a likelihood of the
        cosmic microwave background constrains tau.
    """

    data: str | None = None
    measurement: str | None = None
    tau: TauConstraint = None
    stop_at_error: bool = True  # an error here is never a matter of unlucky parameters

    band_powers: BandPowers

    def initialize(self) -> None:
        """Read the data."""
        with reported(self.log):
            self.band_powers = observed(self.data, self.measurement)
            self._tau = tau_constraint(self.tau)
            self._template = seen_template(self.band_powers)

    def get_version(self) -> str:
        """Of this package."""
        return __version__

    def get_requirements(self) -> dict[str, Any]:
        """Band powers and, as far as they are needed, a late-time part and a history."""
        needs: dict[str, Any] = {BAND_POWERS: {"data": [self.band_powers]}}
        if self.band_powers.is_total:
            needs[LATE_TIME] = None
        if self._tau is not None:
            needs[HISTORY] = None
        return needs

    def logp(self, **values: Any) -> float:
        """ln of the likelihood, normalized over data."""
        data = self.band_powers
        found = self.provider.get_ksz_band_powers(data)
        mean = found.mean
        if data.is_total:
            mean = mean + self.provider.get_param(LATE_TIME) * self._template
        covariance = data.covariance + found.covariance
        value = float(log_gaussian((data.dl - mean)[None], covariance[None])[0])
        if self._tau is not None:
            history = self.provider.get_reionization_history()
            variance = self._tau[1] ** 2 + history.tau_std**2
            value += -0.5 * (history.tau - self._tau[0]) ** 2 / variance
            value -= 0.5 * np.log(2 * np.pi * variance)
        return float(value)
