"""Posteriors in the forms that other programs read: ArviZ data and GetDist samples."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..extras import needed
from .latex import label

if TYPE_CHECKING:
    from .posterior import Posterior

RESAMPLING_SEED = 0
"""Of the draws that stand for weighted samples in ArviZ data, which knows no weights."""


def to_arviz(posterior: Posterior) -> Any:
    """The posterior as `arviz.InferenceData`.

    Groups: ``posterior`` (sampled and derived parameters), ``sample_stats`` (``lp``, the log
    density), ``observed_data`` (``dl`` [uK^2] over ``ell``), ``constant_data`` (``std``, the square
    roots of the diagonal of the covariance).

    ArviZ has no weights. Weighted samples, those of nested sampling, are replaced by as many equal
    ones as they are worth, (sum w)^2 / sum w^2, drawn by systematic resampling with the fixed
    seed `RESAMPLING_SEED` and put in random order.

    Raises
    ------
    ConfigError
        When ArviZ is not installed.
    """
    with needed("ArviZ data", "infer"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of ArviZ 0.23, about ArviZ 1
        import arviz

    chains, data = posterior.chains, posterior.data
    columns = {name: posterior.column(name) for name in posterior.all_names}
    log_prob = chains.log_prob
    if chains.weights is not None:
        rows = equal_rows(chains.weights.ravel(), RESAMPLING_SEED)
        columns = {name: column.reshape(1, -1)[:, rows] for name, column in columns.items()}
        log_prob = log_prob.reshape(1, -1)[:, rows]
    coordinates: dict[str, Any] = {
        "coords": {"ell": data.ell},
        "dims": {"dl": ["ell"], "std": ["ell"]},
    }
    return arviz.from_dict(
        posterior=columns,
        sample_stats={"lp": log_prob},
        observed_data={"dl": data.dl},
        constant_data={"std": data.std},
        attrs={
            "inference_library": chains.sampler,
            "data": data.name,
            "is_converged": int(chains.is_converged),  # netCDF has no booleans
            "criterion": chains.criterion,
            "resampled": int(chains.weights is not None),
        },
        **coordinates,
    )


def equal_rows(weights: np.ndarray, seed: int) -> np.ndarray:
    """Indices of equally weighted draws from weighted ones, by systematic resampling.

    Parameters
    ----------
    weights : ndarray, shape (n,)
        Not negative, not all zero.
    seed : int

    Returns
    -------
    ndarray of int, shape (m,)
        m is the effective number of the weights (Kish 1965), rounded up; row i is drawn
        m w_i / sum(w) times on average, and never off by one or more.
    """
    weights = weights / weights.sum()
    count = int(np.ceil(1 / np.sum(weights**2) - 1e-9))
    rng = np.random.default_rng(seed)
    places = (rng.random() + np.arange(count)) / count
    rows = np.searchsorted(np.cumsum(weights), places * (1 - 1e-12), side="right")
    last = int(np.flatnonzero(weights)[-1])  # where rounding leaves the sum short of 1
    return rng.permutation(np.minimum(rows, last))


def to_getdist(posterior: Posterior) -> Any:
    """The posterior as `getdist.MCSamples`: chains apart, with weights, labels and hard limits.

    The limits of sampled parameters are those of their priors, which GetDist's density estimates
    respect; tau, z50 and duration are marked as derived.

    Raises
    ------
    ConfigError
        When GetDist is not installed.
    """
    with needed("GetDist samples", "infer"):
        import getdist

    chains = posterior.chains
    samples = np.stack([posterior.column(name) for name in posterior.all_names], axis=-1)
    with quiet_getdist():
        return getdist.MCSamples(
            samples=list(samples),
            weights=None if chains.weights is None else list(chains.weights),
            loglikes=list(-chains.log_prob),
            names=[name + "*" * (name in posterior.derived) for name in posterior.all_names],
            labels=[label(name) for name in posterior.all_names],
            ranges=hard_limits(posterior),
            sampler="mcmc" if chains.weights is None else "nested",
            name_tag=posterior.data.name,
        )


def hard_limits(posterior: Posterior) -> dict[str, list[float | None]]:
    """``{name: [low, high]}`` of the prior of each sampled parameter; None where it has no end."""
    return {
        name: [float(x) if np.isfinite(x) else None for x in limits]
        for name, *limits in zip(posterior.names, posterior.low, posterior.high, strict=True)
    }


@contextmanager
def quiet_getdist() -> Iterator[None]:
    """Keep GetDist from printing what it loads, and from warning of weights and of bandwidths.

    Warnings go to the root logger, which by its first message would set up logging for the whole
    process: hence the handler.
    """
    from getdist import chains

    root, handler = logging.getLogger(), logging.NullHandler()
    before, chains.print_load_details = chains.print_load_details, False
    root.addHandler(handler)
    root.addFilter(_refuse)
    try:
        yield
    finally:
        chains.print_load_details = before
        root.removeFilter(_refuse)
        root.removeHandler(handler)


def _refuse(record: logging.LogRecord) -> bool:
    return False
