"""Along trajectories that the gradient bends: NUTS, by nutpie.

Hoffman & Gelman 2014 (J. Mach. Learn. Res. 15, 1593). The samples move in v = logit(u), u being
the quantiles of the prior: there are no edges, and the prior is that of a logistic variable,
u (1 - u), whatever it is of the parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...extras import needed
from .chains import Chains
from .checkpoint import Store
from .convergence import MAX_R_HAT, Demand, by_name, sentence, split_r_hat, worst_of
from .density import Array, Density, Progress, starting_points, watched
from .options import NutsOptions

MIN_ESS = 400
MAX_DIVERGENT = 0.01
_EDGE = 1e-12  # a quantile of exactly 0 or 1 may be rounded to outside of the box
_POLL = 0.05  # seconds

Block = dict[str, NDArray[Any]]


def run_nuts(
    density: Density, options: NutsOptions, seed: int, store: Store, progress: Progress
) -> Chains:
    """Sample with NUTS, some chains at a time, until they agree.

    Asked for are rank-normalized split R-hat below 1.01 and 400 effective samples in the bulk and
    in the tails (Vehtari et al. 2021, Bayesian Anal. 16, 667, doi 10.1214/20-BA1221) for every
    parameter, and fewer than 1% of divergent trajectories.

    Raises
    ------
    ConfigError
        If nutpie is missing, or the density has no derivatives or is not one.
    """
    with needed("sampling with NUTS", "nuts"):
        import nutpie  # noqa: F401
    # A density without derivatives says so here, and not in a thread of the sampler.
    density.log_likelihood_and_gradient(starting_points(density, options.chains, seed)[0][:1])
    stored, blocks = store.blocks(), list[Block]()
    while True:
        for number in range(len(blocks), len(blocks) + options.chains):
            if number < len(stored):
                blocks.append(stored[number])
            else:
                blocks.append(_chain(density, options, seed, number, progress))
                store.append(blocks[-1])
        chains = _chains(density, options, blocks)
        if chains.is_converged or len(blocks) + options.chains > options.max_chains:
            return chains


def _chain(
    density: Density, options: NutsOptions, seed: int, number: int, progress: Progress
) -> Block:
    """One chain, which depends on nothing but the options, the seed and its number."""
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    began = time.perf_counter()
    group, member = divmod(number, options.chains)
    own_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    start_seed = int(np.random.SeedSequence([seed, group]).generate_state(1)[0])
    start = starting_points(density, options.chains, start_seed)[0][member : member + 1]
    target = _Target(density)
    model = from_pyfunc(
        density.n_dim,
        lambda: target.log_density,
        lambda *_: target.kept,
        [np.dtype(float)],
        [(density.n_dim,)],
        ["v"],
        make_initial_point_fn=lambda _: _logit(density.to_unit(start))[0],
    )
    sampler = nutpie.sample(
        model,
        draws=options.draws,
        tune=options.tune,
        chains=1,
        cores=1,
        seed=own_seed,
        save_warmup=False,
        progress_bar=False,
        low_rank_modified_mass_matrix=True,
        target_accept=options.target_accept,
        blocking=False,
    )
    total = options.tune + options.draws
    _wait(sampler, target, lambda: progress(f"draws of chain {number + 1}", target.drawn, total))
    trace = target.result(sampler.wait)
    x = density.from_unit(_quantiles(trace.posterior["v"].values[0]))
    return {
        "samples": x,
        "log_prob": watched(density, density.log_prob)(x),
        "acceptance": trace.sample_stats["mean_tree_accept"].values[0].mean(keepdims=True),
        "divergences": trace.sample_stats["diverging"].values[0].sum(keepdims=True),
        "n_evaluations": np.array([target.evaluated]),
        "seconds": np.array([time.perf_counter() - began]),
    }


class _Target:
    """The density in v, as nutpie calls it from a thread of its own.

    An error must not reach nutpie, whose threads do not survive it: it is kept, and every
    further trajectory is rejected at once.
    """

    def __init__(self, density: Density) -> None:
        self._density = density
        self._likelihood = watched(density, self._value)
        self._error: Exception | None = None
        self.drawn = self.evaluated = 0

    def log_density(self, v: Array, **_: Any) -> tuple[float, Array]:
        """ln(likelihood times u (1 - u)) and its derivatives."""
        if self._error is not None:
            return -np.inf, np.zeros_like(v)
        try:
            return self._log_density(v)
        except Exception as error:
            self._error = error
            return -np.inf, np.zeros_like(v)

    def _log_density(self, v: Array) -> tuple[float, Array]:
        self.evaluated += 1
        u = _quantiles(v)
        x = self._density.from_unit(u[None])
        log_likelihood = float(self._likelihood(x)[0])
        by_v = self._gradient[0] * self._density.unit_slope(x)[0] * u * (1 - u)
        log_prior = -np.sum(np.logaddexp(0, v) + np.logaddexp(0, -v))
        return log_likelihood + log_prior, by_v + 1 - 2 * u

    def _value(self, x: Array) -> Array:
        value, self._gradient = self._density.log_likelihood_and_gradient(x)
        return value

    def kept(self, v: Array, **_: Any) -> dict[str, Array]:
        """What is kept of a draw; counts them."""
        self.drawn += 1
        return {"v": v}

    def result(self, wait: Callable[[], Any]) -> Any:
        """What the sampler has come to, or the error that stopped it."""
        try:
            trace = wait()
        except RuntimeError as error:
            raise self._error or ConfigError(
                f"nutpie gave up: {str(error).splitlines()[0]}"
            ) from None
        if self._error is not None:
            raise self._error
        return trace


def _wait(sampler: Any, target: _Target, say: Callable[[], None]) -> None:
    """Wait here, and not in nutpie, for the sake of interrupts and of progress."""
    try:
        while not _is_finished(sampler):
            say()
            time.sleep(_POLL)
        say()
    except BaseException:
        sampler.cancel()
        raise


def _is_finished(sampler: Any) -> bool:
    try:
        return sampler.is_finished
    except TimeoutError:  # too busy to answer
        return False


def _quantiles(v: Array) -> Array:
    from scipy.special import expit

    return np.clip(expit(v), _EDGE, 1 - _EDGE)


def _logit(u: Array) -> Array:
    from scipy.special import logit

    return logit(np.clip(u, _EDGE, 1 - _EDGE))


def _chains(density: Density, options: NutsOptions, blocks: list[Block]) -> Chains:
    """All chains, and whether they agree."""
    samples = np.stack([block["samples"] for block in blocks])
    bulk, tail = (_effective(samples, kind) for kind in ("bulk", "tail"))
    halves = np.concatenate(np.array_split(samples[:, : samples.shape[1] // 2 * 2], 2, axis=1))
    r_hat = np.array([split_r_hat(halves[..., i]) for i in range(density.n_dim)])
    divergences = int(sum(block["divergences"][0] for block in blocks))
    drawn = len(blocks) * options.draws
    of = worst_of(density.names)
    demands = (
        of("split R-hat below 1.01", r_hat, ".4f", 0, MAX_R_HAT),
        of("at least 400 effective samples in the bulk", bulk, ".0f", MIN_ESS, np.inf),
        of("and in the tails", tail, ".0f", MIN_ESS, np.inf),
        Demand(
            "fewer than 1% of divergent trajectories",
            f"{divergences} of {drawn}",
            divergences < MAX_DIVERGENT * drawn,
        ),
    )
    return Chains(
        names=tuple(density.names),
        samples=samples,
        log_prob=np.stack([block["log_prob"] for block in blocks]),
        weights=None,
        sampler=options.name,
        is_converged=all(demand.is_met for demand in demands),
        criterion=sentence(demands),
        diagnostics={
            "ess": by_name(density.names, bulk),
            "ess_tail": by_name(density.names, tail),
            "r_hat": by_name(density.names, r_hat),
            "acceptance": float(np.mean([block["acceptance"] for block in blocks])),
            "divergences": divergences,
            "n_steps": drawn,
            "burn_in": options.tune,
            "n_evaluations": int(sum(block["n_evaluations"][0] for block in blocks)),
            "seconds": float(sum(block["seconds"][0] for block in blocks)),
        },
    )


def _effective(samples: Array, kind: str) -> Array:
    """Effective samples (d,) of chains (c, n, d), by ArviZ."""
    import arviz

    return np.array(
        [float(arviz.ess(samples[..., i], method=kind)) for i in range(samples.shape[2])]
    )
