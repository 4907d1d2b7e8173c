"""Fourier transforms of periodic boxes, in place and in slabs, on the CPU or a GPU.

A real field of N^3 cells is transformed to `modes`, complex64 of shape (N, N, N/2 + 1), with the
line of sight first; the convention is that of `numpy.fft.rfftn`. A mode has the whole numbers
n = (n0, n1, n2) and the wavenumber k = 2 pi n / L.

On the CPU, SciPy transforms along strided axes several times faster than PyTorch does. Slabs are of
a fixed size, so that no number depends on how many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from scipy import fft as scipy_fft

from ..threads import for_each

SLAB = 16
"""Planes that are worked on together."""


def wave_numbers(n: int) -> np.ndarray:
    """The whole numbers 0, 1, ... N/2 - 1, -N/2, ... -1 of the modes along an axis, shape (N,)."""
    return np.rint(np.fft.fftfreq(n) * n).astype(np.int64)


class Shells:
    """Modes by n^2 = n0^2 + n1^2 + n2^2: a function of |k| needs evaluating at its values only.

    Attributes
    ----------
    along : list of int, length N
        n0^2 of each plane of `modes`.
    across : Tensor of int64, shape (N, N/2 + 1)
        n1^2 + n2^2 in a plane.
    """

    def __init__(self, n: int, device: torch.device | str = "cpu") -> None:
        squares = torch.from_numpy(wave_numbers(n) ** 2)
        self.along = squares.tolist()
        self.across = (squares[:, None] + torch.arange(n // 2 + 1) ** 2).to(device)

    def plane(self, table: torch.Tensor, i: int) -> torch.Tensor:
        """What `table`, of shape (3 (N/2)^2 + 1,), says of the modes of plane i."""
        rest = table[self.along[i] :]
        if rest.device.type == "cpu":  # NumPy is twice as fast
            return torch.from_numpy(rest.numpy().take(self.across.numpy()))
        return rest[self.across]


def wavenumber_table(n: int, box: float) -> np.ndarray:
    """|k| [h/Mpc] for every value of n0^2 + n1^2 + n2^2, shape (3 (N/2)^2 + 1,)."""
    return 2 * np.pi / box * np.sqrt(np.arange(3 * (n // 2) ** 2 + 1))


def in_slabs(length: int, size: int = SLAB) -> Iterator[slice]:
    """Slices of `size` that cover range(length)."""
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Operations of PyTorch run on the calling thread inside the block: slabs have threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def inverse_along(modes: torch.Tensor, axis: int) -> None:
    """Inverse complex transform along axis 0 or 1, in place, on this thread."""
    _along(modes, axis, scipy_fft.ifft, torch.fft.ifft)


def forward_along(modes: torch.Tensor, axis: int) -> None:
    """Forward complex transform along axis 0 or 1, in place, on this thread."""
    _along(modes, axis, scipy_fft.fft, torch.fft.fft)


def _along(
    modes: torch.Tensor,
    axis: int,
    on_cpu: Callable[..., np.ndarray],
    on_device: Callable[..., torch.Tensor],
) -> None:
    if modes.device.type == "cpu":
        array = modes.numpy()
        result = on_cpu(array, axis=axis, overwrite_x=True)
        if not np.shares_memory(result, array):
            array[...] = result
    else:
        modes.copy_(on_device(modes, dim=axis))


def to_real(
    modes: torch.Tensor, consume: Callable[[slice, torch.Tensor], object], threads: int
) -> None:
    """Inverse real transform of `modes`, which is used up, a slab at a time.

    Parameters
    ----------
    modes : Tensor, shape (N, N, N/2 + 1), complex64
    consume : callable
        Called with (planes, their values: float32, shape (n, N, N)), from several threads.
    """
    n = modes.shape[0]
    for_each(lambda s: inverse_along(modes[:, s], 0), in_slabs(n), threads)

    def finish(planes: slice) -> None:
        slab = modes[planes]
        inverse_along(slab, 1)
        consume(planes, _real_rows(slab, n))

    for_each(finish, in_slabs(n), threads)


def to_modes(field: torch.Tensor, modes: torch.Tensor, threads: int) -> None:
    """Real transform of `field`, shape (N, N, N), into `modes`, complex64 (N, N, N/2 + 1).

    The field may be `as_real` of the same memory.
    """
    n = field.shape[0]

    def start(planes: slice) -> None:
        slab, rows = modes[planes], field[planes].float()
        if field.device.type == "cpu":
            slab.numpy()[...] = scipy_fft.rfft(rows.numpy(), axis=2)
        else:
            slab.copy_(torch.fft.rfft(rows, dim=2))
        forward_along(slab, 1)

    for_each(start, in_slabs(n), threads)
    for_each(lambda s: forward_along(modes[:, s], 0), in_slabs(n), threads)


def as_real(modes: torch.Tensor) -> torch.Tensor:
    """A field of float32, shape (N, N, N), in the memory of `modes`."""
    n = modes.shape[0]
    return torch.view_as_real(modes).view(n, n, n + 2)[:, :, :n]


def _real_rows(slab: torch.Tensor, n: int) -> torch.Tensor:
    if slab.device.type == "cpu":
        return torch.from_numpy(scipy_fft.irfft(slab.numpy(), n=n, axis=2))
    return torch.fft.irfft(slab, n=n, dim=2)
