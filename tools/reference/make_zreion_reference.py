"""Make tests/reference/zreion_32.npz with the package zreion 0.2.2 from PyPI.

Usage, in an environment of its own (the package is a source distribution of 2021: it needs the C
library FFTW with its headers, Cython 0.29, NumPy 1, and pkg_resources at run time):

    apt-get install libfftw3-dev
    python3.11 -m venv zr
    zr/bin/pip install "setuptools<81" wheel "cython<3" "numpy<2" "setuptools_scm<8" "pyscaffold<4"
    zr/bin/pip install "setuptools<81" --no-deps --no-build-isolation zreion==0.2.2
    zr/bin/pip install "setuptools<81" "numpy<2" "pyfftw==0.14.0"
    zr/bin/python tools/reference/make_zreion_reference.py

What the package does, to 1e-14 in double precision:

    z_re = zmean + (1 + zmean) IFFT[ delta_k b0 (1 + k/kb)^-alpha W(k R) / W_cic ]

with `numpy.fft`'s conventions, k = 2 pi f in h/Mpc, W(x) = 3 (sin x - x cos x)/x^3, R = 1 Mpc/h,
W_cic = prod_i sinc^2(k_i cell/2) whatever the density was deposited with, and b0 at k = 0. Its
`apply_zreion_fast` ignores the b0 it is given and takes 0.59312; `apply_zreion` is used here.
"""

from pathlib import Path

import numpy as np
import zreion

TARGET = Path(__file__).parents[2] / "tests" / "reference" / "zreion_32.npz"
N, BOX = 32, 62.5  # cells of the published size, 1.953125 Mpc/h
CASES = {  # zmean, alpha, kb [h/Mpc], b0
    "inside_out": (7.5, 0.3, 1.0, 0.593119810201661),
    "smooth": (8.88764818819783, 0.4329503243946754, 0.1020456445037486, 0.24680639792154205),
}


def density(seed: int = 20) -> np.ndarray:
    """A lognormal overdensity of rms about 0.3, with power at all scales, exact in float16."""
    k = 2 * np.pi * np.fft.fftfreq(N, BOX / N)
    k2 = k[:, None, None] ** 2 + k[None, :, None] ** 2 + k[None, None, : N // 2 + 1] ** 2
    noise = np.fft.rfftn(np.random.default_rng(seed).standard_normal((N, N, N)))
    field = np.fft.irfftn(noise / (0.3**2 + k2) ** 0.5, s=(N, N, N))
    matter = np.exp(0.3 * field / field.std())
    return (matter / matter.mean() - 1).astype(np.float16)


def main() -> None:
    delta = density()
    fields = {
        name: zreion.apply_zreion(delta.astype(np.float64), zmean, alpha, kb, BOX, b0=b0)
        for name, (zmean, alpha, kb, b0) in CASES.items()
    }
    np.savez_compressed(
        TARGET,
        density=delta,
        box=BOX,
        **{f"{name}_parameters": np.array(values) for name, values in CASES.items()},
        **{name: field.astype(np.float32) for name, field in fields.items()},
    )


if __name__ == "__main__":
    main()
