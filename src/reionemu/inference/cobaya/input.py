"""The input of a run of Cobaya, from an emulator and band powers."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...artifact import load_artifact
from ...errors import ConfigError, ReionemuWarning
from ..latex import label
from ..measurements import TauConstraint, tau_constraint
from ..priors import Prior
from ..problem import Problem
from ..sampling import EmceeOptions, sample
from .choices import observed

PACKAGE = "reionemu.inference.cobaya"
DERIVED = ("tau", "z50", "duration")
THEORY, LIKELIHOOD = f"{PACKAGE}.ReionizationTheory", f"{PACKAGE}.KSZLikelihood"

RMINUS1_STOP = 0.01
"""Where Cobaya stops: the variance of means between chains over that within them."""

_PILOT = EmceeOptions(steps=600)
_DIGITS = 8


def cobaya_input(
    artifact: str | Path,
    *,
    data: str | Path | None = None,
    measurement: str | None = None,
    tau: TauConstraint = None,
    late_time: tuple[float, float] | None = None,
    priors: Mapping[str, Any] | None = None,
    output: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """What ``cobaya.run`` takes: a theory, a likelihood, parameters and a sampler (mcmc).

    The starting points and the covariance of proposals come of a short chain of the sampler of
    this package, so that Cobaya's chain needs no burn-in.

    Parameters
    ----------
    artifact : str or Path
        Folder of an emulator's record. In the input it is absolute, and so is `data`.
    data : str or Path, optional
        A file of band powers.
    measurement : str, optional
        In place of `data`, the name of published ones.
    tau : str or (float, float), optional
        Constraint on the optical depth: planck2018, or a mean and a standard deviation.
    late_time : (float, float), optional
        Prior of the late-time amplitude [uK^2], for data of the total kSZ effect.
    priors : mapping, optional
        By parameter, as `reionemu.inference.infer` takes them; by default flat over the emulator's
        box.
    output : str, optional
        Prefix of the files that Cobaya writes. By default of the names of both, in chains/.
    seed : int
        Of Cobaya's chain, and of the short one.

    Raises
    ------
    ConfigError
        If an option is impossible, or Cobaya has no such prior.
    InferenceDataError, MissingFileError, UnreadableFileError, RecordError
        From what is read.
    """
    record = load_artifact(artifact)
    band_powers = observed(data, measurement)
    constraint = tau_constraint(tau)
    problem = Problem(
        record.emulator(), band_powers, tau=constraint, late_time=late_time, priors=priors
    )
    chosen: dict[str, Any] = {"measurement": measurement}
    if data is not None:
        chosen = {"data": _absolute(data)}
    if constraint is not None:
        chosen["tau"] = tau if isinstance(tau, str) else list(constraint)
    best, covariance = _pilot(problem, seed)
    return {
        "theory": {THEORY: {"artifact": _absolute(artifact)}},
        "likelihood": {LIKELIHOOD: chosen},
        "params": _parameters(problem, best, covariance),
        "sampler": {
            "mcmc": {
                "Rminus1_stop": RMINUS1_STOP,
                "measure_speeds": False,  # both are fast, and runs are to be repeatable
                "drag": False,
                "covmat": [[_rounded(value) for value in row] for row in covariance],
                "covmat_params": list(problem.names),
                "seed": seed,
            }
        },
        "output": output or f"chains/{record.path.name}-{_slug(band_powers.name)}",
    }


def _pilot(problem: Problem, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The most probable sample (d,) and the covariance (d, d) of a short chain."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReionemuWarning)  # that it has not converged
        chains = sample(problem, _PILOT, seed=seed)
    best = chains.samples.reshape(-1, problem.n_dim)[np.argmax(chains.log_prob)]
    covariance = np.cov(chains.samples.reshape(-1, problem.n_dim), rowvar=False)
    return best, np.atleast_2d(covariance)


def _parameters(problem: Problem, best: np.ndarray, covariance: np.ndarray) -> dict[str, Any]:
    """Priors, starting points, widths of proposals and labels; and derived parameters."""
    spread, conditional = np.sqrt(np.diag(covariance)), np.diag(np.linalg.inv(covariance)) ** -0.5
    sampled = {
        name: {
            "prior": cobaya_prior(name, problem.priors[i]),
            "ref": {"dist": "norm", "loc": _rounded(best[i]), "scale": _rounded(spread[i])},
            "proposal": _rounded(conditional[i]),
            "latex": label(name),
        }
        for i, name in enumerate(problem.names)
    }
    if problem.emulator.history is None:
        return sampled
    return sampled | {name: {"latex": label(name)} for name in DERIVED}


def cobaya_prior(name: str, prior: Prior) -> dict[str, Any]:
    """A prior as Cobaya's input has it.

    Of distributions other than uniform, normal and loguniform it has no truncated ones: there the
    box of the emulator is cut out by the theory, and the prior is not normalized over it.

    Raises
    ------
    ConfigError
        If the prior cannot be said in YAML.
    """
    low, high, distribution = prior.low, prior.high, prior.distribution
    if distribution is None:
        return {"min": low, "max": high}
    family = getattr(distribution, "dist", None)
    if family is None:
        raise ConfigError(
            f"the prior of {name}, {prior.text}, is no distribution of scipy.stats, which Cobaya "
            "could be told of"
        )
    keys = [*(family.shapes or "").replace(",", " ").split(), "loc", "scale"]
    given = dict(zip(keys, distribution.args, strict=False)) | distribution.kwds
    given = {key: float(value) for key, value in given.items()}
    if family.name == "norm":
        mean, std = given.get("loc", 0.0), given.get("scale", 1.0)
        ends = {"a": (low - mean) / std, "b": (high - mean) / std}
        return {"dist": "truncnorm", "loc": mean, "scale": std, **ends}
    if family.name == "loguniform":
        return {"dist": "loguniform", "a": low, "b": high}
    return {"dist": family.name, **given}


def _absolute(path: str | Path) -> str:
    return str(Path(path).expanduser().resolve())


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _slug(name: str) -> str:
    """A name as a part of one of a file."""
    return re.sub(r"[^\w.+-]+", "-", name, flags=re.ASCII).strip("-.")[:100] or "data"
