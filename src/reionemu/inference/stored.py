"""A posterior as arrays by name and a document about them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

import numpy as np

from ..artifact.formats.posterior import StoredPosterior
from .band_powers import BandPowers
from .sampling.chains import Chains

if TYPE_CHECKING:
    from .posterior import Posterior

T = TypeVar("T")

_SAMPLER = ("sampler", "is_converged", "criterion", "diagnostics")


def as_stored(posterior: Posterior) -> StoredPosterior:
    """What is written of a posterior; its data, and the facts about it, go elsewhere as well."""
    chains = posterior.chains
    arrays = {
        "samples": chains.samples,
        "log_prob": chains.log_prob,
        "low": posterior.low,
        "high": posterior.high,
        **{f"derived.{name}": values for name, values in posterior.derived.items()},
    }
    if chains.weights is not None:
        arrays["weights"] = chains.weights
    options: dict[str, Any] = {
        "names": list(chains.names),
        "derived": list(posterior.derived),
        **{key: getattr(chains, key) for key in _SAMPLER},
        "priors": dict(posterior.priors),
        "facts": dict(posterior.facts),
    }
    for part in ("history", "predictive"):
        found, numbers = _parts(part, getattr(posterior, part))
        arrays |= found
        if numbers:
            options[part] = numbers
    plain = {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items()}
    return StoredPosterior(options, plain)


def restored(stored: StoredPosterior, data: BandPowers) -> Posterior:
    """The posterior that was stored.

    Raises
    ------
    LookupError, TypeError, ValueError
        If something of it is not there.
    """
    from .posterior import Posterior

    options, arrays = stored.options, stored.arrays
    types = get_type_hints(Posterior)
    return Posterior(
        chains=Chains(
            names=tuple(options["names"]),
            samples=arrays["samples"],
            log_prob=arrays["log_prob"],
            weights=arrays.get("weights"),
            **{key: options[key] for key in _SAMPLER},
        ),
        data=data,
        priors=dict(options["priors"]),
        low=arrays["low"],
        high=arrays["high"],
        derived={name: arrays[f"derived.{name}"] for name in options["derived"]},
        history=_whole("history", types["history"], arrays, options.get("history", {})),
        predictive=_whole("predictive", types["predictive"], arrays, options.get("predictive", {})),
        facts=dict(options["facts"]),
    )


def _parts(prefix: str, value: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays in an object and the objects in it, by dotted name; and what else is in it."""
    arrays: dict[str, np.ndarray] = {}
    rest: dict[str, Any] = {}
    for field in fields(value) if value is not None else ():
        name, inner = f"{prefix}.{field.name}", getattr(value, field.name)
        if isinstance(inner, np.ndarray):
            arrays[name] = inner
        elif is_dataclass(inner):
            found, numbers = _parts(name, inner)
            arrays |= found
            rest |= {f"{field.name}.{key}": item for key, item in numbers.items()}
        elif inner is not None:
            rest[field.name] = inner
    return arrays, rest


def _whole(
    prefix: str, kind: Any, arrays: Mapping[str, np.ndarray], rest: Mapping[str, Any]
) -> Any:
    """The object of a type, which may be optional, that `_parts` took apart."""
    cls = next((one for one in (kind, *get_args(kind)) if is_dataclass(one)), None)
    if cls is None or not (rest or any(name.startswith(f"{prefix}.") for name in arrays)):
        if type(None) not in get_args(kind):
            raise ValueError(f"{prefix} is not there")
        return None
    types = get_type_hints(cls)
    values: dict[str, Any] = {}
    for field in fields(cls):
        name = f"{prefix}.{field.name}"
        inside = {
            key.removeprefix(f"{field.name}."): item
            for key, item in rest.items()
            if key.startswith(f"{field.name}.")
        }
        if name in arrays:
            values[field.name] = arrays[name]
        elif field.name in rest:
            values[field.name] = rest[field.name]
        else:
            values[field.name] = _whole(name, types[field.name], arrays, inside)
    return cls(**values)  # type: ignore[operator]
