"""Walkers that move along the lines between each other: emcee.

Foreman-Mackey et al. 2013 (PASP 125, 306, arXiv:1202.3665). emcee's snooker move is not offered:
alone it gives a Gaussian of unit variance a variance of 0.74 (emcee 3.1.6).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...extras import needed
from .chains import Chains
from .checkpoint import Store
from .convergence import EnsembleVerdict, by_name, judge_ensemble, sentence
from .density import Array, Density, Progress, starting_points, watched
from .options import EmceeOptions

BLOCK = 500
"""Steps that are kept at a time, where something is kept."""

_FIRST_CHECK = 2 * BLOCK
_KEPT = 50_000
_PROGRESS_STEPS = 20

Block = dict[str, NDArray[Any]]


def run_emcee(
    density: Density, options: EmceeOptions, seed: int, store: Store, progress: Progress
) -> Chains:
    """Sample with emcee; see `convergence.judge_ensemble` for when it stops.

    Convergence is judged after 1000 steps and then whenever there are an eighth more. More than
    50,000 samples are thinned, by at most half the shortest autocorrelation time.

    Raises
    ------
    ConfigError
        If emcee is missing, there are too few walkers, or the density is not one.
    """
    if options.walkers < 2 * density.n_dim:
        raise ConfigError(
            f"EmceeOptions.walkers must be at least twice the {density.n_dim} parameters, got "
            f"{options.walkers}"
        )
    limit = options.steps or options.max_steps
    blocks: list[Block] = []
    done = 0
    for block in _Walkers(density, options, seed, store, progress).blocks(limit):
        blocks.append(block)
        done += len(block["log_prob"])
        if done == limit or (options.steps is None and _is_check(done)):
            chain, log_prob = (_joined(blocks, key) for key in ("chain", "log_prob"))
            verdict = judge_ensemble(chain, log_prob, density.names, options.target_ess)
            if verdict.is_converged:
                break
    seconds = float(sum(block["seconds"][0] for block in blocks))
    return _chains(density, options, chain, log_prob, verdict, seconds)


def _joined(blocks: list[Block], key: str) -> Array:
    return np.concatenate([block[key] for block in blocks])


def _is_check(done: int) -> bool:
    """Whether convergence is judged after so many steps; it costs as much as some hundred."""
    check = _FIRST_CHECK
    while check < done:
        check += max(BLOCK, check // 8 // BLOCK * BLOCK)
    return check == done


class _Walkers:
    """Blocks of steps, kept ones first."""

    def __init__(
        self, density: Density, options: EmceeOptions, seed: int, store: Store, progress: Progress
    ) -> None:
        with needed("sampling with emcee", "infer"):
            import emcee
        moves = emcee.moves
        self._density, self._options, self._seed = density, options, seed
        self._store, self._progress = store, progress
        self._sampler = emcee.EnsembleSampler(
            options.walkers,
            density.n_dim,
            density.log_prob,
            vectorize=True,
            moves=[(moves.DEMove(), 0.9), (moves.DEMove(gamma0=1.0), 0.1)]
            if options.moves == "de"
            else [(moves.StretchMove(), 1.0)],
        )
        # emcee's own wrapper prints errors of the density before it raises them.
        self._sampler.log_prob_fn = watched(density, density.log_prob)

    def blocks(self, limit: int) -> Iterator[Block]:
        """Blocks of `limit` steps in all."""
        done, state = 0, None
        for block in self._store.blocks():
            yield {key: block[key][: limit - done] for key in block}
            done, state = done + len(block["log_prob"]), self._state_after(block)
            if done >= limit:
                return
        state = state or self._first_state()
        while done < limit:
            block = self._advance(state, min(BLOCK - done % BLOCK, limit - done), done, limit)
            self._store.append(block)
            yield block
            done, state = done + len(block["log_prob"]), self._state_after(block)

    def _first_state(self) -> Any:
        from emcee import State

        points, log_prob = starting_points(self._density, self._options.walkers, self._seed)
        own = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(self._seed)))
        return State(points, log_prob=log_prob, random_state=own.get_state())

    @staticmethod
    def _state_after(block: Block) -> Any:
        from emcee import State

        position, has_gauss = (int(value) for value in block["random_position"])
        random = ("MT19937", block["random_keys"], position, has_gauss, block["random_gauss"][0])
        return State(block["chain"][-1], log_prob=block["log_prob"][-1], random_state=random)

    def _advance(self, state: Any, steps: int, done: int, limit: int) -> Block:
        """So many steps from a state, and the random numbers to come."""
        began = time.perf_counter()
        chain = np.empty((steps, self._options.walkers, self._density.n_dim))
        log_prob = np.empty(chain.shape[:2])
        walk = self._sampler.sample(
            state, iterations=steps, store=False, skip_initial_state_check=True
        )
        for i, after in enumerate(walk):
            chain[i], log_prob[i] = after.coords, after.log_prob
            if (i + 1) % _PROGRESS_STEPS == 0 or i + 1 == steps:
                self._progress("steps of the walkers", done + i + 1, limit)
        _, keys, position, has_gauss, gauss = self._sampler.random_state
        return {
            "chain": chain,
            "log_prob": log_prob,
            "random_keys": np.array(keys),
            "random_position": np.array([position, has_gauss]),
            "random_gauss": np.array([gauss]),
            "seconds": np.array([time.perf_counter() - began]),
        }


def _chains(
    density: Density,
    options: EmceeOptions,
    chain: Array,
    log_prob: Array,
    verdict: EnsembleVerdict,
    seconds: float,
) -> Chains:
    """What is left without burn-in, thinned, a chain for each walker."""
    steps, walkers = log_prob.shape
    wanted = -(-(steps - verdict.burn_in) * walkers // _KEPT)
    thin = max(1, min(wanted, int(verdict.times.min() / 2)))
    kept = slice(verdict.burn_in, None, thin)
    return Chains(
        names=tuple(density.names),
        samples=np.ascontiguousarray(chain[kept].swapaxes(0, 1)),
        log_prob=np.ascontiguousarray(log_prob[kept].T),
        weights=None,
        sampler=options.name,
        is_converged=verdict.is_converged,
        criterion=sentence(verdict.demands),
        diagnostics={
            "autocorrelation_time": by_name(density.names, verdict.times),
            "ess": by_name(density.names, verdict.ess),
            "r_hat": by_name(density.names, verdict.r_hat),
            "acceptance": verdict.acceptance,
            "stuck_walkers": verdict.n_stuck,
            "n_steps": steps,
            "burn_in": verdict.burn_in,
            "thin": thin,
            "n_evaluations": walkers * (steps + 1),
            "seconds": seconds,
        },
    )
