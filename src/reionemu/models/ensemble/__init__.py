"""An ensemble of smooth networks, with an uncertainty that is right.

options       what can be chosen
soap          the optimizer
training      all members at once, in PyTorch
uncertainty   what their spread means, learned from simulations they did not see
fit           the three together
model         what is left of it: predictions, in NumPy
"""

from ..._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "EnsembleOptions": ".options",
        "NetworkEnsemble": ".model",
        "fit_ensemble": ".fit",
    },
)
