"""Write tests/reference/demo_seed_0.json: what the preset "demo" gives for published parameters.

    python tools/reference/make_demo_reference.py

It guards against silent changes. Whoever changes a number on purpose runs this, and raises
`reionemu.simulation.cache.FORMAT` if what is cached has changed.
"""

from __future__ import annotations

import json
from pathlib import Path

from reionemu.simulation.simulator import Simulator

THETA = {
    "zmean_zre": 8.88764818819783,
    "alpha_zre": 0.4329503243946754,
    "kb_zre": 0.1020456045437486,
    "b0_zre": 0.24680639792154205,
}


def main() -> None:
    result = Simulator("demo", cache=None, device="cpu", realizations=(0,)).run(**THETA)
    ell, dl = result.dl()
    late = (result.z >= 8) & (result.z <= 10)
    document = {
        "parameters": THETA,
        "ell": ell.tolist(),
        "dl_uk2": dl[0].tolist(),
        "tau": result.tau,
        "z": result.z[late].tolist(),
        "x_m": result.x_m[late].tolist(),
        "x_v": result.x_v[late].tolist(),
        "map_rms": float(result.maps[0].std(dtype=float)),
        "power_21cm": result.each[0].power_21cm[late, :8, 1].tolist(),
    }
    path = Path(__file__).parents[2] / "tests" / "reference" / "demo_seed_0.json"
    path.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
