"""Samples of a posterior density.

    chains = sample(problem, EmceeOptions(), seed=1, checkpoint=Checkpoint("kept", fingerprint))

run           `sample`: which sampler, what is kept, what is said if it does not converge
options       the options of each sampler
ensemble      walkers that move along the lines between each other (emcee); the default
nuts          along trajectories that the gradient bends (nutpie)
nested        shells of rising likelihood (nautilus); gives the evidence
convergence   autocorrelation times, R-hat, and the verdict
checkpoint    what is left of an interrupted run, to go on from
chains        what comes out
density       what all of them need to know of a posterior

The same seed gives the same samples, bit for bit, interrupted or not.
"""

from ..._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Chains": ".chains",
        "Checkpoint": ".checkpoint",
        "EmceeOptions": ".options",
        "NestedOptions": ".options",
        "NutsOptions": ".options",
        "sample": ".run",
    },
)
