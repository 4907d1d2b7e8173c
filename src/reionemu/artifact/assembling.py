"""Putting an emulator together from what a record holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data.normalization import Normalizer
from ..errors import RecordError
from ..models.companions import Companions
from ..models.domain import Domain
from ..models.emulator import Emulator
from ..models.registry import surrogate_kind
from ..models.spectrum import Network, NetworkSpectrum, SurrogateSpectrum
from ..models.suite import OWN
from ..parameters import ParameterBox
from ..targets import Target
from .layout import COMPANIONS

Spectrum = SurrogateSpectrum | NetworkSpectrum


def surrogate_spectrum(
    record: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    target: Target,
    names: tuple[str, ...],
    companions: Companions,
) -> Spectrum:
    """A model that is no network, from its record.

    Raises
    ------
    ValueError
        If it is of other parameters than `names`, or has no error bars.
    """
    model = surrogate_kind(record["class_name"]).from_record(record, weights)
    if model.inputs.names != names:
        raise ValueError(f"the model is of parameters {', '.join(model.inputs.names)}")
    if companions.calibration is None:
        raise ValueError(
            f"the record lacks {COMPANIONS}, or the calibration in it: the model has no error "
            "bars. Copy the whole folder, or `reionemu artifact export` it"
        )
    own = companions.suite is not None and companions.suite.realizations == OWN
    return SurrogateSpectrum(model, target, companions.calibration, noise_is_scatter=own)


def network_spectrum(
    network: Network,
    target: Target,
    normalizers: Mapping[str, Normalizer | None],
    companions: Companions,
) -> Spectrum:
    """A network with its normalizers."""
    x, y = normalizers.get("X"), normalizers.get("Y")
    return NetworkSpectrum(network, target, x, y, companions.calibration)


def assemble(
    spectrum: Spectrum,
    ell: Any,
    names: tuple[str, ...],
    box: ParameterBox | None,
    companions: Companions,
) -> Emulator:
    """The emulator of a model of the spectrum."""
    points = companions.points
    return Emulator(
        spectrum,
        ell=np.asarray(ell, dtype=np.float64),
        parameter_names=names,
        box=box,
        history=companions.history,
        suite=companions.suite,
        domain=Domain(box, points) if box is not None and points is not None else None,
        correlation=companions.correlation,
    )


def try_out(emulator: Emulator, path: Path) -> None:
    """Refuse at once a record whose parts do not fit together."""
    n_parameters, n_bins = len(emulator.parameter_names), len(emulator.ell)
    middle = (
        np.zeros(n_parameters)
        if emulator.box is None
        else np.mean([emulator.box.low, emulator.box.high], axis=0)
    )
    try:
        with np.errstate(all="ignore"):
            found = emulator.spectrum.moments(middle[None], 2, 0)
    except (ValueError, RuntimeError) as error:
        raise RecordError(
            f"{path}: the weights do not fit {n_parameters} parameters "
            f"({', '.join(emulator.parameter_names)}) and the recorded normalizers: {error}"
        ) from None
    if found.mean.shape != (1, n_bins):
        raise RecordError(
            f"{path}: the model gives {found.mean.shape[-1]} values and the record has "
            f"{n_bins} ell bins"
        )
    if isinstance(emulator.spectrum, NetworkSpectrum) or emulator.box is None:
        return  # a network may have diverged; where it was not trained, anything may happen
    if not all(np.isfinite(v).all() for v in (found.mean, found.std) if v is not None):
        raise RecordError(f"{path}: the model predicts no number in the middle of its box")
