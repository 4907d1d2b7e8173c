"""Whether what goes with a model belongs to it: shapes, names, and what a correlation must be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..models.companions import Companions


def require_fitting(companions: Companions, names: Sequence[str], n_bins: int) -> None:
    """Check that companions, each sound in itself, are of a model of some parameters and bins.

    Raises
    ------
    ValueError
        Naming the part that does not belong to such a model, or is not what it is called.
    """
    calibration, suite, history = companions.calibration, companions.suite, companions.history
    if calibration is not None:
        _require_shape("calibration", calibration.scale, (n_bins,))
    if suite is not None and suite.ln_covariance is not None:
        _require_shape("suite's covariance", suite.ln_covariance, (n_bins, n_bins))
    if companions.points is not None:
        _require_shape("training points", companions.points, (len(companions.points), len(names)))
    if history is not None and tuple(history.inputs.names) != tuple(names):
        raise ValueError(f"the history is of other parameters: {history.inputs.names}")
    if companions.correlation is not None:
        if history is None:
            raise ValueError("there is a correlation with a history, and no history")
        size = n_bins + len(history.spread.correlation)
        _require_correlation("correlation with the history", companions.correlation, size)


def _require_shape(what: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"the {what} has shape {array.shape}, and not {shape}")


def _require_correlation(what: str, matrix: np.ndarray, size: int) -> None:
    _require_shape(what, matrix, (size, size))
    symmetric = np.allclose(matrix, matrix.T, rtol=0, atol=1e-9)
    if not symmetric or not np.allclose(np.diag(matrix), 1, rtol=0, atol=1e-9):
        raise ValueError(f"the {what} is not symmetric with ones on its diagonal")
    np.linalg.cholesky(matrix)  # raises LinAlgError, a ValueError, if it is not positive definite
