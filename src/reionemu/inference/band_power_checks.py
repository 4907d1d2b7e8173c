"""What band powers must be, and what is said of those that are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..config import nearest
from ..errors import InferenceDataError

SKY, EMULATOR = "sky", "emulator"
REALIZATIONS = (SKY, EMULATOR)

MAX_BINS = 1000
MAX_WINDOW_VALUES = 20_000_000

MAX_ASYMMETRY = 1e-6
"""Of a covariance, in units of the standard deviations of the two bins."""

MIN_EIGENVALUE = 1e-10
"""Of the correlation matrix, which is to be inverted."""

MAX_UNNORMALIZED = 1e-3
"""By how much the sum of a window may differ from 1, as in `models.interpolation`."""

MAX_WINDOW = 100.0
"""Sum of the absolute values of a window: more is no mean of anything."""

MAX_OFF_CENTRE = 0.3
"""By which fraction the mean multipole of a window may differ from the bin's."""

SMALLEST, LARGEST = 1e-4, 1e5
"""Between which the largest value, or error, of kSZ band powers is believed [uK^2]."""

_DIMENSIONS = {"ell": 1, "dl": 1, "covariance": 2, "windows": 2, "window_ell": 1}
_LEAVE_OUT = "Leave a bin that was not measured out of all fields"


class Checks:
    """Checks of the band powers `name`."""

    def __init__(self, name: Any) -> None:
        self._name = str(name)[:80]
        self._ell: np.ndarray | None = None
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise self.error(f"name must be a line of text, got {name!r:.80}")

    def error(self, what: str) -> InferenceDataError:
        """The error that says `what` of these band powers."""
        return InferenceDataError(f"band powers {self._name!r}: {what}")

    def facts(self, source: Any, is_total: Any, realization: Any, map_area: Any) -> None:
        """Refuse what is not of the kind that it should be."""
        if not isinstance(source, str) or not source.isprintable():
            raise self.error(f"source must be a line of text, got {source!r:.80}")
        if not isinstance(is_total, bool):
            raise self.error(
                "is_total must be true (with the kSZ effect after reionization, as measured) or "
                f"false, got {is_total!r:.80}"
            )
        if realization not in REALIZATIONS:
            raise self.error(
                f"realization must be {' or '.join(REALIZATIONS)}, got {realization!r:.80}"
                f"{nearest(realization, REALIZATIONS)}"
            )
        number = isinstance(map_area, (int, float, np.number)) and not isinstance(map_area, bool)
        if map_area is not None and not (number and 0 < map_area <= 4 * np.pi):
            raise self.error(
                "map_area must be the solid angle of a simulated map, more than 0 and at most 4 pi "
                f"sr, got {map_area!r:.80}; a square degree is {(np.pi / 180) ** 2:.4g} sr"
            )

    def array(self, name: str, values: Any) -> np.ndarray:
        """A field as an array of its own, of finite numbers."""
        ndim = _DIMENSIONS[name]
        expected = "a list of numbers" if ndim == 1 else "rows of numbers, all of one length"
        try:
            array = np.array(values, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            raise self.error(f"{name} must be {expected}") from None
        if array.ndim != ndim or array.size == 0:
            raise self.error(f"{name} must be {expected}, but has shape {array.shape}")
        if not np.isfinite(array).all():
            place = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
            raise self.error(f"{name}{place} is {array[tuple(place)]}. {_LEAVE_OUT}")
        return array

    def fit_together(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Refuse arrays that are no band powers, or not of the same bins."""
        ell, dl, covariance = arrays["ell"], arrays["dl"], arrays["covariance"]
        m = len(ell)
        if m > MAX_BINS:
            raise self.error(f"{m} bins are too many; at most {MAX_BINS} are understood")
        if ell[0] <= 0 or not (np.diff(ell) > 0).all():
            raise self.error(
                f"ell must be above 0 and ascend, no bin being there twice; it is {_listed(ell)}. "
                "Sort the bins, with dl, covariance and windows in the same order"
            )
        self._ell = ell
        if len(dl) != m:
            raise self.error(f"there are {len(dl)} values of dl for {m} bins (ell). {_LEAVE_OUT}")
        if covariance.shape != (m, m):
            raise self.error(
                f"the covariance has shape {covariance.shape}, but there are {m} bins, at ell = "
                f"{_listed(ell)}. {_LEAVE_OUT}, or add those that are missing"
            )
        self._variances(np.diag(covariance))
        self._units(dl, np.sqrt(np.diag(covariance)))
        self._covariance(covariance)
        if "windows" in arrays:
            self._windows(arrays["windows"], arrays["window_ell"])

    def _bin(self, i: Any) -> str:
        assert self._ell is not None
        return f"the bin at ell = {self._ell[int(i)]:g}"

    def _variances(self, variance: np.ndarray) -> None:
        if (variance <= 0).any():
            i = np.argmax(variance <= 0)
            raise self.error(
                f"the variance of {self._bin(i)} is {variance[i]:g}; it must be above 0. "
                f"{_LEAVE_OUT}"
            )

    def _units(self, dl: np.ndarray, std: np.ndarray) -> None:
        size = max(np.abs(dl).max(), std.max())
        if size > LARGEST:
            looks = "nK^2 (divide by 1e6)"
        elif size > SMALLEST:
            return
        elif size > 1e-9:
            looks = "mK^2 (multiply by 1e6), or of C_ell (multiply by ell (ell + 1) / (2 pi))"
        else:
            looks = "K^2 (multiply by 1e12) or of (dT/T)^2 (multiply by 7.4e12)"
        raise self.error(
            f"the largest value of dl, or error, is {size:.3g}, where the kSZ effect has about 1 "
            f"uK^2: this looks like units of {looks}. The covariance has the square of the unit"
        )

    def _covariance(self, covariance: np.ndarray) -> None:
        std = np.sqrt(np.diag(covariance))
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            correlation = covariance / std[:, None] / std
            asymmetry = np.abs(correlation - correlation.T)
        i, j = _largest(asymmetry)
        if asymmetry[i, j] > MAX_ASYMMETRY:
            raise self.error(
                f"the covariance is not symmetric: of {self._bin(i)} and {self._bin(j)} it is "
                f"{covariance[i, j]:g}, and the other way round {covariance[j, i]:g} uK^4. Is half "
                "of it left out, or are the rows in another order than the columns?"
            )
        i, j = _largest(np.abs(correlation))
        if abs(correlation[i, j]) > 1 + MIN_EIGENVALUE:
            raise self.error(
                f"the covariance is not positive definite: the correlation of {self._bin(i)} and "
                f"{self._bin(j)} is {correlation[i, j]:g}, which must be between -1 and 1. Is the "
                "diagonal that of another matrix, or in other units?"
            )
        values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
        if values[0] < MIN_EIGENVALUE:
            worst = np.sort(np.argsort(-np.abs(vectors[:, 0]), kind="stable")[:2])
            negative = values[0] < -MIN_EIGENVALUE
            raise self.error(
                f"the covariance is {'not positive definite' if negative else 'singular'}: the "
                f"smallest eigenvalue of its correlation matrix is {values[0]:.2g}, where at least "
                f"{MIN_EIGENVALUE:g} is needed, mostly by {' and '.join(map(self._bin, worst))}. "
                "Merge bins that say the same, or give it with more figures, or from more "
                "simulations"
            )

    def _windows(self, windows: np.ndarray, window_ell: np.ndarray) -> None:
        assert self._ell is not None
        m, w = len(self._ell), len(window_ell)
        if windows.shape != (m, w):
            raise self.error(
                f"the windows have shape {windows.shape}, where {m} bins and {w} multipoles "
                f"(window_ell) need {(m, w)}"
            )
        if windows.size > MAX_WINDOW_VALUES:
            raise self.error(
                f"windows of {windows.size} values are too large; at most {MAX_WINDOW_VALUES} are "
                "understood. Give them at fewer multipoles"
            )
        if window_ell[0] < 0 or not (np.diff(window_ell) > 0).all():
            raise self.error(
                f"window_ell must ascend, and not be negative; it is {_listed(window_ell)}"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            total, size = windows.sum(axis=1), np.abs(windows).sum(axis=1)
        wrong = ~(np.abs(total - 1) <= MAX_UNNORMALIZED) | ~(size <= MAX_WINDOW)
        if wrong.any():
            i = np.argmax(wrong)
            raise self.error(
                f"the window of {self._bin(i)} sums to {total[i]:.6g}, its absolute values to "
                f"{size[i]:.6g}; each must sum to 1, as what it gives is a mean of D_ell. Divide "
                "it by its sum; one of C_ell, by ell (ell + 1) / (2 pi) first"
            )
        mean = windows @ window_ell
        astray = ~(np.abs(mean / self._ell - 1) <= MAX_OFF_CENTRE)
        astray[1:] |= ~(np.diff(mean) > 0)
        if astray.any():
            i = np.argmax(astray)
            raise self.error(
                f"the window of {self._bin(i)} has its mean at ell = {mean[i]:.6g}; the windows "
                "must be in the order of the bins, each around the ell of its bin"
            )


def _largest(matrix: np.ndarray) -> tuple[int, int]:
    i, j = np.unravel_index(np.argmax(matrix), matrix.shape)
    return int(i), int(j)


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values[:8]) + (", ..." if len(values) > 8 else "")
