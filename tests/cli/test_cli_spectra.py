"""`reionemu spectra --estimator bandpower` and `reionemu training-set --realizations mean`."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from reionemu.parameters import PARAMETER_NAMES


def test_band_powers_between_edges_of_a_periodic_map(reionemu, condensed_h5):
    outcome = reionemu(
        "spectra", condensed_h5, "--estimator", "bandpower", "--edges", "1000,1500,2500",
        "--window", "none", "--pixel-window", "--noise-cl", "1e-9",
    )  # fmt: skip
    assert outcome.out == f"{condensed_h5}: 24 spectra computed\n"
    with h5py.File(condensed_h5) as h5:
        np.testing.assert_array_equal(h5["bandpower/edges"], [1000, 1500, 2500])
        stamp = json.loads(h5.attrs["reionemu_stages"])["spectra"]
    assert stamp["edges"] == [1000, 1500, 2500]
    assert (stamp["window"], stamp["pixel_window"], stamp["noise_cl"]) == ("none", True, 1e-9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--edges", "1000,2000"), 'edges is an option of estimator "bandpower" alone'),
        (("--estimator", "bandpower", "--edges", "1000;2000"), "expected multipoles with commas"),
        (("--estimator", "bandpower", "--edges", "2000,1000"), "each above the one before"),
        (("--estimator", "bandpower", "--edges", "1000,9000"), "beyond the Nyquist frequency"),
        (("--estimator", "bandpower", "--edges", "1000,2000", "--nbins", "3"), "no meaning when"),
        (("--estimator", "bandpowers"), "did you mean 'bandpower'"),
        (("--estimator", "bandpower", "--window", "hanning"), "did you mean 'hann'"),
    ],
)
def test_what_cannot_be_is_one_line(reionemu, condensed_h5, arguments, words):
    outcome = reionemu("spectra", condensed_h5, *arguments)
    assert outcome.code != 0
    assert words in outcome.err
    assert "Traceback" not in outcome.err


def test_realizations_averaged(reionemu, condensed_h5):
    with h5py.File(condensed_h5, "a") as h5:
        for name in PARAMETER_NAMES:
            h5[f"sims/sim1/params/{name}"][()] = h5[f"sims/sim0/params/{name}"][()]
    outcome = reionemu("training-set", condensed_h5, "--realizations", "mean")
    assert outcome.out == f"{condensed_h5}: 24 simulations in 23 rows, 0 left out\n"
    outcome = reionemu("training-set", condensed_h5, "--realizations", "mean", "--json")
    assert json.loads(outcome.out)["realizations_averaged"] == [2] + [1] * 22
