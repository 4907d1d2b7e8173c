"""What is different between two records."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .kinship import Step, steps_between
from .values import is_number, natural

if TYPE_CHECKING:
    from ..read import Artifact

SECTIONS: dict[str, tuple[str, ...]] = {
    "record": ("kind", "status", "description", "epochs"),
    "configs": (
        "model",
        "training",
        "optimizer",
        "data_loading",
        "dataset_prep",
        "kfold",
        "tuning",
        "inference",
    ),
    "dataset": ("dataset", "training_box"),
    "environment": (
        *("software", "platform", "code", "seeds", "command", "working_directory"),
        "wall_time_s",
    ),
    "metrics": ("metrics", "summary"),
}
SECTION_OF = {top: section for section, tops in SECTIONS.items() for top in tops}


@dataclass(frozen=True)
class Change:
    """One value in two records.

    Attributes
    ----------
    path : str
        Dotted path.
    kind : {"changed", "only in a", "only in b", "same"}
    a, b : any
        None in the record that does not have it.
    """

    path: str
    kind: str
    a: Any
    b: Any

    @property
    def ratio(self) -> float | None:
        """b / a, if both are numbers for which that means something."""
        if not (is_number(self.a) and is_number(self.b)) or self.a == 0:
            return None
        try:
            ratio = self.b / self.a
        except OverflowError:
            return None
        return ratio if math.isfinite(ratio) else None

    def to_mapping(self) -> dict[str, Any]:
        """For JSON."""
        sides = {"a": self.a, "b": self.b}
        if self.kind.startswith("only in "):
            sides = {side: value for side, value in sides.items() if self.kind.endswith(side)}
        ratio = {} if self.ratio is None else {"ratio": self.ratio}
        return {"path": self.path, "kind": self.kind, **sides, **ratio}


@dataclass(frozen=True)
class Difference:
    """What is different between two records, A and B.

    Attributes
    ----------
    names : tuple of str
        Of A and B.
    record, configs, dataset, environment : tuple of Change
        Values that differ, or that only one of them has.
    lineage : tuple of Step
        Which steps towards the weights are the same, in order.
    metrics : tuple of Change
        All metrics, the same or not.
    """

    names: tuple[str, str]
    record: tuple[Change, ...]
    configs: tuple[Change, ...]
    dataset: tuple[Change, ...]
    lineage: tuple[Step, ...]
    environment: tuple[Change, ...]
    metrics: tuple[Change, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known to differ."""
        changes = (*self.record, *self.configs, *self.dataset, *self.environment, *self.metrics)
        same = all(change.kind == "same" for change in changes)
        return same and all(step.same is not False for step in self.lineage)

    def to_mapping(self) -> dict[str, Any]:
        """For JSON."""
        sections = ("record", "configs", "dataset", "environment", "metrics")
        changes = {name: [c.to_mapping() for c in getattr(self, name)] for name in sections}
        lineage = [vars(step) for step in self.lineage]
        return {"a": self.names[0], "b": self.names[1], **changes, "lineage": lineage}


def diff(a: Artifact, b: Artifact) -> Difference:
    """What is different between two records.

    Parameters
    ----------
    a, b : Artifact
        As `load_artifact` returns them.

    Returns
    -------
    Difference
    """
    trees = [_tree(artifact) for artifact in (a, b)]
    found: dict[str, tuple[Change, ...]] = {}
    for section, tops in SECTIONS.items():
        of_a, of_b = ({top: tree[top] for top in tops if top in tree} for tree in trees)
        every = tuple(_changes(of_a, of_b))
        if section == "metrics":
            found[section] = tuple(c for c in every if is_number(c.a) or is_number(c.b))
        else:
            found[section] = tuple(change for change in every if change.kind != "same")
    lineage, options = steps_between(a, b)
    for_steps = tuple(change for change in _changes(*options) if change.kind != "same")
    return Difference(
        names=(str(a.path), str(b.path)),
        lineage=lineage,
        **{**found, "dataset": (*found["dataset"], *for_steps)},
    )


def _tree(artifact: Artifact) -> dict[str, Any]:
    """The documents of a record as one, as `Entry` names their parts."""
    info, results, provenance = artifact.info, artifact.results, artifact.provenance
    tree: dict[str, Any] = {**artifact.configs}
    for document in (info, results, provenance):
        tree |= {key: document[key] for key in SECTION_OF if key in document}
    tree |= {"kind": artifact.kind, "status": artifact.status}
    if isinstance(tree.get("code"), Mapping):
        tree["code"] = {key: value for key, value in tree["code"].items() if key != "diff"}
    command = tree.get("command")
    if isinstance(command, list):
        tree["command"] = shlex.join(map(str, command))
    return tree


def without_empty_parents(paths: Collection[str]) -> set[str]:
    """Paths without those of which parts are there too: `kfold`, null, where one has `kfold.k`."""
    parents = set()
    for path in paths:
        while path := path.rpartition(".")[0]:
            parents.add(path)
    return {path for path in paths if path not in parents}


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Change]:
    left, right = dict(_flat("", a)), dict(_flat("", b))
    for path in sorted(without_empty_parents(left.keys() | right.keys()), key=natural):
        if path not in right:
            kind = "only in a"
        elif path not in left:
            kind = "only in b"
        else:
            same = comparable(left[path]) == comparable(right[path])
            kind = "same" if same else "changed"
        yield Change(path, kind, left.get(path), right.get(path))


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of all that is inside objects; a list of plain values is one value."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(f"{path}.{key}" if path else str(key), item)
    elif isinstance(value, list) and any(isinstance(item, (Mapping, list)) for item in value):
        for i, item in enumerate(value):
            yield from _flat(f"{path}.{i}", item)
    elif isinstance(value, list) and path.startswith("metrics."):
        for i, item in enumerate(value):
            yield f"{path}.{i}", item
    else:
        yield path, value


def comparable(value: Any) -> Any:
    """A value that is equal to another just if both are of one kind and the same; NaN to NaN."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return (isinstance(value, str), value)


def said_elsewhere(metrics: Mapping[str, Sequence[Any]]) -> set[str]:
    """The paths of metrics that a first look can do without.

    These are numbers that all records have under another name, too, as `summary.best_val_loss` is
    `metrics.val_loss`, and what is the same in all and was no outcome, such as counts.

    Parameters
    ----------
    metrics : mapping of str to sequence
        By path, the value in each record.
    """
    found = set()
    by_values: dict[str, list[str]] = {}
    for path, values in metrics.items():
        first = comparable(values[0])
        if all(comparable(value) == first for value in values) and _is_count(path):
            found.add(path)
        elif any(isinstance(value, float) and value not in (0.0, 1.0) for value in values):
            by_values.setdefault(repr([comparable(value) for value in values]), []).append(path)
    for paths in by_values.values():
        paths.sort(key=lambda path: (not path.startswith("metrics."), path.count("."), path))
        for i, path in enumerate(paths):
            found.update(other for other in paths[i + 1 :] if _same_name(path, other))
    return found


def _is_count(path: str) -> bool:
    return path.startswith("summary.") or path == "metrics.errors.n"


def _same_name(a: str, b: str) -> bool:
    """Whether two metrics have one name but for words before it: val_loss and best_val_loss."""
    names = [f"_{path.rpartition('.')[2]}" for path in (a, b)]
    return names[0].endswith(names[1]) or names[1].endswith(names[0])
