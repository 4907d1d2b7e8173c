"""What is known of a simulated observation, as numbers to draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def true_values(truth: Any) -> dict[str, float]:
    """``{name: value}``: a mapping's numbers, or the parameters and the optical depth of a `Truth`.

    None gives an empty one.
    """
    if truth is None:
        return {}
    if isinstance(truth, Mapping):
        return {str(name): float(value) for name, value in truth.items() if np.ndim(value) == 0}
    tau = {} if truth.tau is None else {"tau": float(truth.tau)}
    return {str(name): float(value) for name, value in truth.theta.items()} | tau


def true_history(truth: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Redshifts and neutral fractions of a `Truth` or of a mapping, if it has them."""
    return _curve(truth, "z", "x_hi")


def true_spectrum(truth: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Multipoles and D_ell [uK^2] of a mapping, if it has them."""
    return _curve(truth, "ell", "dl")


def _curve(truth: Any, x: str, y: str) -> tuple[np.ndarray, np.ndarray] | None:
    found = [
        truth.get(n) if isinstance(truth, Mapping) else getattr(truth, n, None) for n in (x, y)
    ]
    if any(values is None for values in found):
        return None
    return np.asarray(found[0], dtype=np.float64), np.asarray(found[1], dtype=np.float64)
