"""Write the artifact in golden/v1-posterior with this project, as it is when it is run.

    python make_v1_posterior.py v1-companions v1-posterior

Made once, when there were first records of posteriors. It is of a mock of a simulation in
v1-companions, by the Gaussian process there. Beside it, `v1-posterior.npz` holds `samples`,
`log_prob`, `tau` and the median of x_HI(z), `x_hi`, as they were before they were saved, and
`median`, that of every parameter in the order of the summary.
"""

import platform
import shutil
import socket
import sys
import warnings
from pathlib import Path

import numpy as np

from reionemu import load_artifact
from reionemu.artifact import code_version, provenance
from reionemu.inference import mock_from_simulation
from reionemu.inference.recording import infer_artifact
from reionemu.inference.sampling import EmceeOptions

LIBRARY = code_version.library_version()

socket.gethostname = lambda: "node7"
platform.platform = lambda: "Linux-6.1.0-x86_64-with-glibc2.36"
provenance.library_version = lambda: LIBRARY and {**LIBRARY, "directory": "/home/user/reionemu"}


def main(companions: Path, out: Path) -> None:
    emulator = load_artifact(shutil.copytree(companions / "gaussian_process", "gaussian_process"))
    steps = {step["step"]: step for step in emulator.provenance["lineage"]}
    row = steps["split"]["indices"]["test"][0]
    data, truth = mock_from_simulation(emulator, row, dataset=companions / "dataset.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few samples have not converged
        posterior, _ = infer_artifact(
            emulator,
            data,
            out.name,
            out.parent,
            tau=(0.0544, 0.0073),
            priors={"kb_zre": "normal(0.8, 0.3)"},
            sampler=EmceeOptions(walkers=8, steps=50),
            seed=1,
            truth=truth,
            description="For later.",
        )
    np.savez(
        f"{out}.npz",
        samples=posterior.chains.samples,
        log_prob=posterior.chains.log_prob,
        tau=posterior.derived["tau"],
        x_hi=posterior.history.median,
        median=[row.median for row in posterior.summary()],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
