"""The covariance between points: a smooth function of all parameters, and a rougher one on top.

    k(x, x') = exp(-r_s^2 / 2) + a^2 (1 + sqrt(5) r_r + 5/3 r_r^2) exp(-sqrt(5) r_r)

with distances r^2 = sum_j (x_j - x'_j)^2 / l_j^2, each part with lengths of its own. The first says
how spectra depend on the physics. The second is what is left: a realization has structure along
its line of sight, which reionization meets or misses as zmean and its width change. Rasmussen &
Williams 2006 (Gaussian Processes for Machine Learning), section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Hyperparameters:
    """What is learned before anything else.

    Lengths are in units of `Inputs`: the box is 2 wide. Amplitudes are in units of the smooth part.

    Attributes
    ----------
    smooth, rough : ndarray, shape (p,)
        Lengths of the two parts.
    amplitude : float
        a, of the rough part.
    noise : float
        Standard deviation of the noise in the middle of the box.
    noise_slope : ndarray, shape (p,)
        d ln(noise)/dx: noise may vary over the box.
    """

    smooth: np.ndarray
    rough: np.ndarray
    amplitude: float
    noise: float
    noise_slope: np.ndarray

    @classmethod
    def from_vector(cls, vector: np.ndarray) -> Hyperparameters:
        """From the vector, length 3 p + 2, that is optimized: logarithms, and the slopes."""
        p = (len(vector) - 2) // 3
        scale = np.exp(vector[: 2 * p + 2])
        smooth, rough = scale[:p], scale[p : 2 * p]
        return cls(smooth, rough, float(scale[-2]), float(scale[-1]), vector[2 * p + 2 :])

    def to_vector(self) -> np.ndarray:
        """The inverse of `from_vector`."""
        logs = np.log(np.concatenate([self.smooth, self.rough, [self.amplitude, self.noise]]))
        return np.concatenate([logs, self.noise_slope])

    def to_mapping(self) -> dict[str, Any]:
        """As they are recorded."""
        return {
            "smooth": self.smooth.tolist(),
            "rough": self.rough.tolist(),
            "amplitude": self.amplitude,
            "noise": self.noise,
            "noise_slope": self.noise_slope.tolist(),
        }

    @property
    def prior_variance(self) -> float:
        """k(x, x)."""
        return 1 + self.amplitude**2

    def noise_variance(self, x: np.ndarray) -> np.ndarray:
        """Variance of the noise at points, shape (n,)."""
        return self.noise**2 * np.exp(2 * (x @ self.noise_slope))

    def covariance(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """k between points x, shape (n, p), and y, shape (m, p): shape (n, m)."""
        return Scaled.by(self, y).covariance(x)

    def parts(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Both parts of k, and the slope of the rough one, shape (n, m) each.

        dk/dx_j = (y_j - x_j) (smooth / smooth length_j^2 + slope / rough length_j^2).
        """
        return Scaled.by(self, y).parts(x)


@dataclass(frozen=True, eq=False)
class Scaled:
    """Points in units of the lengths: what of a covariance does not depend on other points.

    Attributes
    ----------
    lengths : ndarray, shape (2, p)
        Of the smooth part over 1, and of the rough one over sqrt(5), so that r is sqrt(5) r_r.
    variance : float
        a^2, of the rough part.
    columns : ndarray, shape (2, p + 2, m)
        Such that rows made of x, 1 and |x|^2 times these are -r_s^2 / 2, and r^2.
    """

    lengths: np.ndarray
    variance: float
    columns: np.ndarray

    @classmethod
    def by(cls, hyper: Hyperparameters, y: np.ndarray) -> Scaled:
        """Points y, shape (m, p)."""
        lengths = np.stack([hyper.smooth, hyper.rough / np.sqrt(5)])
        *scaled, one, squares = np.moveaxis(_rows(y, lengths), 2, 0)
        columns = np.stack([*(-2 * column for column in scaled), squares, one], axis=1)
        columns[0] *= -0.5
        return cls(lengths, hyper.amplitude**2, columns)

    def covariance(self, x: np.ndarray) -> np.ndarray:
        """k between points x, shape (n, p), and these: shape (n, m)."""
        smooth, rough, _, _ = self._terms(x)
        rough += smooth
        return rough

    def parts(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `Hyperparameters.parts`."""
        smooth, rough, r, decay = self._terms(x)
        r += 1
        r *= decay
        r *= 5 / 3
        return smooth, rough, r

    def _terms(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Both parts, r, and a^2 exp(-r), shape (n, m) each; in place, as time goes by passes."""
        smooth, rough = _rows(x, self.lengths) @ self.columns
        np.exp(smooth, out=smooth)
        np.abs(rough, out=rough)  # of nearby points rounding may make it negative
        r = np.sqrt(rough)
        decay = np.negative(r)
        np.exp(decay, out=decay)
        decay *= self.variance
        rough *= 1 / 3
        rough += r
        rough += 1
        rough *= decay
        return smooth, rough, r, decay


def _rows(x: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """x in units of each of the lengths, 1, and |x|^2: shape (2, n, p + 2)."""
    n, p = x.shape
    rows = np.ones((2, n, p + 2))
    scaled = rows[..., :p]
    np.divide(x, lengths[:, None, :], out=scaled)
    np.einsum("kij,kij->ki", scaled, scaled, out=rows[..., p + 1])
    return rows
