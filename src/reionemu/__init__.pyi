"""What type checkers see of the package, whose names are imported when first used."""

from . import (
    artifact as artifact,
)
from . import (
    data as data,
)
from . import (
    design as design,
)
from . import (
    errors as errors,
)
from . import (
    inference as inference,
)
from . import (
    models as models,
)
from . import (
    simio as simio,
)
from . import (
    simulation as simulation,
)
from . import (
    spectra as spectra,
)
from . import (
    training as training,
)
from . import (
    tuning as tuning,
)
from .artifact.collection.records import (
    Catalogue as Catalogue,
)
from .artifact.collection.records import (
    catalogue as catalogue,
)
from .artifact.dataset import (
    dataset_summary as dataset_summary,
)
from .artifact.dataset import (
    file_fingerprint as file_fingerprint,
)
from .artifact.formats.jsonio import read_json as read_json
from .artifact.formats.sidecars import (
    load_normalizers as load_normalizers,
)
from .artifact.formats.sidecars import (
    save_model_checkpoint as save_model_checkpoint,
)
from .artifact.formats.sidecars import (
    save_normalizers as save_normalizers,
)
from .artifact.read import Artifact as Artifact
from .artifact.read import load_artifact as load_artifact
from .artifact.recording import start_artifact as start_artifact
from .artifact.sharing.bundle import (
    export_artifact as export_artifact,
)
from .artifact.sharing.bundle import (
    import_artifact as import_artifact,
)
from .artifact.write import (
    create_artifact_dir as create_artifact_dir,
)
from .artifact.write import (
    save_artifact as save_artifact,
)
from .artifact.write import (
    save_configs as save_configs,
)
from .artifact.write import (
    save_info as save_info,
)
from .artifact.write import (
    save_results as save_results,
)
from .data.arrays import load_training_arrays as load_training_arrays
from .data.dataloaders import (
    DataLoaderConfig as DataLoaderConfig,
)
from .data.dataloaders import (
    make_dataloaders as make_dataloaders,
)
from .data.normalization import Normalizer as Normalizer
from .design import PUBLISHED_SPACE as PUBLISHED_SPACE
from .design import Design as Design
from .design import ParameterSpace as ParameterSpace
from .design import augment_design as augment_design
from .design import latin_hypercube as latin_hypercube
from .design import one_at_a_time as one_at_a_time
from .design import read_design as read_design
from .design import sobol as sobol
from .design import write_design as write_design
from .errors import (
    OutOfRangeError as OutOfRangeError,
)
from .errors import (
    ReionemuError as ReionemuError,
)
from .errors import (
    ReionemuWarning as ReionemuWarning,
)
from .inference.band_powers import (
    BandPowers as BandPowers,
)
from .inference.data_files import (
    read_band_powers as read_band_powers,
)
from .inference.inferring import (
    infer as infer,
)
from .inference.posterior import (
    Posterior as Posterior,
)
from .inference.records import (
    load_posterior as load_posterior,
)
from .models.emulator import Emulator as Emulator
from .models.four_param_emulator import FourParamEmulator as FourParamEmulator
from .models.mc_dropout_emulator import (
    MCDropoutEmulator as MCDropoutEmulator,
)
from .models.mc_dropout_emulator import (
    enable_dropout_only as enable_dropout_only,
)
from .models.mc_dropout_emulator import (
    predict_mc as predict_mc,
)
from .models.prediction import History as History
from .models.prediction import JointDraws as JointDraws
from .models.prediction import Prediction as Prediction
from .simio.build_xy import (
    BuildStats as BuildStats,
)
from .simio.build_xy import (
    BuildXYConfig as BuildXYConfig,
)
from .simio.build_xy import (
    build_and_write_training as build_and_write_training,
)
from .simio.build_xy import (
    build_training_arrays as build_training_arrays,
)
from .simio.compute_cl import add_cl_to_condensed_h5 as add_cl_to_condensed_h5
from .simio.condense_h5 import (
    CondenseConfig as CondenseConfig,
)
from .simio.condense_h5 import (
    CondenseStats as CondenseStats,
)
from .simio.condense_h5 import (
    condense_sim_root as condense_sim_root,
)
from .simulation.campaign import run_campaign as run_campaign
from .simulation.config import OwnSeeds as OwnSeeds
from .simulation.config import SimulationConfig as SimulationConfig
from .simulation.cosmology import Cosmology as Cosmology
from .simulation.result import Simulation as Simulation
from .simulation.simulator import Simulations as Simulations
from .simulation.simulator import Simulator as Simulator
from .spectra import Bandpowers as Bandpowers
from .spectra import bandpower as bandpower
from .spectra import bandpower_covariance as bandpower_covariance
from .spectra import cross_bandpower as cross_bandpower
from .spectra.config import ClConfig as ClConfig
from .training.builders import (
    build_four_param_model as build_four_param_model,
)
from .training.builders import (
    build_mc_dropout_model as build_mc_dropout_model,
)
from .training.builders import (
    build_optimizer as build_optimizer,
)
from .training.kfold_cv import (
    KFoldConfig as KFoldConfig,
)
from .training.kfold_cv import (
    kfold_cross_validate as kfold_cross_validate,
)
from .training.metrics import (
    mean_relative_error as mean_relative_error,
)
from .training.metrics import (
    mse as mse,
)
from .training.metrics import (
    physical_mean_relative_error as physical_mean_relative_error,
)
from .training.metrics import (
    rmse as rmse,
)
from .training.train_loop import (
    FitConfig as FitConfig,
)
from .training.train_loop import (
    evaluate as evaluate,
)
from .training.train_loop import (
    evaluate_mc_metrics as evaluate_mc_metrics,
)
from .training.train_loop import (
    evaluate_metrics as evaluate_metrics,
)
from .training.train_loop import (
    fit as fit,
)
from .training.train_loop import (
    train_one_epoch as train_one_epoch,
)
from .tuning.four_param import (
    default_param_space as default_param_space,
)
from .tuning.four_param import (
    run_tune_four_param as run_tune_four_param,
)
from .tuning.four_param import (
    train_four_param_tune as train_four_param_tune,
)

__version__: str
__all__: list[str]
