"""How predictions are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .output import print_table

if TYPE_CHECKING:
    from ..models.emulator import History, Prediction
    from ..models.suite import Suite


def as_document(
    prediction: Prediction, history: History | None, theta: dict[str, Any]
) -> dict[str, Any]:
    """A prediction as JSON: in uK^2, std being the emulator's error."""
    document = {
        "ell": prediction.ell,
        "mean": prediction.mean,
        "std": prediction.std,
        "quantity": prediction.quantity,
        "units": "uK^2",
        "parameters": theta,
    }
    return document if history is None else {**document, "history": vars(history)}


def print_one(prediction: Prediction, history: History | None) -> None:
    """Tables for one point."""
    columns = ["ell", f"{_label(prediction.quantity)} [uK^2]"]
    rows = [
        [f"{ell:.1f}", f"{mean:#.5g}"]
        for ell, mean in zip(prediction.ell, prediction.mean, strict=True)
    ]
    if prediction.std is not None:
        columns.append("+-")
        rows = [[*row, f"{std:#.2g}"] for row, std in zip(rows, prediction.std, strict=True)]
    print_table(columns, rows)
    if history is not None:
        print(
            f"tau {history.tau:.6f} +- {history.tau_std:.6f}; half neutral at z = "
            f"{history.z50:.4f} +- {history.z50_std:.4f}; from 3/4 to 1/4 in dz = "
            f"{history.duration:.4f} +- {history.duration_std:.4f}"
        )


def print_neutral_fraction(history: History) -> None:
    """A table of the neutral fraction of one point."""
    columns = zip(history.z, history.x_hi, history.x_hi_std, strict=True)
    rows = [[f"{z:g}", f"{x:.5f}", f"{std:.1e}"] for z, x, std in columns]
    print_table(["z", "x_HI", "+-"], rows)


def realization_note(suite: Suite) -> str:
    """What to know about the mean that an emulator of a suite gives; nothing if it is of many."""
    if suite.realizations == "own":
        return ""
    n = suite.n_realizations
    mean = "one realization" if n == 1 else f"the mean of {n} realizations"
    known = "by how much is not known"
    if suite.ln_covariance is not None:
        import numpy as np

        spread = 100 * np.sqrt(np.diag(suite.ln_covariance) / n)
        known = f"by {spread.min():.0f} to {spread.max():.0f}%, 1 sigma"
    return (
        f"this is the spectrum of {mean}: that of many differs from it, {known}; +- is the "
        "emulator's error alone"
    )


def print_many(prediction: Prediction, history: History | None, with_x_hi: bool) -> None:
    """Columns a program can read: a header, then one row a point."""
    label, centres = _label(prediction.quantity), prediction.ell
    names = [f"{label}_{ell:.1f}" for ell in centres]
    columns = [prediction.mean]
    if prediction.std is not None:
        names += [f"std_{ell:.1f}" for ell in centres]
        columns.append(prediction.std)
    if history is not None:
        for name in ("tau", "z50", "duration"):
            names += [name, f"std_{name}"]
            columns += [getattr(history, name)[:, None], getattr(history, f"{name}_std")[:, None]]
    if history is not None and with_x_hi:
        names += [f"x_HI_{z:g}" for z in history.z] + [f"std_x_HI_{z:g}" for z in history.z]
        columns += [history.x_hi, history.x_hi_std]
    print("#", *names)
    for rows in zip(*columns, strict=True):
        print(*(f"{value:.7g}" for row in rows for value in row))


def _label(quantity: str) -> str:
    return "D_ell" if quantity == "dl_ksz" else "C_ell"
