"""Emulators of the kinetic Sunyaev-Zel'dovich power spectrum, from simulations to predictions.

parameters -> simulation -> condensed file -> spectra -> training arrays -> model -> artifact ->
predictions, posteriors. Names are imported when first used: `import reionemu` alone loads nothing
heavy.
"""

from ._lazy import attach as _attach

__version__ = "0.5.0"

_MODULES = {
    ".artifact": (
        "Artifact create_artifact_dir dataset_summary file_fingerprint load_artifact "
        "load_normalizers read_json save_artifact save_configs save_info save_model_checkpoint "
        "save_normalizers save_results start_artifact export_artifact import_artifact "
        "Catalogue catalogue"
    ),
    ".data": "DataLoaderConfig Normalizer load_training_arrays make_dataloaders",
    ".design": (
        "Design PUBLISHED_SPACE ParameterSpace augment_design latin_hypercube one_at_a_time "
        "read_design sobol write_design"
    ),
    ".errors": "OutOfRangeError ReionemuError ReionemuWarning",
    ".inference": "BandPowers Posterior infer load_posterior read_band_powers",
    ".models": (
        "Emulator FourParamEmulator History JointDraws MCDropoutEmulator Prediction "
        "enable_dropout_only predict_mc"
    ),
    ".simio": (
        "BuildStats BuildXYConfig CondenseConfig CondenseStats add_cl_to_condensed_h5 "
        "build_and_write_training build_training_arrays condense_sim_root"
    ),
    ".simulation": (
        "Cosmology OwnSeeds Simulation SimulationConfig Simulations Simulator run_campaign"
    ),
    ".spectra": "Bandpowers ClConfig bandpower bandpower_covariance cross_bandpower",
    ".training": (
        "FitConfig KFoldConfig build_four_param_model build_mc_dropout_model build_optimizer "
        "evaluate evaluate_mc_metrics evaluate_metrics fit kfold_cross_validate "
        "mean_relative_error mse physical_mean_relative_error rmse train_one_epoch"
    ),
    ".tuning": "default_param_space run_tune_four_param train_four_param_tune",
}

__getattr__, __dir__, __all__ = _attach(
    __name__,
    {name: module for module, names in _MODULES.items() for name in names.split()},
)
