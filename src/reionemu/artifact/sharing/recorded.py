"""What the documents of a record say, each fact in the type it should have or not at all.

Documents may come from other programs, so that nothing in them can be relied on to be there, or
to be a number where a number should be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ...models.registry import surrogate_kind
from ...models.suite import REALIZATIONS
from .contents import Documents


def facts_of_data(record: Documents) -> Mapping[str, Any]:
    """What is recorded of the data, in info.json or in the options they were built with."""
    build = mapping(mapping(record.configs, "dataset_prep"), "build_xy")
    dataset = mapping(record.info, "dataset")
    return {**build, **{key: value for key, value in dataset.items() if value is not None}}


def parameter_names(record: Documents) -> list[str]:
    """Names of the parameters, in order."""
    names = facts_of_data(record).get("param_names")
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        return names
    return sorted(box_of(record))


def box_of(record: Documents) -> dict[str, tuple[float, float]]:
    """The box by parameter, as far as it is recorded."""
    box = mapping(record.info, "training_box") or mapping(facts_of_data(record), "parameter_ranges")
    found = {str(name): numbers(ends) for name, ends in box.items()}
    return {name: (ends[0], ends[1]) for name, ends in found.items() if len(ends) == 2}


def missing_arguments(record: Documents) -> list[str]:
    """Arguments of `Artifact.emulator` that the record cannot supply by itself."""
    facts = facts_of_data(record)
    needed = ["param_names", "y_transform", "y_source", "ell"]
    needed += ["eps"] * (facts.get("y_transform") != "none")
    missing = [name for name in needed if facts.get(name) in (None, [], ())]
    missing += ["bounds"] * (not box_of(record))
    return missing + ["class_name"] * ("class_name" not in record.model)


def split_sizes(record: Documents) -> dict[str, int]:
    """Number of simulations in each part of the split, as far as it is recorded."""
    split = mapping(mapping(record.results, "summary"), "n_samples")
    sizes = {str(part): n for part, n in split.items() if type(n) is int}
    if not sizes:
        lineage = record.provenance.get("lineage")
        for step in lineage if isinstance(lineage, list) else []:
            if isinstance(step, Mapping) and step.get("step") == "split":
                rows = mapping(step, "indices").items()
                sizes = {str(part): len(found) for part, found in rows if isinstance(found, list)}
    order = ["train", "val", "test"]
    return dict(
        sorted(
            sizes.items(),
            key=lambda item: (order.index(item[0]) if item[0] in order else 3, item[0]),
        )
    )


def held_out_errors(record: Documents) -> dict[str, Any]:
    """The held-out errors if they are there and whole, with equally many values of each kind.

    Of what else `pipeline.assess` finds, that which is there and whole.
    """
    errors = mapping(mapping(record.results, "metrics"), "errors")
    n, ell = errors.get("n"), numbers(errors.get("ell"))
    found: dict[str, Any] = {"n": n, "ell": ell}
    for key in ("mean", "median", "p95", "max"):
        found[key] = numbers(errors.get(key))
    whole = all(len(values) == len(ell) for key, values in found.items() if key != "n")
    if not whole or not ell or type(n) is not int or not 0 < n < 10**9:
        return {}
    spread = _lists(errors, ("mean_relative_std", "coverage_1sigma", "coverage_2sigma"), len(ell))
    if len(spread) == 3:
        also = ("coverage_3sigma", "mean_relative_scatter", "chi2")
        found |= spread | _lists(errors, also, len(ell)) | _suspect(errors)
    found |= _scalars(errors, ("mean", "p95", "worst"), "relative_error")
    found |= _covered(errors, "reduced_chi2")
    return found | _history(mapping(errors, "history"))


def _lists(errors: Mapping[str, Any], keys: Sequence[str], length: int) -> dict[str, list[float]]:
    """Lists of that length, as far as they are there."""
    found = {key: numbers(errors.get(key)) for key in keys}
    return {key: values for key, values in found.items() if len(values) == length}


def _scalars(errors: Mapping[str, Any], kinds: Sequence[str], noun: str) -> dict[str, float]:
    """Numbers called <kind>_<noun>, if all of them are there."""
    keys = [f"{kind}_{noun}" for kind in kinds]
    found = numbers([errors.get(key) for key in keys])
    return dict(zip(keys, found, strict=True)) if found else {}


def _covered(errors: Mapping[str, Any], chi2: str) -> dict[str, Any]:
    """Chi^2, and the fractions within 1, 2 and 3 standard deviations, if they are there."""
    value, inside = numbers([errors.get(chi2)]), numbers(errors.get("coverage"))
    return {chi2: value[0], "coverage": inside} if value and len(inside) == 3 else {}


def _history(errors: Mapping[str, Any]) -> dict[str, Any]:
    """Errors of tau and x_HI, of each if it is there."""
    tau, x_hi = mapping(errors, "tau"), mapping(errors, "x_hi")
    parts = {
        "tau": (_scalars(tau, ("mean", "p95", "worst"), "relative_error"), tau),
        "x_hi": (_scalars(x_hi, ("mean", "p99", "worst"), "error"), x_hi),
    }
    found = {key: {**own, **_covered(all_, "chi2")} for key, (own, all_) in parts.items() if own}
    return {"history": found} if found else {}


def _suspect(errors: Mapping[str, Any]) -> dict[str, Any]:
    """The part of parameter space whose error bars are wrong, if one is named."""
    part = mapping(errors, "suspect")
    name, ends = part.get("parameter"), numbers([part.get("low"), part.get("high")])
    inside = numbers(part.get("coverage"))
    if not isinstance(name, str) or not name.isidentifier() or not ends or len(inside) != 3:
        return {}
    low, high = ends
    facts = {"parameter": name[:100], "too_narrow": part.get("too_narrow") is True}
    return {"suspect": {**facts, "low": low, "high": high, "coverage": inside}}


def is_surrogate(record: Documents) -> bool:
    """Whether the model is no network, so that options of optimizer and loop do not matter."""
    return surrogate_kind(record.model.get("class_name")) is not None


def model_options(record: Documents) -> dict[str, Any]:
    """Class and options of the model; of a surrogate, without all that it has learned."""
    if not is_surrogate(record):
        return dict(record.model)
    plain = {k: v for k, v in record.model.items() if not isinstance(v, (Mapping, list))}
    return {**plain, "coordinates": mapping(record.model, "inputs").get("coordinates")}


def calibrated_on(record: Documents) -> int | None:
    """Number of unseen simulations that the error bars come from."""
    n = number(mapping(record.companions, "calibration").get("n"))
    return int(n) if n is not None and 0 < n < 10**9 else None


def has_history(record: Documents) -> bool:
    """Whether tau and x_HI(z) are emulated, too."""
    return "history" in record.companions


def realizations_of(record: Documents) -> tuple[str | None, int]:
    """("own" or "shared" or None, how many are averaged in each row)."""
    suite = mapping(record.companions, "suite")
    kind, n = suite.get("realizations"), number(suite.get("n_realizations"))
    return (kind, int(n) if n and 1 <= n < 10**9 else 1) if kind in REALIZATIONS else (None, 1)


def mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A part of a document if it is an object, else an empty one."""
    part = document.get(key)
    return part if isinstance(part, Mapping) else {}


def number(value: Any) -> float | None:
    """A number, but not a truth value, as a float; None if it is anything else."""
    with suppress(OverflowError):
        if isinstance(value, (int, float)) and type(value) is not bool:
            return float(value)
    return None


def numbers(values: Any) -> list[float]:
    """A list of finite numbers; empty if it is anything else."""
    found = [number(value) for value in values] if isinstance(values, list) else []
    finite = [value for value in found if value is not None and math.isfinite(value)]
    return finite if len(finite) == len(found) else []
