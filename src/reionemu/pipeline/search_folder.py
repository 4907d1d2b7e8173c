"""The folder of a search: what was asked for, and each trial as it ends.

    FOLDER/search.json          the request
    FOLDER/trials/00007.json    one trial: number, family, config, status, errors
    FOLDER/.ray                 what Ray writes while it runs

A search that was killed goes on from there; nothing that Ray wrote is read again.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..artifact.formats.jsonio import encode, read_json, to_plain
from ..artifact.placing import artifact_path
from ..errors import ConfigError, RecordError
from ..files import exclusive, write_bytes
from ..tuning.families import FAMILIES
from .options import TuningOptions

TUNING = ".tuning"
"""Folder of searches in a folder of artifacts."""

COMPLETED, STOPPED, FAILED, LOST = "completed", "stopped", "failed", "lost"
"""Statuses: of trials that ended by themselves, that were stopped for doing badly, that cannot be
done, and whose worker died, which are begun again."""

_REQUEST, _TRIALS, _RAY = "search.json", "trials", ".ray"
_TRIAL_FILE = re.compile(r"(\d{5})\.json")


class SearchFolder:
    """A search on disk.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @property
    def exists(self) -> bool:
        """Whether there is a search."""
        return (self.path / _REQUEST).is_file()

    @property
    def ray(self) -> Path:
        """Where Ray may write."""
        return self.path / _RAY

    @contextmanager
    def opened(self, request: Mapping[str, Any], *, resume: bool) -> Iterator[None]:
        """Hold the folder for one process; with `resume` what is in it stays.

        Raises
        ------
        ConfigError
            If what is in it is the answer to another request.
        FileBusyError
            If another process holds it.
        """
        (self.path / _TRIALS).mkdir(parents=True, exist_ok=True)
        with exclusive(self.path / _REQUEST):
            if not (resume and self.exists):
                self._clear()
                write_bytes(self.path / _REQUEST, encode({"request": request}))
            self._require_same(to_plain(request))
            try:
                yield
            finally:
                shutil.rmtree(self.ray, ignore_errors=True)

    def trials(self) -> dict[int, dict[str, Any]]:
        """Trials that have ended, by number.

        Raises
        ------
        RecordError
            If the file of one is damaged.
        """
        found = {}
        for path in sorted((self.path / _TRIALS).glob("*.json")):
            if match := _TRIAL_FILE.fullmatch(path.name):
                found[int(match[1])] = _checked(path, read_json(path))
        return found

    def save(self, trial: Mapping[str, Any]) -> None:
        """Add a trial that has ended."""
        write_bytes(self.path / _TRIALS / f"{trial['number']:05d}.json", encode(trial))

    def remove(self) -> None:
        """Remove the search, and its folder, if nothing else is in it."""
        with suppress(OSError):
            with exclusive(self.path / _REQUEST):
                self._clear()
            (self.path / f".{_REQUEST}.lock").unlink(missing_ok=True)
            (self.path / _TRIALS).rmdir()
            self.path.rmdir()
            self.path.parent.rmdir()

    def _clear(self) -> None:
        for path in (self.path / _TRIALS).glob("*.json"):
            if _TRIAL_FILE.fullmatch(path.name):
                path.unlink()
        (self.path / _REQUEST).unlink(missing_ok=True)
        shutil.rmtree(self.ray, ignore_errors=True)

    def _require_same(self, request: Mapping[str, Any]) -> None:
        document = read_json(self.path / _REQUEST)
        recorded = document.get("request") if isinstance(document, dict) else None
        if not isinstance(recorded, dict):
            raise RecordError(f"{self.path / _REQUEST} is damaged; remove {self.path}")
        changed = [
            key for key in request if encode({"": recorded.get(key)}) != encode({"": request[key]})
        ]
        if changed:
            raise ConfigError(
                f"the search in {self.path} was another one: its {' and '.join(changed)} "
                "differed. Give what was given then, or another name, or start anew without "
                "--resume"
            )


def search_folder(name: str, root_dir: Path, tuning: TuningOptions) -> Path:
    """Where the search for the artifact of a name keeps its trials."""
    if tuning.storage_path is not None:
        return Path(tuning.storage_path).expanduser()
    artifact_path(name, root_dir)  # which refuses impossible names
    return Path(root_dir).expanduser() / TUNING / name


def _checked(path: Path, trial: Any) -> dict[str, Any]:
    kinds: dict[str, Any] = {
        "number": int,
        "config": dict,
        "losses": list,
        "epochs": int,
        "seconds": (int, float),
    }
    fits = isinstance(trial, dict) and all(
        isinstance(trial.get(key), kind) for key, kind in kinds.items()
    )
    if fits and trial["status"] in (COMPLETED, STOPPED):
        numbers = (trial.get("val_loss"), trial.get("val_error"))
        fits = all(isinstance(value, (int, float)) for value in numbers)
    if not fits or trial.get("family") not in FAMILIES or f"{trial['number']:05d}" != path.stem:
        raise RecordError(f"{path} is not the record of a trial; remove it to run that trial again")
    return trial
