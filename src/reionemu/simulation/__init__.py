"""From four parameters to a map, and from a design to a suite.

config, cosmology           what a simulation is made with; presets
fourier, deposit            transforms and grids
initial_conditions, matter  displacements (2LPT), density, velocity, momentum on the light cone
light_cone, ksz, zreion     geometry; the map; the redshift of reionization
history, brightness         neutral fractions and optical depth; 21 cm spectra
shared, cache               what a suite shares, and where it is kept
realization, simulator      simulating
raw_files, campaign         the raw layout; suites, on one machine or many
"""

from .._lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(
    __name__,
    {
        "Cosmology": ".cosmology",
        "MemoryEstimate": ".memory",
        "OwnSeeds": ".config",
        "PRESETS": ".config",
        "Realization": ".realization",
        "Simulation": ".result",
        "SimulationConfig": ".config",
        "Simulations": ".simulator",
        "Simulator": ".simulator",
        "memory_estimate": ".memory",
        "open_realization": ".realization",
        "preset": ".config",
        "run_campaign": ".campaign",
    },
)
