"""Transforms in slabs against NumPy's, in double precision."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from reionemu.simulation.fourier import (
    Shells,
    in_slabs,
    one_torch_thread,
    to_modes,
    to_real,
    wave_numbers,
    wavenumber_table,
)
from reionemu.threads import for_each, in_order


def field_of(n: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(n).standard_normal((n, n, n), np.float32))


def modes_of(field: torch.Tensor, threads: int = 1) -> torch.Tensor:
    n = len(field)
    modes = torch.empty((n, n, n // 2 + 1), dtype=torch.complex64)
    to_modes(field, modes, threads)
    return modes


@pytest.mark.parametrize("n", [16, 20, 34])  # a slab, and sides that no slab divides
def test_modes_are_those_of_numpy(n):
    field = field_of(n)
    expected = np.fft.rfftn(field.double().numpy())
    np.testing.assert_allclose(modes_of(field), expected, atol=1e-6 * n**1.5)


@pytest.mark.parametrize("n", [16, 34])
def test_there_and_back(n):
    field, back = field_of(n), torch.empty((n, n, n))
    to_real(modes_of(field), back.__setitem__, threads=2)
    np.testing.assert_allclose(back, field, atol=3e-6)


def test_threads_change_no_bit():
    field = field_of(40)
    results = []
    for threads in (1, 2, 3):
        modes, back = modes_of(field, threads), torch.empty((40, 40, 40))
        forward = modes.clone()
        to_real(modes, back.__setitem__, threads)
        results.append((forward, back))
    for forward, back in results[1:]:
        assert torch.equal(forward, results[0][0])
        assert torch.equal(back, results[0][1])


def test_wavenumbers_of_a_plane():
    n, box = 18, 90.0
    k = 2 * np.pi * np.fft.fftfreq(n, box / n)
    expected = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k[: n // 2 + 1] ** 2)
    table = torch.from_numpy(wavenumber_table(n, box))
    shells = Shells(n)
    for i in range(n):
        np.testing.assert_allclose(shells.plane(table, i), expected[i], rtol=1e-14)


def test_wave_numbers_are_those_of_numpy():
    assert wave_numbers(8).tolist() == [0, 1, 2, 3, -4, -3, -2, -1]


def test_slabs_cover_everything_once():
    assert [i for s in in_slabs(35, 16) for i in range(35)[s]] == list(range(35))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order(threads):
    assert list(in_order(lambda i: i * i, range(20), threads)) == [i * i for i in range(20)]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_thread_is_not_lost(threads):
    with pytest.raises(ZeroDivisionError):
        for_each(lambda i: 1 // (i - 3), range(6), threads)


def test_pytorch_gets_its_threads_back_after_an_error():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with contextlib.suppress(KeyError), one_torch_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
