"""A posterior that is known exactly: spectra linear in the parameters, Gaussian errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reionemu.inference.band_powers import BandPowers
from reionemu.inference.problem import Problem
from reionemu.inference.sampling import EmceeOptions, sample
from reionemu.models.emulator import Emulator
from reionemu.models.moments import Moments
from reionemu.parameters import PARAMETER_NAMES, ParameterBox
from reionemu.targets import Target

ELL = np.linspace(2000.0, 10000.0, 5)
CENTRE = np.array([8.0, 0.5, 1.0, 0.45])
SPECTRUM = np.array([2.0, 1.6, 1.2, 0.9, 0.7])
SLOPES = np.array(
    [
        [0.60, -0.9, 0.30, 1.5],
        [0.45, -1.1, 0.35, 1.1],
        [0.30, -1.0, 0.35, 0.6],
        [0.20, -0.7, 0.30, 0.3],
        [0.15, -0.4, 0.20, 0.2],
    ]
)
"""Of `SPECTRUM` [uK^2], per unit of each parameter: of the size and the signs of real ones."""

ERROR, EMULATOR_ERROR, CORRELATION = 0.05, 0.02, 0.5
WIDTH = 12.0
"""Half the box, in standard deviations of the posterior: what is cut off is nothing."""


@dataclass(frozen=True)
class LinearSpectrum:
    """Stands in for an emulator's spectrum."""

    covariance: np.ndarray

    target = Target("dl_ksz", "none")
    has_uncertainty = True

    def moments(self, theta: np.ndarray, n_draws: int, seed: int) -> Moments:
        """Linear means, and a covariance that is the same everywhere."""
        mean = SPECTRUM + (theta - CENTRE) @ SLOPES.T
        covariance = np.broadcast_to(self.covariance, (len(theta), *self.covariance.shape))
        return Moments(mean, np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)), covariance)


def linear_problem(seed: int) -> tuple[Problem, np.ndarray, np.ndarray]:
    """The problem, and the mean (4,) and covariance (4, 4) of its posterior."""
    n = len(ELL)
    pattern = CORRELATION + (1 - CORRELATION) * np.eye(n)
    of_emulator = EMULATOR_ERROR**2 * pattern * np.outer(SPECTRUM, SPECTRUM)
    of_data = np.diag((ERROR * SPECTRUM) ** 2)
    inverse = np.linalg.inv(of_data + of_emulator)
    covariance = np.linalg.inv(SLOPES.T @ inverse @ SLOPES)
    rng = np.random.default_rng(seed)
    dl = rng.multivariate_normal(SPECTRUM, of_data + of_emulator)
    mean = CENTRE + covariance @ SLOPES.T @ inverse @ (dl - SPECTRUM)
    data = BandPowers("linear", ELL, dl, of_data, realization="emulator")
    half = WIDTH * np.sqrt(np.diag(covariance))
    emulator = Emulator(
        LinearSpectrum(of_emulator),  # type: ignore[arg-type]
        ell=ELL,
        parameter_names=PARAMETER_NAMES,
        box=ParameterBox(PARAMETER_NAMES, tuple(mean - half), tuple(mean + half)),
    )
    return Problem(emulator, data), mean, covariance


def gaussian_limit(
    target_ess: int, walkers: int = 256, seed: int = 0
) -> dict[str, dict[str, float]]:
    """By parameter: error of the mean in sigma, relative error of the width, and what chance does.

    Errors of the largest correlation between parameters stand under "correlation".
    """
    problem, mean, covariance = linear_problem(seed)
    chains = sample(problem, EmceeOptions(walkers=walkers, target_ess=target_ess), seed=seed)
    flat = chains.samples.reshape(-1, problem.n_dim)
    std = np.sqrt(np.diag(covariance))
    found = {}
    for i, name in enumerate(problem.names):
        ess = chains.diagnostics["ess"][name]
        found[name] = {
            "mean": float((flat[:, i].mean() - mean[i]) / std[i]),
            "width": float(flat[:, i].std() / std[i] - 1),
            "chance": float(1 / np.sqrt(ess)),
        }
    exact = covariance / np.outer(std, std)
    found["correlation"] = {"largest": float(np.abs(np.corrcoef(flat.T) - exact).max())}
    return found
