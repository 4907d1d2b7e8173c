"""Inference that is recorded as it goes, and goes on where it was interrupted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..artifact.read import Artifact
from ..artifact.recording import start_run
from ..config import require_int
from ..errors import ReionemuWarning
from .band_powers import BandPowers
from .late_time import DEFAULT_PRIOR, LATE_TIME
from .mock import Truth
from .records import contents_of, outcome
from .sampling import Checkpoint, EmceeOptions

if TYPE_CHECKING:
    from .posterior import Posterior
    from .sampling.options import SamplerOptions

CHAIN = ".chain"
"""Folder, in that of a run, of what is kept of its chain."""


def infer_artifact(
    artifact: Artifact,
    data: BandPowers,
    name: str,
    root: str | Path,
    *,
    tau: tuple[float, float] | None = None,
    late_time: tuple[float, float] | None = None,
    priors: Mapping[str, str] | None = None,
    sampler: SamplerOptions | None = None,
    seed: int = 0,
    truth: Truth | None = None,
    description: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> tuple[Posterior, Path]:
    """`infer`, recorded as it goes on, and saved as an artifact of the kind "inference".

    While it goes on, the record is in `<root>/.runs/<name>/`, with the chain as far as it got. If
    it is interrupted, the same call goes on from there, to the samples it would have come to; a
    call with other data, emulator, priors or sampler starts anew, with a warning that says what is
    different.

    Parameters
    ----------
    artifact : Artifact
        The record of an emulator.
    data : BandPowers
    name : str
        Of the record to save. If it is taken, the earlier one moves to the history.
    root : str or Path
        Folder of artifacts.
    tau, late_time, priors, sampler, seed
        As in `infer`; priors as text.
    truth : Truth, optional
        Behind a mock, for the record.
    description : str, optional
    progress : callable, optional
        Called with (what is going on, steps done, steps in all).
    say : callable, optional
        Called with a line when an earlier run is gone on with.

    Returns
    -------
    posterior : Posterior
        As it was saved.
    path : Path

    Raises
    ------
    RecordError (ValueError)
        For an impossible name, or a record that is no emulator's.
    ConfigError, InferenceDataError (ValueError)
        As `infer`.
    """
    from .inferring import infer
    from .problem import Problem

    require_int("infer_artifact", "seed", seed, minimum=0)
    sampler = EmceeOptions() if sampler is None else sampler
    if data.is_total and late_time is None and LATE_TIME not in (priors or {}):
        late_time = DEFAULT_PRIOR  # for the record: a later release may have another
    choices = {"seed": seed, "priors": dict(priors or {}), "tau": tau, "late_time": late_time}
    facts = {**choices, "sampler": {"name": sampler.name, **asdict(sampler)}}
    contents = contents_of(artifact, data, facts, description)
    chosen = contents.configs["inference_config"]
    decisive = {"name": sampler.name, **sampler.decisive()}
    contents.request = {"inference": {**chosen, "sampler": decisive}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReionemuWarning)  # `infer` gives them
        problem = Problem(artifact.emulator(), data, tau=tau, late_time=late_time, priors=priors)
    with start_run(name, Path(root), contents, resume=True) as run:
        if run.resumed and say is not None:
            say(f"going on with the run of {name!r} that was interrupted")
        run.record(inference_config=chosen)  # of a run that is gone on with: as many steps as now
        posterior = infer(
            artifact,
            data,
            tau=tau,
            late_time=late_time,
            priors=priors,
            sampler=sampler,
            seed=seed,
            checkpoint=Checkpoint(run.path / CHAIN, problem.fingerprint),
            progress=progress,
        )
        run.record(**outcome(posterior, true_values(truth)))
    return posterior, run.path


def true_values(truth: Truth | None) -> dict[str, float]:
    """The numbers behind a mock, by name."""
    if truth is None:
        return {}
    return {**truth.theta, **({} if truth.tau is None else {"tau": truth.tau})}
