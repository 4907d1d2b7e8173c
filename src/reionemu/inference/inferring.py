"""From band powers to a posterior in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..artifact.read import Artifact
from ..models.emulator import Emulator
from ..threads import one_thread
from .band_powers import BandPowers
from .following import derived_parameters, history_bands, predictive
from .measurements import TauConstraint
from .posterior import Posterior
from .priors import prior_of
from .problem import Problem
from .sampling import Checkpoint, EmceeOptions, sample

if TYPE_CHECKING:
    from .sampling.options import SamplerOptions


def infer(
    emulator: Artifact | Emulator,
    data: BandPowers,
    *,
    tau: TauConstraint = None,
    late_time: tuple[float, float] | None = None,
    priors: Mapping[str, Any] | None = None,
    sampler: SamplerOptions | None = None,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Posterior:
    """Sample the posterior of the parameters of reionization, given band powers.

    ::

        artifact = reionemu.load_artifact("artifacts/gp")
        posterior = infer(artifact, read_band_powers("bandpowers.yaml"), tau="planck2018")

    The same arguments give the same samples, bit for bit, on the same machine.

    Parameters
    ----------
    emulator : Artifact or Emulator
    data : BandPowers
        See `read_band_powers`, `MEASUREMENTS`, `mock_from_simulation`.
    tau : "planck2018" or (mean, std), optional
        A constraint on the optical depth.
    late_time, priors
        See `Problem`.
    sampler : EmceeOptions, NutsOptions or NestedOptions, optional
        By default emcee with 32 walkers, until converged.
    seed : int
    checkpoint : Checkpoint, optional
        Where blocks of the chain are kept, and found again after an interruption.
    progress : callable, optional
        Called with (what is going on, steps done, steps in all).

    Returns
    -------
    Posterior

    Raises
    ------
    ConfigError, InferenceDataError (ValueError)
        As `Problem`; or if a package is missing that the sampler needs.

    Warns
    -----
    ReionemuWarning
        If the samples have not converged when the sampler stops, and as `Problem` does.
    """
    record = emulator if isinstance(emulator, Artifact) else None
    model = emulator.emulator() if isinstance(emulator, Artifact) else emulator
    problem = Problem(model, data, tau=tau, late_time=late_time, priors=priors)
    options = sampler or EmceeOptions()
    with one_thread():  # else the last bits, and so the chain, depend on the number of cores
        chains = sample(problem, options, seed=seed, checkpoint=checkpoint, progress=progress)
        return Posterior(
            chains,
            data,
            {name: prior.text for name, prior in zip(problem.names, problem.priors, strict=True)},
            problem.low,
            problem.high,
            derived_parameters(model, chains, seed),
            history_bands(model, chains, seed),
            predictive(problem, chains),
            {
                "sampler": {"name": chains.sampler, **asdict(options)},
                "seed": seed,
                "priors": {name: prior_of(name, p).text for name, p in (priors or {}).items()},
                "tau": list(problem.tau) if problem.tau else None,
                "late_time": list(late_time) if late_time else None,
                "emulator": record.name if record is not None else repr(model),
            },
        )
