"""The history of reionization: neutral fraction, its redshifts, and optical depth.

curve       a history as a monotone function of (z - zmean) / sigma_z
surface     polynomials of the inputs, from which the curve's shape follows
spread      the errors of curves and of optical depths
fit         training, and leave-one-out errors
model       what is left of it: predictions, in NumPy
"""

from ..._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, {"HistoryModel": ".model", "fit_history": ".fit"})
