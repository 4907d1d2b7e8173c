"""The folder of a run that goes on: its pulse, its history line by line, its saved state."""

from __future__ import annotations

import io
import os
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..config import require_int
from ..errors import RecordError, ReionemuWarning, UnrecordableError
from ..files import remove_abandoned, sync_directory, temporary_name, write_bytes
from .formats.journal import journal_line, read_journal
from .layout import JOURNAL, RUNS, STATE
from .pulse import Pulse
from .runs import discard

_SYNC_S = 1.0


class RunFolder:
    """A folder that this process alone writes; see `create` and `take_over`.

    Attributes
    ----------
    path : Path
    """

    def __init__(self, path: Path, pulse: Pulse) -> None:
        self.path = path
        self._pulse = pulse
        self._process = os.getpid()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._journal = os.open(path / JOURNAL, flags, 0o644)
        self._unwritten = b""
        self._has_warned = self._has_state = False
        self._synced_at = time.monotonic()

    @classmethod
    def create(cls, root: Path, name: str, run: str, fill: Callable[[Path], None]) -> RunFolder:
        """Make the folder of a new run, to be seen when `fill` has put the first files in it."""
        parent = root / RUNS / name
        temporary = _make_beside(parent / "run")
        pulse = None
        try:
            fill(temporary)
            pulse = Pulse(temporary)
            os.rename(temporary, parent / run)
        except BaseException:
            if pulse is not None:
                pulse.stop()
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_directory(parent)
        return cls(parent / run, pulse)

    @classmethod
    def take_over(
        cls, path: Path, pulse: Pulse
    ) -> tuple[RunFolder, dict[str, Any] | None, list[dict[str, Any]]]:
        """Go on in the folder of a dead run that was claimed.

        Returns
        -------
        folder : RunFolder
        saved : dict or None
            The last saved state, "epoch" and "state".
        journal : list of dict
            The entries up to that epoch; later ones are gone from the file, too.
        """
        file = path / JOURNAL
        entries = read_journal(file.read_bytes()) if file.exists() else []
        saved = _read_state(path / STATE)
        if saved is None and entries:
            os.replace(file, file.with_name(f"{JOURNAL}.old"))  # for people to look at
        epoch = saved["epoch"] if saved else 0
        kept = [entry for entry in entries if entry["epoch"] <= epoch]
        write_bytes(file, b"".join(map(journal_line, kept)))
        return cls(path, pulse), saved, kept

    @property
    def is_ours(self) -> bool:
        """Whether this is the process that made, or took over, the folder, and not its child."""
        return os.getpid() == self._process

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add an entry to the history; a power cut can take back no more than a second of it.

        A disk that is full stops no training: a warning says so, and the entry is written when
        there is room again.
        """
        self._unwritten += journal_line(entry)
        try:
            while self._unwritten:
                self._unwritten = self._unwritten[os.write(self._journal, self._unwritten) :]
            if time.monotonic() - self._synced_at > _SYNC_S:
                self.require_ours()
                os.fsync(self._journal)
                self._synced_at = time.monotonic()
        except OSError as error:
            if not self._has_warned:
                warnings.warn(
                    f"the history of the run cannot be written to {self.path}: {error.strerror}. "
                    "Training goes on; make room before it ends",
                    ReionemuWarning,
                    stacklevel=4,
                )
            self._has_warned = True

    def save_state(self, epoch: int, state: Mapping[str, Any]) -> None:
        """Replace the saved state.

        Raises
        ------
        UnrecordableError (TypeError)
            If it holds something that could not be read back without running code.
        """
        import torch

        self.require_ours()
        buffer = io.BytesIO()
        torch.save({"epoch": epoch, "state": _plain(state)}, buffer)
        if not self._has_state:
            try:
                torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
            except Exception as error:
                raise UnrecordableError(
                    "a state must be made of tensors, numbers, texts and containers of them, to "
                    f"be read back without running code: {str(error).splitlines()[0]}"
                ) from None
            self._has_state = True
        write_bytes(self.path / STATE, buffer.getvalue())

    def require_ours(self) -> None:
        """Raise RecordError if another process has taken the run over, or someone removed it."""
        if not self.path.exists():
            raise RecordError(
                f"{self.path} is gone: another process took this run over, or someone removed it"
            )

    def close(self) -> None:
        """Let go of the folder: from now on the run counts as ended."""
        if self._journal >= 0:
            os.close(self._journal)
            self._journal = -1
            self._pulse.stop()

    def discard(self) -> None:
        """Let go of the folder, and remove it."""
        self.close()
        discard(self.path)


def _make_beside(final: Path) -> Path:
    """A new folder with a temporary name, in a folder that another run may remove when empty."""
    for _ in range(100):
        final.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(final)
        temporary = temporary_name(final)
        try:
            temporary.mkdir()
        except FileNotFoundError:
            continue
        return temporary
    raise RecordError(f"{final.parent} is removed incessantly by other processes")


def _read_state(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    import torch

    try:
        saved = dict(torch.load(path, map_location="cpu", weights_only=True))
        require_int(str(path), "epoch", saved["epoch"], minimum=0)
        return {"epoch": saved["epoch"], "state": dict(saved["state"])}
    except (OSError, MemoryError):
        raise
    except Exception as error:  # torch raises whatever a damaged file makes it raise
        os.replace(path, path.with_name(f"{STATE}.old"))
        warnings.warn(
            f"{path} is damaged ({str(error).splitlines()[0]:.200}); the run starts again from its "
            f"first epoch. What there was is kept as {STATE}.old and {JOURNAL}.old",
            ReionemuWarning,
            stacklevel=6,
        )
        return None


def _plain(value: Any) -> Any:
    """A state with NumPy's numbers as Python's, which can be read back without running code."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value
