"""How rough a suite is on scales that its simulations do not resolve.

Short lines through parameter space, along each parameter, are simulated with the suite's own
realization. What is left of ln D_ell on a line when a cubic is taken off is structure that an
emulator of a thousand points cannot follow, whatever it is made of: those are a fifth of the box
apart (1000^-1/4), as long as a line is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reionemu.data.arrays import load_training_set
from reionemu.design import PUBLISHED_SPACE, Design, write_design

from .suites import build

CENTRES, STEPS, LENGTH, DEGREE = 6, 11, 0.2, 3


def roughness(preset: str, folder: Path) -> dict[str, float]:
    """Root mean square of what is left of ln D_ell, over bins and lines, by parameter."""
    h5, design = folder / f"lines-{preset}.h5", folder / f"lines-{preset}.txt"
    if not h5.exists():
        write_design(design, Design(PUBLISHED_SPACE.names, lines()), overwrite=True)
        build(design, h5, preset, ("--realizations", "0"), ())
    data = load_training_set(h5)
    by_place = {tuple(row): y for row, y in zip(data.X, data.Y, strict=True)}
    y = np.array([by_place[tuple(row)] for row in lines().astype(np.float32)], float)
    y = y.reshape(CENTRES, len(PUBLISHED_SPACE.names), STEPS, -1)
    left = np.einsum("st,cptb->cpsb", _residual_maker(), y)
    variance = (left**2).sum(axis=2) / (STEPS - DEGREE - 1)
    rms = np.sqrt(variance.mean(axis=(0, 2)))
    return dict(zip(PUBLISHED_SPACE.names, map(float, rms), strict=True))


def lines() -> np.ndarray:
    """Points, shape (CENTRES * p * STEPS, p)."""
    low, high = np.array(PUBLISHED_SPACE.low), np.array(PUBLISHED_SPACE.high)
    p = len(low)
    centres = np.random.default_rng(0).uniform(LENGTH / 2, 1 - LENGTH / 2, (CENTRES, p))
    offsets = np.linspace(-LENGTH / 2, LENGTH / 2, STEPS)
    unit = centres[:, None, None, :] + offsets[:, None] * np.eye(p)[:, None, :]
    return (low + (high - low) * unit).reshape(-1, p)


def _residual_maker() -> np.ndarray:
    """What takes a polynomial off the values on a line, shape (STEPS, STEPS)."""
    Q, _ = np.linalg.qr(np.vander(np.linspace(-1, 1, STEPS), DEGREE + 1))
    return np.eye(STEPS) - Q @ Q.T
