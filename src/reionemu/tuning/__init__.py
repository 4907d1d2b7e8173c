"""Hyper-parameter search with Ray Tune: the only part that imports it (extra `tune`)."""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "default_param_space": ".four_param",
        "run_tune_four_param": ".four_param",
        "train_four_param_tune": ".four_param",
    },
)
