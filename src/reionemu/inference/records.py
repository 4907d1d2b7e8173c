"""Posteriors as artifacts: saving, loading, and whether samples have the densities recorded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..artifact.checking.findings import ERROR, NOTE, WARNING, Finding
from ..artifact.checking.inspection import steps_of
from ..artifact.experiment import Contents
from ..artifact.layout import EMULATOR, INFERENCE, POSTERIOR
from ..artifact.read import Artifact, load_artifact
from ..artifact.samples import stored_band_powers, stored_posterior
from ..artifact.write import save_record
from ..errors import RecordError, ReionemuError
from .band_powers import BandPowers
from .stored import as_stored, restored

if TYPE_CHECKING:
    from .posterior import Posterior

N_CHECKED = 5
MAX_DIFFERENCE = 1e-4
"""Of ln(prior times likelihood), computed on another machine."""


def save_posterior(
    posterior: Posterior,
    name: str,
    root: str | Path,
    *,
    artifact: Artifact,
    description: str | None = None,
) -> Path:
    """Save a posterior for good: a record of the kind "inference", complete or not there at all.

    If the name is taken, the earlier record moves to `<root>/.history/<name>/`.

    Parameters
    ----------
    posterior : Posterior
    name : str
    root : str or Path
        Folder of artifacts; made if it is not there.
    artifact : Artifact
        The record of the emulator, whose lineage becomes that of the posterior.
    description : str, optional

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    RecordError (ValueError)
        For an impossible name, or if `artifact` is no record of an emulator.
    """
    contents = contents_of(artifact, posterior.data, posterior.facts, description)
    contents.update(**outcome(posterior))
    return save_record(name, Path(root), contents)


def load_posterior(path: str | Path) -> Posterior:
    """Read a posterior back; its emulator is not needed, and nothing in it is executed.

    Parameters
    ----------
    path : str or Path
        The folder that `save_posterior`, or `reionemu infer`, wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    RecordError (ValueError)
        If it is not a record of a posterior, or a file in it is damaged.
    """
    return posterior_of(load_artifact(path))


def posterior_of(artifact: Artifact) -> Posterior:
    """The same of a record that was loaded."""
    stored, document = stored_posterior(artifact), stored_band_powers(artifact)
    try:
        return restored(stored, BandPowers.from_mapping(document))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        reason = str(error)[:500]
        raise RecordError(f"{artifact.path}: the posterior cannot be used: {reason}") from None


def verify_posterior(artifact: Artifact) -> list[Finding]:
    """Whether a few samples have the density that is recorded, by the emulator where it was.

    Parameters
    ----------
    artifact : Artifact
        Of the kind "inference"; `verify_artifact` tells whether its files are whole.

    Returns
    -------
    list of Finding
        A note, if the emulator is not there any more, or is another one.
    """
    try:
        posterior = posterior_of(artifact)
    except ReionemuError as error:
        return [Finding(ERROR, POSTERIOR, str(error))]
    emulator = _emulator_of(artifact)
    if isinstance(emulator, Finding):
        return [emulator]
    try:
        difference = _difference(posterior, emulator, artifact.configs["inference"])
    except (ReionemuError, LookupError, TypeError, ValueError) as error:
        return [Finding(WARNING, POSTERIOR, f"its densities cannot be made here: {error}")]
    if difference <= MAX_DIFFERENCE:
        return []
    message = f"densities of samples differ by {difference:.2g} from those recorded"
    return [Finding(ERROR, POSTERIOR, f"{message} ({MAX_DIFFERENCE:g} may be)")]


def _emulator_of(artifact: Artifact) -> Any:
    """The emulator that a posterior was made with, or a finding that says why it is not at hand."""
    steps = steps_of({"provenance": artifact.provenance}, "emulator")
    if not steps:
        return Finding(NOTE, POSTERIOR, "it is not recorded where the emulator was")
    path, seal = str(steps[0].get("path")), steps[0].get("seal")
    try:
        record = load_artifact(path)
        if seal is None or record.provenance.get("seal") != seal:
            message = f"{path} is not known to be the emulator it was; densities were not compared"
            return Finding(NOTE, POSTERIOR, message)
        return record.emulator()
    except (ReionemuError, OSError) as error:
        return Finding(NOTE, POSTERIOR, f"densities were not compared: {error}")


def _difference(posterior: Posterior, emulator: Any, chosen: Mapping[str, Any]) -> float:
    """The largest difference between densities recorded and computed, of samples spread evenly."""
    from .problem import Problem

    tau, late_time = (chosen[key] and tuple(chosen[key]) for key in ("tau", "late_time"))
    problem = Problem(
        emulator, posterior.data, tau=tau, late_time=late_time, priors=chosen["priors"]
    )
    if tuple(problem.names) != tuple(posterior.names):
        raise ValueError(f"the emulator and the data have parameters {', '.join(problem.names)}")
    samples = posterior.chains.samples.reshape(-1, problem.n_dim)
    rows = np.linspace(0, len(samples) - 1, min(N_CHECKED, len(samples))).astype(int)
    recorded = posterior.chains.log_prob.ravel()[rows]
    difference = np.abs(problem.log_prob(samples[rows]) - recorded).max()
    return float(difference) if np.isfinite(difference) else np.inf


def contents_of(
    artifact: Artifact,
    data: BandPowers,
    facts: Mapping[str, Any],
    description: str | None = None,
) -> Contents:
    """A record before there are samples: where they will come from, and what was chosen.

    Parameters
    ----------
    facts : mapping
        "sampler" (name and options), "seed", "priors" (text of those given), "tau" and "late_time"
        (mean and standard deviation, or None).
    """
    if artifact.kind != EMULATOR:
        raise RecordError(f"{artifact.path} is no record of an emulator, but {artifact.kind!r:.60}")
    provenance = artifact.provenance
    used = {"name": artifact.name, "run": provenance.get("run"), "seal": provenance.get("seal")}
    before = provenance.get("lineage")
    contents = Contents(
        kind=INFERENCE,
        steps=[
            *(before if isinstance(before, list) else []),
            {"step": "emulator", "path": str(artifact.path.absolute()), **used},
            {
                "step": "data",
                "name": data.name,
                "source": data.source,
                "content_sha256": data.sha256,
            },
        ],
    )
    contents.update(
        inference_config={
            "emulator": used,
            "data": {"name": data.name, "source": data.source, "sha256": data.sha256},
            **{key: facts[key] for key in ("sampler", "seed", "priors", "tau", "late_time")},
        },
        description=description,
    )
    return contents


def outcome(posterior: Posterior, truth: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Arguments of `Contents.update` that say what came of sampling."""
    chains, predictive = posterior.chains, posterior.predictive
    names = ("mean", "std", "median", "low68", "high68", "low95", "high95", "at_edge")
    parameters = {
        row.name: {name: getattr(row, name) for name in names} for row in posterior.summary()
    }
    diagnostics = dict(chains.diagnostics)
    evidence = {
        key: diagnostics[key]
        for key in ("log_evidence", "log_evidence_error")
        if key in diagnostics
    }
    return {
        "posterior": as_stored(posterior),
        "band_powers": posterior.data.to_mapping(),
        "results_summary": {
            "names": list(parameters),
            "parameters": parameters,
            "priors": dict(posterior.priors),
            "sampler": chains.sampler,
            "n_samples": int(chains.log_prob.size),
            "is_converged": bool(chains.is_converged),
            "criterion": chains.criterion,
            "diagnostics": diagnostics,
            **({"truth": dict(truth)} if truth else {}),
        },
        "metrics": {
            "chi2": predictive.chi2,
            "p_value": predictive.p_value,
            "n_band_powers": posterior.data.n,
            **evidence,
        },
    }
