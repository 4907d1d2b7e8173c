"""Where to simulate next, so that an emulator errs least over its box."""

from __future__ import annotations

import numpy as np

from ..artifact.read import Artifact
from ..design import PUBLISHED_SPACE, Design, ParameterSpace, Step, sobol
from ..design.points import require_count, require_seed
from ..errors import ConfigError
from ..models.emulator import Emulator
from ..models.gaussian_process import GaussianProcess
from ..models.gaussian_process.next_points import next_points, variance_with
from ..models.spectrum import SurrogateSpectrum

N_PROBES = 2048
"""Where the error is looked at; the new points are chosen among twice as many others."""

MOST = 1000
"""Points to suggest at once. Who has simulated that many should train again first."""

TOO_CLOSE = 1e-3
"""In coordinates of the process, in which the box is 2 wide: one so near another repeats it."""


def suggest(
    emulator: Emulator | Artifact, n: int, seed: int = 0, *, design: Design | None = None
) -> Design:
    """The next n parameter sets to simulate.

    Each is the point of the box that, all earlier ones being simulated, most lowers the mean
    variance of the relative error of the spectrum: see `models.gaussian_process.next_points`. They
    depend on the lengths and the noise that the Gaussian process has learned, so it is better to
    train again after some of them than to ask for many at once.

    Parameters
    ----------
    emulator : Emulator or Artifact
        A Gaussian process.
    n : int
        At most 1000.
    seed : int
        Of the points among which to choose, and of those at which the error is looked at.
    design : Design, optional
        Points that will be trained on next time, whether or not they were this time. They come
        first in the result, unchanged, and its bounds hold.

    Returns
    -------
    Design
        The first of the new points is the most useful one.

    Raises
    ------
    ConfigError (ValueError)
        If the emulator is not a Gaussian process or has no box, if the design has other parameters
        or lies elsewhere, or n or the seed is not in its range.
    """
    require_count(n)
    require_seed(seed)
    if n > MOST:
        raise ConfigError(
            f"{n} points are too many to suggest at once; ask for {MOST} or fewer, simulate them, "
            "and train again"
        )
    emulator = _as_emulator(emulator)
    process, space = _process(emulator), _space(emulator, design)
    known = _known(process, design)
    probes = _sobol(space, N_PROBES, 2 * seed)
    candidates = _sobol(space, 2 * N_PROBES, 2 * seed + 1)
    taken = np.concatenate([process.points, process.inputs(known)])
    candidates = candidates[_apart(process.inputs(candidates), taken)]
    if len(candidates) < n:
        raise ConfigError(f"there is no room for {n} points: the box is full of simulations")
    weights = (_relative(emulator, probes, np.ones(len(probes))) ** 2).mean(axis=1)
    chosen = candidates[next_points(process, candidates, probes, n, weights=weights, known=known)]
    step = Step("suggest", n, int(seed))
    if design is None:
        return Design(space.names, chosen, (step,), space)
    rows = np.concatenate([design.rows, chosen])
    return Design(design.names, rows, (*design.steps, step), design.space)


def expected_error(emulator: Emulator | Artifact, design: Design | None = None) -> float:
    """Mean relative error bar over the box of an emulator, after training on a design too.

    What the Gaussian process has learned of lengths and noise is taken to be right.

    Parameters
    ----------
    emulator : Emulator or Artifact
        A Gaussian process.
    design : Design, optional
        Points that are trained on beside those that were; rows that were count once.

    Raises
    ------
    ConfigError (ValueError)
        As `suggest`.
    """
    emulator = _as_emulator(emulator)
    process, spectrum = _process(emulator), emulator.spectrum
    assert isinstance(spectrum, SurrogateSpectrum)
    probes = _sobol(_space(emulator, None), N_PROBES, 0)
    variance = variance_with(process, _known(process, design), probes)
    if not spectrum.noise_is_scatter:
        variance = variance + process.hyper.noise_variance(process.inputs(probes))
    return float(_relative(emulator, probes, np.sqrt(variance)).mean())


def _relative(emulator: Emulator, theta: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Relative error bars of the spectrum, shape (n, b), from those of the kernel, shape (n,)."""
    process, spectrum = _process(emulator), emulator.spectrum
    assert isinstance(spectrum, SurrogateSpectrum)
    y = process.predict(theta)[0]
    error = spectrum.calibration.std(std[:, None] * process.scale)
    return np.abs(spectrum.target.derivative(y) / spectrum.target.invert(y)) * error


def _as_emulator(emulator: Emulator | Artifact) -> Emulator:
    return emulator.emulator() if isinstance(emulator, Artifact) else emulator


def _process(emulator: Emulator) -> GaussianProcess:
    model = getattr(emulator.spectrum, "model", None)
    if not isinstance(model, GaussianProcess):
        raise ConfigError(
            "only a Gaussian process can tell where simulations are missing, and this emulator "
            "is none. Train one on the same file: reionemu train H5 --model gp"
        )
    return model


def _space(emulator: Emulator, design: Design | None) -> ParameterSpace:
    """Where to look: the box of the emulator, as far as the design's own bounds allow."""
    box, names = emulator.box, emulator.parameter_names
    if box is None:
        raise ConfigError("the emulator has no box to fill: it was loaded with bounds='unbounded'")
    known_units = dict(zip(PUBLISHED_SPACE.names, PUBLISHED_SPACE.units, strict=True))
    units = tuple(known_units.get(name, "") for name in names)
    if design is None:
        return ParameterSpace(names, box.low, box.high, units)
    if design.names != names:
        raise ConfigError(
            f"the columns of the design are {', '.join(design.names)}, and the parameters of the "
            f"emulator {', '.join(names)}"
        )
    if design.space is None:
        return ParameterSpace(names, box.low, box.high, units)
    low = tuple(np.maximum(box.low, design.space.low).tolist())
    high = tuple(np.minimum(box.high, design.space.high).tolist())
    for i, name in enumerate(names):
        if not low[i] < high[i]:
            raise ConfigError(
                f"the design has {name} from {design.space.low[i]:g} to {design.space.high[i]:g}, "
                f"and the emulator from {box.low[i]:g} to {box.high[i]:g}: they do not overlap"
            )
    return ParameterSpace(names, low, high, units)


def _known(process: GaussianProcess, design: Design | None) -> np.ndarray:
    """Rows of a design, shape (k, p), that the process was not trained on."""
    if design is None:
        return np.empty((0, process.inputs.dimension))
    return design.rows[_apart(process.inputs(design.rows), process.points)]


def _apart(x: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which points, shape (n, p), are not very close to any of the others: shape (n,)."""
    from scipy.spatial import KDTree

    return KDTree(others).query(x)[0] > TOO_CLOSE


def _sobol(space: ParameterSpace, n: int, seed: int) -> np.ndarray:
    return sobol(space, n, seed).rows
