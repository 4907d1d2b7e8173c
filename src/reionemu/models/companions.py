"""What goes with a trained model of the spectrum: error bars, history, training points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import RecordError
from .calibration import Calibration
from .suite import Suite

if TYPE_CHECKING:
    from .history import HistoryModel


@dataclass(frozen=True, eq=False)
class Companions:
    """Parts of an emulator beside the model of the spectrum.

    Attributes
    ----------
    calibration : Calibration or None
        Of the spectrum's error bars.
    suite : Suite or None
    points : ndarray, shape (n, p), or None
        Parameters of the training simulations.
    history : HistoryModel or None
    correlation : ndarray, shape (b + h, b + h), or None
        Of the errors of the spectrum and of the history's h.
    """

    calibration: Calibration | None = None
    suite: Suite | None = None
    points: np.ndarray | None = None
    history: HistoryModel | None = None
    correlation: np.ndarray | None = None

    def options(self) -> dict[str, Any]:
        """What is recorded beside the arrays, by part."""
        return {
            name: part.options() for name in _PARTS if (part := getattr(self, name)) is not None
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that is an array, as `<part>.<name>`, or by its own name."""
        found: dict[str, np.ndarray] = {}
        for name in _PARTS:
            part = getattr(self, name)
            arrays = part.arrays() if part is not None else {}
            found |= {f"{name}.{key}": value for key, value in arrays.items()}
        for name in ("points", "correlation"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        return found

    @classmethod
    def from_record(
        cls, options: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> Companions:
        """The inverse of `options` and `arrays`.

        Raises
        ------
        RecordError
            If they are not such.
        """
        parts: dict[str, Any] = {}
        for name in _PARTS:
            if name in options:
                prefix = f"{name}."
                own = {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}
                if not isinstance(options[name], Mapping):
                    raise RecordError(f"the recorded {name} is not a JSON object")
                parts[name] = _kind(name).from_record(options[name], own)
        for name in ("points", "correlation"):
            if name in arrays:
                array = np.array(arrays[name], float)
                if array.ndim != 2 or not len(array) or not np.isfinite(array).all():
                    raise RecordError(f"the recorded {name} are not a table of numbers")
                parts[name] = array
        return cls(**parts)


_PARTS = ("calibration", "suite", "history")


def _kind(name: str) -> Any:
    if name == "history":
        from .history import HistoryModel

        return HistoryModel
    return {"calibration": Calibration, "suite": Suite}[name]
