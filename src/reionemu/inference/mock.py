"""Observations that were not made: of a given spectrum, or of a simulation, with given errors."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..artifact.facts import section
from ..config import nearest, require_finite, require_int
from ..data.arrays import TrainingSet, load_training_set
from ..errors import ConfigError, DatasetError, MissingFileError, ReionemuWarning
from ..models.suite import SHARED
from ..targets import Target
from .band_power_checks import EMULATOR, SKY
from .band_powers import BandPowers

if TYPE_CHECKING:
    from ..artifact.read import Artifact


@dataclass(frozen=True, eq=False)
class Truth:
    """What a simulated observation was made of.

    Attributes
    ----------
    theta : dict of float
        Parameters by name.
    tau : float or None
        Optical depth. None, here and below, where the simulation does not say.
    z, x_hi : ndarray, shape (k,), or None
        Redshifts, and mass-weighted neutral fractions of hydrogen.
    sim : str
        Name of the simulation.
    """

    theta: dict[str, float]
    tau: float | None
    z: np.ndarray | None
    x_hi: np.ndarray | None
    sim: str


def mock_from_spectrum(
    ell: ArrayLike,
    dl: ArrayLike,
    relative_error: float = 0.1,
    seed: int | None = None,
    *,
    name: str = "mock",
    is_total: bool = False,
    realization: str = SKY,
    map_area: float | None = None,
    source: str = "a given spectrum",
) -> BandPowers:
    """Band powers of a spectrum, with independent errors in proportion to it.

    Parameters
    ----------
    ell : array_like, shape (m,)
    dl : array_like, shape (m,)
        D_ell [uK^2], positive.
    relative_error : float
        Standard deviation of a band power in units of `dl`.
    seed : int, optional
        Of the noise that is added; None for none, so that `dl` is observed exactly.
    name, is_total, realization, map_area, source
        See `BandPowers`.

    Raises
    ------
    ConfigError, InferenceDataError (ValueError)
        For an error that is not positive, or a spectrum that is no such.
    """
    require_finite("mock", "relative_error", relative_error, minimum=0, exclusive=True)
    try:
        dl = np.array(dl, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError("mock.dl must be numbers") from None
    if dl.ndim != 1 or not (dl > 0).all():
        raise ConfigError("mock.dl must be a list of positive D_ell [uK^2]")
    std = relative_error * dl
    if seed is not None:
        require_int("mock", "seed", seed, minimum=0)
        dl = dl + std * np.random.default_rng(seed).standard_normal(len(dl))
    return BandPowers(
        name=name,
        ell=np.asarray(ell),
        dl=dl,
        covariance=np.diag(std**2),
        is_total=is_total,
        realization=realization,
        map_area=map_area,
        source=source,
    )


def mock_from_simulation(
    artifact: Artifact,
    sim: str | int,
    *,
    dataset: Path | str | None = None,
    relative_error: float = 0.1,
    seed: int | None = None,
) -> tuple[BandPowers, Truth]:
    """An observation of one of the simulations that an emulator comes from, or of another suite.

    A simulation has its own sample variance. If the emulator's suite shares its realizations, and
    the simulation is of it, both have the same, and `realization` is "emulator"; else `map_area`
    says by how much of it the simulation is off, times the number of maps that were averaged.

    Parameters
    ----------
    artifact : Artifact
    sim : str or int
        Name of a simulation, or number of its row in the training arrays.
    dataset : path, optional
        The HDF5 file; by default the one that the artifact was trained on. Another suite is another
        sky.
    relative_error, seed
        As in `mock_from_spectrum`.

    Returns
    -------
    BandPowers
    Truth

    Raises
    ------
    MissingFileError (FileNotFoundError), DatasetError (ValueError)
        If the dataset is not there, is not the recorded one any more, or has no such simulation.
    ConfigError (ValueError)
        If the artifact does not record its dataset, and none was given.

    Warns
    -----
    ReionemuWarning
        If the emulator was trained on that very simulation, or the dataset does not say what
        realizations it has.
    """
    recorded = section(artifact.info, "dataset")
    path, data = _dataset(artifact, recorded, dataset)
    is_recorded = data.content_sha256() == recorded.get("content_sha256")
    row = _row(data, sim, path)
    name = data.sim_ids[row] if data.sim_ids else str(row)
    if is_recorded and row in _training_rows(artifact):
        warnings.warn(
            f"the emulator {artifact.name!r} was trained on {name}: what is inferred from it says "
            "little of how well others are. Take one of the test rows",
            ReionemuWarning,
            stacklevel=2,
        )
    suite = artifact.companions().suite
    realizations = data.realizations if suite is None else suite.realizations
    is_same = is_recorded and realizations == SHARED
    realization, map_area = _sample_variance(data, row, is_same, path)
    observed = mock_from_spectrum(
        data.ell,
        _dl(data, row, path),
        relative_error,
        seed,
        name=f"mock of {name}",
        realization=realization,
        map_area=map_area,
        source=f"simulation {name} of {path.name}, errors of {relative_error:g} of D_ell, "
        + ("without noise" if seed is None else f"noise of seed {seed}"),
    )
    return observed, _truth(data, row, name, path)


def _dataset(
    artifact: Artifact, recorded: Mapping[str, Any], given: Path | str | None
) -> tuple[Path, TrainingSet]:
    """The file, and its training arrays."""
    if given is not None:
        path = Path(given).expanduser()
        return path, load_training_set(path)
    if not isinstance(recorded.get("path"), str):
        raise ConfigError(f"{artifact.path} does not record its dataset; give it (dataset=...)")
    path = Path(recorded["path"])
    if not path.exists():
        raise MissingFileError(
            f"{path}, on which {artifact.path} was trained, does not exist; give it by its present "
            "name (dataset=...)"
        )
    data = load_training_set(path)
    if data.content_sha256() != recorded.get("content_sha256"):
        raise DatasetError(
            f"{path} has other training arrays than those on which {artifact.path} was trained; "
            "give the file that has them, or this one by name (dataset=...) for another sky"
        )
    return path, data


def _row(data: TrainingSet, sim: str | int, path: Path) -> int:
    n = len(data.X)
    if isinstance(sim, str):
        if sim in data.sim_ids:
            return data.sim_ids.index(sim)
        some = ", ".join(data.sim_ids[:3])
        raise DatasetError(
            f"{path} has no simulation {sim[:80]!r}{nearest(sim, data.sim_ids)}; there are {n}, "
            + (f"such as {some}" if some else "without names: give the number of a row")
        )
    require_int("mock", "sim", sim, minimum=0)
    if sim >= n:
        raise DatasetError(f"{path} has no row {sim}; the rows are 0 to {n - 1}")
    return int(sim)


def _training_rows(artifact: Artifact) -> set[int]:
    """Rows that the record says the emulator was trained on; empty if it does not say."""
    steps = artifact.provenance.get("lineage")
    for step in steps if isinstance(steps, list) else []:
        if isinstance(step, Mapping) and step.get("step") == "split":
            rows = section(step, "indices").get("train")
            return (
                {row for row in rows if isinstance(row, int)} if isinstance(rows, list) else set()
            )
    return set()


def _sample_variance(
    data: TrainingSet, row: int, is_same: bool, path: Path
) -> tuple[str, float | None]:
    """`realization` and `map_area` of a simulation."""
    if is_same:
        return EMULATOR, None
    if data.map_area is None:
        warnings.warn(
            f"{path} does not say how large its maps are: the sample variance of this mock is "
            "left out, and its errors are too small",
            ReionemuWarning,
            stacklevel=3,
        )
        return SKY, None
    maps = 1 if data.n_realizations is None else int(data.n_realizations[row])
    return SKY, min(maps * data.map_area, 4 * np.pi)


def _dl(data: TrainingSet, row: int, path: Path) -> np.ndarray:
    """D_ell of a row [uK^2]."""
    if data.y_source is None or data.y_transform is None:
        raise DatasetError(
            f"{path}: /training does not state its y_source and y_transform; build it again with "
            "the training-set stage"
        )
    target = Target(data.y_source, data.y_transform, data.eps or 0.0)
    spectrum = target.invert(data.Y[row].astype(np.float64))
    if data.y_source == "cl_ksz":
        spectrum = spectrum * data.ell * (data.ell + 1) / (2 * np.pi)
    return spectrum


def _truth(data: TrainingSet, row: int, name: str, path: Path) -> Truth:
    if not data.param_names:
        raise DatasetError(
            f"{path}: /training does not name its parameters; build it again with the training-set "
            "stage"
        )
    theta = dict(zip(data.param_names, data.X[row].astype(np.float64).tolist(), strict=True))
    tau = None if data.tau is None else float(data.tau[row])
    if data.z is None or data.x_hi is None:
        return Truth(theta, tau, None, None, name)
    return Truth(theta, tau, data.z.copy(), data.x_hi[row].copy(), name)
