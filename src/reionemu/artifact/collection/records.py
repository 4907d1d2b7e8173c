"""All records below a folder, to be searched, sorted and compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

from ...config import nearest
from ...errors import ConfigError, MissingFileError, RecordError
from . import listing_cache
from .entry import Entry, paths_of
from .query import parse, require_known, require_value
from .scan import Progress, scan
from .values import parse_time, sort_key

if TYPE_CHECKING:
    import pandas

    from .side_by_side import Comparison


class Catalogue(Sequence[Entry]):
    """Records in some order; made by `catalogue` and by its own methods, never changed.

    `c["run-7"]` is the record of that name, `c[0]` the first, `c[:10]` a catalogue of ten.

    Attributes
    ----------
    root : Path
    notes : tuple of str
        What was passed over below the root that one might have looked for.
    """

    def __init__(self, root: Path, entries: Sequence[Entry], notes: Sequence[str] = ()) -> None:
        self._root, self._entries, self._notes = root, tuple(entries), tuple(notes)

    @property
    def root(self) -> Path:
        """The folder that was looked through."""
        return self._root

    @property
    def notes(self) -> tuple[str, ...]:
        """What was passed over, such as links out of the root."""
        return self._notes

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    @overload
    def __getitem__(self, key: int | str) -> Entry: ...
    @overload
    def __getitem__(self, key: slice) -> Catalogue: ...
    def __getitem__(self, key: int | str | slice) -> Entry | Catalogue:
        if isinstance(key, slice):
            return self._with(self._entries[key])
        if isinstance(key, str):
            return self._named(key)
        return self._entries[key]

    def __contains__(self, item: object) -> bool:
        """Whether a record, or a record of that name, is among these."""
        if isinstance(item, str):
            return any(entry.name == item for entry in self)
        return item in self._entries

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for entry in self:
            counts[entry.status] = counts.get(entry.status, 0) + 1
        listed = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
        noun = "record" if len(self) == 1 else "records"
        return f"<Catalogue of {len(self)} {noun} in {self.root}{f': {listed}' if listed else ''}>"

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Every dotted path that some record has, sorted."""
        return tuple(sorted(paths_of(self)))

    def find(self, *expressions: str) -> Catalogue:
        """The records that meet all conditions, in the same order.

        Parameters
        ----------
        *expressions : str
            Such as "metrics.val_loss<0.1", "model.hidden_dim=64", "created_at>7d", "name~sweep",
            "kfold"; `reionemu.artifact.collection.query` has the grammar.

        Raises
        ------
        ConfigError (ValueError)
            For what is no condition, is on a path that no record has, or puts a number or a time
            in order with what is neither.
        """
        conditions = [parse(expression) for expression in expressions]
        for condition in conditions if self._entries else ():
            require = require_known if condition.op is None else require_value
            require(condition.path, self.paths)
            condition.require_order(entry.get(condition.path) for entry in self)
        return self._with(
            [entry for entry in self if all(c.holds(entry.values) for c in conditions)]
        )

    def sort(self, path: str, descending: bool = False) -> Catalogue:
        """The records in the order of a value; those that do not have it come last.

        Parameters
        ----------
        path : str
            Dotted path. Numbers in text count as numbers: run-2 comes before run-10.
        descending : bool

        Raises
        ------
        ConfigError (ValueError)
            If no record has a value there.
        """
        if self._entries:
            require_value(path, self.paths)
        keyed = [(entry.get(path), entry) for entry in self]
        present = [item for item in keyed if item[0] is not None and item[0] == item[0]]
        present.sort(key=lambda item: sort_key(item[0]), reverse=descending)
        nan = [item for item in keyed if item[0] != item[0]]
        missing = [item for item in keyed if item[0] is None]
        return self._with([entry for _, entry in (*present, *nan, *missing)])

    def compare(self, *names: str, everything: bool = False) -> Comparison:
        """Records side by side.

        Parameters
        ----------
        *names : str
            Of the records; all of them if none is given.
        everything : bool
            Also show what is the same in all.
        """
        from .side_by_side import compare

        entries = [self._named(name) for name in names] or list(self)
        return compare(entries, everything=everything)

    def to_pandas(self) -> pandas.DataFrame:
        """A DataFrame with a row for each record and a column for each dotted path.

        First come name, status and created_at, a time (UTC).

        Raises
        ------
        ConfigError (ValueError)
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ConfigError(
                "to_pandas() needs pandas, which is not installed: pip install pandas"
            ) from None
        paths = list(dict.fromkeys(("name", "status", "created_at", *self.paths)))
        columns = {path: [entry.values.get(path) for entry in self] for path in paths}
        created = [parse_time(entry.created_at or "") for entry in self]
        frame = pandas.DataFrame(columns, columns=paths)
        frame["created_at"] = pandas.to_datetime(pandas.Series(created, dtype=object), utc=True)
        return frame

    def _named(self, name: str) -> Entry:
        found = [entry for entry in self if entry.name == name]
        if not found:
            names = {entry.name for entry in self}
            raise RecordError(f"no record in {self.root} is called {name!r}{nearest(name, names)}")
        return min(found, key=lambda entry: (entry.status != "completed", _latest_first(entry)))

    def _with(self, entries: Sequence[Entry]) -> Catalogue:
        return Catalogue(self._root, entries, self._notes)


def _latest_first(entry: Entry) -> tuple[int, ...]:
    return tuple(-ord(character) for character in entry.created_at or "")


def catalogue(root: str | Path, *, progress: Progress | None = None) -> Catalogue:
    """Every record below a folder, by name, with those that are damaged or not completed.

    Nothing is left out without a word: a folder that looks like a record and cannot be read as one
    is listed as "damaged", with its problem. What was read is kept in the user's cache folder
    until a file of the record changes.

    Parameters
    ----------
    root : str or Path
        Folder of artifacts, or one artifact.
    progress : callable, optional
        Called with (what is going on, folders seen, folders known of).

    Returns
    -------
    Catalogue

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    RecordError (ValueError)
        If it is not a folder.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        if root.exists():
            raise RecordError(f"{root} is not a folder of artifacts: it is not a folder")
        raise MissingFileError(f"there is no folder {root}")
    known = listing_cache.load(root)
    found = scan(root, known, progress)
    listing_cache.save(root, found, known)
    return Catalogue(root, found.entries, found.notes)
