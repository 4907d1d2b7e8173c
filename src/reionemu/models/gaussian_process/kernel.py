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
        smooth, rough, _ = self.parts(x, y)
        return smooth + rough

    def parts(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Both parts of k, and sqrt(5) r of the rough one, shape (n, m) each."""
        smooth = np.exp(-0.5 * _squared(x / self.smooth, y / self.smooth))
        r = np.sqrt(5 * _squared(x / self.rough, y / self.rough))
        return smooth, self.amplitude**2 * (1 + r + r**2 / 3) * np.exp(-r), r

    def covariance_gradient(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """dk/dx, shape (n, m, p)."""
        smooth, _, r = self.parts(x, y)
        rough = 5 / 3 * self.amplitude**2 * (1 + r) * np.exp(-r)
        slope = smooth[..., None] / self.smooth**2 + rough[..., None] / self.rough**2
        return -slope * (x[:, None, :] - y)


def _squared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared distances between rows."""
    squares = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1) - 2 * (x @ y.T)
    return np.maximum(squares, 0.0, out=squares)
