"""Every error this package raises on purpose, in one tree.

    ReionemuError
    ├── ConfigError            (ValueError)         an option has a value it cannot have
    │   └── MissingOptionError (KeyError)           an option that is needed is not given
    ├── MissingFileError       (FileNotFoundError)  a file or folder that was named is not there
    ├── AlreadyExistsError     (FileExistsError)    something would be replaced without leave
    ├── UnreadableFileError    (OSError)            a file is torn, or not of the format expected
    ├── ReadOnlyError          (PermissionError)    nothing may be written there
    ├── FileBusyError          (OSError)            another process is writing the same file
    ├── NotEnoughSpaceError    (OSError)            there is no room for what would be written
    ├── MapError               (ValueError)         a map that no spectrum can be made of
    ├── DatasetError           (ValueError)         arrays in a file do not fit together
    │   └── MissingGroupError  (KeyError)           an HDF5 group or dataset is absent
    ├── NoUsableSimulationsError (RuntimeError)     nothing was left; carries `.stats`
    ├── InferenceDataError     (ValueError)         band powers that no likelihood can use
    ├── NonFiniteLossError     (ArithmeticError)    training diverged; carries `.epoch`, `.history`
    ├── RecordError            (ValueError)         an artifact that cannot be what it says
    │   ├── UnrecordableError  (TypeError)          a value that an artifact cannot hold
    │   ├── UnsafeRecordError                       reading it would run code that it brings
    │   └── MissingRecordError                      an artifact does not say; carries `.fields`
    └── OutOfRangeError        (ValueError)         outside the training box; carries what and where

Each also derives from the built-in exception in brackets, so `except FileNotFoundError` works
without importing anything from here. Warnings that are not errors are `ReionemuWarning`.
"""

from __future__ import annotations

from typing import Any


class ReionemuError(Exception):
    """Base of every error raised on purpose; `str(error)` is one message fit for a user."""

    def __str__(self) -> str:  # KeyError would quote the message, OSError would drop parts of it
        return str(self.args[0]) if self.args else type(self).__name__

    def __reduce__(self) -> Any:  # errors with facts must come back from worker processes, too
        return _restored, (type(self), self.args, self.__dict__)


def _restored(cls: type[ReionemuError], args: tuple[Any, ...], facts: dict[str, Any]) -> Any:
    error = cls.__new__(cls, *args)
    error.__dict__.update(facts)
    return error


class ReionemuWarning(UserWarning):
    """Something the user should know that does not stop the work."""


class ConfigError(ReionemuError, ValueError):
    """An option has a value, or a name, that it cannot have."""


class MissingOptionError(ConfigError, KeyError):
    """An option that is needed is not among those given."""


class MissingFileError(ReionemuError, FileNotFoundError):
    """A file or folder that was named is not there."""


class AlreadyExistsError(ReionemuError, FileExistsError):
    """Something exists that the caller did not allow to be replaced."""


class UnreadableFileError(ReionemuError, OSError):
    """A file is torn, empty, or not of the format expected."""


class ReadOnlyError(ReionemuError, PermissionError):
    """Nothing may be written in a folder."""


class FileBusyError(ReionemuError, OSError):
    """Another process is writing the same file."""


class NotEnoughSpaceError(ReionemuError, OSError):
    """The file system has no room for what would be written."""


class MapError(ReionemuError, ValueError):
    """A sky map that is not a finite, square, two-dimensional array, or has no valid scale."""


class DatasetError(ReionemuError, ValueError):
    """Arrays in a file that do not fit together, or hold values that cannot be used."""


class MissingGroupError(DatasetError, KeyError):
    """An HDF5 group or dataset that a stage needs is absent."""


class NoUsableSimulationsError(ReionemuError, RuntimeError):
    """No simulation was left after skipping the unusable ones.

    Attributes
    ----------
    stats : BuildStats or CondenseStats or None
        What was skipped, where a stage got as far as counting.
    """

    def __init__(self, message: str, stats: Any = None) -> None:
        super().__init__(message)
        self.stats = stats


class InferenceDataError(ReionemuError, ValueError):
    """Band powers, or their covariance or windows, that no likelihood can use."""


class NonFiniteLossError(ReionemuError, ArithmeticError):
    """The training or validation loss became NaN or infinite.

    Attributes
    ----------
    epoch : int
        The epoch (from 1) in which it happened.
    history : dict of list
        The history of the epochs before it.
    """

    def __init__(self, message: str, *, epoch: int, history: dict[str, list[float]]) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.history = history


class RecordError(ReionemuError, ValueError):
    """An artifact that is not one, is damaged, or contradicts itself; or an impossible name."""


class UnrecordableError(RecordError, TypeError):
    """A value that JSON, and so an artifact, cannot hold."""


class UnsafeRecordError(RecordError):
    """A file of a record that cannot be read without running code that it brings with it."""


class MissingRecordError(RecordError):
    """An artifact does not record something that is needed.

    Attributes
    ----------
    fields : tuple of str
        The keyword arguments by which the caller can supply it.
    """

    def __init__(self, message: str, *, fields: tuple[str, ...]) -> None:
        super().__init__(message)
        self.fields = fields


class OutOfRangeError(ReionemuError, ValueError):
    """A prediction was asked for outside the box of parameters the emulator was trained in.

    Attributes
    ----------
    parameter : str
    value : float
    low, high : float
        The range of that parameter in the training set.
    """

    def __init__(
        self, message: str, *, parameter: str, value: float, low: float, high: float
    ) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.value = value
        self.low = low
        self.high = high
