"""Training a model of histories: linear least squares, and leave-one-out errors in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import ConfigError, DatasetError
from ...threads import one_thread
from ..inputs import Inputs
from ..out_of_fold import OutOfFold
from .curve import KNOTS, X_MIN, Curves, hat_integrals, normal_density
from .depth import mean_depth
from .model import HistoryModel
from .spread import N_CURVE, fit_spread
from .surface import MAX_DEGREE, Surface, exponents, terms

RIDGES = (1e-8, 1e-6)
"""Added to the diagonal of normal equations, times the number of simulations; the better one."""

MAX_SHARE = 1 / 3
"""Terms of polynomials to simulations: with more, leave-one-out errors say little of new points."""


def fit_history(
    theta: np.ndarray,
    z: np.ndarray,
    x_hi: np.ndarray,
    tau: np.ndarray,
    inputs: Inputs,
    *,
    seed: int = 0,
) -> tuple[HistoryModel, OutOfFold]:
    """Train on n simulations, and predict each from all others.

    Parameters
    ----------
    theta : ndarray, shape (n, 4)
    z : ndarray, shape (k,)
        Redshifts.
    x_hi : ndarray, shape (n, k)
        Mass-weighted neutral fractions.
    tau : ndarray, shape (n,)
        Optical depths.
    inputs : Inputs
        Physical ones.
    seed : int
        As all models take one; nothing here is random.

    Returns
    -------
    model : HistoryModel
    residuals : OutOfFold
        Leave-one-out errors, predicted less true, of `spread.MODES`, shape (n, 4): the target is 0,
        and (0 - mean) / total are scores of mean square near 1. Errors of the curve, of which a
        history of few redshifts tells little, are estimates scaled so that this holds.

    Raises
    ------
    ConfigError
        If the inputs are not the physical ones.
    DatasetError
        If arrays do not fit together, hold impossible values, or say too little.
    """
    if inputs.coordinates != "physical":
        raise ConfigError(
            "histories need the physical coordinates, and so all four parameters, but the inputs "
            f"are {inputs.coordinates} ones of {', '.join(inputs.names)}"
        )
    theta, z, x_hi, tau = _checked(theta, z, x_hi, tau, inputs.dimension)
    with one_thread():
        u = inputs(theta)
        curve, shapes = _fit_curve(u, z, x_hi, inputs)
        depth, tau_error = _fit_depth(u, np.log(tau), shapes, inputs)

        leverage = [s.leverage(terms(u, s.degree)) for s in (curve, depth)]
        others = [h / np.maximum(1 - h, 1e-3) for h in leverage]
        left_out = np.stack([others[0]] * N_CURVE + [others[1]], axis=-1)
        curves = Curves.of(inputs, u, shapes.left_out)
        spread, scores = fit_spread(u, z, x_hi, curves, tau_error, left_out)
        noise = spread.noise(u)
        total = noise * np.sqrt(1 + left_out)
        residuals = OutOfFold(-scores * total, noise * np.sqrt(left_out), noise)
        return HistoryModel(inputs, curve, depth, spread), residuals


def _checked(
    theta: np.ndarray, z: np.ndarray, x_hi: np.ndarray, tau: np.ndarray, p: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    theta, z, x_hi, tau = (np.asarray(a, np.float64) for a in (theta, z, x_hi, tau))
    n, k = len(theta), z.size
    if theta.shape != (n, p) or z.shape != (k,) or x_hi.shape != (n, k) or tau.shape != (n,):
        raise DatasetError(
            f"histories of {n} simulations at {k} redshifts need theta of shape ({n}, {p}), x_hi "
            f"of ({n}, {k}) and tau of ({n},), got {theta.shape}, {x_hi.shape} and {tau.shape}"
        )
    if n < p + 2:
        raise DatasetError(
            f"histories cannot be learned from {n} simulations: at least {p + 2} are needed"
        )
    if not np.isfinite(z).all():
        raise DatasetError("the redshifts of the histories are not finite")
    for name, good, wanted in (
        ("theta", np.isfinite(theta).all(axis=1), "finite"),
        ("x_hi", ((x_hi >= 0) & (x_hi <= 1)).all(axis=1), "from 0 to 1"),
        ("tau", (tau > 0) & np.isfinite(tau), "positive and finite"),
    ):
        if not good.all():
            raise DatasetError(
                f"{name} is not {wanted} in {n - good.sum()} of {n} rows, of which row "
                f"{int(np.argmin(good))} is the first. Leave these simulations out"
            )
    if k == 0:
        raise DatasetError("the histories have no redshifts")
    crossing = (x_hi.min(axis=1) < 0.5) & (x_hi.max(axis=1) > 0.5)
    if crossing.sum() < n / 2:
        raise DatasetError(
            f"x_hi crosses 0.5 in {crossing.sum()} of {n} simulations only: the {k} redshifts from "
            f"{z.min():g} to {z.max():g} do not cover reionization"
        )
    return theta, z, x_hi, tau


@dataclass(frozen=True, eq=False)
class _Shapes:
    """Offsets and slopes less one of curves, shape (n, 1 + K), from all or from other points."""

    fitted: np.ndarray
    left_out: np.ndarray


def _fit_curve(
    u: np.ndarray, z: np.ndarray, x_hi: np.ndarray, inputs: Inputs
) -> tuple[Surface, _Shapes]:
    """Polynomials of the offset and the slopes, of the degree that predicts best."""
    from scipy.special import ndtri

    plain = Curves.of(inputs, u, np.zeros((len(u), 1 + len(KNOTS))))
    nu, t = plain.scaled(z), ndtri(np.clip(x_hi, X_MIN, 1 - X_MIN))
    # An error dt of t is one of phi(t) dt in the neutral fraction.
    weights = normal_density(t) ** 2 * ((x_hi > X_MIN) & (x_hi < 1 - X_MIN))
    design = np.concatenate([np.ones((*nu.shape, 1)), hat_integrals(nu)], axis=-1)
    weighted = design * weights[..., None]
    normal = np.swapaxes(weighted, 1, 2) @ design
    return _best_surface(u, normal, np.einsum("nkj,nk->nj", weighted, t - nu))


def _fit_depth(
    u: np.ndarray, ln_tau: np.ndarray, shapes: _Shapes, inputs: Inputs
) -> tuple[Surface, np.ndarray]:
    """A polynomial of ln(tau / mean depth), and errors of ln tau, true less predicted."""
    base, left_out = (
        np.log(mean_depth(Curves.of(inputs, u, shape), inputs.cosmology.omega_m))
        for shape in (shapes.fitted, shapes.left_out)
    )
    factor = (ln_tau - base)[:, None]
    surface, found = _best_surface(u, np.ones((len(u), 1, 1)), factor)
    return surface, ln_tau - left_out - found.left_out[:, 0]


def _best_surface(u: np.ndarray, normal: np.ndarray, moment: np.ndarray) -> tuple[Surface, _Shapes]:
    """Polynomials of the degree, and with the ridge, of the smallest leave-one-out error.

    Simulation s has misfit a_s^T normal_s a_s - 2 a_s^T moment_s + constant if the polynomials have
    values a_s.

    Parameters
    ----------
    u : ndarray, shape (n, p)
    normal : ndarray, shape (n, m, m)
    moment : ndarray, shape (n, m)
    """
    best, least = None, np.inf
    for degree in range(MAX_DEGREE + 1):
        if degree and len(exponents(u.shape[1], degree)) > MAX_SHARE * len(u):
            break
        basis = terms(u, degree)
        matrix = _normal_matrix(basis, normal)
        for ridge in RIDGES:
            coefficients, shapes = _solve(basis, matrix, normal, moment, ridge * len(u))
            a = shapes.left_out
            misfit = np.einsum("ni,nij,nj->", a, normal, a) - 2 * (a * moment).sum()
            if misfit < least:
                gram = basis.T @ basis + ridge * len(u) * np.eye(basis.shape[1])
                root = np.linalg.inv(np.linalg.cholesky(gram)).T
                best, least = (Surface(degree, coefficients, root), shapes), misfit
    if best is None:
        raise DatasetError("histories cannot be fitted: their least squares are not finite")
    return best


def _normal_matrix(basis: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Sums over simulations of the products of normal and terms, shape (m, q, m, q)."""
    m, q = normal.shape[1], basis.shape[1]
    matrix = np.empty((m, q, m, q))
    for i in range(m):
        for j in range(i + 1):
            matrix[i, :, j] = basis.T @ (basis * normal[:, i, j, None])
            matrix[j, :, i] = matrix[i, :, j]
    return matrix


def _solve(
    basis: np.ndarray, matrix: np.ndarray, normal: np.ndarray, moment: np.ndarray, ridge: float
) -> tuple[np.ndarray, _Shapes]:
    """Coefficients, shape (m, q), and the values of polynomials from all and from other points."""
    m, q = matrix.shape[:2]
    inverse = np.linalg.inv(matrix.reshape(m * q, m * q) + ridge * np.eye(m * q))
    coefficients = (inverse @ (moment.T @ basis).ravel()).reshape(m, q)
    fitted = basis @ coefficients.T
    # S_s is the covariance of the values at s; leaving s out, it is (1 - S_s normal_s)^-1 S_s.
    half = (basis @ inverse.reshape(m, q, m * q)).reshape(m, -1, m, q)
    covariance = np.einsum("injq,nq->nij", half, basis)
    pull = covariance @ (moment[..., None] - normal @ fitted[..., None])
    step = np.linalg.solve(np.eye(m) - covariance @ normal, pull)[..., 0]
    return coefficients, _Shapes(fitted, fitted - step)
