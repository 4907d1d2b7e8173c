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

from ..config import require_int
from ..errors import RecordError, ReionemuWarning
from ..files import remove_abandoned, sync_directory, temporary_name, write_bytes
from .journal import journal_line, read_journal
from .layout import JOURNAL, RUNS, STATE
from .runs import Pulse, discard

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
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._journal = os.open(path / JOURNAL, flags, 0o644)
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
    def take_over(cls, path: Path) -> tuple[RunFolder, dict[str, Any] | None, list[dict[str, Any]]]:
        """Go on in the folder of a dead run that was claimed.

        Returns
        -------
        folder : RunFolder
        saved : dict or None
            The last saved state, "epoch" and "state".
        journal : list of dict
            The entries up to that epoch; later ones are gone from the file, too.
        """
        pulse = Pulse(path)
        try:
            saved = _read_state(path / STATE)
            epoch = saved["epoch"] if saved else 0
            file = path / JOURNAL
            entries = read_journal(file.read_bytes()) if file.exists() else []
            kept = [entry for entry in entries if entry["epoch"] <= epoch]
            write_bytes(file, b"".join(map(journal_line, kept)))
            return cls(path, pulse), saved, kept
        except BaseException:
            pulse.stop()
            raise

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add an entry to the history; a power cut can take back no more than a second of it."""
        os.write(self._journal, journal_line(entry))
        if time.monotonic() - self._synced_at > _SYNC_S:
            self.require_ours()
            os.fsync(self._journal)
            self._synced_at = time.monotonic()

    def save_state(self, epoch: int, state: Mapping[str, Any]) -> None:
        """Replace the saved state."""
        import torch

        self.require_ours()
        buffer = io.BytesIO()
        torch.save({"epoch": epoch, "state": dict(state)}, buffer)
        write_bytes(self.path / STATE, buffer.getvalue())

    def require_ours(self) -> None:
        """Raise RecordError if another process has taken the run over, or someone removed it."""
        if not self.path.exists():
            raise RecordError(
                f"{self.path} is gone: another process took this run over, or someone removed it"
            )

    def close(self) -> None:
        """Let go of the folder: from now on the run counts as ended."""
        os.close(self._journal)
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
    except Exception as error:  # torch raises whatever a damaged file makes it raise
        warnings.warn(
            f"{path} cannot be read ({error}); the run starts again from its first epoch",
            ReionemuWarning,
            stacklevel=5,
        )
        return None
