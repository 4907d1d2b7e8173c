"""Whole jobs made of the stages: what the command line runs, callable from Python too.

options       every choice of a run, as dataclasses and as a TOML file
training      training arrays -> model -> held-out errors -> artifact
assessment    errors of an emulator on data it was not fitted to
run           raw simulations -> artifact, resuming where it stopped
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "RunOptions": ".options",
        "TrainingOptions": ".options",
        "assess": ".assessment",
        "load_run_options": ".options",
        "run": ".stages",
        "train_artifact": ".training",
    },
)
