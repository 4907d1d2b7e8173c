"""Shells of rising likelihood, importance-sampled: nautilus.

Lange 2023 (MNRAS 525, 3181, arXiv:2306.16923). It gives the evidence, and finds separate modes.
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigError
from ...extras import needed
from .chains import Chains
from .checkpoint import Store
from .convergence import Demand, sentence
from .density import Array, Density, Progress, starting_points, watched
from .options import NestedOptions

LIVE_EVIDENCE = 0.01
_CHUNK = 1000  # evaluations between what is kept
_NEGLIGIBLE = 1e-12  # of the largest weight


def run_nested(
    density: Density, options: NestedOptions, seed: int, store: Store, progress: Progress
) -> Chains:
    """Sample with nautilus, until the evidence and the samples suffice.

    First shells are built until less than 1% of the evidence is in the live points; then samples
    are drawn from all of them, and only these are used, until there are enough in each shell and
    as many are effective as asked for. The
    error of ln evidence is 1 / sqrt(effective samples) (Lange 2023, sec. 5.3).

    Raises
    ------
    ConfigError
        If nautilus is missing, there is but one parameter, or the density is not one.
    """
    with needed("nested sampling", "nested"):
        import nautilus  # noqa: F401
    if density.n_dim < 2:
        raise ConfigError(
            f"nested sampling needs at least two parameters, and there is only {density.names[0]}"
        )
    starting_points(density, 2 * density.n_dim, seed)
    sampler, seconds = _restored(density, options, seed, store)
    began = time.perf_counter() - seconds
    # As long as it has found nothing, nautilus takes minus infinity from itself.
    with np.errstate(invalid="ignore"):
        while True:
            is_done = sampler.run(
                f_live=LIVE_EVIDENCE,
                n_shell=options.points_per_shell,
                n_eff=options.target_ess,
                n_like_max=min(sampler.n_like + _CHUNK, options.max_evaluations),
                discard_exploration=True,
            )
            seconds = time.perf_counter() - began
            store.replace({"sampler": _written(sampler), "seconds": np.array([seconds])})
            _say(sampler, options, progress)
            if is_done or sampler.n_like >= options.max_evaluations:
                return _chains(density, options, sampler, seconds)


def _new(density: Density, options: NestedOptions, seed: int, path: Path | None) -> Any:
    from nautilus import Sampler

    sampler = Sampler(
        density.from_unit,
        watched(density, density.log_likelihood),
        n_dim=density.n_dim,
        n_live=options.live_points,
        n_networks=options.networks,
        vectorized=True,
        seed=seed,
        filepath=path,
    )
    sampler.filepath = None  # it writes in place; what is kept here is moved into place
    return sampler


def _restored(
    density: Density, options: NestedOptions, seed: int, store: Store
) -> tuple[Any, float]:
    """The sampler as it was left, and the seconds it had taken; a new one if there is none."""
    blocks = store.blocks()
    if not blocks:
        return _new(density, options, seed, None), 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sampler.h5"
        path.write_bytes(blocks[0]["sampler"].tobytes())
        return _new(density, options, seed, path), float(blocks[0]["seconds"][0])


def _written(sampler: Any) -> np.ndarray:
    """The sampler as the bytes of an HDF5 file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sampler.h5"
        sampler.write(path)
        return np.frombuffer(path.read_bytes(), np.uint8)


def _say(sampler: Any, options: NestedOptions, progress: Progress) -> None:
    if sampler.explored:
        drawn = np.minimum(sampler.shell_n, options.points_per_shell).sum()
        progress("samples of shells", int(drawn), options.points_per_shell * len(sampler.shell_n))
    else:
        within = min(max(sampler.f_live, LIVE_EVIDENCE), 1.0) if sampler.f_live > 0 else 1.0
        progress("% explored", round(100 * math.log(within) / math.log(LIVE_EVIDENCE)), 100)


def _demands(options: NestedOptions, sampler: Any) -> tuple[Demand, ...]:
    """What is asked of the shells, and whether they meet it; samples count once they are built."""
    built = bool(sampler.explored)
    fewest = int(sampler.shell_n.min()) if built else 0
    ess = float(sampler.n_eff) if built else 0.0
    return (
        Demand(
            "less than 1% of the evidence in the live points when the last shell was built",
            "so it was" if built else f"{float(sampler.f_live):.1%}",
            built,
        ),
        Demand(
            f"at least {options.points_per_shell} samples of each shell",
            str(fewest),
            fewest >= options.points_per_shell,
        ),
        Demand(
            f"at least {options.target_ess} effective samples",
            f"{ess:.0f}",
            ess >= options.target_ess,
        ),
    )


def _chains(density: Density, options: NestedOptions, sampler: Any, seconds: float) -> Chains:
    """Samples of weights that matter, the evidence and its error."""
    points, log_weights, log_likelihood = sampler.posterior()
    if not np.isfinite(log_likelihood).any():
        raise ConfigError(
            f"the likelihood is zero at all {sampler.n_like} points that were tried, over the "
            f"whole prior of {', '.join(density.names)}"
        )
    weights: Array = np.exp(log_weights - log_weights.max())
    matters = weights > _NEGLIGIBLE
    points, weights = points[matters], weights[matters] / weights[matters].sum()
    ess = float(sampler.n_eff)
    demands = _demands(options, sampler)
    return Chains(
        names=tuple(density.names),
        samples=points[None],
        log_prob=watched(density, density.log_prob)(points)[None],
        weights=weights[None],
        sampler=options.name,
        is_converged=all(demand.is_met for demand in demands),
        criterion=sentence(demands),
        diagnostics={
            "ess": dict.fromkeys(density.names, ess),
            "log_evidence": float(sampler.log_z),
            "log_evidence_error": 1 / math.sqrt(ess),
            "n_evaluations": int(sampler.n_like),
            "seconds": seconds,
        },
    )
