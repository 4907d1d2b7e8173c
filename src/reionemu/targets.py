"""What networks are trained to give: a transformed spectrum, with the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Y_SOURCES = ("dl_ksz", "cl_ksz")
Y_TRANSFORMS = ("ln", "log10", "none")


@dataclass(frozen=True)
class Target:
    """What a network is trained to give: `transform` of the spectrum `source`.

    Parameters
    ----------
    source : {"dl_ksz", "cl_ksz"}
    transform : {"ln", "log10", "none"}
        The logarithm of max(y, 0) + eps, or nothing.
    eps : float
        Added before the logarithm is taken [uK^2].
    """

    source: str
    transform: str
    eps: float = 0.0

    def apply(self, spectrum: np.ndarray) -> np.ndarray:
        """Targets from a spectrum of any shape [uK^2]."""
        if self.transform == "none":
            return spectrum
        log = np.log if self.transform == "ln" else np.log10
        with np.errstate(divide="ignore"):
            return log(np.maximum(spectrum, 0.0) + self.eps)

    def invert(self, y: np.ndarray) -> np.ndarray:
        """The spectrum [uK^2] from targets of any shape."""
        if self.transform == "none":
            return y
        return (np.exp(y) if self.transform == "ln" else 10.0**y) - self.eps

    @property
    def is_logarithmic(self) -> bool:
        """Whether targets are logarithms."""
        return self.transform != "none"

    @property
    def ln_base(self) -> float:
        """ln of the base of the logarithm; 1 for none."""
        return float(np.log(10.0)) if self.transform == "log10" else 1.0

    def derivative(self, y: np.ndarray) -> np.ndarray:
        """d spectrum / d target at targets of any shape."""
        if self.transform == "none":
            return np.ones_like(y)
        return self.ln_base * np.exp(self.ln_base * y)

    def curvature(self, y: np.ndarray) -> np.ndarray:
        """d^2 spectrum / d target^2 at targets of any shape."""
        return self.ln_base * self.derivative(y) if self.is_logarithmic else np.zeros_like(y)
