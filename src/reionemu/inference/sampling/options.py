"""Options of the samplers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from ...config import require_choice, require_finite, require_int

MOVES = ("de", "stretch")


@dataclass(frozen=True)
class EmceeOptions:
    """Options of the ensemble sampler, emcee.

    Attributes
    ----------
    walkers : int
        At least twice the number of parameters.
    steps : int or None
        Exactly so many steps, converged or not. None: until the samples have converged.
    max_steps : int
        Where to stop if they do not; without effect when `steps` is given.
    target_ess : int
        Effective samples that are asked for, of the parameter that has fewest.
    moves : str
        "de": differences of two other walkers, every tenth time the whole difference, which leads
        from mode to mode (ter Braak 2006; Nelson et al. 2014, ApJS 210, 11). "stretch": along the
        line to one other walker (Goodman & Weare 2010). On banana-shaped posteriors of 4 and 5
        parameters in a box, "de" gives 1.3 to 3 times as many effective samples per evaluation.

    Raises
    ------
    ConfigError
        If an option has a value it cannot have.
    """

    name: ClassVar[str] = "emcee"
    package: ClassVar[str] = "emcee"

    walkers: int = 32
    steps: int | None = None
    max_steps: int = 50_000
    target_ess: int = 2000
    moves: str = "de"

    def __post_init__(self) -> None:
        require_int("EmceeOptions", "walkers", self.walkers, 8)
        if self.steps is not None:
            require_int("EmceeOptions", "steps", self.steps, 1)
        require_int("EmceeOptions", "max_steps", self.max_steps, 1)
        require_int("EmceeOptions", "target_ess", self.target_ess, 1)
        require_choice("EmceeOptions", "moves", self.moves, MOVES)

    def decisive(self) -> dict[str, Any]:
        """What each sample depends on; the rest says how many there are."""
        return {"walkers": self.walkers, "moves": self.moves}


@dataclass(frozen=True)
class NutsOptions:
    """Options of the gradient sampler, NUTS, by nutpie.

    Attributes
    ----------
    chains : int
        Chains that are run before convergence is judged; if it fails, as many more are run.
    tune, draws : int
        Steps of a chain that adapt it, and are thrown away, and steps that are kept.
    max_chains : int
        Where to stop if the samples do not converge.
    target_accept : float
        Acceptance that the length of the steps is adapted to, between 0 and 1.

    Raises
    ------
    ConfigError
        If an option has a value it cannot have.
    """

    name: ClassVar[str] = "nuts"
    package: ClassVar[str] = "nutpie"

    chains: int = 4
    tune: int = 500
    draws: int = 1000
    max_chains: int = 16
    target_accept: float = 0.9

    def __post_init__(self) -> None:
        require_int("NutsOptions", "chains", self.chains, 2)
        require_int("NutsOptions", "tune", self.tune, 50)
        require_int("NutsOptions", "draws", self.draws, 10)
        require_int("NutsOptions", "max_chains", self.max_chains, self.chains)
        require_finite(
            "NutsOptions", "target_accept", self.target_accept, minimum=0, below=1, exclusive=True
        )

    def decisive(self) -> dict[str, Any]:
        """What each sample depends on; the rest says how many there are."""
        return {key: value for key, value in asdict(self).items() if key != "max_chains"}


@dataclass(frozen=True)
class NestedOptions:
    """Options of the nested sampler, nautilus.

    Attributes
    ----------
    live_points : int
        Points that a shell is built around.
    points_per_shell : int
        Samples that are drawn from each shell at least. The outer ones hold the thin tails of a
        curved posterior, which one batch of 100, nautilus' default, misses: it made the long side
        of a banana 6 to 21% too short, in ten runs of ten.
    target_ess : int
        Effective samples that are asked for; the error of ln evidence is 1 / sqrt(this).
    networks : int
        Networks that are averaged to find the shape of a shell. They take most of the time; more
        than one has not been seen to save evaluations for 5 parameters.
    max_evaluations : int
        Where to stop if that is not reached.

    Raises
    ------
    ConfigError
        If an option has a value it cannot have.
    """

    name: ClassVar[str] = "nested"
    package: ClassVar[str] = "nautilus"

    live_points: int = 500
    points_per_shell: int = 3000
    target_ess: int = 5000
    networks: int = 1
    max_evaluations: int = 500_000

    def __post_init__(self) -> None:
        require_int("NestedOptions", "live_points", self.live_points, 50)
        require_int("NestedOptions", "points_per_shell", self.points_per_shell, 1)
        require_int("NestedOptions", "target_ess", self.target_ess, 1)
        require_int("NestedOptions", "networks", self.networks, 1)
        require_int("NestedOptions", "max_evaluations", self.max_evaluations, 1)

    def decisive(self) -> dict[str, Any]:
        """What each sample depends on; the rest says how many there are."""
        return {key: value for key, value in asdict(self).items() if key != "max_evaluations"}


SamplerOptions = EmceeOptions | NutsOptions | NestedOptions
