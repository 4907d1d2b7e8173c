"""Gaussian-process regression, of all outputs at once.

kernel      the covariance between points, and its hyper-parameters
evidence    how they are found
fit         training, and leave-one-out predictions
model       what is left of it: predictions, in NumPy
"""

from ..._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "GaussianProcess": ".model",
        "Hyperparameters": ".kernel",
        "fit_gaussian_process": ".fit",
    },
)
