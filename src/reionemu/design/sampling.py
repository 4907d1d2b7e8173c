"""Designs from nothing: Latin hypercubes, Sobol points, and one parameter at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np

from ..config import require_int
from ..errors import ReionemuWarning
from .augment import fill_strata
from .points import Design, Step, require_count, require_seed
from .space import ParameterSpace

_BITS = 30  # of a Sobol coordinate


def latin_hypercube(space: ParameterSpace, n: int, seed: int) -> Design:
    """An optimized Latin hypercube: one point, anywhere in it, in each of n strata of each axis.

    McKay, Beckman & Conover 1979 (Technometrics 21, 239); the pairing of strata is chosen for a
    low discrepancy by exchanges, about 10 times lower than without.

    Parameters
    ----------
    space : ParameterSpace
    n : int
        Number of points.
    seed : int
        The same seed gives the same points.

    Raises
    ------
    ConfigError (ValueError)
        If n or the seed is not a whole number in its range.
    """
    require_count(n)
    require_seed(seed)
    unit = fill_strata(np.empty((0, len(space.names))), n, np.random.default_rng([seed, 0]))
    return _design(space, unit, "lhs", seed)


def sobol(space: ParameterSpace, n: int, seed: int) -> Design:
    """Scrambled Sobol points; the first points of a larger design of the same seed.

    Each binary digit is changed by a random function of those before it, linear modulo 2, which
    keeps the balance of the points (Matousek 1998, J. Complexity 14, 527). The points are balanced
    only if their number is a power of 2; a ReionemuWarning says so if it is not.

    Parameters and errors are those of `latin_hypercube`.
    """
    from scipy.stats import qmc

    require_count(n)
    require_seed(seed)
    size = (n - 1).bit_length()
    if n != 2**size:
        warnings.warn(
            f"{n} Sobol points are not balanced, as a power of 2 would be: the part of the space "
            f"that the last ones fill is left half done; {2 ** (size - 1)} or {2**size} are",
            ReionemuWarning,
            stacklevel=2,
        )
    plain = qmc.Sobol(len(space.names), scramble=False, bits=_BITS).random_base2(size)[:n]
    digits = _scramble((plain * 2**_BITS).astype(np.int64), np.random.default_rng([seed, 0]))
    return _design(space, (digits + 0.5) / 2**_BITS, "sobol", seed)


def _scramble(digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers of _BITS binary digits, shape (n, p), each column scrambled by itself.

    SciPy scrambles too, but what it makes of a seed differs between its versions.
    """
    p = digits.shape[1]
    scrambled = np.broadcast_to(rng.integers(2**_BITS, size=p), digits.shape)
    for bit in range(_BITS):
        image = 2**bit + rng.integers(2**bit, size=p)  # of this digit: itself and lower ones
        scrambled = scrambled ^ (digits >> bit & 1) * image
    return scrambled


def one_at_a_time(space: ParameterSpace, n: int) -> Design:
    """The centre of the space, and from there each parameter alone at n levels.

    The levels are evenly spaced from bound to bound. If n is odd the middle one is the centre,
    which is not repeated.

    Parameters
    ----------
    space : ParameterSpace
        Of p parameters.
    n : int
        Levels of each parameter, at least 2; the design has 1 + p n points, or 1 + p (n - 1) for
        an odd n.

    Raises
    ------
    ConfigError (ValueError)
        If n is not a whole number of at least 2, or there would be too many points.
    """
    require_int("one_at_a_time", "n", n, 2)
    p = len(space.names)
    require_count(1 + p * (n - n % 2))
    levels = np.arange(n) / (n - 1)
    levels = levels[levels != 0.5]
    unit = np.full((1 + p * len(levels), p), 0.5)
    for j in range(p):
        unit[1 + j * len(levels) : 1 + (j + 1) * len(levels), j] = levels
    return _design(space, unit, "oat", None)


def _design(space: ParameterSpace, unit: np.ndarray, method: str, seed: int | None) -> Design:
    step = Step(method, len(unit), None if seed is None else int(seed))
    return Design(space.names, space.from_unit(unit), (step,), space)


METHODS: Mapping[str, Callable[[ParameterSpace, int, int], Design]] = {
    "lhs": latin_hypercube,
    "sobol": sobol,
    "oat": lambda space, n, seed: one_at_a_time(space, n),
}
"""Every way to sample a space, called with (space, n, seed)."""
