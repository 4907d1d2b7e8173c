"""Networks, and what a prediction is.

network                 the fully connected stack that every built-in model is
four_param_emulator     the deterministic model
mc_dropout_emulator     the model with dropout, and Monte-Carlo prediction with it
experimental            earlier architectures, kept so that their weights can be read
registry                class names that records may name, and how to build them
dense                   the same forward pass in NumPy
emulator                from parameters to a spectrum in physical units, with an uncertainty
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Emulator": ".emulator",
        "FourParamEmulator": ".four_param_emulator",
        "MCDropoutEmulator": ".mc_dropout_emulator",
        "Prediction": ".emulator",
        "enable_dropout_only": ".mc_dropout_emulator",
        "predict_mc": ".mc_dropout_emulator",
        "register_model": ".registry",
    },
)
