"""The input of a run of Cobaya as a file, with comments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...extras import needed

_COMMENT = """\
# Input for Cobaya (https://cobaya.readthedocs.io), made by `reionemu cobaya`. To run it:
#
#     cobaya-run {file}
#     mpirun -n 4 cobaya-run {file}        (four chains at a time; needs mpi4py)
#
# Chains go to {output}.*, for GetDist: getdist.loadMCSamples("{output}").
# Starting points (ref) and covmat are of a short chain of reionemu infer's own sampler.
#
# Together with the cosmic microwave background: tau is then no parameter to sample, but goes from
# this theory to CAMB. Add, with priors of the cosmological parameters but for tau,
#
#     theory:
#       camb: {{requires: [tau]}}
#     likelihood:
#       planck_2018_lowl.EE: null        # and others; without "tau:" in KSZLikelihood, then
#
# set measure_speeds: true, and compare with runs of each alone. What this does and does not:
# - CAMB gets the optical depth, and makes of it a history of its own, a tanh of fixed width. The
#   neutral fraction of the emulator does not go into it, so E modes at ell < 20 know of tau only.
# - Both tau include helium; its second electron counts from z = 3.5 on in CAMB, and from z = 3 in
#   simulations of this package as they come.
# - The emulator has the cosmology of its simulations, whatever CAMB's is. Parameters that the CMB
#   fixes well are no matter; do not open up others (curvature, dark energy) in such a run.
"""


def to_yaml(info: Mapping[str, Any], *, file: str | None = None) -> str:
    """An input, such as `cobaya_input` gives, as text that `cobaya-run` reads.

    With comments on how to run it, and on what to do to add the cosmic microwave background.

    Parameters
    ----------
    info : mapping
    file : str, optional
        The name it will have, for the comments.

    Raises
    ------
    ConfigError
        If PyYAML is not installed.
    """
    with needed("an input for Cobaya", "cobaya"):
        import yaml

    body = yaml.safe_dump(dict(info), sort_keys=False, default_flow_style=None, width=100)
    spaced = re.sub(r"^(?=\w)", "\n", body, flags=re.MULTILINE)
    return _COMMENT.format(file=file or "FILE", output=info["output"]) + spaced
