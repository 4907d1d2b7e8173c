"""How the error of an emulator falls with the number of simulations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config import require_finite, require_int
from ..data.arrays import TrainingSet
from ..data.splits import split_indices
from ..errors import ConfigError
from ..models.calibration import Calibration
from ..models.emulator import DEFAULT_DRAWS
from ..models.out_of_fold import OutOfFold
from ..models.spectrum import SurrogateSpectrum
from ..models.suite import OWN
from ..targets import Target
from .learning_law import LearningLaw, fit_law, resample_laws
from .loading import load_data
from .networks import spectrum_of, train_network
from .options import ModelOptions, TrainingOptions
from .progress import Progress
from .surrogates import fit_surrogate, kind_of, target_of
from .usable import fewest, require_enough, require_usable

FEWEST_SIZES = 4
"""Three numbers describe the law; a fourth size tells whether it holds."""

N_RESAMPLED = 200
STEP = 2**0.5
SMALLEST, MOST_SIZES = 30, 8
"""Of sizes by default: fewer simulations are off the law, and serve small suites alone."""


class Estimate(NamedTuple):
    """A number, and between which bounds it lies with 68% probability."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Errors by number of simulations, and the law they follow.

    Attributes
    ----------
    sizes : ndarray of int, shape (k,)
        Numbers of simulations to train on.
    errors : ndarray, shape (r, k)
        Mean of |predicted/true - 1| over bins and held-out simulations, of r repeats.
    bars : ndarray, shape (r, k), or None
        What the emulator says of its error: the mean relative error bar. None for a network.
    held_out : str
        What errors were measured on: "test"; of a split without, "out-of-fold", each training
        simulation predicted without itself, or, of a network, "val", which chose the weights.
    law : LearningLaw
    resampled : tuple of LearningLaw
        As it might have come out.
    """

    sizes: np.ndarray
    errors: np.ndarray
    bars: np.ndarray | None
    held_out: str
    law: LearningLaw
    resampled: tuple[LearningLaw, ...]

    @property
    def mean(self) -> np.ndarray:
        """Mean error over repeats, shape (k,)."""
        return self.errors.mean(axis=0)

    @property
    def scatter(self) -> np.ndarray:
        """Standard deviation over repeats, shape (k,); NaN of one repeat.

        Repeats at the largest size differ by the seed alone, which is nothing of most models.
        """
        if len(self.errors) == 1:
            return np.full(len(self.sizes), np.nan)
        return self.errors.std(axis=0, ddof=1)

    @property
    def floor(self) -> Estimate:
        """The error that no number of simulations takes away."""
        return _estimate(self.law.floor, [law.floor for law in self.resampled])

    @property
    def exponent(self) -> Estimate:
        """s of the part of the error that falls as n^-s."""
        return _estimate(self.law.exponent, [law.exponent for law in self.resampled])

    def expected(self, n: int) -> Estimate:
        """The error with n simulations to train on."""
        require_int("learning_curve", "n", n, minimum=1)
        return _estimate(float(self.law(n)), [float(law(n)) for law in self.resampled])

    def needed(self, target: float) -> Estimate:
        """How many simulations to train on have an error of `target`, such as 0.005.

        Infinity where the floor forbids it.
        """
        require_finite("learning_curve", "target", target, minimum=0, below=1, exclusive=True)
        return _estimate(self.law.needed(target), [law.needed(target) for law in self.resampled])


def learning_curve(
    h5_path: Path,
    options: TrainingOptions | None = None,
    sizes: Sequence[int] | None = None,
    repeats: int = 3,
    *,
    progress: Progress | None = None,
) -> LearningCurve:
    """Train on ever more of the training part, and measure errors on simulations held out.

    Parameters
    ----------
    h5_path : Path
        File with /training.
    options : TrainingOptions, optional
        The model, and the split. What is tuned or cross-validated besides is left out.
    sizes : sequence of int, optional
        How many simulations to train on, four numbers or more; by default four to eight, each 1.4
        times the one before, or less of a small suite; the last is all of the part. A smaller set
        is a part of a larger one.
    repeats : int
        How many times, each with the simulations in another order and another seed.
    progress : callable, optional

    Raises
    ------
    ConfigError (ValueError)
        If sizes are too few, or more than there are simulations to train on.
    DatasetError (ValueError)
        If the arrays are not usable, or a size is too small for the model.
    """
    options = options or TrainingOptions()
    require_int("learning_curve", "repeats", repeats, minimum=1)
    data = load_data(h5_path)[0]
    seed = options.dataloader.seed
    parts = split_indices(len(data.X), options.split, seed)
    available = len(parts["train"])
    if sizes is None:
        sizes = _default_sizes(available, data.X.shape[1])
    chosen = _sizes(sizes, available)
    require_usable(data, parts["train"])
    measured: list[_Measured] = []
    for repeat in range(repeats):
        order = np.random.default_rng([seed, repeat]).permutation(parts["train"])
        for n in chosen:
            measured.append(_measure(data, {**parts, "train": order[:n]}, options, seed + repeat))
            if progress:
                progress("training", len(measured), repeats * len(chosen))
    shape = (repeats, len(chosen))
    errors = np.reshape([one.error for one in measured], shape)
    sampling = float(np.median([one.sampling for one in measured]))
    rng = np.random.default_rng(seed)
    return LearningCurve(
        chosen,
        errors,
        None if measured[0].bar is None else np.reshape([one.bar for one in measured], shape),
        measured[0].held_out,
        fit_law(chosen, errors.mean(axis=0)),
        tuple(resample_laws(chosen, errors, sampling, rng, N_RESAMPLED)),
    )


def _default_sizes(available: int, p: int) -> list[int]:
    """The last is all; the first, of p parameters, is enough for a fit if there are enough."""
    n_steps = math.floor(math.log(max(available / SMALLEST, 1)) / math.log(STEP))
    n_sizes = min(max(n_steps + 1, FEWEST_SIZES), MOST_SIZES)
    first = min(max(available / STEP ** (n_sizes - 1), fewest(p)), available)
    return np.round(np.geomspace(first, available, n_sizes)).astype(int).tolist()


def _sizes(sizes: Sequence[int], available: int) -> np.ndarray:
    for size in sizes:
        require_int("learning_curve", "sizes", size, minimum=1)
    distinct = sorted(set(sizes))
    if len(distinct) < FEWEST_SIZES:
        raise ConfigError(
            f"a learning curve needs {FEWEST_SIZES} different sizes or more, there are "
            f"{len(distinct)}; there are {available} simulations to train on"
        )
    if distinct[-1] > available:
        raise ConfigError(
            f"a size of {distinct[-1]} is more than the {available} simulations to train on; give "
            "smaller sizes, or a larger part of the split"
        )
    return np.array(distinct)


class _Measured(NamedTuple):
    """Mean error, its relative standard deviation, the mean error bar, and on what."""

    error: float
    sampling: float
    bar: float | None
    held_out: str


def _measure(
    data: TrainingSet, parts: Mapping[str, np.ndarray], options: TrainingOptions, seed: int
) -> _Measured:
    """Train on the rows "train", and measure on those held out."""
    require_enough(data, parts["train"])
    if isinstance(options.model, ModelOptions):
        held_out = "test" if "test" in parts else "val"
        rows = parts[held_out]
        seeded = replace(options, fit=replace(options.fit, seed=seed))
        network = train_network(data, parts, seeded)
        spectrum = spectrum_of(network.model, network.normalizers, data)
        predicted = spectrum.moments(data.X[rows].astype(np.float64), DEFAULT_DRAWS, seed).mean
        return _compare(data, rows, predicted, None, held_out)
    rows = parts["train"]
    model, own = fit_surrogate(data, rows, options.model, seed, options.fit.device)
    target = target_of(data)
    calibration = Calibration.of(own.mean, own.total, data.Y[rows].astype(np.float64))
    is_own = kind_of(data, options.suite, own) == OWN
    if "test" not in parts:
        predicted, std = _spectra(own, target, calibration, is_own)
        return _compare(data, rows, predicted, std, "out-of-fold")
    rows = parts["test"]
    surrogate = SurrogateSpectrum(model, target, calibration, is_own)
    found = surrogate.moments(data.X[rows].astype(np.float64), DEFAULT_DRAWS, seed)
    return _compare(data, rows, found.mean, found.std, "test")


def _spectra(
    own: OutOfFold, target: Target, calibration: Calibration, is_own: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Mean spectra and their error bars, shape (n, b) each [uK^2]: see `SurrogateSpectrum`."""
    y, error = own.mean, own.std if is_own else own.total
    if is_own and target.is_logarithmic:
        y = y + 0.5 * target.ln_base * calibration.std(own.noise) ** 2
    return target.invert(y), abs(target.derivative(y)) * calibration.std(error)


def _compare(
    data: TrainingSet,
    rows: np.ndarray,
    predicted: np.ndarray,
    std: np.ndarray | None,
    held_out: str,
) -> _Measured:
    truth = target_of(data).invert(data.Y[rows].astype(np.float64))
    errors = np.abs(predicted / truth - 1).mean(axis=1)
    error = float(errors.mean())
    bar = None if std is None else float(np.mean(std / np.abs(truth)))
    return _Measured(error, float(errors.std() / np.sqrt(len(rows)) / error), bar, held_out)


def _estimate(value: float, others: Sequence[float]) -> Estimate:
    low, high = np.quantile(others, [0.16, 0.84], method="nearest")
    return Estimate(value, float(low), float(high))
