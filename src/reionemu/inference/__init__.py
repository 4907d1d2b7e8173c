"""From band powers to the parameters and the history of reionization.

data, prior and emulator make a `Problem`, a posterior density; sampling gives `Chains`; with what
follows from each sample (optical depth, history, spectra) they are a `Posterior`.

band_powers, reading/, measurements, mock, late_time
               what is compared with the emulator
priors, expectation, gaussian, problem, starting
               the posterior density, its gradient, its quantiles, where it is large
sampling/      emcee, NUTS, nested sampling; convergence; what is kept of an interrupted run
posterior, following, infer
               samples and what follows from them
records, stored, recording
               posteriors as artifacts; runs that go on where they stopped
exports, latex for other programs and papers
cobaya/        the same likelihood for Cobaya
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "BandPowers": ".band_powers",
        "EmceeOptions": ".sampling",
        "MEASUREMENTS": ".measurements",
        "NestedOptions": ".sampling",
        "NutsOptions": ".sampling",
        "Posterior": ".posterior",
        "Problem": ".problem",
        "PLANCK_2018_TAU": ".measurements",
        "infer": ".inferring",
        "infer_artifact": ".recording",
        "load_posterior": ".records",
        "mock_from_simulation": ".mock",
        "mock_from_spectrum": ".mock",
        "read_band_powers": ".data_files",
        "save_posterior": ".records",
        "Truth": ".mock",
        "verify_posterior": ".records",
        "write_band_powers": ".data_files",
    },
)
