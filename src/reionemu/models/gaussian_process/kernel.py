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
        """Both parts of k, and sqrt(5) r of the rough one, shape (n, m) each."""
        return Scaled.by(self, y).parts(x)

    def covariance_gradient(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """dk/dx, shape (n, m, p)."""
        smooth, _, r = self.parts(x, y)
        rough = 5 / 3 * self.amplitude**2 * (1 + r) * np.exp(-r)
        slope = smooth[..., None] / self.smooth**2 + rough[..., None] / self.rough**2
        return -slope * (x[:, None, :] - y)


@dataclass(frozen=True, eq=False)
class Scaled:
    """Points in units of the lengths: what of a covariance does not depend on other points.

    Attributes
    ----------
    hyper : Hyperparameters
    smooth, rough : ndarray, shape (p, m)
        Times -2 and transposed.
    smooth_squares, rough_squares : ndarray, shape (m,)
    """

    hyper: Hyperparameters
    smooth: np.ndarray
    rough: np.ndarray
    smooth_squares: np.ndarray
    rough_squares: np.ndarray

    @classmethod
    def by(cls, hyper: Hyperparameters, y: np.ndarray) -> Scaled:
        """Points y, shape (m, p)."""
        smooth, rough = y / hyper.smooth, y / hyper.rough
        squares = (smooth**2).sum(axis=1), (rough**2).sum(axis=1)
        return cls(hyper, -2 * smooth.T, -2 * rough.T, *squares)

    def covariance(self, x: np.ndarray) -> np.ndarray:
        """k between points x, shape (n, p), and these: shape (n, m)."""
        smooth, rough, _ = self.parts(x)
        smooth += rough
        return smooth

    def parts(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `Hyperparameters.parts`."""
        smooth = _squared(x / self.hyper.smooth, self.smooth, self.smooth_squares)
        smooth *= -0.5
        np.exp(smooth, out=smooth)
        r = _squared(x / self.hyper.rough, self.rough, self.rough_squares)
        r *= 5
        np.sqrt(r, out=r)
        rough = np.exp(-r)
        rough *= self.hyper.amplitude**2 * (1 + r * (1 + r / 3))
        return smooth, rough, r


def _squared(x: np.ndarray, y: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Squared distances between x, shape (n, p), and points prepared as in `Scaled`."""
    distances = x @ y
    distances += squares
    distances += (x * x).sum(axis=1)[:, None]
    return np.maximum(distances, 0.0, out=distances)
