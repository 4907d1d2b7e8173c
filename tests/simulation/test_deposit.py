"""Clouds of particles against a plain loop over cells, and what they conserve."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.simulation.config import DEPOSITS
from reionemu.simulation.deposit import cloud, deposit, without_margin

N, PLANES = 6, 9


def deposited(position: np.ndarray, weight: np.ndarray | None, kind: str) -> np.ndarray:
    planes = torch.zeros((PLANES, N + 2, N + 2))
    tensors = tuple(torch.from_numpy(p.astype(np.float32)) for p in position)
    load = None if weight is None else torch.from_numpy(weight.astype(np.float32))
    deposit(planes, tensors, load, kind)
    return without_margin(planes).double().numpy()


def particles(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Some below cell 0 and some beyond the last cell across the stack."""
    rng = np.random.default_rng(5)
    position = rng.uniform([[2], [-N + 0.01], [-2]], [[PLANES - 3], [2 * N], [3 * N]], (3, count))
    return position, rng.normal(1, 2, count)


@pytest.mark.parametrize("kind", DEPOSITS)
@pytest.mark.parametrize("weighted", [True, False])
def test_cells_are_those_of_a_plain_loop(kind, weighted, plain_deposit):
    position, weight = particles(500)
    found = deposited(position, weight if weighted else None, kind)
    ones = np.ones(500)
    expected = plain_deposit(np.zeros((PLANES, N, N)), position, weight if weighted else ones, kind)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("kind", DEPOSITS)
@pytest.mark.parametrize("place", [(4, 2, 3), (3, 0, N - 1)])
def test_a_particle_on_the_centre_of_a_cell(kind, place):
    found = deposited(np.array(place, float)[:, None], None, kind)
    centre = {"cic": 1.0, "tsc": 0.75}[kind]
    assert found[place] == pytest.approx(centre**3)
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("kind", DEPOSITS)
@given(u=st.floats(-20, 20, width=32))
@settings(max_examples=50, deadline=None)
def test_a_cloud_has_the_mass_and_the_place_of_its_particle(kind, u):
    first, weights = cloud(torch.tensor([u]), kind)
    shares = np.array([float(w) for w in weights])
    assert np.all(shares >= 0)
    assert shares.sum() == pytest.approx(1, abs=3e-7)
    assert shares @ (float(first) + np.arange(len(shares))) == pytest.approx(u, abs=3e-6)


@pytest.mark.parametrize("kind", DEPOSITS)
def test_what_is_deposited_is_kept(kind):
    position, weight = particles(20_000)
    assert deposited(position, None, kind).sum() == pytest.approx(20_000, rel=1e-6)
    total = weight.astype(np.float32).sum(dtype=float)
    assert deposited(position, weight, kind).sum() == pytest.approx(total, rel=1e-5)
