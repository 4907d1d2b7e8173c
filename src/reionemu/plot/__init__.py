"""Figures, with Matplotlib: functions of what they show, each returning a Figure.

style       widths, fonts and colours, in force only while a figure is drawn
truths      what is known of a simulated observation
densities   marginal densities, by GetDist
ticks       where the numbers of crowded panels stand
corners     marginal densities of parameters and of pairs of them
spectra     band powers and predictions
histories   neutral fraction over redshift, and optical depth
files       all of them, written
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "corner": ".corners",
        "history": ".histories",
        "save_figures": ".files",
        "spectrum": ".spectra",
    },
)
