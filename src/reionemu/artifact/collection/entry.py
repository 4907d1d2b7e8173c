"""One record in a list of many: its short facts by dotted path, without its long lists.

    name path kind status created_at description run epochs problem what it is
    dataset.* training_box.*                                        from info.json
    model.* training.* optimizer.* data_loading.* dataset_prep.*
    kfold.* tuning.* inference.*                                    from configs.json
    metrics.* summary.* error.* dataset_prep_stats.*                from results.json
    last.* best.val_loss                                            last epoch of the history, and
                                                                    the smallest val_loss in it
    software.* code.* platform.* seeds.* started_at ended_at
    wall_time_s command working_directory                           from provenance.json

What else a document has at its top is found under the document's name, such as `info.run_id`; the
paths above may be written so, too (`results.metrics.val_loss`). Elements of lists are numbered
from 0: `metrics.errors.mean.0`. `ALIASES` are the names that the columns of a listing have.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..layout import EMULATOR

if TYPE_CHECKING:
    from ..read import Artifact

Value = str | int | float | bool | None

DOCUMENTS = ("info", "configs", "results", "provenance")
DAMAGED = "damaged"

FLOAT = "$float"
MAX_LIST, MAX_TEXT, MAX_VALUES, MAX_DEPTH = 32, 2000, 2000, 12
"""What is longer, or deeper, is not kept."""

_TOP = {
    "info": ("dataset", "training_box", "description", "created_at", "kind"),
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
    "results": ("metrics", "summary", "status", "error", "dataset_prep_stats"),
    "provenance": (
        *("run", "software", "code", "platform", "seeds", "started_at", "ended_at"),
        *("wall_time_s", "command", "working_directory"),
    ),
}
ALIASES = {
    "created": ("created_at",),
    "model": ("model", "model.class_name"),
    "val_loss": ("metrics.val_loss", "summary.best_val_loss", "best.val_loss", "last.val_loss"),
    "error": ("metrics.test_mean_relative_error",),
    "val_error": ("metrics.val_mean_relative_error",),
    "note": ("problem",),
}
"""Short names; each stands for the first of its paths that a record has a value at."""

_HOME = {key: document for document, keys in _TOP.items() for key in keys}
_LEFT_OUT = {
    "info": ("artifacts", "requested", "software"),
    "configs": ("schema_version",),
    "results": ("schema_version", "history"),
    "provenance": (
        "schema_version",
        "lineage",
        "files",
        "seal",
        "sessions",
        "self_test",
        "request",
    ),
}


class Facts(Mapping[str, Value]):
    """Values by dotted path, kept as a row and the places in it that many rows have in common."""

    __slots__ = ("_own", "_places", "_row")

    def __init__(
        self, own: dict[str, Value], places: Mapping[str, int], row: Sequence[Value]
    ) -> None:
        self._own, self._places, self._row = own, places, row

    def __getitem__(self, path: str) -> Value:
        place = self._places.get(path)
        return self._own[path] if place is None else self._row[place]

    def get(self, path: str, default: Any = None) -> Any:
        """The value at a path, or `default`."""
        place = self._places.get(path)
        return self._own.get(path, default) if place is None else self._row[place]

    def __contains__(self, path: object) -> bool:
        return path in self._places or path in self._own

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from self._places

    def __len__(self) -> int:
        return len(self._own) + len(self._places)

    def __repr__(self) -> str:
        return repr(dict(self))


@dataclass(frozen=True, eq=False, repr=False)
class Entry:
    """One record in a catalogue.

    Attributes
    ----------
    name : str
        Its folder, relative to the root; of a run that has not completed, the name it will have.
    path : Path
    status : str
        "completed", "failed", "running", "interrupted", "damaged", or what else is recorded.
    created_at : str or None
        ISO 8601.
    problem : str or None
        What is wrong with it.
    values : mapping of str to (str, int, float, bool or None)
        All its facts by dotted path; not to be changed.
    """

    name: str
    status: str
    problem: str | None
    values: Mapping[str, Value]

    def __repr__(self) -> str:
        return f"<Entry {self.name!r}, {self.status}{f': {self.problem}' if self.problem else ''}>"

    @property
    def path(self) -> Path:
        """Its folder."""
        return Path(str(self.values["path"]))

    @property
    def created_at(self) -> str | None:
        """When it was recorded, ISO 8601; None if that is not recorded."""
        created = self.values.get("created_at")
        return created if isinstance(created, str) else None

    def get(self, path: str, default: Any = None) -> Any:
        """The value at a dotted path.

        Parameters
        ----------
        path : str
            Such as "model.hidden_dim" or "configs.model.hidden_dim", or one of `ALIASES`.
        default : optional
            What to return if the record does not have it.
        """
        return lookup(self.values, path, default)

    def load(self) -> Artifact:
        """All of the record, as `load_artifact` reads it.

        Raises
        ------
        RecordError (ValueError)
            If it is damaged.
        """
        from ..read import load_artifact

        return load_artifact(self.path)


def make_entry(
    name: str,
    folder: str,
    status: str,
    problem: str | None,
    places: Mapping[str, int],
    row: Sequence[Value],
) -> Entry:
    """An entry of a folder whose facts are in these places of a row."""
    own: dict[str, Value] = {"name": name, "path": folder, "status": status, "problem": problem}
    return Entry(name, status, problem, Facts(own, places, row))


def paths_of(entries: Iterable[Entry]) -> set[str]:
    """Every dotted path that some entry has."""
    shapes: dict[int, Mapping[str, int]] = {}
    paths = {"name", "path", "status", "problem"}
    for entry in entries:
        if isinstance(entry.values, Facts):  # most have their paths in common
            shapes[id(entry.values._places)] = entry.values._places
        else:
            paths.update(entry.values)
    return paths.union(*shapes.values())


def lookup(values: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """The value that a user calls `path`; null if it is there but null, else `default`."""
    found = default
    for spelling in spellings(path):
        value = values.get(spelling, default)
        if value is not None and value is not default:
            return value
        found = value if value is None and spelling in values else found
    return found


@lru_cache(maxsize=4096)
def spellings(path: str) -> tuple[str, ...]:
    """The paths under which a value may be kept that a user calls `path`."""
    if path in ALIASES:
        return ALIASES[path]
    first, _, rest = path.partition(".")
    if first in DOCUMENTS:
        return (rest, path) if _HOME.get(rest.partition(".")[0]) == first else (path,)
    if first in _HOME:
        return (path,)
    return (path, *(f"{document}.{path}" for document in DOCUMENTS))


def facts_of(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Value]:
    """The short facts in the documents of a record, by dotted path.

    Parameters
    ----------
    documents : mapping
        JSON objects by name: "info", "configs", "results", "provenance"; any may be absent.
    """
    facts: dict[str, Value] = {"kind": EMULATOR} if documents.get("info") else {}
    for document in DOCUMENTS:
        for key, value in documents.get(document, {}).items():
            if key in _LEFT_OUT[document]:
                continue
            path = key if _HOME.get(key) == document else f"{document}.{key}"
            if path == "command" and isinstance(value, list):
                value = shlex.join(map(str, value))
            elif path == "description" and isinstance(value, str):
                value = value[:MAX_TEXT]
            facts.update(_leaves(path, value))
            if len(facts) > MAX_VALUES:
                return dict(list(facts.items())[:MAX_VALUES])
    software = documents.get("info", {}).get("software")  # of an earlier release
    if "software" not in documents.get("provenance", {}) and software is not None:
        facts.update(_leaves("software", software))
    history = documents.get("results", {}).get("history")
    if isinstance(history, Mapping):
        facts |= _of_history(history)
    facts.pop("status", None)  # whether a run still runs is looked up each time
    return facts


def _of_history(history: Mapping[str, Any]) -> dict[str, Value]:
    columns = {key: values for key, values in history.items() if isinstance(values, list)}
    epochs = max(map(len, columns.values()), default=0)
    if epochs == 0:
        return {}
    last = {key: values[-1] for key, values in columns.items() if len(values) == epochs}
    return {"epochs": epochs, **last_epoch(last), **best_epoch(columns.get("val_loss", ()))}


def last_epoch(values: Mapping[str, Any]) -> dict[str, Value]:
    """The facts `last.*` of the values of one epoch."""
    return dict(_leaves("last", {k: v for k, v in values.items() if k != "epoch"}))


def best_epoch(losses: Iterable[Any]) -> dict[str, Value]:
    """The fact `best.val_loss` of the validation losses of all epochs."""
    numbers = [loss for loss in losses if isinstance(loss, (int, float)) and loss == loss]
    return {"best.val_loss": min(numbers)} if numbers else {}


def _leaves(path: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Value]]:
    """(dotted path, value) of every value inside, long lists and long texts left out."""
    if isinstance(value, dict):
        if len(value) == 1 and FLOAT in value:  # as NaN and infinity are written
            yield path, _special(value[FLOAT])
        elif depth < MAX_DEPTH:
            for key, item in value.items():
                yield from _leaves(f"{path}.{key}", item, depth + 1)
    elif isinstance(value, list):
        if len(value) <= MAX_LIST and depth < MAX_DEPTH:
            leaves: list[tuple[str, Value]] = []
            for i, item in enumerate(value):
                leaves += _leaves(f"{path}.{i}", item, depth + 1)
                if len(leaves) > MAX_LIST:
                    return
            yield from leaves
    elif not (isinstance(value, str) and len(value) > MAX_TEXT):
        yield path, value


def _special(name: Any) -> Value:
    return float(name) if name in ("nan", "inf", "-inf") else None


def is_nan(value: Any) -> bool:
    """Whether a value is the float that is no number."""
    return isinstance(value, float) and math.isnan(value)
