"""What the documents of a record say, each fact in the type it should have or not at all.

Documents may come from other programs, so that nothing in them can be relied on to be there, or
to be a number where a number should be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

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
    """The held-out errors if they are there and whole, with equally many values of each kind."""
    errors = mapping(mapping(record.results, "metrics"), "errors")
    n, ell = errors.get("n"), numbers(errors.get("ell"))
    found: dict[str, Any] = {"n": n, "ell": ell}
    for key in ("mean", "median", "p95", "max"):
        found[key] = numbers(errors.get(key))
    spread = {
        key: numbers(errors.get(key))
        for key in ("mean_relative_std", "coverage_1sigma", "coverage_2sigma")
    }
    if all(len(values) == len(ell) for values in spread.values()):
        found |= spread
    whole = all(len(values) == len(ell) for key, values in found.items() if key != "n")
    return found if whole and ell and type(n) is int and 0 < n < 10**9 else {}


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
