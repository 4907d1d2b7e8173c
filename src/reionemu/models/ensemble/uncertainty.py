"""What the spread of an ensemble means, learned from simulations its members did not see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BIAS = (np.log(0.05), np.log(20.0))
_LEAST, _MOST = 1e-6, 10.0
_NOISE = (np.log(_LEAST), np.log(_MOST))
_SLOPE = (-2.0, 2.0)
"""Bounds of what is learned."""

_PRIOR_WIDTH = 0.5
"""Of the Gaussian priors, around 0, of ln(bias) and slopes. Where noise hides all else, members are
taken to err together about as much as they differ."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Variance of the difference between a simulation and the mean over k members.

        var = spread(x)^2 (bias^2 + 1/k) + noise^2 exp(2 slope . x)

    The spread is that between members: the mean of k of them errs by spread / sqrt(k), and by what
    all have in common. Outputs are hard to predict at the same points, so that the spread is a
    number for each output times one for each point, which is less uncertain than one for each of
    both. All is in units of the standard deviation of an output.

    Attributes
    ----------
    typical : ndarray, shape (b,)
        Root mean square of the spread over the training points.
    bias : ndarray, shape (b,)
    noise : ndarray, shape (b,)
        In the middle of the box.
    noise_slope : ndarray, shape (p,)
    """

    typical: np.ndarray
    bias: np.ndarray
    noise: np.ndarray
    noise_slope: np.ndarray

    def std(self, outputs: np.ndarray) -> np.ndarray:
        """Of the mean over k members, shape (n, b), from what each says, shape (k, n, b)."""
        return _spread(outputs, self.typical) * self._factor(len(outputs))

    def std_slope(self, outputs: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """Derivatives of `std`, shape (n, b, p), from those of each member, (k, n, b, p).

        Zero where all members agree.
        """
        k, _, b = outputs.shape
        offsets = (outputs - outputs.mean(axis=0)) / self.typical**2
        root = np.sqrt(_relative(outputs, self.typical))
        by_root = np.einsum("knb,knbp->np", offsets, slopes) / (b * (k - 1))
        by_root /= np.where(root > 0, root, 1.0)
        return by_root[:, None, :] * (self.typical * self._factor(k))[:, None]

    def _factor(self, k: int) -> np.ndarray:
        """Error of the mean over k members in units of their spread, shape (b,)."""
        return np.sqrt(self.bias**2 + 1 / k)

    def noise_std(self, x: np.ndarray) -> np.ndarray:
        """Of a simulation around the mean, shape (n, b), at coordinates, shape (n, p)."""
        return np.exp(x @ self.noise_slope)[:, None] * self.noise


def _spread(outputs: np.ndarray, typical: np.ndarray) -> np.ndarray:
    return np.sqrt(_relative(outputs, typical)) * typical


def _relative(outputs: np.ndarray, typical: np.ndarray) -> np.ndarray:
    """Variance between members in units of the typical one, of all outputs, shape (n, 1)."""
    return (outputs.var(axis=0, ddof=1) / typical**2).mean(axis=-1, keepdims=True)


def calibrate(y: np.ndarray, outputs: np.ndarray, x: np.ndarray) -> Uncertainty:
    """The most probable uncertainty.

    Errors of the outputs of one simulation are strongly correlated: together they count as one.
    The spread of few members is uncertain itself, which makes error bars too large: by about a
    fifth for two members and six outputs whose errors are independent.

    Parameters
    ----------
    y : ndarray, shape (n, b)
        Simulations.
    outputs : ndarray, shape (k, n, b)
        Of members that did not see them.
    x : ndarray, shape (n, p)
        Coordinates.
    """
    from scipy.optimize import minimize

    (b, p), residuals = (y.shape[1], x.shape[1]), y - outputs.mean(axis=0)
    typical = np.sqrt(outputs.var(axis=0, ddof=1).mean(axis=0)).clip(_LEAST)
    shared, squares = _spread(outputs, typical) ** 2, residuals**2
    widths = np.repeat([_PRIOR_WIDTH, np.inf, _PRIOR_WIDTH], [b, b, p])

    def objective(vector: np.ndarray) -> tuple[float, np.ndarray]:
        model = _from_vector(vector, typical)
        common, noise = shared * model.bias**2, model.noise_std(x) ** 2
        variance = common + shared / len(outputs) + noise
        by_variance = 0.5 / b * (1 / variance - squares / variance**2)
        by_noise = 2 * by_variance * noise
        slope = [2 * (by_variance * common).sum(axis=0), by_noise.sum(axis=0), by_noise.sum(1) @ x]
        value = 0.5 / b * (np.log(variance) + squares / variance).sum()
        offset = vector / widths
        return value + 0.5 * float(offset @ offset), np.concatenate(slope) + offset / widths

    start = np.log(np.clip(0.7 * residuals.std(axis=0), _LEAST, _MOST))
    found = minimize(
        objective,
        np.concatenate([np.zeros(b), start, np.zeros(p)]),
        jac=True,
        method="L-BFGS-B",
        bounds=[*[_BIAS] * b, *[_NOISE] * b, *[_SLOPE] * p],
    )
    return _from_vector(found.x, typical)


def _from_vector(vector: np.ndarray, typical: np.ndarray) -> Uncertainty:
    bias, noise, slope = np.split(vector, [len(typical), 2 * len(typical)])
    return Uncertainty(typical, np.exp(bias), np.exp(noise), slope)
