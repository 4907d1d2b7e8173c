"""Fitting models that are no networks, and what goes with a model of either kind."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.arrays import TrainingSet
from ..errors import DatasetError, ReionemuWarning
from ..models.calibration import MIN_SIMULATIONS, Calibration, correlation_of
from ..models.companions import Companions
from ..models.inputs import Inputs
from ..models.out_of_fold import OutOfFold
from ..models.spectrum import NetworkSpectrum, Surrogate, SurrogateSpectrum
from ..models.suite import OWN, SHARED, Suite
from ..parameters import PARAMETER_NAMES
from ..targets import Target
from .options import EnsembleModelOptions, GaussianProcessOptions, SuiteOptions
from .progress import Progress, counted

if TYPE_CHECKING:
    from ..models.history import HistoryModel

SCATTER = 0.03
"""Noise of ln D_ell above which simulations are taken to have realizations of their own.

Those that share one scatter by 0.2 to 0.5% around a smooth function, others by 5% or more.
"""

PARTS = {"train": 0, "val": 1, "test": 2}


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model of the spectrum, and how it does on simulations it has not seen.

    Attributes
    ----------
    spectrum : SurrogateSpectrum or NetworkSpectrum
    companions : Companions
    predictions : dict of ndarray
        See `Artifact.predictions`.
    """

    spectrum: SurrogateSpectrum | NetworkSpectrum
    companions: Companions
    predictions: dict[str, np.ndarray]


def fit_surrogate(
    data: TrainingSet,
    rows: np.ndarray,
    model: GaussianProcessOptions | EnsembleModelOptions,
    seed: int,
    device: str = "cpu",
    progress: Progress | None = None,
) -> tuple[Surrogate, OutOfFold]:
    """Train on some rows, and predict each by a model that did not see it."""
    theta, y = data.X[rows].astype(np.float64), data.Y[rows].astype(np.float64)
    inputs = Inputs.over(theta, data.param_names, model.coordinates)
    if isinstance(model, GaussianProcessOptions):
        from ..models.gaussian_process import fit_gaussian_process

        return fit_gaussian_process(theta, y, inputs, seed=seed)
    from ..models.ensemble import fit_ensemble

    steps = counted(progress, "training")
    return fit_ensemble(theta, y, inputs, options=model, seed=seed, device=device, progress=steps)


def with_surrogate(
    data: TrainingSet,
    parts: Mapping[str, np.ndarray],
    suite: SuiteOptions,
    trained: tuple[Surrogate, OutOfFold],
) -> Fitted:
    """A trained surrogate with its companions.

    Error bars are calibrated on the training rows, each predicted without itself, and on the
    validation rows. No use is made of the rows to test on, but to predict them.
    """
    model, own = trained
    kind = kind_of(data, suite, own)
    predicted = {"train": own} | {
        part: OutOfFold(*model.predict(_theta(data, rows)))
        for part, rows in parts.items()
        if part != "train"
    }
    used = [part for part in ("train", "val") if part in parts]
    mean, total = (
        np.concatenate([getattr(predicted[part], name) for part in used])
        for name in ("mean", "total")
    )
    truth = data.Y[np.concatenate([parts[part] for part in used])].astype(np.float64)
    calibration = Calibration.of(mean, total, truth)
    companions = _companions(data, parts, suite, kind, calibration, (truth - mean) / total)
    calibration = companions.calibration or calibration
    spectrum = SurrogateSpectrum(model, target_of(data), calibration, kind == OWN)
    table = {part: (found.mean, calibration.std(found.total)) for part, found in predicted.items()}
    return Fitted(spectrum, companions, _predictions(data, parts, table))


def with_network(
    data: TrainingSet,
    parts: Mapping[str, np.ndarray],
    suite: SuiteOptions,
    spectrum: NetworkSpectrum,
    n_draws: int,
) -> Fitted:
    """A trained network with its companions; its error bars are calibrated on validation rows."""
    rows = parts["val"]
    table = {
        part: _spread(spectrum, _theta(data, indices), n_draws)
        for part, indices in parts.items()
        if part != "train"
    }
    calibration = None
    truth = data.Y[rows].astype(np.float64)
    if len(rows) >= MIN_SIMULATIONS:
        calibration = Calibration.of(*table["val"], truth)
        table = {part: (mean, calibration.std(std)) for part, (mean, std) in table.items()}
    kind = suite.realizations if suite.realizations != "auto" else data.realizations or SHARED
    companions = _companions(data, parts, suite, kind, calibration, None)
    calibrated = replace(spectrum, calibration=calibration)
    return Fitted(calibrated, companions, _predictions(data, parts, table))


def _spread(
    spectrum: NetworkSpectrum, theta: np.ndarray, n_draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of targets over draws, shape (n, b) each."""
    y = spectrum.target_draws(theta, n_draws, 0)
    std = y.std(axis=0, ddof=1) if len(y) > 1 else np.zeros_like(y[0])
    return y.mean(axis=0), std


def kind_of(data: TrainingSet, suite: SuiteOptions, own: OutOfFold) -> str:
    """Whether simulations have realizations of their own."""
    if suite.realizations != "auto":
        if data.realizations not in (None, suite.realizations):
            warnings.warn(
                f"the file says that realizations are {data.realizations!r}; as was asked, they "
                f"are taken as {suite.realizations!r}",
                ReionemuWarning,
                stacklevel=3,
            )
        return suite.realizations
    if data.realizations is not None:
        return data.realizations
    target = target_of(data)
    ln_noise = float(np.median(own.noise)) * target.ln_base
    return OWN if target.is_logarithmic and ln_noise > SCATTER else SHARED


def _companions(
    data: TrainingSet,
    parts: Mapping[str, np.ndarray],
    suite: SuiteOptions,
    kind: str,
    calibration: Calibration | None,
    z: np.ndarray | None,
) -> Companions:
    """What goes with a model; z, shape (n, b), are errors in error bars, training rows first."""
    n = data.n_realizations
    facts = Suite(
        kind,
        int(n.min()) if n is not None else 1,
        data.map_area,
        data.ln_covariance,
        data.ln_covariance_dof,
    )
    rows = parts["train"]
    history, residuals = _history(data, rows) if suite.history else (None, None)
    correlation = None
    if z is not None and residuals is not None:
        correlation = joint_correlation(z[: len(rows)], residuals)
        b = z.shape[1]
        assert calibration is not None
        calibration = replace(calibration, correlation=correlation[:b, :b].copy())
    return Companions(calibration, facts, _theta(data, rows), history, correlation)


def _history(
    data: TrainingSet, rows: np.ndarray
) -> tuple[HistoryModel, OutOfFold] | tuple[None, None]:
    """A model of tau and of the history, where the file has them."""
    there = [part is not None for part in (data.tau, data.x_hi, data.z)]
    if not all(there) or data.param_names != PARAMETER_NAMES:
        if any(there):
            lacking = "the four parameters in their order" if all(there) else "tau or x_HI(z)"
            warnings.warn(
                f"tau and the history are not emulated: /training lacks {lacking}",
                ReionemuWarning,
                stacklevel=3,
            )
        return None, None
    from ..models.history import fit_history

    theta = _theta(data, rows)
    assert data.tau is not None
    assert data.x_hi is not None
    assert data.z is not None
    try:
        inputs = Inputs.over(theta, data.param_names)
        return fit_history(theta, data.z, data.x_hi[rows], data.tau[rows], inputs)
    except DatasetError as error:
        warnings.warn(
            f"tau and the history are not emulated: {error}", ReionemuWarning, stacklevel=2
        )
        return None, None


def joint_correlation(spectrum: np.ndarray, history: OutOfFold) -> np.ndarray:
    """Correlation of errors of spectrum and history, (b + h, b + h), from those of n simulations.

    Parameters
    ----------
    spectrum : ndarray, shape (n, b)
        True less predicted, in units of error bars.
    history : OutOfFold
        Of h errors, predicted less true.
    """
    both = np.concatenate([spectrum, -history.mean / history.total], axis=1)
    return correlation_of(both)


def _predictions(
    data: TrainingSet,
    parts: Mapping[str, np.ndarray],
    table: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Predictions by part as one table, rows in the order of the file."""
    rows = np.concatenate([parts[part] for part in table])
    part = np.concatenate([np.full(len(parts[name]), PARTS[name]) for name in table])
    mean, std = (np.concatenate([moments[i] for moments in table.values()]) for i in (0, 1))
    order = np.argsort(rows)
    truth = data.Y[rows].astype(np.float64)
    arrays: dict[str, Any] = {"row": rows, "part": part, "mean": mean, "std": std, "truth": truth}
    return {name: np.ascontiguousarray(array[order]) for name, array in arrays.items()}


def _theta(data: TrainingSet, rows: np.ndarray) -> np.ndarray:
    return data.X[rows].astype(np.float64)


def target_of(data: TrainingSet) -> Target:
    """What the rows of Y are; DatasetError if the file does not say."""
    if data.y_source is None or data.y_transform is None or data.eps is None:
        raise DatasetError("/training does not state what its targets are; build it again")
    return Target(data.y_source, data.y_transform, data.eps)
