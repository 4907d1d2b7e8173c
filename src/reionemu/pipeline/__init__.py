"""Whole jobs made of the stages: what the command line runs, callable from Python too.

options                 every choice of a run, as dataclasses and as a TOML file
training                training arrays -> model -> held-out errors -> artifact
loading, usable         training arrays, and what they must be like
networks, surrogates    how models of either kind are fitted, and what goes with them
assessment, scores      errors of an emulator on data it was not fitted to
crossval                folds of any model
search, trials, search_folder   the best of all models; one trial; what is kept of a search
learning, learning_law  how the error falls with the number of simulations
suggestion              where the next simulations teach most
stages                  raw simulations -> artifact, resuming where it stopped
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "LearningCurve": ".learning",
        "RunOptions": ".options",
        "TrainingOptions": ".options",
        "assess": ".assessment",
        "learning_curve": ".learning",
        "load_run_options": ".options",
        "run": ".stages",
        "suggest": ".suggestion",
        "train_artifact": ".training",
    },
)
