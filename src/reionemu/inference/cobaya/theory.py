"""An emulator as a theory of Cobaya."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from cobaya.log import LoggedError
from cobaya.theory import Theory
from numpy.typing import ArrayLike

from ... import __version__
from ...artifact import load_artifact
from ...errors import ConfigError, ReionemuWarning
from ...models.emulator import Emulator
from ...models.prediction import History, Prediction
from ...parameters import ParameterBox
from ..band_powers import BandPowers
from ..expectation import Expectation, Expected
from .reporting import reported

SPECTRUM = "ksz_spectrum"
BAND_POWERS = "ksz_band_powers"
HISTORY = "reionization_history"
DERIVED = ("tau", "z50", "duration")


class ReionizationTheory(Theory):
    """The kSZ spectrum and the history of reionization, from an emulator.

    Its input parameters are those of the emulator. Outside the box that this was trained in the
    probability is zero. The cosmology is that of the simulations: no parameter of it comes in.

    What likelihoods can require of it:

    ``ksz_spectrum``, with options ``ell``, or ``windows`` and ``window_ell``, or none
        ``provider.get_ksz_spectrum(...)``, with the same arguments, gives a `Prediction` at
        multipoles, through windows, or in the emulator's own bins.
    ``ksz_band_powers``, with option ``data``, a list of `BandPowers`
        ``provider.get_ksz_band_powers(data)`` gives, for one of these, what is expected of it: see
        `Expected`.
    ``reionization_history``, with option ``z``
        ``provider.get_reionization_history(z)`` gives a `History` at these redshifts: x_HI, and
        tau, z50 and duration, with the emulator's errors.

    Its derived parameters are tau, z50 and duration, if the emulator was trained on histories.

    Attributes
    ----------
    artifact : str
        An option: folder of the emulator's record.
    """

    artifact: str | None = None
    stop_at_error: bool = True  # an error here is never a matter of unlucky parameters

    emulator: Emulator

    def initialize(self) -> None:
        """Load the emulator."""
        with reported(self.log):
            if self.artifact is None:
                raise ConfigError(f"{self.get_name()} needs the folder of an emulator as artifact")
            self.emulator = load_artifact(self.artifact).emulator()
        self._products: set[str] = set()
        self._expectations: dict[BandPowers, Expectation] = {}
        self._z = np.empty(0)

    def get_version(self) -> str:
        """Of this package."""
        return __version__

    def get_requirements(self) -> dict[str, Any]:
        """The emulator's parameters."""
        return dict.fromkeys(self.emulator.parameter_names)

    def get_can_provide_params(self) -> tuple[str, ...]:
        """Names of derived parameters."""
        return DERIVED if self.emulator.history is not None else ()

    def must_provide(self, **requirements: Any) -> None:
        """Note what will be asked for. What cannot be given ends the run here."""
        super().must_provide(**requirements)
        with reported(self.log):
            for name, options in requirements.items():
                if name == HISTORY:
                    self._z = np.union1d(self._z, (options or {}).get("z", []))
                elif name == BAND_POWERS:
                    for data in options["data"]:
                        self._expect(data)
                self._products.add(HISTORY if name in DERIVED else name)
            found = self._evaluate(np.mean([self._box.low, self._box.high], axis=0))
            if SPECTRUM in requirements:
                _seen(found[SPECTRUM], **(requirements[SPECTRUM] or {}))

    def calculate(self, state: dict, want_derived: bool = True, **values: float) -> bool:
        """Evaluate the emulator at one point; False outside its box."""
        theta = np.array([values[name] for name in self.emulator.parameter_names])
        if self._box.outside(theta).any():
            return False
        state.update(self._evaluate(theta))
        if want_derived:
            state["derived"] = {name: _number(state, name) for name in self.output_params}
        return True

    def get_param(self, p: str) -> float:
        """A derived parameter."""
        return _number(self.current_state, p)

    def get_ksz_spectrum(
        self,
        ell: ArrayLike | None = None,
        windows: ArrayLike | None = None,
        window_ell: ArrayLike | None = None,
    ) -> Prediction:
        """The spectrum, as required: see the class."""
        return _seen(self.current_state[SPECTRUM], ell, windows, window_ell)

    def get_ksz_band_powers(self, data: BandPowers) -> Expected:
        """What is expected of band powers that were among those required."""
        return self.current_state[BAND_POWERS][data]

    def get_reionization_history(self, z: ArrayLike = ()) -> History:
        """The history at redshifts that were required, shape (k,)."""
        found: History = self.current_state[HISTORY]
        if not np.isin(z, found.z).all():
            raise LoggedError(self.log, "a history at redshifts that were not required: %s", z)
        at = np.searchsorted(found.z, z)
        return replace(found, z=found.z[at], x_hi=found.x_hi[at], x_hi_std=found.x_hi_std[at])

    def _expect(self, data: BandPowers) -> None:
        self._expectations[data] = Expectation(self.emulator, data)
        if self._expectations[data].lacks_scatter:
            self.mpi_warning(
                "the scatter between realizations, of which the emulator knows one, is not known: "
                "it is not in the errors of %s",
                data.name,
            )

    def _evaluate(self, theta: np.ndarray) -> dict[str, Any]:
        """All products that were required, at one point."""
        found: dict[str, Any] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReionemuWarning)  # of points far from simulated ones
            if SPECTRUM in self._products:
                found[SPECTRUM] = self.emulator.predict(theta)
            if BAND_POWERS in self._products:
                found[BAND_POWERS] = {
                    data: expected.at(theta) for data, expected in self._expectations.items()
                }
            if HISTORY in self._products:
                found[HISTORY] = self.emulator.predict_history(theta, self._z)
        return found

    @property
    def _box(self) -> ParameterBox:
        assert self.emulator.box is not None  # recorded with every emulator
        return self.emulator.box


def _seen(
    spectrum: Prediction,
    ell: ArrayLike | None = None,
    windows: ArrayLike | None = None,
    window_ell: ArrayLike | None = None,
) -> Prediction:
    """A spectrum at multipoles, or through windows."""
    if ell is not None:
        return spectrum.at(ell)
    return spectrum if windows is None else spectrum.through(windows, window_ell)


def _number(state: dict, name: str) -> float:
    return float(getattr(state[HISTORY], name))
