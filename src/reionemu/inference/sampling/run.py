"""Sampling a posterior density: which sampler, and what is kept of it."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Callable
from typing import Any

from ...config import require_int
from ...errors import ConfigError, ReionemuWarning
from ...threads import one_thread
from .chains import Chains
from .checkpoint import Checkpoint, Nowhere
from .density import Density, Progress
from .options import EmceeOptions, NestedOptions, NutsOptions, SamplerOptions


def sample(
    problem: Density,
    options: SamplerOptions | None = None,
    *,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Chains:
    """Draw samples of a posterior density until they suffice.

    Parameters
    ----------
    problem : Problem
        Or another `density.Density`.
    options : EmceeOptions, NutsOptions or NestedOptions, optional
        Default: `EmceeOptions()`.
    seed : int
        The same seed gives the same samples, bit for bit.
    checkpoint : Checkpoint, optional
        Where to keep what is done. An interrupted run goes on from there, to the same samples as
        if it had not been interrupted. What only says how many samples are drawn (such as
        `max_steps`) may change in between.
    progress : callable, optional
        Called with (what is going on, how much of it is done, how much there is in all).

    Returns
    -------
    Chains

    Raises
    ------
    ConfigError
        If an option or the seed is impossible, the sampler is not installed, or the density is
        NaN somewhere, or zero where it should be sampled.
    AlreadyExistsError, FileBusyError, UnreadableFileError, NotEnoughSpaceError, MissingFileError,
    ReadOnlyError
        From the checkpoint: it is of another run, in use, damaged; it cannot be written.

    Warns
    -----
    ReionemuWarning
        If the samples do not suffice; `Chains.criterion` says why.
    """
    options = EmceeOptions() if options is None else options
    run = _sampler(options)
    require_int("sample", "seed", seed, 0)
    settings = {
        "sampler": options.name,
        f"version of {options.package}": _version(options.package),
        "parameters": list(problem.names),
        "seed": int(seed),
        **options.decisive(),
    }
    store = Nowhere() if checkpoint is None else checkpoint
    with one_thread(), store.opened(settings):
        chains = run(problem, options, int(seed), store, progress or _silent)
    if not chains.is_converged:
        warnings.warn(f"the samples are {chains.criterion}", ReionemuWarning, stacklevel=2)
    return chains


def _sampler(options: SamplerOptions) -> Callable[..., Chains]:
    """The function that samples with these options."""
    if isinstance(options, EmceeOptions):
        from .ensemble import run_emcee

        return run_emcee
    if isinstance(options, NutsOptions):
        from .nuts import run_nuts

        return run_nuts
    if isinstance(options, NestedOptions):
        from .nested import run_nested

        return run_nested
    raise ConfigError(
        f"options must be EmceeOptions, NutsOptions or NestedOptions, got {options!r}"
    )


def _version(package: str) -> str:
    """The installed version, as samples depend on it; empty if it is missing."""
    name = {"nautilus": "nautilus-sampler"}.get(package, package)
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _silent(*_: Any) -> None:
    """Say nothing."""
