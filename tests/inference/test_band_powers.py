"""Band powers: what they hold, and what is refused with which reason."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.errors import InferenceDataError
from reionemu.inference.band_powers import BandPowers

ELL = np.array([2000.0, 3000.0, 4000.0])
WINDOW_ELL = np.arange(1500.0, 4500.0, 100)


def top_hats() -> np.ndarray:
    inside = np.abs(WINDOW_ELL + 50 - ELL[:, None]) <= 500
    return inside / inside.sum(axis=1, keepdims=True)


def make(**changes: Any) -> BandPowers:
    given: dict[str, Any] = {
        "name": "three bins",
        "ell": ELL,
        "dl": [1.2, 1.0, 0.9],
        "covariance": np.diag([0.01, 0.02, 0.03]),
    }
    return BandPowers(**{**given, **changes})


def test_they_are_arrays_of_their_own_that_cannot_be_changed() -> None:
    ell = ELL.copy()
    data = make(ell=ell)
    ell[0] = 1
    assert data.ell[0] == 2000
    with pytest.raises(ValueError, match="read-only"):
        data.dl[0] = 2
    assert data.n == 3
    np.testing.assert_allclose(data.std, np.sqrt([0.01, 0.02, 0.03]), rtol=1e-15)


def test_the_name_says_what_kind_they_are() -> None:
    assert "kSZ of reionization, 3 bins, ell = 2000 to 4000" in repr(make())
    one = BandPowers("one", [3000], [3.0], [[1.0]], is_total=True)
    assert "total kSZ, D = 3 +- 1 uK^2 at ell = 3000" in repr(one)


def test_rounding_of_a_covariance_is_evened_out() -> None:
    covariance = np.diag([0.01, 0.02, 0.03])
    covariance[0, 1], covariance[1, 0] = 0.005, 0.005 + 1e-9
    found = make(covariance=covariance).covariance
    assert found[0, 1] == found[1, 0] == pytest.approx(0.005, abs=1e-8)


@given(
    scales=st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3),
    correlation=st.floats(-0.4, 0.9),
    area=st.none() | st.floats(1e-6, 12),
    is_total=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_json_brings_them_back(
    scales: list[float], correlation: float, area: float | None, is_total: bool
) -> None:
    matrix = np.full((3, 3), correlation) + (1 - correlation) * np.eye(3)
    data = make(
        covariance=matrix * np.outer(scales, scales),
        windows=top_hats(),
        window_ell=WINDOW_ELL,
        map_area=area,
        is_total=is_total,
    )
    again = BandPowers.from_mapping(json.loads(json.dumps(data.to_mapping())))
    assert again.sha256 == data.sha256
    assert again.to_mapping() == data.to_mapping()


@pytest.mark.parametrize(
    "change",
    [
        {"dl": [1.2, 1.0, np.nextafter(0.9, 1)]},
        {"ell": [2000, 3000, 4001]},
        {"covariance": np.diag([0.01, 0.02, 0.031])},
        {"is_total": True},
        {"realization": "emulator"},
        {"map_area": 0.01},
        {"windows": top_hats(), "window_ell": WINDOW_ELL},
    ],
)
def test_the_hash_is_of_what_a_likelihood_depends_on(change: dict[str, Any]) -> None:
    assert make(**change).sha256 != make().sha256


def test_the_hash_is_not_of_name_and_source() -> None:
    assert make(name="other", source="elsewhere").sha256 == make().sha256


HALF = top_hats() / 2
BAD = [
    ({"name": ""}, "name must be a line of text"),
    ({"name": "a\nb"}, "name must be a line of text"),
    ({"source": "a\x1bb"}, "source must be a line of text"),
    ({"is_total": 1}, "is_total must be true"),
    ({"realization": "emulater"}, "must be sky or emulator.*did you mean 'emulator'"),
    ({"map_area": -1.0}, "solid angle of a simulated map"),
    ({"map_area": float("nan")}, "solid angle of a simulated map"),
    ({"map_area": "16"}, "solid angle of a simulated map"),
    ({"ell": "2000"}, "ell must be a list of numbers"),
    ({"ell": []}, r"ell must be a list of numbers, but has shape \(0,\)"),
    ({"ell": [[2000, 3000, 4000]]}, "has shape"),
    ({"dl": [1, 1j, 1]}, "dl must be a list of numbers"),
    ({"dl": [1, np.inf, 1]}, r"dl\[1\] is inf"),
    ({"dl": [1, 1]}, "2 values of dl for 3 bins"),
    ({"ell": [-1, 3000, 4000]}, "must be above 0 and ascend"),
    ({"ell": [2000, 3000, 3000]}, "must be above 0 and ascend"),
    ({"covariance": np.diag([0.01, 0.02])}, r"shape \(2, 2\), but there are 3 bins"),
    ({"covariance": [[1], [2, 3]]}, "covariance must be rows of numbers"),
    ({"covariance": np.diag([0.01, 0, 0.02])}, "variance of the bin at ell = 3000 is 0"),
    (
        {"covariance": [[0.01, 0.005, 0], [0.004, 0.01, 0], [0, 0, 0.01]]},
        "not symmetric: of the bin at ell = 2000 and the bin at ell = 3000",
    ),
    (
        {"covariance": [[0.01, 0, 0], [0, 0.01, 0.01], [0, 0.01, 0.01]]},
        "singular.*the bin at ell = 3000 and the bin at ell = 4000",
    ),
    (
        {"covariance": [[0.01, 0, 0], [0, 0.01, 1e300], [0, 1e300, 0.01]]},
        "not positive definite: the correlation of the bin at ell = 3000",
    ),
    (
        {"covariance": [[1, -0.9, 0.9], [-0.9, 1, 0.9], [0.9, 0.9, 1]]},
        "not positive definite: the smallest eigenvalue",
    ),
    ({"dl": [1e-12] * 3, "covariance": np.eye(3) * 1e-26}, r"units of K\^2"),
    ({"dl": [1e-6] * 3, "covariance": np.eye(3) * 1e-14}, r"units of mK\^2.*or of C_ell"),
    ({"dl": [1e6] * 3, "covariance": np.eye(3) * 1e10}, r"units of nK\^2"),
    ({"windows": top_hats()}, "windows and window_ell belong together"),
    ({"windows": top_hats()[:2], "window_ell": WINDOW_ELL}, "windows have shape"),
    ({"windows": HALF, "window_ell": WINDOW_ELL}, "ell = 2000 sums to 0.5"),
    ({"windows": top_hats()[::-1], "window_ell": WINDOW_ELL}, "in the order of the bins"),
    ({"windows": top_hats(), "window_ell": WINDOW_ELL[::-1]}, "window_ell must ascend"),
    ({"windows": top_hats(), "window_ell": WINDOW_ELL * 3}, "each around the ell of its bin"),
]


@pytest.mark.parametrize(("change", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_what_cannot_be_used_is_refused_with_a_reason(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InferenceDataError, match=reason):
        make(**change)


def test_windows_of_large_opposite_weights_are_no_means() -> None:
    windows = top_hats()
    windows[1, :2] += 1e3, -1e3
    with pytest.raises(InferenceDataError, match="ell = 3000 sums to 1, its absolute"):
        make(windows=windows, window_ell=WINDOW_ELL)


def test_a_covariance_of_bins_of_very_different_size_is_fine() -> None:
    assert make(covariance=np.diag([1e-12, 1.0, 1e4])).std[0] == pytest.approx(1e-6)


def test_records_with_unknown_or_missing_fields_are_refused() -> None:
    mapping = make().to_mapping()
    with pytest.raises(InferenceDataError, match="unknown key 'sigma'"):
        BandPowers.from_mapping({**mapping, "sigma": [1]})
    del mapping["dl"]
    with pytest.raises(InferenceDataError, match="'three bins': dl is missing"):
        BandPowers.from_mapping(mapping)
