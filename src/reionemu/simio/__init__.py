"""From raw simulations to training arrays, each stage in one HDF5 file.

    sim_root/sim*/               raw: two HDF5 files a simulation              (raw)
    /sims/<sim>/params, output   condensed: the part that is needed            (condense_h5)
    /sims/<sim>/cl               spectra                                       (compute_cl)
    /training                    arrays to train on      (build_xy, rows, histories, suite)

Every stage replaces its file in one step: killed at any moment, the file is the old or the new.
"""

from .build_xy import BuildStats, BuildXYConfig, build_and_write_training, build_training_arrays
from .compute_cl import ClConfig, add_cl_to_condensed_h5
from .condense_h5 import CondenseConfig, CondenseStats, SkippedSim, condense_sim_root

__all__ = [
    "BuildStats",
    "BuildXYConfig",
    "ClConfig",
    "CondenseConfig",
    "CondenseStats",
    "SkippedSim",
    "add_cl_to_condensed_h5",
    "build_and_write_training",
    "build_training_arrays",
    "condense_sim_root",
]
