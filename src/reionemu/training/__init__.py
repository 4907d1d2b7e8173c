"""Fitting models to training arrays.

metrics       what an error is
train_loop    epochs, early stopping, evaluation
flat, by_hand the same, faster, for small networks
builders      models and optimizers from plain dictionaries
kfold_cv      k-fold cross-validation
forked        work in forked processes
resuming      what training is resumed from
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "FitConfig": ".train_loop",
        "KFoldConfig": ".kfold_cv",
        "build_four_param_model": ".builders",
        "build_mc_dropout_model": ".builders",
        "build_optimizer": ".builders",
        "evaluate": ".train_loop",
        "evaluate_mc_metrics": ".train_loop",
        "evaluate_metrics": ".train_loop",
        "fit": ".train_loop",
        "kfold_cross_validate": ".kfold_cv",
        "mean_relative_error": ".metrics",
        "mse": ".metrics",
        "physical_mean_relative_error": ".metrics",
        "rmse": ".metrics",
        "train_one_epoch": ".train_loop",
    },
)
