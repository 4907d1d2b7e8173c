"""Hyper-parameter search with Ray Tune: the only part that imports it (extra `tune`).

four_param    a search of one network's options, as published
families      which models are searched, and their options
trials        running a function at many points, bad ones stopped early
cluster       being connected to Ray
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "default_param_space": ".four_param",
        "run_tune_four_param": ".four_param",
        "train_four_param_tune": ".four_param",
    },
)
