"""Emulators of formulas, in memory, whose posteriors are known by other means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from reionemu.models.calibration import Calibration
from reionemu.models.emulator import Emulator
from reionemu.models.moments import Differentiated
from reionemu.models.spectrum import SurrogateSpectrum
from reionemu.models.suite import Suite
from reionemu.parameters import PARAMETER_NAMES, ParameterBox
from reionemu.targets import Target

LOW, HIGH = np.array([7.0, 0.1, 0.1, 0.1]), np.array([9.0, 0.9, 2.0, 0.8])
ELL = np.array([2000.0, 3500.0, 5000.0, 6500.0, 8000.0])
SLOPES = np.array(
    [
        [0.30, -0.80, 0.20, 0.9],
        [-0.25, -0.40, 0.10, 0.7],
        [0.20, 0.90, -0.35, 0.5],
        [0.35, 0.50, 0.40, -0.2],
        [0.10, 0.80, 0.30, 0.8],
    ]
)


@dataclass
class Formula:
    """y = y0 + slopes (theta - middle), with errors and noise that grow with b0."""

    error: float = 0.02
    growth: float = 1.0
    noise: float = 0.1
    n_outputs = 5

    def predict(self, theta):
        found = self.with_gradients(theta)
        return found.mean, found.std, found.scatter

    def with_gradients(self, theta):
        offset = theta - (LOW + HIGH) / 2
        rise = np.exp(self.growth * offset[:, 3:])
        bins = np.array([1.0, 1.2, 1.4, 1.6, 1.8])
        error, noise = self.error * rise * bins, self.noise * rise * bins[::-1]
        by_b0 = np.array([0, 0, 0, self.growth])
        return Differentiated(
            0.5 + offset @ SLOPES.T,
            error,
            noise,
            np.broadcast_to(SLOPES, (len(theta), 5, 4)),
            error[:, :, None] * by_b0,
            noise[:, :, None] * by_b0,
        )


@pytest.fixture
def emulator_of():
    """`emulator_of(...)`, with options of `Formula`."""

    def make(transform="none", suite=None, source="dl_ksz", own=False, **options):
        correlation = 0.6 * np.eye(5) + 0.4
        calibration = Calibration(np.full(5, 1.1), np.full(5, 0.0001), correlation, 100)
        target = Target(source, transform, 0.0)
        spectrum = SurrogateSpectrum(Formula(**options), target, calibration, own)
        return Emulator(
            spectrum,
            ell=ELL,
            parameter_names=PARAMETER_NAMES,
            box=ParameterBox(PARAMETER_NAMES, tuple(LOW), tuple(HIGH)),
            suite=suite or Suite("own" if own else "shared", 1, 0.01),
        )

    return make
