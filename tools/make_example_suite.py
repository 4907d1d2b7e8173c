"""Make src/reionemu/example_suite/raw from full-size raw simulations, by averaging down.

Usage: python tools/make_example_suite.py SOURCE_RAW_ROOT

Each map is averaged over 2 x 2 pixels (256 to 128 on a side, the angle stays), and every fourth
wavenumber of pk_tt is kept. The rest is copied.
"""

import sys
from pathlib import Path

import h5py
import numpy as np

TARGET = Path(__file__).parents[1] / "src" / "reionemu" / "example_suite" / "raw"


def average(sky: np.ndarray, factor: int = 2) -> np.ndarray:
    """Means over blocks of factor x factor pixels."""
    n = sky.shape[0] // factor
    return sky.reshape(n, factor, n, factor).astype(np.float64).mean(axis=(1, 3))


def convert(source: Path, target: Path) -> None:
    """Write a small version of one raw file."""
    with h5py.File(source) as old, h5py.File(target, "w", libver="latest") as new:
        for name, value in old["header"].items():
            new[f"header/{name}"] = value[()]
        for name, value in old["data"].items():
            data = value[()]
            if name == "ksz_map":
                data = average(data).astype(np.float32)
            elif name == "pk_tt":
                data = data[:, ::4]
            new[f"data/{name}"] = data


def main(root: Path) -> None:
    for sim in sorted(path for path in root.iterdir() if path.is_dir()):
        (TARGET / sim.name).mkdir(parents=True, exist_ok=True)
        for file in sim.iterdir():
            convert(file, TARGET / sim.name / file.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
