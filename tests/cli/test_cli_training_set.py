"""What `reionemu training-set` says of what the simulations lack."""

from __future__ import annotations

import h5py
import numpy as np


def test_nothing_is_said_of_a_suite_that_has_all(reionemu, condensed_h5):
    outcome = reionemu("training-set", condensed_h5)
    assert outcome == (0, f"{condensed_h5}: 24 simulations, 0 left out\n", "")


def test_the_simulation_that_lacks_something_is_named_once(reionemu, condensed_h5):
    with h5py.File(condensed_h5, "a") as h5:
        for sim in ("sim3", "sim9"):
            h5[f"sims/{sim}/output/tau"][()] = np.nan
    outcome = reionemu("training-set", condensed_h5)
    assert outcome.out == f"{condensed_h5}: 24 simulations, 0 left out\n"
    assert outcome.err == (
        "note: tau is left out, and cannot be emulated: sim3 has no finite, positive output/tau\n"
    )


def test_a_campaign_that_is_damaged_is_no_matter(reionemu, condensed_h5):
    with h5py.File(condensed_h5, "a") as h5:
        h5["campaign"] = "{"
    assert reionemu("training-set", condensed_h5).code == 0
