"""The redshift-of-reionization field against the package zreion 0.2.2, on the same density.

The reference was made by tools/reference/make_zreion_reference.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from reionemu.parameters import PARAMETER_NAMES
from reionemu.simulation.config import SimulationConfig
from reionemu.simulation.fourier import to_modes
from reionemu.simulation.realization import Realization
from reionemu.simulation.shared import Shared, nodes
from reionemu.simulation.zreion import Smoothing

REFERENCE = Path(__file__).parents[1] / "reference" / "zreion_32.npz"


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE) as arrays:
        return dict(arrays)


def realization_of(density: np.ndarray, box: float) -> Realization:
    """A realization whose density is the given one at all redshifts."""
    n = density.shape[0]
    config = SimulationConfig(box=box, n_cells=n)
    modes = torch.empty((n, n, n // 2 + 1), dtype=torch.complex64)
    to_modes(torch.from_numpy(density.astype(np.float32)), modes, threads=1)
    smoothing = Smoothing(config)
    smoothed = torch.stack([modes[i] * smoothing.plane(i) for i in range(n)]).numpy()
    shared = Shared(
        modes=np.stack([smoothed] * len(nodes(config))),
        samples=np.empty(0, np.float32),
        momentum=np.empty(0, np.float16),
    )
    return Realization(config, 0, 0, shared, torch.device("cpu"))


@pytest.mark.parametrize("case", ["inside_out", "smooth"])
def test_the_field_is_that_of_the_published_package(reference, case):
    realization = realization_of(reference["density"], float(reference["box"]))
    theta = dict(zip(PARAMETER_NAMES, reference[f"{case}_parameters"].tolist(), strict=True))
    expected = reference[case]
    assert expected.std() > 0.1
    # Single precision: some roundings of the largest values, about 10.
    np.testing.assert_allclose(realization.zreion(theta), expected, rtol=0, atol=2e-5)
