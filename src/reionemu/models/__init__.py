"""Networks, and what a prediction is.

network                 the fully connected stack that every built-in model is
four_param_emulator     the deterministic model
mc_dropout_emulator     the model with dropout, and Monte-Carlo prediction with it
experimental            earlier architectures, kept so that their weights can be read
registry                class names that records may name, and how to build them
dense                   the same forward pass in NumPy
torch_network           any PyTorch module as such a network
inputs, width           the coordinates in which spectra are smooth, and the physics behind them
training_set            what can be learned from
gaussian_process        regression of all bins at once: the default
ensemble                smooth networks that check each other
out_of_fold             predictions of what a model did not see
history                 tau and the neutral fraction
moments                 what they say of spectra
spectrum                models of either kind in physical units
calibration             making error bars right
suite                   what kind of simulations a model learned from
domain                  where there are training points
companions              what is recorded beside a model
recorded                what numbers of records may be
spline, interpolation   spectra at other multipoles, or through windows
as_torch                derivatives of everything in PyTorch
prediction              what an emulator answers
emulator                all of it: predictions with uncertainties
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Emulator": ".emulator",
        "FourParamEmulator": ".four_param_emulator",
        "History": ".prediction",
        "JointDraws": ".prediction",
        "MCDropoutEmulator": ".mc_dropout_emulator",
        "Prediction": ".prediction",
        "enable_dropout_only": ".mc_dropout_emulator",
        "predict_mc": ".mc_dropout_emulator",
        "register_model": ".registry",
    },
)
