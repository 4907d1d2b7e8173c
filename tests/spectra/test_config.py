"""Options of the spectra stage: what fits together, and what is refused when it is made."""

from __future__ import annotations

import numpy as np
import pytest

from reionemu.errors import ConfigError
from reionemu.spectra import ClConfig


def test_edges_become_floats_however_they_are_listed() -> None:
    for edges in ([1000, 2000], (1000.0, 2000.0), np.array([1000, 2000])):
        config = ClConfig(estimator="bandpower", edges=edges)
        assert config.edges == (1000.0, 2000.0)
        assert all(type(edge) is float for edge in config.edges)
        assert hash(config) == hash(ClConfig(estimator="bandpower", edges=(1000.0, 2000.0)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"estimator": "band-power"}, "estimator.*did you mean 'bandpower'"),
        ({"estimator": "bandpower", "window": "han"}, "window.*did you mean 'hann'"),
        ({"estimator": "bandpower", "pixel_window": 1}, "pixel_window.*true or false.*1"),
        ({"estimator": "bandpower", "noise_cl": -1.0}, "noise_cl.*>= 0.*-1"),
        ({"estimator": "bandpower", "noise_cl": np.nan}, "noise_cl.*nan"),
        ({"estimator": "bandpower", "edges": "1000"}, "edges must list multipoles.*'1000'"),
        ({"estimator": "bandpower", "edges": 1000.0}, "edges must list multipoles"),
        ({"estimator": "bandpower", "edges": (1000,)}, r"two or more.*\(1000,\)"),
        ({"estimator": "bandpower", "edges": (1, 3, 3)}, "each above the one before"),
        ({"estimator": "bandpower", "edges": (3, 1)}, "each above the one before"),
        ({"estimator": "bandpower", "edges": (-1, 3)}, "edges.*>= 0.*-1"),
        ({"estimator": "bandpower", "edges": (1, np.inf)}, "edges.*inf"),
        ({"estimator": "bandpower", "edges": (1, "2k")}, "edges.*number.*'2k'"),
    ],
)
def test_bad_options_are_refused(options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ClConfig(**options)


@pytest.mark.parametrize(
    "option", [{"edges": (1, 2)}, {"window": "none"}, {"pixel_window": True}, {"noise_cl": 1.0}]
)
def test_the_drop_in_estimator_takes_no_option_of_the_other(option: dict) -> None:
    (name,) = option
    with pytest.raises(ConfigError, match=rf'ClConfig\.{name} is an option of.*"bandpower" alone'):
        ClConfig(**option)
    assert getattr(ClConfig(estimator="bandpower", **option), name) == option[name]


@pytest.mark.parametrize("option", [{"nbins": 7}, {"ell_cut": 500.0}])
def test_edges_leave_nothing_to_say_of_bins(option: dict) -> None:
    with pytest.raises(ConfigError, match="has no meaning when edges are given"):
        ClConfig(estimator="bandpower", edges=(1000, 2000), **option)
