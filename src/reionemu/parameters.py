"""The parameters of the reionization model, and the box of them that an emulator knows.

Battaglia, Trac, Cen & Loeb 2013 (ApJ 776, 81): the redshift-of-reionization field is the density
field at the mean redshift, filtered with the bias b(k) = b0 / (1 + k/kb)^alpha.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .config import nearest
from .errors import ConfigError, OutOfRangeError

PARAMETER_NAMES: tuple[str, ...] = ("zmean_zre", "alpha_zre", "kb_zre", "b0_zre")
"""The order in which parameters stand in every array of this package."""


@dataclass(frozen=True)
class ParameterBox:
    """Ranges of named parameters: where an emulator interpolates.

    Parameters
    ----------
    names : tuple of str
        Parameter names, in the order of the columns of theta.
    low, high : tuple of float
        Smallest and largest value of each in the training set.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def around(cls, names: tuple[str, ...], X: np.ndarray) -> ParameterBox:
        """The smallest box that holds the rows of X, shape (n, p)."""
        X = np.asarray(X, dtype=np.float64)
        return cls(tuple(names), tuple(X.min(axis=0).tolist()), tuple(X.max(axis=0).tolist()))

    @classmethod
    def from_mapping(
        cls, ranges: Mapping[str, tuple[float, float]], names: tuple[str, ...]
    ) -> ParameterBox:
        """A box from ``{name: (low, high)}``, which must name exactly `names`."""
        if set(ranges) != set(names):
            raise ConfigError(
                f"the parameter box must give a range for each of {', '.join(names)}; "
                f"it has {', '.join(ranges) or 'none'}"
            )
        low = tuple(float(ranges[name][0]) for name in names)
        high = tuple(float(ranges[name][1]) for name in names)
        return cls(tuple(names), low, high)

    def to_mapping(self) -> dict[str, list[float]]:
        """``{name: [low, high]}``, as it is recorded in an artifact."""
        return {
            name: [low, high]
            for name, low, high in zip(self.names, self.low, self.high, strict=True)
        }

    def outside(self, theta: np.ndarray) -> np.ndarray:
        """Which entries of theta, shape (n, p), lie outside: a boolean array of the same shape.

        The box comes from float32 training arrays, so a millionth of its size is forgiven.
        """
        low, high = self._forgiving
        return ~((theta >= low) & (theta <= high))

    @cached_property
    def _forgiving(self) -> tuple[np.ndarray, np.ndarray]:
        low, high = np.array(self.low), np.array(self.high)
        slack = 1e-6 * np.maximum(high - low, np.maximum(abs(low), abs(high)))
        return low - slack, high + slack

    def error(self, theta: np.ndarray) -> OutOfRangeError:
        """The error for the first entry of theta, shape (n, p), that lies outside."""
        outside = self.outside(theta)
        row, column = (int(i) for i in np.argwhere(outside)[0])
        name, value = self.names[column], float(theta[row, column])
        low, high = self.low[column], self.high[column]
        rows = int(outside.any(axis=1).sum())
        others = (
            f" (point {row}; {rows} of {len(theta)} points are outside)" if len(theta) > 1 else ""
        )
        return OutOfRangeError(
            f"{name} = {value:.6g} is outside the range the emulator was trained in, "
            f"[{low:.6g}, {high:.6g}]{others}. Choose a value inside, or set out_of_range to "
            '"warn" (extrapolate) or "nan" (no answer there)',
            parameter=name,
            value=value,
            low=low,
            high=high,
        )


def as_theta(theta: object, names: tuple[str, ...] = PARAMETER_NAMES) -> tuple[np.ndarray, bool]:
    """Parameters in any accepted form as an array, and whether they were a single point.

    Parameters
    ----------
    theta : array_like, shape (p,) or (n, p), or mapping
        A mapping takes each name of `names` to a number or to an array of shape (n,).
    names : tuple of str
        The p parameters, in order.

    Returns
    -------
    theta : ndarray of float64, shape (n, p)
    single : bool
        True where the input had no leading axis.

    Raises
    ------
    ConfigError
        For a missing or unknown name, a wrong shape, or a value that is not a finite number.
    """
    if hasattr(theta, "detach"):
        theta = theta.detach().cpu().numpy()  # a PyTorch tensor
    if hasattr(theta, "keys") and not isinstance(theta, Mapping):
        theta = {str(key): theta[key] for key in theta.keys()}  # type: ignore[index]  # noqa: SIM118 - a pandas table
    if isinstance(theta, Mapping):
        for name in theta:
            if name not in names:
                raise ConfigError(
                    f"unknown parameter {name!r}{nearest(name, names)}; expected {', '.join(names)}"
                )
        missing = [name for name in names if name not in theta]
        if missing:
            raise ConfigError(f"parameter {missing[0]} is missing; expected {', '.join(names)}")
        columns = [theta[name] for name in names]
        try:
            values = np.stack(
                np.broadcast_arrays(*[np.asarray(c, dtype=np.float64) for c in columns]), axis=-1
            )
        except (TypeError, ValueError) as error:
            raise ConfigError(f"the parameters are not numbers of one shape: {error}") from None
    else:
        try:
            values = np.asarray(theta, dtype=np.float64)
        except (TypeError, ValueError):
            raise ConfigError(f"theta is not an array of numbers: {theta!r}") from None
    if values.ndim not in (1, 2) or values.shape[-1] != len(names):
        raise ConfigError(
            f"theta has shape {values.shape}; expected ({len(names)},) or (n, {len(names)}), "
            f"the columns being {', '.join(names)}"
        )
    single = values.ndim == 1
    values = np.atleast_2d(values)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise ConfigError(f"{names[column]} of point {row} is {values[row, column]}, not a number")
    return values, single
